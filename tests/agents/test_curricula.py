"""Curricula: what they propose, what they keep, and that a whole update is one program."""

from __future__ import annotations

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import SFL, DomainRandomization, FixedLevels, LevelBatch
from agents.curricula.protocol import learnability, solve_rates
from agents.ppo.rollout import Transitions
from agents.ppo.update import PPOConfig, make_optimizer
from agents.training.update import Trainer
from kinetix_py.generator.filters import noop_solves
from tests.kinetix_py.small_levels import TINY, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
PARAMS = kx.EnvParams(max_timesteps=40)


def uniform(params, carry, obs, reset, mask):
    """A policy that chooses every discrete action equally often; its parameter is a bias of them all."""
    logits = jnp.zeros((*obs.shape[:2], 11)) + params
    return carry, distrax.Categorical(logits=logits), obs[..., 0] * params


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)


def transitions(solved, done):
    """A rollout of which only the ends of episodes are known, `[T, B]`."""
    solved, done = np.array(solved, bool).T, np.array(done, bool).T
    zeros = jnp.zeros(done.shape)
    info = {"solved": solved, "episode_return": zeros, "episode_length": zeros}
    return Transitions((), *[zeros] * 7, jnp.asarray(done), jnp.asarray(done), info)


def test_solve_rates_count_an_unfinished_level_as_unsolved():
    seen = transitions([[0, 1, 0, 1], [0, 0, 0, 0]], [[1, 1, 0, 1], [0, 0, 0, 0]])
    rate, ended = solve_rates(seen)
    np.testing.assert_allclose(rate, [2 / 3, 0])
    assert ended.tolist() == [3, 0]


def test_learnability_is_largest_in_the_middle():
    np.testing.assert_allclose(learnability(jnp.array([0, 0.25, 0.5, 1])), [0, 0.1875, 0.25, 0])


def test_given_levels_are_shared_out():
    levels = kx.stack_levels([falling(), rocket()])
    curriculum = FixedLevels(levels, 5)
    _, batch = curriculum.propose(KEY, uniform, None, curriculum.init(KEY))
    assert batch.source.tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(batch.start.labels.role[4], levels.labels.role[0])
    with pytest.raises(ValueError, match="2 levels need at least as many environments, got 1"):
        FixedLevels(levels, 1)


def sfl(env, kind=SFL, **changes):
    numbers = {"num_candidates": 12, "attempts": 16, "buffer_size": 4, "num_steps": 20, "refresh_every": 3}
    return kind(env, PARAMS, 6, **(numbers | changes))


def test_random_levels_are_fresh_and_need_an_agent(env):
    """One program draws the levels of a rollout alone, or those and the candidates of a refresh."""
    draw = jax.jit(sfl(env).draw)
    first, second = draw(jax.random.key(1), 15), draw(jax.random.key(2), 3)
    assert not np.array_equal(first.sim.position[:3], second.sim.position[:3])
    for levels, count in ((first, 15), (second, 3)):
        some = jax.tree.map(lambda value, count=count: value[:count], levels)
        assert (some.labels.role == 1).any(1).all() and (some.labels.role == 2).any(1).all()
    assert not noop_solves(first).any()


def test_domain_randomization_proposes_fresh_levels_only():
    curriculum = DomainRandomization(TINY, 24)
    state, batch = jax.eval_shape(lambda key: curriculum.propose(key, uniform, None, ()), KEY)
    assert state == () and batch.source.shape == (24,) and batch.start.batch_shape == (24,)


class Given(SFL):
    """Draws always the same 3 + 12 levels: falling ones (always solved, never solved) and, last, rockets."""

    def draw(self, key, wanted):
        return kx.stack_levels(
            [falling(), falling(red=True), falling()] * 3 + [falling(red=True)] * 2 + [rocket()] * 4
        )


