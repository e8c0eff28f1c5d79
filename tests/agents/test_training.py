"""The compiled update: one trace, and the same numbers however a run is cut."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import FixedLevels
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import make_optimizer
from agents.training.trainer import Trainer
from tests.agents.policies import Clock, Thrust, same_trees
from tests.kinetix_py.small_levels import TINY, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

PARAMS = kx.EnvParams(max_timesteps=20)


@pytest.fixture(scope="module")
def trainer():
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    config = PPOConfig(learning_rate=0.1, gamma=0.9, num_minibatches=2)
    levels = FixedLevels(kx.stack_levels([rocket()]), 8)
    return Trainer(env, Thrust(), levels, make_optimizer(config), config, 8, 20)


def test_updates_learn_and_depend_on_the_key(trainer):
    run = lambda key: trainer.train_steps(trainer.init(jax.random.key(key)), PARAMS, 4)
    (first, metrics), (again, _), (other, _) = run(0), run(0), run(1)
    assert same_trees(first, again) and float(other.params) != float(first.params)
    assert first.num_updates == 4 and float(first.params) > 0.3
    assert metrics["solve_rate"].shape == (4,) and (metrics["diverged"] == 0).all()


@pytest.mark.slow
def test_updates_are_the_same_one_by_one_and_in_one_call(trainer):
    together, metrics = trainer.train_steps(trainer.init(jax.random.key(0)), PARAMS, 4)
    state, single = trainer.init(jax.random.key(0)), []
    for _ in range(4):
        state, one = trainer.train_steps(state, PARAMS, 1)
        single.append(float(one["solve_rate"][0]))
    assert same_trees(together, state) and metrics["solve_rate"].tolist() == single


def test_parameters_can_be_given_and_are_copied(trainer):
    given = jnp.float32(2.0)
    state = trainer.init(jax.random.key(0), given)
    assert state.params == 2 and trainer.init(jax.random.key(0)).params == 0
    # The rest of the state does not depend on where the parameters come from.
    assert same_trees(state.key, trainer.init(jax.random.key(0)).key)
    assert state.params.unsafe_buffer_pointer() != given.unsafe_buffer_pointer()


def test_wrong_trainers_are_refused(trainer):
    plain = kx.make(TINY, observation_type="blind", action_type="discrete")
    rest = (trainer.curriculum, trainer.optimizer, trainer.ppo)
    with pytest.raises(ValueError, match="auto_reset"):
        Trainer(plain, Thrust(), *rest, 8, 20)
    with pytest.raises(ValueError, match="9 steps cannot be cut into 2"):
        Trainer(trainer.env, Thrust(), *rest, 3, 3)
    with pytest.raises(ValueError, match="3 environments cannot be cut into 2"):
        Trainer(trainer.env, Clock(), *rest, 3, 4)  # the policy knows that it has a memory
    np.testing.assert_equal(Trainer(trainer.env, Thrust(), *rest, 3, 4).num_envs, 3)
