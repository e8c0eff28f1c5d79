"""Wrappers: each does what it says, step by step, and forgets at the end of an episode."""

from __future__ import annotations

import dataclasses

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import kinetix_py as kx
from kinetix_py import wrappers
from kinetix_py.wrappers.gymnasium import GymnasiumEnv, GymnasiumVectorEnv, action_space
from tests.kinetix_py.small_levels import TINY, batch, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
LENGTH = 4  # of an episode of Echo
THRUSTER = 4  # place in an action


@dataclasses.dataclass(frozen=True)
class Echo:
    """An environment without physics: it observes the step count and the first thruster's action."""

    action_type: str = "multi_discrete"
    auto_reset: bool = True

    @property
    def action_adapter(self):
        return kx.ActionAdapter(self.action_type, TINY)

    @property
    def noop_action(self):
        return self.action_adapter.noop

    def reset_to_level(self, level, params=None):
        return jnp.zeros(2), jnp.int32(0)

    def step(self, key, count, action, params=None, levels=None):
        count = count + 1
        obs, done = jnp.stack([count, action[THRUSTER]]).astype(jnp.float32), count == LENGTH
        info = {"episode_return": 0.5 * count, "episode_length": count, "solved": done}
        if self.auto_reset:
            info["final_observation"] = obs
            obs, count = jnp.where(done, 0, obs), jnp.where(done, 0, count)
        return obs, count, jnp.float32(0.5), done, info


def run(env, steps, copies=1, value=1):
    """Plays the same value of the thruster all the time: observations, and so on, `[steps, copies]`."""
    noop = env.noop_action
    action = noop.at[THRUSTER].set(jnp.asarray(value, noop.dtype))
    _, state = jax.vmap(lambda _: env.reset_to_level(None))(jnp.arange(copies))

    def step(state, key):
        keys = jax.random.split(key, copies)
        out = jax.vmap(env.step, (0, 0, None))(keys, state, action)
        return out[1], out

    return jax.jit(lambda state: jax.lax.scan(step, state, jax.random.split(KEY, steps))[1])(state)


def executed(env, steps, copies=1):
    """The thruster's actions that reach the environment; 0 where an episode begins anew."""
    return np.asarray(run(env, steps, copies)[0])[:, 0, 1].tolist()


def test_delayed_actions_come_late_in_every_episode():
    # Steps 0 .. 3 are an episode (two actions late), and the fourth observation is of the next one's start.
    assert executed(wrappers.ActionDelay(Echo(), 2), 8) == [0, 0, 1, 0, 0, 0, 1, 0]


def test_sticky_actions_repeat_what_was_done():
    assert executed(wrappers.StickyActions(Echo(), 1.0), 3) == [0, 0, 0]
    first = np.asarray(run(wrappers.StickyActions(Echo(), 0.25), 1, copies=2000)[0])[0, :, 1]
    assert first.mean() == pytest.approx(0.75, abs=0.03)


def test_observation_history_fills_with_the_first_and_is_whole_at_the_end():
    obs, *_, info = run(wrappers.ObservationHistory(Echo(), 3), 5)
    counts = np.asarray(obs)[:, 0, :, 0]
    assert counts.tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [0, 0, 0], [0, 0, 1]]
    assert np.asarray(info["final_observation"])[3, 0, :, 0].tolist() == [2, 3, 4]


def test_observation_history_without_auto_reset():
    obs, *_ = run(wrappers.ObservationHistory(Echo(auto_reset=False), 2), 3)
    assert np.asarray(obs)[:, 0, :, 0].tolist() == [[0, 1], [1, 2], [2, 3]]


def test_what_wrappers_show_is_in_their_space_and_can_be_seen_again():
    env = kx.make(TINY, observation_type="blind", action_type="discrete")
    for wrapped in (wrappers.ObservationHistory(env, 4), wrappers.ActionHistory(env, 3)):
        obs, state = wrapped.reset(jax.random.key(0), level=rocket())
        assert wrapped.observation_space.contains(obs) and not env.observation_space.contains(obs)
        obs, state, *_ = wrapped.step(jax.random.key(1), state, 9)
        assert wrapped.observation_space.contains(obs)
        jax.tree.map(np.testing.assert_array_equal, wrapped.observe(state), obs)


