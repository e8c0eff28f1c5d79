"""The rules of the game, worked by hand on levels of a few shapes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.env.game import outcome
from tests.kinetix_py.small_levels import TINY, batch, car, falling, play, relabeled, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
# Falling 1 m takes sqrt(2 / 9.81) = 0.4515 s: touched in physics step 28, environment step 14 (0-based 13).
TOUCH = 13


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind")


@pytest.fixture(scope="module")
def resetting():
    return kx.make(TINY, observation_type="blind", auto_reset=True)


def test_green_on_blue_solves_and_on_red_loses(env):
    levels = kx.stack_levels([falling(), falling(red=True), falling(gravity=0.0)])
    _, _, reward, done, info = play(env, levels, 20, kx.EnvParams(dense_reward_scale=0.0))
    first = np.argmax(done, axis=0)
    assert first[:2] == pytest.approx(TOUCH, abs=1) and not done[:, 2].any()
    assert reward[first[0], 0] == 1 and reward[first[1], 1] == -1
    assert (reward[: first[0]] == 0).all()
    assert info["solved"][first[0], 0] and info["terminated"][first[0], 0] and not info["failed"][:, 0].any()
    assert info["failed"][first[1], 1] and not info["truncated"][:20].any()


def test_red_wins_over_a_simultaneous_goal(env):
    level = falling(height=-0.05)
    twice = relabeled(level, role=level.labels.role.at[0].set(3))  # the floor is red
    low = level.sim.position.at[TINY.num_polygons].set(jnp.array([3.1, 0.55]))
    twice = dataclasses.replace(twice, sim=dataclasses.replace(level.sim, position=low))
    _, _, _, _, info = play(env, batch(twice), 1)
    assert info["failed"].all() and not info["solved"].any()


@pytest.mark.parametrize(
    ("touches", "expected"),
    [([], 0), ([0], 0), ([1], 1), ([-1], -1), ([1, -1], -1), ([-1, 0, 1], -1), ([0, 1, 1], 1)],
)
def test_one_touch_of_red_fails_and_else_one_of_blue_solves(touches, expected):
    """Also in a scene that has no contact slots; slots that do not overlap count for nothing."""
    slots = np.array([*touches, 1, -1], np.int32)
    active = np.arange(len(slots)) < len(touches)
    assert outcome(active, slots) == expected
    assert outcome(active[: len(touches)], slots[: len(touches)]) == expected


def test_time_limit_truncates_and_does_not_terminate(env):
    params = kx.EnvParams(max_timesteps=5)
    _, state, _, done, info = play(env, batch(falling(gravity=0.0)), 5, params)
    assert done[:, 0].tolist() == [False] * 4 + [True]
    assert info["truncated"][-1].all() and not info["terminated"].any()
    assert state.step_count[-1, 0] == 5


def test_a_goal_at_the_time_limit_terminates(env):
    params = kx.EnvParams(max_timesteps=TOUCH + 1)
    _, _, _, done, info = play(env, batch(falling()), TOUCH + 1, params)
    assert done[-1].all() and info["terminated"][-1].all() and not info["truncated"].any()


def test_dense_reward_is_the_distance_gained_and_none_at_first(env):
    params = kx.EnvParams(dense_reward_scale=0.5)
    _, _, reward, _, info = play(env, batch(falling()), 6, params)
    height = 1.0 + 1.0 - 0.6  # between the centers
    assert reward[0, 0] == 0
    # Semi-implicit Euler: after n physics steps the ball has fallen g dt^2 n (n + 1) / 2.
    fallen = lambda n: 9.81 / 3600 * n * (n + 1) / 2
    expected = [height - fallen(2 * (i + 1)) for i in range(6)]
    np.testing.assert_allclose(info["distance"][:, 0], expected, atol=1e-4)
    np.testing.assert_allclose(reward[1:, 0], 0.5 * -np.diff(expected), atol=1e-4)
    np.testing.assert_allclose(info["episode_return"][:, 0], np.cumsum(reward[:, 0]), atol=1e-6)
    assert info["episode_length"][:, 0].tolist() == [1, 2, 3, 4, 5, 6]


def test_auto_reset_goes_back_to_the_level(resetting):
    level = falling()
    _, state, _, done, info = play(resetting, batch(level), 40)
    assert done[:, 0].sum() == 2
    at = int(np.argmax(done[:, 0]))
    again = jax.tree.map(lambda value: value[at, 0], state)
    assert again.step_count == 0 and again.episode_return == 0 and not again.touching_slots.any()
    for name in ("position", "rotation", "velocity", "angular_velocity", "contact_impulse"):
        np.testing.assert_array_equal(getattr(again.sim, name), getattr(level.sim, name))
    assert info["episode_length"][at, 0] == at + 1
    # The second episode is the first over again, bit for bit.
    period = at + 1
    first, second = state.sim.position[:at], state.sim.position[period : period + at]
    np.testing.assert_array_equal(first, second)


def test_final_observation_is_that_before_the_reset():
    env = kx.make(TINY, observation_type="blind", auto_reset=True)
    obs, _, _, done, info = play(env, batch(falling()), TOUCH + 3)
    at = int(np.argmax(done[:, 0]))
    assert obs[at, 0] == 0 and info["final_observation"][at, 0] == pytest.approx((at + 1) / 256)


def test_levels_are_drawn_from_a_buffer(resetting):
    levels = kx.stack_levels([falling(gravity=0.0), falling(), falling(red=True)])
    params = kx.EnvParams(max_timesteps=1)

    @jax.jit
    def run(key):
        _, state = resetting.reset(key, params, levels=levels)

        def step(state, key):
            args = (key, state, resetting.noop_action, params, levels)
            _, state, _, _, info = resetting.step(*args)
            return state, (state.level_index, info["level_index"], state.sim.gravity[1], state.step_count)

        return jax.lax.scan(step, state, jax.random.split(key, 60))[1]

    after, played, gravity, time = run(KEY)
    assert np.bincount(after, minlength=3).min() > 8 and (time == 0).all()
    np.testing.assert_array_equal(played[1:], after[:-1])
    np.testing.assert_array_equal(gravity, np.asarray(levels.sim.gravity)[after, 1])


def test_a_state_that_is_not_finite_ends_the_episode_and_reaches_no_one(env):
    level = falling()
    broken = dataclasses.replace(level.sim, velocity=level.sim.velocity.at[5, 1].set(jnp.inf))
    levels = kx.stack_levels([dataclasses.replace(level, sim=broken), level, level])
    levels = dataclasses.replace(
        levels, sim=dataclasses.replace(levels.sim, gravity=levels.sim.gravity.at[0].set(jnp.nan))
    )
    _, state, reward, _, info = play(env, levels, 1)
    assert info["diverged"][0].tolist() == [True, False, False]
    assert info["terminated"][0].tolist() == [True, False, False] and reward[0, 0] == 0
    assert np.isfinite(state.sim.position).all()


def test_the_first_frame_that_ends_the_episode_decides():
    """In one long environment step the ball touches blue, and later red: solved."""
    level = falling()
    level = relabeled(level, role=level.labels.role.at[0].set(3))
    fast = level.sim.velocity.at[5].set(jnp.array([1.2, -4.0]))
    level = dataclasses.replace(level, sim=dataclasses.replace(level.sim, velocity=fast))
    env = kx.make(TINY, observation_type="blind", frame_skip=120)
    _, _, _, _, info = play(env, batch(level), 1)
    assert info["solved"].all()
    slow = kx.make(TINY, observation_type="blind")
    _, _, _, _, info = play(slow, batch(level), 60)
    assert info["solved"][:, 0].any() and info["failed"][:, 0].any()


def test_actions_reach_thrusters_and_motors(env):
    thrust = jnp.array([0, 0, 0, 0, 1, 0])
    _, _, _, done, info = play(env, batch(rocket()), 80, action=thrust)
    assert done.any() and info["solved"].any()
    _, _, _, done, _ = play(env, batch(rocket()), 80)
    assert not done.any()
    turn = lambda action: play(env, batch(car()), 10, action=action)[1].sim.angular_velocity
    forwards, backwards = turn(jnp.array([1, 0, 0, 0, 0, 0])), turn(jnp.array([2, 0, 0, 0, 0, 0]))
    assert forwards[-1, 0, 5] > 2 and backwards[-1, 0, 5] < -2
    assert abs(turn(jnp.array([0, 1, 1, 1, 1, 1]))[-1, 0, 5]) < 0.1
    automatic = play(env, batch(car(auto=True)), 10)[1].sim.angular_velocity
    np.testing.assert_allclose(automatic, forwards, atol=1e-5)


@pytest.mark.slow
def test_a_padded_level_plays_the_same(env):
    size = dataclasses.replace(TINY, num_polygons=6, num_joints=2)
    small, large = falling(), kx.pad_level(falling(), size)
    env_m = kx.make(size, observation_type="blind")
    a, b = play(env, batch(small), 20), play(env_m, batch(large), 20)
    np.testing.assert_allclose(a[2], b[2], atol=1e-6)
    bodies = [*range(5), 6, 7]
    np.testing.assert_allclose(a[1].sim.position, b[1].sim.position[:, :, bodies], atol=1e-6)
    _, state = env_m.reset_to_level(small)  # reset pads by itself
    np.testing.assert_array_equal(state.sim.active, large.sim.active)


def test_numbers_are_traced(resetting):
    """Changing any number of the game or the physics compiles nothing."""
    traces = []

    @jax.jit
    def step(state, params):
        traces.append(1)
        return resetting.step(KEY, state, resetting.noop_action, params)

    _, state = resetting.reset_to_level(falling())
    for scale, limit, dt in ((0.2, 256, 1 / 60), (0.0, 10, 1 / 60), (1.0, 3, 1 / 120)):
        sim = dataclasses.replace(kx.EnvParams().sim, dt=dt)
        step.lower(state, kx.EnvParams(sim=sim, dense_reward_scale=scale, max_timesteps=limit))
    assert len(traces) == 1


def test_wrong_input_is_one_clear_error(env):
    _, state = env.reset_to_level(falling())
    with pytest.raises(ValueError, match=r"shape \(6,\), got \(7,\)"):
        env.step(KEY, state, jnp.zeros(7, int))
    with pytest.raises(ValueError, match="integers, got float32"):
        env.step(KEY, state, jnp.zeros(6))
    with pytest.raises(ValueError, match="vmap"):
        env.reset_to_level(batch(falling()))
    with pytest.raises(ValueError, match="num_polygons is 6, but at most 5"):
        env.reset_to_level(falling(kx.SIZES["m"]))
    for change, match in (
        ({"observation_type": "entities"}, "'entities'"),
        ({"action_type": "both"}, "'both'"),
        ({"frame_skip": 0}, "at least 1, got 0"),
        ({"solver_iterations": 0}, "solver_iterations must be an integer of at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=match):
            kx.make("s", **change)
    with pytest.raises(ValueError, match="'xl'"):
        kx.make("xl")


def test_importing_pulls_in_nothing_heavy():
    code = "import kinetix_py, sys; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(loaded.stdout.split()) & {"flax", "matplotlib", "wandb", "hydra", "pygame", "gymnasium"}
