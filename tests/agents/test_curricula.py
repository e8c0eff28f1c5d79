"""Curricula: what they propose, what they keep, and that a whole update is one program."""

from __future__ import annotations

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import SFL, DomainRandomisation, FixedLevels, LevelBatch
from agents.curricula.protocol import learnability, solve_rates
from agents.ppo.rollout import Transitions, rollout, start
from agents.ppo.update import PPOConfig, learn, make_optimizer
from kinetix_py.generator.filters import noop_solves
from tests.kinetix_py.small_levels import TINY, falling, rocket

KEY = jax.random.key(0)
PARAMS = kx.EnvParams(max_timesteps=40)


def uniform(params, carry, obs, reset, mask):
    """A policy that chooses every discrete action equally often; its parameter is a bias of them all."""
    logits = jnp.zeros((*obs.shape[:2], 11)) + params
    return carry, distrax.Categorical(logits=logits), obs[..., 0] * params


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation="blind", action="discrete", auto_reset=True)


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
    np.testing.assert_array_equal(batch.start.role[4], levels.role[0])
    with pytest.raises(ValueError, match="2 levels need at least as many environments, got 1"):
        FixedLevels(levels, 1)


def test_random_levels_are_fresh_and_need_an_agent():
    curriculum = DomainRandomisation(TINY, 24)
    propose = jax.jit(lambda key: curriculum.propose(key, uniform, None, ())[1])
    first, second = propose(jax.random.key(1)), propose(jax.random.key(2))
    assert not np.array_equal(first.start.sim.position, second.start.sim.position)
    assert (first.source == -1).all() and not noop_solves(first.start, TINY).any()


def sfl(env, **changes):
    numbers = {"num_candidates": 48, "buffer_size": 8, "num_steps": 80, "refresh_every": 3}
    return SFL(env, PARAMS, 6, **(numbers | changes))


@pytest.fixture(scope="module")
def refreshed(env):
    curriculum = sfl(env)
    propose = jax.jit(lambda key: curriculum.propose(key, uniform, jnp.float32(0), curriculum.init(key))[0])
    return curriculum, propose(KEY)


def test_the_buffer_holds_the_most_learnable(env, refreshed):
    """Levels of the buffer, played again many times, are more learnable than others."""
    _, state = refreshed
    assert (np.diff(state.score) <= 0).all() and state.score[0] > 0.1
    assert not noop_solves(state.levels, TINY).any() and (state.levels.role == 1).any(1).all()
    fresh = DomainRandomisation(TINY, 8).propose(jax.random.key(3), uniform, None, ())[1].start

    def score(levels):
        many = jax.tree.map(lambda value: jnp.repeat(value, 12, axis=0), levels)
        actors = start(env, many, PARAMS, ())
        _, seen = rollout(jax.random.key(4), uniform, jnp.float32(0), actors, env, PARAMS, 80)
        solved, done = seen.info["solved"].sum(0), seen.done.sum(0)
        rate = solved.reshape(8, 12).sum(1) / jnp.maximum(done.reshape(8, 12).sum(1), 1)
        return learnability(rate).mean()

    score = jax.jit(score)
    assert score(state.levels) > 1.5 * score(fresh)


def test_a_rollout_mixes_the_buffer_with_fresh_levels(env, refreshed):
    curriculum, state = refreshed
    state = kx_replace(state, update=jnp.int32(1))
    propose = jax.jit(lambda key: curriculum.propose(key, uniform, jnp.float32(0), state))
    after, batch = propose(jax.random.key(5))
    assert curriculum.num_replayed == 3 and (batch.source[3:] == -1).all() and (batch.source[:3] >= 0).all()
    np.testing.assert_array_equal(batch.start.role[0], state.levels.role[batch.source[0]])
    np.testing.assert_array_equal(after.score, state.score)  # not refreshed now


def kx_replace(state, **changes):
    return type(state)(**{**vars(state), **changes})


def test_metrics_tell_fresh_levels_from_replayed(env, refreshed):
    curriculum, state = refreshed
    seen = transitions([[1, 1], [0, 1], [0, 0]], [[1, 1], [1, 1], [0, 1]])
    batch = LevelBatch(state.levels, jnp.array([0, -1, -1]))
    after, metrics = curriculum.observe(state, batch, seen)
    assert metrics["solve_rate_replayed"] == 1 and metrics["solve_rate_fresh"] == 0.25
    assert metrics["solve_rate"] == pytest.approx(3 / 5) and metrics["episodes"] == 5
    assert after.update == state.update + 1


def test_wrong_numbers_are_refused(env):
    for change, match in (
        ({"buffer_size": 99}, "at most num_candidates 48, got 99"),
        ({"buffer_share": 1.5}, "0 .. 1, got 1.5"),
        ({"refresh_every": 0}, "refresh_every must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=match):
            sfl(env, **change)


def test_a_whole_update_is_one_trace(env):
    """Propose, play, learn, observe: four updates, two of which refresh the buffer."""
    curriculum, traces = sfl(env, num_candidates=12, num_steps=8, refresh_every=2), []
    config = PPOConfig(num_minibatches=2)
    optimizer = make_optimizer(config)

    @jax.jit
    def update(key, weights, opt_state, state):
        traces.append(1)
        keys = jax.random.split(key, 3)
        state, batch = curriculum.propose(keys[0], uniform, weights, state)
        actors = start(env, batch.start, PARAMS, ())
        _, seen = rollout(keys[1], uniform, weights, actors, env, PARAMS, 8)
        weights, opt_state, _ = learn(keys[2], uniform, weights, opt_state, optimizer, seen, (), config)
        state, metrics = curriculum.observe(state, batch, seen)
        return weights, opt_state, state, metrics

    weights, state = jnp.float32(0.1), curriculum.init(KEY)
    opt_state = optimizer.init(weights)
    for i in range(4):
        weights, opt_state, state, metrics = update(jax.random.key(i), weights, opt_state, state)
    assert len(traces) == 1 and state.update == 4
    assert all(np.isfinite(value) for value in metrics.values())
