"""Curricula: what they propose, what they keep, and that a whole update is one program."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import make_trainer
from agents.config import TrainConfig
from agents.curricula import SFL, DomainRandomization, FixedLevels, LevelBatch
from agents.curricula.fresh import UPDATES_AHEAD, FreshLevels
from agents.curricula.outcome import Outcome
from agents.curricula.scores import expected_learnability
from agents.curricula.structure import level_structure, structure_metrics
from agents.policy import UniformPolicy
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import make_optimizer
from agents.training.trainer import Trainer
from jax2d.batching import lowering_for
from kinetix_py.chunks import filter_round, suited_chunks, use_chunks
from kinetix_py.generator import sample
from kinetix_py.generator.sample import noop_solves
from tests.agents.policies import Coin, same_trees
from tests.kinetix_py.small_levels import TINY, car, falling, relabeled, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
PARAMS = kx.EnvParams(max_timesteps=40)


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)


def outcome(solved):
    """One episode in each environment, of which only the end is known."""
    solved = jnp.array(solved, float)
    one, zero = jnp.ones(solved.shape), jnp.zeros(solved.shape)
    return Outcome(one, solved, one, solved, solved, one, solved, zero, zero, zero, zero)


def test_parts_of_levels_are_counted_where_they_are_learnt_from():
    """A ball 1.4 m above a static box, and a rocket 2 m from its goal; walls are not counted."""
    levels = kx.stack_levels([falling(), rocket()])
    parts = level_structure(levels)
    counts = [[2, 2], [1, 0], [0, 0], [0, 0], [0, 1], [1.4, 2.0]]
    names = ["shapes", "static_shapes", "joints", "motors", "thrusters", "goal_distance"]
    assert list(parts) == names
    np.testing.assert_allclose([parts[name] for name in names], counts, rtol=1e-6)
    driven = level_structure(kx.stack_levels([car()]))
    assert (driven["joints"][0], driven["motors"][0], driven["goal_distance"][0]) == (1, 1, 0)
    for learn, expected in (
        (None, np.mean(counts, axis=1)),
        (jnp.array([False, True]), np.array(counts)[:, 1]),
        (jnp.array([False, False]), np.mean(counts, axis=1)),
    ):
        means = structure_metrics(LevelBatch(levels, jnp.array([-1, -1]), learn=learn))
        assert list(means) == [f"levels/{name}" for name in names]
        np.testing.assert_allclose(list(means.values()), expected, rtol=1e-6)


def test_given_levels_are_shared_out(env):
    levels = kx.stack_levels([falling(), rocket()])
    curriculum = FixedLevels(levels, 5)
    _, batch = curriculum.propose(KEY, UniformPolicy(env), (), curriculum.init(KEY), 0)
    assert batch.source.tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(batch.start.labels.role[4], levels.labels.role[0])
    with pytest.raises(ValueError, match="2 levels need at least as many environments, got 1"):
        FixedLevels(levels, 1)


def sfl(env, kind=SFL, **changes):
    numbers = {"num_candidates": 12, "attempts": 16, "buffer_size": 4, "num_steps": 20, "refresh_every": 3}
    return kind(env, PARAMS, 6, **(numbers | changes))


def test_fresh_levels_are_kept_for_later_updates(monkeypatch):
    """Rounds of 24 levels for updates of 3: what passes is played in order, whatever later keys are.

    In the place of doing nothing, which takes long to compile, a body at the right solves a level.
    """
    size = dataclasses.replace(TINY, num_circles=1)  # no other test finds the program of this filter
    env = kx.make(size, observation_type="blind", action_type="discrete", auto_reset=True)
    solved = lambda levels, *_: levels.sim.position[:, size.num_walls, 0] > 3.5
    monkeypatch.setattr(sample, "noop_solves", solved)
    source = FreshLevels(env, PARAMS, 6, 3, kx.GeneratorParams())
    take = jax.jit(source.take)
    for platform in ("cpu", "cuda"):  # a run goes on on another device
        with lowering_for(platform):
            assert source.capacity == 6 + 8 * 3
    with use_chunks(dataclasses.replace(suited_chunks(), filtered=24)):
        pool, first, missing = jax.device_get(take(jax.random.key(1), source.empty(), 3))
        assert missing == 0 and 6 <= pool.count < 24 - 3
        (after, levels, _), (same, others, _) = (
            jax.device_get(take(jax.random.key(key), pool, 6)) for key in (2, 3)
        )
        assert same_trees(after, same) and same_trees(levels, others)  # nothing was drawn
        assert same_trees(levels, jax.tree.map(lambda leaf: leaf[:6], pool.levels))
        few = dataclasses.replace(pool, count=np.int32(2))
        filled, levels, _ = jax.device_get(take(jax.random.key(2), few, 6))
    assert filled.count > 6
    assert same_trees(*(jax.tree.map(lambda leaf: leaf[:2], each) for each in (levels, pool.levels)))
    assert not np.array_equal(levels.sim.position[2:5], pool.levels.sim.position[2:5])
    assert not solved(first)[:3].any() and not solved(levels).any()  # of the first six, three were asked for


@pytest.mark.slow
def test_levels_that_are_not_found_in_time_are_replaced_and_counted(env):
    """One round of 2 levels for 15 rows: at most these pass the filter, and yet no row is empty."""
    curriculum = sfl(env, max_rounds=1)
    with use_chunks(dataclasses.replace(suited_chunks(), filtered=2)):
        draw, pool = jax.jit(curriculum.draw), curriculum.fresh.empty()
        (_, levels, missing), (rest, others, few) = (
            draw(jax.random.key(key), pool, wanted) for key, wanted in ((1, 15), (2, 3))
        )
    assert 13 <= missing <= 15 and 1 <= few <= 3 and rest.count == 0
    assert not np.array_equal(levels.sim.position[:3], others.sim.position[:3])
    assert (levels.labels.role == kx.GREEN).any(1).all() and (levels.labels.role == kx.BLUE).any(1).all()
    for row in range(3):
        kx.validate_level(jax.tree.map(lambda leaf, row=row: leaf[row], levels))


def test_unfiltered_levels_are_counted_among_those_wanted(env, monkeypatch):
    """Of 15 levels, 12 pass the filter, which plays the game of the run."""
    games = []

    def filtered(key, n, *_, env, env_params, round_size, **__):
        games.append((env, env_params, round_size))
        return kx.stack_levels([rocket()] * n), jnp.arange(n) < 12

    monkeypatch.setattr(kx, "sample_filtered_levels", filtered)
    curriculum = sfl(env)
    pool = curriculum.fresh.empty()
    assert curriculum.draw(KEY, pool, 15)[2] == 3 and curriculum.draw(KEY, pool, 3)[2] == 0
    uniform = DomainRandomization(env, PARAMS, 15)
    state, batch = uniform.propose(KEY, UniformPolicy(env), (), uniform.init(KEY), 0)
    _, metrics = uniform.observe(KEY, UniformPolicy(env), (), state, batch, outcome([1]), 0)
    assert metrics["unfiltered_levels"] == 3 and metrics["solve_rate"] == 1
    assert all(game[0] is env and game[1] is PARAMS for game in games)
    rounds = [UPDATES_AHEAD * usual for usual in (3, 15)]
    assert [game[2] for game in games] == [filter_round(rounds[0])] * 2 + [filter_round(rounds[1])]


@pytest.mark.parametrize("kind", [pytest.param(SFL, marks=pytest.mark.slow), DomainRandomization])
def test_random_levels_are_proposed_in_the_shapes_of_a_rollout(env, kind):
    curriculum = sfl(env) if kind is SFL else DomainRandomization(env, PARAMS, 6)
    policy = Coin()
    propose = lambda key, state: curriculum.propose(key, policy, policy.init(key), state, 0)
    before = jax.eval_shape(curriculum.init, KEY)
    state, batch = jax.eval_shape(propose, KEY, before)
    assert batch.source.shape == batch.start.batch_shape == (6,) and batch.start.size == TINY
    jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype) or pytest.fail(str(a)), before, state)


def marked(levels):
    """Levels that differ in a number without effect, the density that a wall would have."""
    many = kx.stack_levels(levels)
    density = many.labels.density.at[:, 0].add(0.01 * jnp.arange(len(levels)))
    return relabeled(many, density=density)


class Given(SFL):
    """Draws always the same 3 + 12 levels: falling ones (always solved, never solved) and, last, rockets."""

    def draw(self, key, pool, wanted):
        levels = [falling(), falling(red=True), falling()] * 3 + [falling(red=True)] * 2 + [rocket()] * 4
        return pool, marked(levels), jnp.int32(2)


@pytest.fixture(scope="module")
def refreshed(env):
    curriculum, policy = sfl(env, Given), Coin()
    propose = jax.jit(lambda key, state, count: curriculum.propose(key, policy, jnp.float32(0), state, count))
    return curriculum, propose, propose(KEY, curriculum.init(KEY), 0)


@pytest.fixture(scope="module")
def observe(refreshed):
    curriculum = refreshed[0]
    return jax.jit(
        lambda state, batch, outcome: curriculum.observe(KEY, None, None, state, batch, outcome, 0)
    )


def test_the_buffer_holds_the_most_learnable(refreshed):
    """Only rockets are solved sometimes; of 16 attempts each."""
    buffer = refreshed[2][0].buffer
    rocket_role = np.asarray(rocket().labels.role)
    assert (np.asarray(buffer.levels.labels.role) == rocket_role[None]).all()
    assert (np.asarray(buffer.history.attempts) == 16).all() and (buffer.score < 0.25).all()
    np.testing.assert_allclose(buffer.score, expected_learnability(buffer.history.solved, 16.0), rtol=1e-5)


def test_a_rollout_mixes_the_buffer_with_fresh_levels(refreshed):
    curriculum, propose, (state, _) = refreshed
    after, batch = propose(jax.random.key(5), state, 1)
    assert curriculum.num_replayed == 3 and (batch.source[:3] == -1).all() and (batch.source[3:] >= 0).all()
    assert batch.learn is None  # all levels are learnt from
    mark, drawn = (
        batch.start.labels.density[:, 0],
        curriculum.draw(KEY, state.pool, 3)[1].labels.density[:, 0],
    )
    np.testing.assert_array_equal(mark[3:], state.buffer.levels.labels.density[batch.source[3:], 0])
    np.testing.assert_array_equal(mark[:3], drawn[:3])
    assert same_trees(after.buffer, state.buffer)  # not refreshed now


def test_candidates_that_are_known_are_not_counted_twice(refreshed):
    """The same candidates, attempted again at the next refresh: the buffer keeps what it has."""
    _, propose, (state, _) = refreshed
    again, batch = propose(jax.random.key(7), state, 3)
    assert same_trees(again.buffer, state.buffer) and batch.attempt_steps == 12 * 16 * 20


def test_scores_follow_the_training_rollouts(refreshed, observe):
    """A level that is always solved now loses its place to a fresh one, of which nothing is known."""
    state, batch = refreshed[2]
    slots, before = np.unique(batch.source[3:]), np.asarray(state.buffer.checksum)
    for _ in range(40):  # after which the 16 attempts have faded to a quarter of one
        state, metrics = observe(state, batch, outcome([1, 1, 1, 1, 1, 1]))
    kept = np.asarray(state.buffer.checksum)
    assert all((before[slot] != kept).any(1).all() for slot in slots)  # the replayed are gone
    role = np.asarray(state.buffer.levels.labels.role)
    assert (role == np.asarray(falling().labels.role)).all(1).any()
    assert metrics["buffer_attempts"] > 1


def test_attempts_fade_and_add_up(refreshed, observe):
    """Two levels, one of them in two environments: 16 attempts count 0.9 each, new ones 1."""
    state, batch = refreshed[2]
    source = jnp.array([-1, -1, -1, 0, 0, 1])
    start = jax.tree.map(
        lambda new, old: jnp.concatenate([new[:3], old[source[3:]]]), batch.start, state.buffer.levels
    )
    after, _ = observe(state, LevelBatch(start, source, batch.attempt_steps), outcome([0, 0, 0, 1, 0, 1]))
    history, before = after.buffer.history, state.buffer.history
    np.testing.assert_allclose(history.attempts[:2], [0.9 * 16 + 2, 0.9 * 16 + 1], rtol=1e-6)
    np.testing.assert_allclose(history.solved[:2], 0.9 * before.solved[:2] + 1, rtol=1e-6)
    expected = expected_learnability(history.solved[:2], history.attempts[:2])
    np.testing.assert_allclose(after.buffer.score[:2], expected, rtol=1e-6)


def test_metrics_tell_fresh_levels_from_replayed(refreshed, observe):
    state, batch = refreshed[2]
    _, metrics = observe(state, batch, outcome([1, 0, 0, 1, 1, 0]))
    assert metrics["solve_rate_replayed"] == pytest.approx(2 / 3) and metrics[
        "solve_rate_fresh"
    ] == pytest.approx(1 / 3)
    assert metrics["solve_rate"] == 0.5 and metrics["episodes"] == 6
    assert metrics["unfiltered_levels"] == 2


def test_without_candidates_fresh_levels_fill_the_buffer(env):
    """At first all levels are fresh; once half of the buffer is filled, levels are replayed."""
    curriculum = sfl(env, Given, num_candidates=0, buffer_share=0.5)
    propose = jax.jit(lambda state: curriculum.propose(KEY, None, None, state, 0))
    state, batch = propose(curriculum.init(KEY))
    assert (batch.source == -1).all() and batch.attempt_steps == 0 and curriculum.num_wanted(state, 0) == 6
    state, _ = jax.jit(curriculum.observe, static_argnums=1)(
        KEY, None, None, state, batch, outcome([0] * 6), 0
    )
    assert state.buffer.filled.all() and curriculum.num_wanted(state, 1) == 3
    assert (propose(state)[1].source[3:] >= 0).all()


def test_wrong_numbers_are_refused(env):
    for change, match in (
        ({"num_candidates": -1}, "num_candidates must be at least 0, got -1"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"score": "best"}, r"score must be one of \('learnability', .*, got 'best'"),
        ({"buffer_share": 1.5}, "0 .. 1, got 1.5"),
        ({"refresh_every": 0}, "refresh_every must be at least 1, got 0"),
        ({"max_rounds": 0}, "max_rounds must be at least 1, got 0"),
        ({"attempts": 1}, "attempts must be at least 2, got 1"),
    ):
        with pytest.raises(ValueError, match=match):
            sfl(env, **change)


def test_candidates_are_attempted_in_groups_that_fit(env):
    assert sfl(env).candidates_at_once == 12
    assert sfl(env, episodes_at_once=100).candidates_at_once == 6  # 6 x 16 episodes
    assert sfl(env, episodes_at_once=1).candidates_at_once == 1
    with use_chunks(dataclasses.replace(suited_chunks(), attempted=50)):
        assert sfl(env).candidates_at_once == 3
    many = sfl(env, num_candidates=12_288, attempts=4)
    with lowering_for("cuda"):  # as `kinetix plan` does: the numbers are those of its target
        assert many.candidates_at_once == 4096
    assert many.candidates_at_once == 512


@pytest.mark.slow
def test_a_whole_update_is_one_trace(env):
    """Propose, play, learn, observe: three updates, two of which refresh the buffer with random levels."""
    curriculum = sfl(env, num_steps=8, refresh_every=2)
    config, traces = PPOConfig(minibatch_size=24), []

    class Counted(Coin):
        def unroll(self, *arguments):
            traces.append(1)
            return super().unroll(*arguments)

    trainer = Trainer(env, Counted(), curriculum, make_optimizer(config), config, 6, 8)
    state, buffers, counts = trainer.init(KEY), [], []
    for _ in range(3):
        state, metrics = trainer.train_steps(state, PARAMS, 1)
        counts.append(len(traces))
        buffers.append(np.asarray(state.curriculum.buffer.levels.sim.position))
    assert counts[0] == counts[-1] and state.num_updates == 3
    assert not np.array_equal(*buffers[1:])  # refreshed
    assert not noop_solves(
        jax.tree.map(lambda leaf: leaf[0], state.curriculum.buffer.levels), env, PARAMS
    ).any()
    assert all(np.isfinite(value).all() for value in metrics.values())


@pytest.mark.slow
@pytest.mark.parametrize("split", ["training.num_devices=2", "training.num_seeds=2"])
@pytest.mark.parametrize("kind", ["paired", "map_elites", "ncc", "accel", "sfl"])
def test_every_kind_is_one_program_of_devices_or_seeds(kind, split):
    """Two updates in one scan, so that states keep their shapes; traced, not compiled."""
    small = ["network=mlp", "network.width=8", "network.layers=1", "network.head_width=8"]
    small += ["size=s", "env.observation_type=blind", "training.num_envs=128", "training.rollout_length=16"]
    small += ["training.num_rollouts=1", "ppo.minibatch_size=512", "training.num_devices=1"]
    config = TrainConfig.preset("cpu", f"curriculum={kind}", *small, split)
    trainer = make_trainer(config)
    assert "while" in trainer.lower(trainer.state_shapes(), config.env.params, 2).as_text()
