"""A run: one trace, the same numbers however it is cut, and evaluation that counts what it should."""

from __future__ import annotations

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import FixedLevels
from agents.ppo.update import PPOConfig, make_optimizer
from agents.training.evaluate import attempt, mean_with_interval
from agents.training.update import Trainer
from tests.kinetix_py.small_levels import TINY, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

PARAMS = kx.EnvParams(max_timesteps=20)


def thrust(params, carry, obs, reset, mask):
    """Turns the thruster on with a chance that grows with its parameter."""
    logits = jnp.where(mask, jnp.where(jnp.arange(11) == 9, 1.0, 0.0)[None, None] * params, -1e9)
    return carry, distrax.Categorical(logits=logits), obs[..., 0] * params


@pytest.fixture(scope="module")
def trainer():
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    config = PPOConfig(learning_rate=0.1, discount=0.9, num_minibatches=2)
    levels = FixedLevels(kx.stack_levels([rocket()]), 8)
    return Trainer(env, thrust, levels, make_optimizer(config), config, 8, 20)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def numbers(state):
    """A state with its key as plain numbers, on the host."""
    return jax.tree.map(
        np.array, (state.params, state.opt_state, jax.random.key_data(state.key), state.update)
    )


def test_updates_are_the_same_one_by_one_and_in_one_call(trainer):
    start = lambda: trainer.init(jax.random.key(0), jnp.float32(0))
    together, metrics = trainer.updates(start(), PARAMS, 4)
    state = start()
    for _ in range(4):
        state, one = trainer.updates(state, PARAMS, 1)
    assert same(numbers(together), numbers(state)) and state.update == 4
    assert metrics["solve_rate"].shape == (4,) and metrics["solve_rate"][-1] == one["solve_rate"][0]
    assert float(together.params) > 0.3 and (metrics["diverged"] == 0).all()


def test_a_run_depends_on_its_key(trainer):
    a, b = (trainer.updates(trainer.init(jax.random.key(k), jnp.float32(0)), PARAMS, 1)[0] for k in (1, 2))
    assert float(a.params) != float(b.params)


def test_wrong_trainers_are_refused(trainer):
    plain = kx.make(TINY, observation_type="blind", action_type="discrete")
    rest = (thrust, trainer.curriculum, trainer.optimizer, trainer.ppo)
    with pytest.raises(ValueError, match="auto_reset"):
        Trainer(plain, *rest, 8, 20)
    with pytest.raises(ValueError, match="9 steps cannot be cut into 2"):
        Trainer(trainer.env, *rest, 3, 3)


def test_attempts_count_the_first_episode_only():
    env = kx.make(TINY, observation_type="blind", action_type="discrete")
    levels = kx.stack_levels([falling(), falling(red=True), falling(gravity=0.0), rocket()])
    key, options = jax.random.key(0), {"attempts": 3, "num_steps": 40}
    solved, length = attempt(key, thrust, jnp.float32(99), env, levels, kx.EnvParams(), **options)
    np.testing.assert_array_equal(solved, np.array([1, 0, 0, 1], bool)[:, None].repeat(3, 1))
    assert (np.ptp(length, axis=1) == 0).all() and length[2, 0] == 40 and 12 <= length[0, 0] <= 16
    solved, _ = attempt(key, thrust, jnp.float32(-99), env, levels, kx.EnvParams(), **options)
    assert not solved[3].any()
    with pytest.raises(ValueError, match="auto_reset"):
        attempt(key, thrust, 0.0, kx.make(TINY, auto_reset=True), levels, kx.EnvParams())


def test_intervals_narrow_with_attempts():
    """Ten levels solved half the time: the standard error is sqrt(0.25 / (10 n))."""
    for tries in (20, 320):
        solved = np.tile(np.arange(tries) % 2, (10, 1))
        mean, low, high = mean_with_interval(solved)
        width = 2 * 1.96 * np.sqrt(0.25 / (10 * tries))
        assert mean == 0.5 and low < 0.5 < high and high - low == pytest.approx(width, rel=0.15)
    assert mean_with_interval(np.ones((3, 5))) == (1, 1, 1)
