"""Whole episodes, rewards by name, and where an environment's levels come from."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.levels.level import with_rules
from kinetix_py.rewards import REWARDS
from tests.kinetix_py.small_levels import TINY, batch, falling, play, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
STEPS = 60


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind")


@functools.partial(jax.jit, static_argnames=("env", "keep_states"))
def fixed(env, levels, actions, limit=STEPS, keep_states=False):
    act = kx.action_sequence(actions)
    options = {"max_steps": STEPS, "limit": None if keep_states else limit, "keep_states": keep_states}
    return kx.play_episodes(KEY, env, levels, act, jnp.int32(0), **options)


def firing(env, starts):
    """Actions `[B, STEPS, bindings]`: nothing, then from a step on the rocket's thruster."""
    on = np.asarray(env.noop_action).copy()
    on[TINY.num_motor_bindings] = 1
    late = np.arange(STEPS)[None, :, None] < np.array(starts)[:, None, None]
    return np.where(late, env.noop_action, on).astype(np.int32)


def test_episodes_end_as_the_same_actions_do_step_by_step(env):
    """A solved, a failed and an endless episode, beside the loop that tests use everywhere else."""
    levels = kx.stack_levels([falling(), falling(red=True), falling(gravity=0.0)])
    actions = jnp.broadcast_to(env.noop_action, (3, STEPS, TINY.num_bindings))
    got = jax.device_get(fixed(env, levels, actions))
    _, state, _, done, info = play(env, levels, STEPS)
    ends = np.where(done.any(0), done.argmax(0) + 1, STEPS)
    np.testing.assert_array_equal(got.outcome, [1, -1, 0])
    np.testing.assert_array_equal(got.length, ends)
    assert got.solved.tolist() == [True, False, False] and got.failed.tolist() == [False, True, False]
    rows = np.arange(3)
    np.testing.assert_allclose(got.final, info["distance"][ends - 1, rows], rtol=1e-5)
    assert (got.closest <= got.final).all()
    kept = jax.device_get(fixed(env, levels, actions, keep_states=True))
    np.testing.assert_array_equal(kept.length, got.length)
    assert kept.states.batch_shape == (STEPS + 1, 3) and kept.states.size == TINY
    np.testing.assert_array_equal(kept.states.step_count[-1], ends)  # nothing moves after the end
    np.testing.assert_allclose(
        kept.states.sim.position[ends, rows], state.sim.position[ends - 1, rows], atol=1e-6
    )


def test_a_limit_is_traced_and_actions_are_those_of_their_step(env):
    levels, actions = batch(rocket(), 3), firing(env, [0, 10, STEPS])
    first = fixed(env, levels, actions)
    assert first.solved.tolist() == [True, True, False]
    assert first.length[1] == first.length[0] + 10 and first.length[2] == STEPS
    cut = fixed(env, levels, actions, int(first.length[0]) - 1)
    assert (cut.outcome == 0).all() and (cut.length == first.length[0] - 1).all()


def test_what_cannot_be_played_is_named(env):
    again = dataclasses.replace(env, auto_reset=True)
    act = lambda key, carry, obs, state, first: (carry, state)
    with pytest.raises(ValueError, match="without auto_reset"):
        kx.play_episodes(KEY, again, batch(rocket()), act)
    with pytest.raises(ValueError, match="give no limit"):
        kx.play_episodes(KEY, env, batch(rocket()), act, limit=3, keep_states=True)


def test_rewards_by_hand():
    """A step from 3 m to 2.5 m, the second of an episode and the first."""
    state = kx.make(TINY, observation_type="blind").reset_to_level(rocket())[1]
    at = lambda step, distance: dataclasses.replace(
        state, step_count=jnp.int32(step), distance=jnp.float32(distance)
    )
    params = kx.EnvParams(dense_reward_scale=0.4)
    reward = lambda name, step, outcome: float(
        REWARDS[name](at(step, 3.0), at(step + 1, 2.5), jnp.int32(outcome), params)
    )
    assert reward("distance", 1, 0) == pytest.approx(0.2) and reward("distance", 0, 0) == 0
    assert reward("distance", 1, -1) == pytest.approx(-0.8)
    assert [reward("sparse", 1, outcome) for outcome in (-1, 0, 1)] == [-1, 0, 1]


def test_a_reward_of_ones_own(env):
    late = lambda previous, state, outcome, params: outcome - 0.01 * state.step_count
    own = dataclasses.replace(env, reward=late)
    _, state = own.reset_to_level(rocket())
    for step in (1, 2):
        _, state, reward, _, info = own.step(KEY, state, own.noop_action)
        assert reward == pytest.approx(-0.01 * step)
    assert info["episode_return"] == pytest.approx(-0.03)
    with pytest.raises(ValueError, match=r"reward must be one of .* got 'dense'"):
        kx.make(TINY, reward="dense")


