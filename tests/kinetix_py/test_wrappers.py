"""Wrappers: each does what it says, step by step, and forgets at the end of an episode."""

from __future__ import annotations

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import kinetix_py as kx
from kinetix_py import wrappers
from kinetix_py.wrappers.gymnasium import GymnasiumEnv, GymnasiumVectorEnv
from tests.kinetix_py.small_levels import TINY, batch, falling, play, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

# The action an environment gets, as far as an observation can tell: the thruster's work on the ball.
speed = lambda state, params: state.sim.velocity[TINY.num_polygons, 0]
ON = jnp.array([0, 0, 0, 0, 1, 0])


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type=speed, auto_reset=True)


def speeds(env, steps, limit=256, action=ON):
    params = kx.EnvParams(max_timesteps=limit)
    return play(env, batch(rocket(), 2), steps, params, action=action)


def gained(obs):
    """In which steps the thruster was on."""
    return (np.diff(np.asarray(obs)[:, 0], prepend=0) > 1e-6).tolist()


def test_delayed_actions_come_late_in_every_episode(env):
    obs, *_ = speeds(wrappers.ActionDelay(env, 2), 6, limit=4)
    # Steps 0 .. 3 are an episode (two late), after which the speed is 0 again.
    assert gained(obs[:3]) == [False, False, True]
    assert obs[3, 0] == 0 and gained(obs[3:]) == [False, False, False]


def test_sticky_actions_repeat_what_was_done(env):
    assert not any(gained(speeds(wrappers.StickyActions(env, 1.0), 4)[0]))
    many = play(wrappers.StickyActions(env, 0.25), batch(rocket(), 400), 2, action=ON)[0]
    assert (np.asarray(many[0]) > 1e-6).mean() == pytest.approx(0.75, abs=0.07)


def test_observation_history_fills_with_the_first(env):
    plain = np.asarray(speeds(env, 6, limit=4)[0])[:, 0]
    history = np.asarray(speeds(wrappers.ObservationHistory(env, 3), 6, limit=4)[0])[:, 0]
    np.testing.assert_array_equal(history[:3], [[0, 0, plain[0]], [0, *plain[:2]], plain[:3]])
    np.testing.assert_array_equal(history[3], [0, 0, 0])  # the next episode
    np.testing.assert_array_equal(history[4], [0, 0, plain[4]])


def test_the_last_history_before_a_reset_is_whole(env):
    *_, info = speeds(wrappers.ObservationHistory(env, 3), 4, limit=4)
    last = np.asarray(info["final_observation"])[3, 0]
    assert (np.diff(last) > 0).all() and last[0] > 0


def test_action_history(env):
    (obs, actions), *_ = speeds(wrappers.ActionHistory(env, 2), 5, limit=4)
    assert actions.shape == (5, 2, 2, 6)
    used = np.asarray(actions)[:, 0, :, 4]
    assert used.tolist() == [[0, 1], [1, 1], [1, 1], [0, 0], [0, 1]]
    assert obs.shape == (5, 2)


def test_action_noise_has_its_scale():
    still = kx.make(TINY, observation_type=speed, action_type="continuous")
    half = jnp.array([0, 0, 0, 0, 0.5, 0])
    obs = play(wrappers.ActionNoise(still, 0.1), batch(rocket(), 2000), 1, action=half)[0][0]
    exact = play(still, batch(rocket(), 1), 1, action=half)[0][0, 0]
    ratio = np.asarray(obs) / float(exact)
    assert ratio.mean() == pytest.approx(1, abs=0.02) and ratio.std() == pytest.approx(0.2, rel=0.1)


def test_episode_statistics_are_kept_until_the_next_end():
    env = wrappers.EpisodeStatistics(kx.make(TINY, observation_type="blind", auto_reset=True))
    _, _, reward, done, info = play(env, batch(falling(), 1), 40)
    end = int(np.argmax(done[:, 0]))
    length, total = info["returned_episode_length"][:, 0], info["returned_episode_return"][:, 0]
    assert (length[:end] == 0).all() and (length[end : 2 * end + 1] == end + 1).all()
    np.testing.assert_allclose(total[end], reward[: end + 1, 0].sum(), rtol=1e-5)
    assert info["returned_episode_solved"][end:].all() and not info["returned_episode_solved"][:end].any()
    np.testing.assert_array_equal(info["returned_episode"], done)


def test_wrappers_stack_and_show_the_environment_inside(env):
    stacked = wrappers.EpisodeStatistics(wrappers.ObservationHistory(wrappers.ActionDelay(env, 1), 2))
    obs, state, *_ = speeds(stacked, 3)
    assert obs.shape == (3, 2, 2) and obs[0, 0, 1] == 0 and obs[1, 0, 1] > 0
    assert state.unwrapped.step_count[-1, 0] == 3 and stacked.size == TINY
    one = jax.tree.map(lambda value: value[-1, 0], state)
    np.testing.assert_array_equal(stacked.action_mask(one), env.action_mask(one.unwrapped))


def test_wrong_numbers_are_refused(env):
    for make, match in (
        (lambda: wrappers.ActionDelay(env, 0), "at least 1, got 0"),
        (lambda: wrappers.ObservationHistory(env, 0), "at least 1, got 0"),
        (lambda: wrappers.StickyActions(env, 1.5), "0 .. 1, got 1.5"),
        (lambda: wrappers.ActionNoise(env, 0.1), "continuous actions, got 'multi_discrete'"),
    ):
        with pytest.raises(ValueError, match=match):
            make()


@pytest.mark.filterwarnings("ignore::UserWarning")  # infinite bounds, and no registered name
@pytest.mark.parametrize("observation, action", [("entity", "multi_discrete"), ("flat", "continuous")])
def test_gymnasiums_own_checker(observation, action):
    env = kx.make(TINY, observation_type=observation, action_type=action)
    check_env(GymnasiumEnv(env, batch(falling()), render_mode="rgb_array"), skip_render_check=False)


def test_a_gymnasium_vector_resets_in_the_same_step():
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    vector = GymnasiumVectorEnv(env, kx.stack_levels([falling(), rocket()]), 8, kx.EnvParams(max_timesteps=9))
    obs, info = vector.reset(seed=3)
    assert obs in vector.observation_space and set(info["level_index"]) == {0, 1}
    for _ in range(9):
        actions = vector.action_space.sample()
        obs, _, terminated, truncated, info = vector.step(actions)
        assert obs in vector.observation_space
    assert truncated.all() and not terminated.any() and (obs == 0).all()
    assert info["_final_obs"].all() and (info["final_obs"] == 1).all()
    again, _ = vector.reset(seed=3)
    np.testing.assert_array_equal(vector.reset(seed=3)[0], again)
    assert isinstance(vector, gymnasium.vector.VectorEnv)