def test_action_history():
    (obs, actions), *_ = run(wrappers.ActionHistory(Echo(), 2), 5)
    assert actions.shape == (5, 1, 2, 6) and obs.shape == (5, 1, 2)
    assert np.asarray(actions)[:, 0, :, THRUSTER].tolist() == [[0, 1], [1, 1], [1, 1], [0, 0], [0, 1]]


def test_action_noise_has_its_scale():
    noisy = wrappers.ActionNoise(Echo("continuous"), 0.1)
    values = np.asarray(run(noisy, 1, copies=2000, value=0.5)[0])[0, :, 1]
    assert values.mean() == pytest.approx(0.5, abs=0.01) and values.std() == pytest.approx(0.1, rel=0.1)


def test_episode_statistics_are_kept_until_the_next_end():
    *_, done, info = run(wrappers.EpisodeStatistics(Echo()), 9)
    assert np.asarray(done)[:, 0].nonzero()[0].tolist() == [3, 7]
    assert info["returned_episode_length"][:, 0].tolist() == [0] * 3 + [4] * 6
    assert info["returned_episode_return"][:, 0].tolist() == [0] * 3 + [2] * 6
    assert info["returned_episode_solved"][:, 0].tolist() == [False] * 3 + [True] * 6
    np.testing.assert_array_equal(info["returned_episode"], done)


def test_wrappers_stack_and_show_the_environment_inside():
    inner = Echo()
    stacked = wrappers.EpisodeStatistics(wrappers.ObservationHistory(wrappers.ActionDelay(inner, 1), 2))
    obs, state, *_ = run(stacked, 3)
    assert np.asarray(obs)[:, 0, :, 1].tolist() == [[0, 0], [0, 1], [1, 1]]
    assert state.unwrapped[-1, 0] == 3 and stacked.action_type == inner.action_type


def test_wrong_numbers_are_refused():
    env = Echo()
    for make, match in (
        (lambda: wrappers.ActionDelay(env, 0), "at least 1, got 0"),
        (lambda: wrappers.ObservationHistory(env, 0), "at least 1, got 0"),
        (lambda: wrappers.StickyActions(env, 1.5), "0 .. 1, got 1.5"),
        (lambda: wrappers.ActionNoise(env, 0.1), "continuous actions, got 'multi_discrete'"),
    ):
        with pytest.raises(ValueError, match=match):
            make()


@pytest.mark.filterwarnings("ignore::UserWarning")  # infinite bounds, and no registered name
@pytest.mark.parametrize(
    "observation, action",
    [("entity", "multi_discrete"), pytest.param("flat", "continuous", marks=pytest.mark.slow)],
)
def test_gymnasiums_own_checker(observation, action):
    env = kx.make(TINY, observation_type=observation, action_type=action)
    check_env(GymnasiumEnv(env, batch(falling()), render_mode="rgb_array"), skip_render_check=False)


def test_gymnasiums_action_spaces():
    space = action_space(kx.make(TINY, action_type="continuous"))
    assert space == gymnasium.spaces.Box(np.float32([-1] * 4 + [0] * 2), np.ones(6, np.float32))
    assert action_space(kx.make(TINY, action_type="discrete")) == gymnasium.spaces.Discrete(11)


def test_a_gymnasium_vector_resets_in_the_same_step():
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    env = wrappers.EpisodeStatistics(wrappers.ActionDelay(env, 1))
    vector = GymnasiumVectorEnv(env, kx.stack_levels([falling(), rocket()]), 8, kx.EnvParams(max_timesteps=9))
    obs, info = vector.reset(seed=3)
    assert obs in vector.observation_space and set(info["level_index"]) == {0, 1}
    for _ in range(9):
        actions = vector.action_space.sample()
        obs, _, terminated, truncated, info = vector.step(actions)
        assert obs in vector.observation_space
    assert (info["returned_episode_length"] == 9).all()
    assert truncated.all() and not terminated.any() and (obs == 0).all()
    assert info["_final_obs"].all() and (info["final_obs"] == 1).all()
    ended = info["final_info"]
    assert info["_final_info"].all() and ended["_distance"].all() and info["_distance"].all()
    np.testing.assert_array_equal(ended["distance"], info["distance"])
    assert vector.metadata["render_fps"] == 60 / vector.env.frame_skip
    again, _ = vector.reset(seed=3)
    np.testing.assert_array_equal(vector.reset(seed=3)[0], again)
    assert isinstance(vector, gymnasium.vector.VectorEnv)
