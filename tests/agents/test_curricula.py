"""Curricula: what they propose, what they keep, and that a whole update is one program."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import SFL, DomainRandomization, FixedLevels, LevelBatch
from agents.curricula.protocol import episode_metrics, first_episodes, learnability
from agents.policy import UniformPolicy
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import make_optimizer
from agents.ppo.rollout import Outcome
from agents.training.trainer import Trainer
from kinetix_py.generator.sample import noop_solves
from tests.agents.policies import Coin
from tests.kinetix_py.small_levels import TINY, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
PARAMS = kx.EnvParams(max_timesteps=40)


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)


def outcome(solved, done):
    """An update of which only the ends of episodes are known, `[T, B]`."""
    solved, done = jnp.array(solved, bool).T, jnp.array(done, bool).T
    zeros = jnp.zeros(done.shape)
    info = {"solved": solved, "episode_return": zeros, "episode_length": zeros}
    return Outcome(*[zeros] * 3, done, done, info)


def test_first_episodes_alone_are_counted():
    """Failed then solved twice; solved then failed; not ended; solved at the last step."""
    solved = [[0, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    done = [[1, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]
    first, ended = first_episodes(outcome(solved, done))
    assert first.tolist() == [False, True, False, True] and ended.tolist() == [True, True, False, True]
    metrics = episode_metrics(outcome(solved, done))
    assert metrics["solve_rate"] == 0.5 and metrics["solve_rate_ended"] == pytest.approx(4 / 6)


def test_learnability_is_largest_in_the_middle():
    np.testing.assert_allclose(learnability(jnp.array([0, 0.25, 0.5, 1])), [0, 0.1875, 0.25, 0])


def test_given_levels_are_shared_out(env):
    levels = kx.stack_levels([falling(), rocket()])
    curriculum = FixedLevels(levels, 5)
    _, batch = curriculum.propose(KEY, UniformPolicy(env), (), curriculum.init(KEY))
    assert batch.source.tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(batch.start.labels.role[4], levels.labels.role[0])
    with pytest.raises(ValueError, match="2 levels need at least as many environments, got 1"):
        FixedLevels(levels, 1)


def sfl(env, kind=SFL, **changes):
    numbers = {"num_candidates": 12, "attempts": 16, "buffer_size": 4, "num_steps": 20, "refresh_every": 3}
    return kind(env, PARAMS, 6, **(numbers | changes))


@pytest.mark.slow
def test_random_levels_are_fresh_and_need_an_agent(env):
    """One program draws the levels of a rollout alone, or those and the candidates of a refresh."""
    draw = jax.jit(sfl(env).draw)
    (first, missing), (second, also) = draw(jax.random.key(1), 15), draw(jax.random.key(2), 3)
    assert missing == also == 0
    assert not np.array_equal(first.sim.position[:3], second.sim.position[:3])
    assert not noop_solves(first, env, PARAMS).any()


@pytest.mark.slow
def test_levels_that_are_not_found_in_time_are_replaced_and_counted(env):
    """One round of 2 levels for 15 rows: at most these pass the filter, and yet no row is empty."""
    draw = jax.jit(sfl(env, max_rounds=1).draw)
    (levels, missing), (others, few) = draw(jax.random.key(1), 15), draw(jax.random.key(2), 3)
    assert 13 <= missing <= 15 and 1 <= few <= 3
    assert not np.array_equal(levels.sim.position[:3], others.sim.position[:3])
    assert (levels.labels.role == kx.GREEN).any(1).all() and (levels.labels.role == kx.BLUE).any(1).all()
    for row in range(3):
        kx.validate_level(jax.tree.map(lambda leaf, row=row: leaf[row], levels))


def test_unfiltered_levels_are_counted_among_those_wanted(env, monkeypatch):
    """Of 15 rows, the third and the last two did not pass the filter, which plays the game of the run."""
    passed = jnp.ones(15, bool).at[jnp.array([2, 13, 14])].set(False)
    given, games = kx.stack_levels([rocket()] * 15), []

    def filtered(*_, env, env_params, **__):
        games.append((env, env_params))
        return given, passed

    monkeypatch.setattr(kx, "sample_filtered_levels", filtered)
    curriculum = sfl(env)
    assert curriculum.draw(KEY, 15)[1] == 3 and curriculum.draw(KEY, 3)[1] == 1
    uniform = DomainRandomization(env, PARAMS, 15)
    state, batch = uniform.propose(KEY, UniformPolicy(env), (), uniform.init(KEY))
    _, metrics = uniform.observe(state, batch, outcome([[1]], [[1]]))
    assert metrics["unfiltered_levels"] == 3 and metrics["solve_rate"] == 1
    assert all(game[0] is env and game[1] is PARAMS for game in games) and len(games) == 3


@pytest.mark.parametrize("kind", [SFL, DomainRandomization])
def test_random_levels_are_proposed_in_the_shapes_of_a_rollout(env, kind):
    curriculum = sfl(env) if kind is SFL else DomainRandomization(env, PARAMS, 6)
    policy = Coin()
    propose = lambda key, state: curriculum.propose(key, policy, policy.init(key), state)
    before = jax.eval_shape(curriculum.init, KEY)
    state, batch = jax.eval_shape(propose, KEY, before)
    assert batch.source.shape == batch.start.batch_shape == (6,) and batch.start.size == TINY
    jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype) or pytest.fail(str(a)), before, state)


class Given(SFL):
    """Draws always the same 3 + 12 levels: falling ones (always solved, never solved) and, last, rockets."""

    def draw(self, key, wanted):
        levels = [falling(), falling(red=True), falling()] * 3 + [falling(red=True)] * 2 + [rocket()] * 4
        return kx.stack_levels(levels), jnp.int32(2)


@pytest.fixture(scope="module")
def refreshed(env):
    curriculum, policy = sfl(env, Given), Coin()
    propose = jax.jit(lambda key, state: curriculum.propose(key, policy, jnp.float32(0), state))
    return curriculum, propose, propose(KEY, curriculum.init(KEY))[0]


def test_the_buffer_holds_the_most_learnable(refreshed):
    """Only rockets are solved sometimes."""
    _, _, state = refreshed
    rocket_role = np.asarray(rocket().labels.role)
    assert (np.asarray(state.levels.labels.role) == rocket_role[None]).all()
    assert (np.diff(state.score) <= 0).all() and 0 < state.score[-1] <= state.score[0] <= 0.25


def test_a_rollout_mixes_the_buffer_with_fresh_levels(refreshed):
    curriculum, propose, state = refreshed
    later = lambda count: dataclasses.replace(state, num_updates=jnp.int32(count))
    after, batch = propose(jax.random.key(5), later(1))
    assert curriculum.num_replayed == 3 and (batch.source[3:] == -1).all() and (batch.source[:3] >= 0).all()
    roles, drawn = batch.start.labels.role, curriculum.draw(KEY, 3)[0].labels.role
    np.testing.assert_array_equal(roles[0], state.levels.labels.role[batch.source[0]])
    np.testing.assert_array_equal(roles[3:], drawn[:3])
    np.testing.assert_array_equal(after.score, state.score)  # not refreshed now
    again, _ = propose(jax.random.key(7), later(3))
    assert not np.array_equal(again.score, state.score)


def test_metrics_tell_fresh_levels_from_replayed(refreshed):
    curriculum, _, state = refreshed
    played = outcome([[1, 1], [0, 1], [0, 1]], [[1, 1], [1, 1], [0, 1]])
    batch = LevelBatch(state.levels, jnp.array([0, -1, -1]))
    after, metrics = curriculum.observe(state, batch, played)
    assert metrics["solve_rate_replayed"] == 1 and metrics["solve_rate_fresh"] == 0.5
    assert metrics["solve_rate"] == pytest.approx(2 / 3) and metrics["episodes"] == 5
    assert metrics["unfiltered_levels"] == 2 and after.num_updates == state.num_updates + 1


def test_wrong_numbers_are_refused(env):
    for change, match in (
        ({"buffer_size": 99}, "at most num_candidates 12, got 99"),
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


def test_attempts_are_counted_as_steps_of_the_policy(refreshed):
    _, propose, state = refreshed
    later = lambda count: propose(KEY, dataclasses.replace(state, num_updates=jnp.int32(count)))[1]
    assert later(3).attempt_steps == 12 * 16 * 20 and later(4).attempt_steps == 0


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
        buffers.append(np.asarray(state.curriculum.levels.sim.position))
    assert counts[0] == counts[-1] and state.num_updates == state.curriculum.num_updates == 3
    assert np.array_equal(*buffers[:2]) and not np.array_equal(*buffers[1:])
    assert not noop_solves(state.curriculum.levels, env, PARAMS).any()
    assert all(np.isfinite(value).all() for value in metrics.values())