def test_reset_takes_a_level_or_draws_one(env):
    given = kx.LevelList([rocket(), falling()])
    drawing = dataclasses.replace(env, levels=given)
    keys = jax.random.split(KEY, 16)
    states = jax.vmap(lambda key: drawing.reset(key)[1])(keys)
    down = np.asarray(states.sim.gravity[:, 1]) < 0
    assert 0 < down.sum() < 16 and (np.asarray(states.level_index) == -1).all()
    states = jax.vmap(lambda key: env.reset(key, levels=given.levels)[1])(keys)
    np.testing.assert_array_equal(states.level_index, np.asarray(states.sim.gravity[:, 1]) < 0)
    jax.tree.map(np.testing.assert_array_equal, env.reset(KEY, level=rocket()), env.reset_to_level(rocket()))
    assert kx.make(TINY, levels=[rocket()]).levels.levels.batch_shape == (1,)
    assert kx.make(TINY) == kx.make(TINY) and hash(drawing) == hash(drawing)
    with pytest.raises(ValueError, match="got both"):
        env.reset(KEY, level=rocket(), levels=batch(rocket()))
    with pytest.raises(ValueError, match="at least one level"):
        kx.LevelList([])


def test_a_mixture_draws_from_each_distribution_by_its_weight():
    """Rockets three times as often as falling balls, which are in turn one of two; told by their gravity."""
    falls = kx.LevelList([falling(gravity=-1.0), falling(gravity=-2.0)])
    mixture = kx.LevelMixture([kx.LevelList([rocket()]), falls], [3, 1])
    levels = jax.jit(jax.vmap(lambda key: mixture.sample(key, TINY)))(
        jax.random.split(jax.random.key(0), 4000)
    )
    assert levels.batch_shape == (4000,) and levels.size == TINY
    shares = np.bincount(np.int32(-np.asarray(levels.sim.gravity[:, 1])), minlength=3) / 4000
    np.testing.assert_allclose(shares, [0.75, 0.125, 0.125], atol=0.03)
    alike = kx.LevelMixture([kx.RandomLevels(), kx.RandomLevels(filtered=False)])
    assert alike.weights == (1, 1) and hash(alike) == hash(kx.LevelMixture(alike.distributions))
    for wrong, message in (
        (([], None), "got 0 and 0"),
        (([falls], [1, 2]), "got 1 and 2"),
        (([falls], [0]), r"got \(0,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            kx.LevelMixture(*wrong)


def test_levels_of_a_mixture_have_rules_if_those_of_one_distribution_do():
    """What has none of its own gets those of the plain game, so that a batch holds levels of both."""
    told = with_rules(falling(gravity=-1.0))
    told = dataclasses.replace(told, rules=dataclasses.replace(told.rules, hold=told.rules.hold + 3))
    mixture = kx.LevelMixture([kx.RandomLevels(filtered=False), kx.LevelList([told])])
    levels = jax.jit(jax.vmap(lambda key: mixture.sample(key, TINY)))(jax.random.split(KEY, 16))
    is_told = np.asarray(levels.sim.gravity[:, 1]) == -1.0
    assert is_told.any() and not is_told.all()
    hold = np.asarray(levels.rules.hold)
    assert (hold[is_told] == told.rules.hold).all() and (hold[~is_told] == 1).all()


@pytest.mark.parametrize("levels", [kx.RandomLevels(), kx.RandomLevels(filtered=False)])
def test_random_levels_have_the_environments_size(levels):
    """The distribution itself is tested with the generator."""
    env = kx.make("s", observation_type="blind", levels=levels)
    _, state = jax.eval_shape(env.reset, KEY)
    assert state.size == kx.SIZES["s"] and state.batch_shape == ()
    assert kx.make("s").levels == kx.RandomLevels()


def test_states_and_levels_of_another_shape_are_refused_before_anything_compiles(env):
    _, state = env.reset_to_level(rocket())
    _, other = kx.make("m", observation_type="blind").reset_to_level(rocket())
    with pytest.raises(ValueError, match=r"vmap env\.step"):
        env.step(KEY, batch(state), env.noop_action)
    with pytest.raises(ValueError, match="the state is of LevelSize"):
        env.step(KEY, other, env.noop_action)
    with pytest.raises(ValueError, match="one batch axis"):
        env.reset(KEY, levels=rocket())