def coin(params, carry, obs, reset, mask):
    """Turns the thruster on half of the time: some attempts at a rocket are in time, others are not."""
    logits = jnp.where(jnp.isin(jnp.arange(11), jnp.array([8, 9])), 0.0, -1e9)
    return carry, distrax.Categorical(logits=jnp.broadcast_to(logits, (*reset.shape, 11))), obs[..., 0]


@pytest.fixture(scope="module")
def refreshed(env):
    curriculum = sfl(env, Given)
    propose = jax.jit(lambda key, state: curriculum.propose(key, coin, (), state))
    return curriculum, propose, propose(KEY, curriculum.init(KEY))[0]


def test_the_buffer_holds_the_most_learnable(refreshed):
    """Only rockets are solved sometimes."""
    _, _, state = refreshed
    rocket_role = np.asarray(rocket().labels.role)
    assert (np.asarray(state.levels.labels.role) == rocket_role[None]).all()
    assert (np.diff(state.score) <= 0).all() and 0 < state.score[-1] <= state.score[0] <= 0.25


def test_a_rollout_mixes_the_buffer_with_fresh_levels(refreshed):
    curriculum, propose, state = refreshed
    after, batch = propose(jax.random.key(5), kx_replace(state, update=jnp.int32(1)))
    assert curriculum.num_replayed == 3 and (batch.source[3:] == -1).all() and (batch.source[:3] >= 0).all()
    np.testing.assert_array_equal(batch.start.labels.role[0], state.levels.labels.role[batch.source[0]])
    np.testing.assert_array_equal(batch.start.labels.role[3:], curriculum.draw(KEY, 3).labels.role[:3])
    np.testing.assert_array_equal(after.score, state.score)  # not refreshed now
    again, _ = propose(jax.random.key(6), kx_replace(state, update=jnp.int32(3)))
    assert not np.array_equal(again.score, state.score)


def kx_replace(state, **changes):
    return type(state)(**{**vars(state), **changes})


def test_metrics_tell_fresh_levels_from_replayed(refreshed):
    curriculum, _, state = refreshed
    seen = transitions([[1, 1], [0, 1], [0, 0]], [[1, 1], [1, 1], [0, 1]])
    batch = LevelBatch(state.levels, jnp.array([0, -1, -1]))
    after, metrics = curriculum.observe(state, batch, seen)
    assert metrics["solve_rate_replayed"] == 1 and metrics["solve_rate_fresh"] == 0.25
    assert metrics["solve_rate"] == pytest.approx(3 / 5) and metrics["episodes"] == 5
    assert after.update == state.update + 1


def test_wrong_numbers_are_refused(env):
    for change, match in (
        ({"buffer_size": 99}, "at most num_candidates 12, got 99"),
        ({"buffer_share": 1.5}, "0 .. 1, got 1.5"),
        ({"refresh_every": 0}, "refresh_every must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=match):
            sfl(env, **change)


@pytest.mark.slow
def test_a_whole_update_is_one_trace(env):
    """Propose, play, learn, observe: three updates, two of which refresh the buffer with random levels."""
    curriculum = sfl(env, num_steps=8, refresh_every=2)
    config, traces = PPOConfig(num_minibatches=2), []

    def counted(*arguments):
        traces.append(1)
        return uniform(*arguments)

    trainer = Trainer(env, counted, curriculum, make_optimizer(config), config, 6, 8)
    state, buffers, counts = trainer.init(KEY, jnp.float32(0.1)), [], []
    for _ in range(3):
        state, metrics = trainer.updates(state, PARAMS, 1)
        counts.append(len(traces))
        buffers.append(np.asarray(state.curriculum.levels.sim.position))
    assert counts[0] == counts[-1] and state.update == state.curriculum.update == 3
    assert np.array_equal(*buffers[:2]) and not np.array_equal(*buffers[1:])
    assert not noop_solves(state.curriculum.levels).any()
    assert all(np.isfinite(value).all() for value in metrics.values())
