"""The compiled update: one trace, and the same numbers however a run is cut."""

from __future__ import annotations

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import FixedLevels
from agents.io.checkpoint import Checkpoints
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import make_optimizer
from agents.training import loop
from agents.training.trainer import Trainer, TrainState
from tests.agents.policies import Clock, CountingThrust, Thrust, same_trees
from tests.kinetix_py.small_levels import TINY, batch, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

PARAMS = kx.EnvParams(max_timesteps=20)


@pytest.fixture(scope="module")
def trainer():
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    config = PPOConfig(learning_rate=0.1, gamma=0.9, minibatch_size=160)
    levels = FixedLevels(batch(rocket(), 8), 8)
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


@pytest.mark.slow
def test_trainers_of_other_levels_share_a_program(trainer):
    """Another level, whose ball falls onto its goal at once, is another state and not another program."""
    traces = []

    @dataclasses.dataclass(frozen=True)
    class Counted(Thrust):
        def unroll(self, *arguments):
            traces.append(1)
            return super().unroll(*arguments)

    never = jnp.float32(-30.0)
    first = dataclasses.replace(trainer, policy=Counted())
    _, metrics = first.train_steps(first.init(jax.random.key(0), never), PARAMS, 1)
    count, levels = len(traces), batch(falling(height=0.01), 8)
    other = dataclasses.replace(first, curriculum=FixedLevels(levels, 8))
    state, others = other.train_steps(other.init(jax.random.key(0), never), PARAMS, 1)
    assert first == other and len(traces) == count > 0
    assert metrics["solve_rate"] == 0 and others["solve_rate"] == 1
    np.testing.assert_array_equal(state.curriculum.levels.sim.position[0], levels.sim.position)


def test_wrong_trainers_are_refused(trainer):
    plain = kx.make(TINY, observation_type="blind", action_type="discrete")
    rest = (trainer.curriculum, trainer.optimizer, trainer.ppo)
    with pytest.raises(ValueError, match="auto_reset"):
        Trainer(plain, Thrust(), *rest, 8, 20)
    with pytest.raises(ValueError, match="minibatch_size must divide the 9 steps"):
        Trainer(trainer.env, Thrust(), *rest, 3, 3)
    with pytest.raises(ValueError, match="multiple of the rollout's length 48 for a policy with memory"):
        Trainer(trainer.env, Clock(), *rest, 10, 48)  # the policy knows that it has a memory
    with pytest.raises(ValueError, match=r"num_devices must be in 1 \.\. 8, the devices that JAX has, got 9"):
        Trainer(trainer.env, Thrust(), *rest, 8, 20, num_devices=9)
    with pytest.raises(ValueError, match="a num_envs of 5 cannot be split among 2 devices"):
        Trainer(trainer.env, Thrust(), *rest, 5, 32, num_devices=2)
    with pytest.raises(ValueError, match="at most the time limit of 20 steps long, got 40"):
        long = Trainer(trainer.env, Thrust(), *rest, 8, 40)
        long.train_steps(long.init(jax.random.key(0)), PARAMS, 1)


@pytest.fixture(scope="module")
def annealed(trainer):
    """The weight of the entropy changes from 0 to 1 in three updates, the dense reward to 0."""
    config = dataclasses.replace(trainer.ppo, learning_rate=1e-3, entropy_coef=0.0, entropy_coef_final=1.0)
    return dataclasses.replace(trainer, ppo=config, total_updates=3, dense_reward_scale_final=0.0)


def test_progress_and_the_numbers_that_follow_it_by_hand(trainer, annealed):
    progress = [annealed.progress(jnp.int32(count)) for count in range(5)]
    assert progress == [0, 0.5, 1, 1, 1] and trainer.progress(jnp.int32(3)) == 0
    with pytest.raises(ValueError, match=r"entropy_coef_final=1\.0 needs total_updates"):
        dataclasses.replace(annealed, total_updates=None)
    params = dataclasses.replace(PARAMS, dense_reward_scale=0.4)
    scales = [annealed.env_params_at(params, share).dense_reward_scale for share in (0, 0.5, 1)]
    assert scales == pytest.approx([0.4, 0.2, 0]) and trainer.env_params_at(params, 0.5) is params
    assert [annealed.ppo.entropy_coef_at(share) for share in (0, 0.5, 1)] == [0, 0.5, 1]


@pytest.mark.slow
def test_numbers_change_over_the_whole_run(annealed):
    params = dataclasses.replace(PARAMS, dense_reward_scale=0.4)
    _, metrics = annealed.train_steps(annealed.init(jax.random.key(0), jnp.float32(4.0)), params, 3)
    rest = metrics["loss/policy"] + annealed.ppo.value_coef * metrics["loss/value"]
    weights = (rest - metrics["loss/total"]) / metrics["loss/entropy"]
    np.testing.assert_allclose(weights, [0, 0.5, 1], atol=1e-3)
    dense = metrics["episode_return"] - metrics["solve_rate"]
    np.testing.assert_allclose(dense / dense[0], [1, 0.5, 0], atol=0.1)


@pytest.mark.slow
def test_the_average_of_parameters_by_hand_and_in_checkpoints(trainer, tmp_path):
    """A decay of 0.75: each update takes a quarter of the way to the new parameters; statistics are equal."""
    config = dataclasses.replace(trainer.ppo, ema_decay=0.75)
    averaged = dataclasses.replace(trainer, policy=CountingThrust(), ppo=config)
    state = averaged.init(jax.random.key(0))
    assert same_trees(state.average, state.params) and trainer.init(jax.random.key(0)).average is None
    mean = 0.0
    for update in range(3):
        state, _ = averaged.train_steps(state, PARAMS, 1)
        mean += (float(state.params["thrust"]) - mean) / 4
        assert float(state.average["thrust"]) == pytest.approx(mean, rel=1e-5) != 0
        assert state.average["steps"] == state.params["steps"] == 160 * (update + 1)
    with contextlib.closing(Checkpoints(tmp_path, create=True)) as checkpoints:
        checkpoints.save(state)
        like = jax.eval_shape(averaged.init, jax.random.key(0))
        restored = checkpoints.restore(like)
        assert same_trees(restored, state)
        assert same_trees(checkpoints.restore_params(like.params), state.average)
    programs = Trainer._train_steps._cache_size()
    averaged.train_steps(averaged.place(restored), PARAMS, 1)
    assert Trainer._train_steps._cache_size() == programs  # that of the run itself
    with pytest.raises(ValueError, match=r"ema_decay must be in 0 \.\. 1, got 1\.5"):
        PPOConfig(ema_decay=1.5)


@pytest.mark.slow
def test_episodes_go_on_from_rollout_to_rollout(trainer):
    """A policy that does nothing is cut off by the time limit of 20 after five rollouts of 4 steps."""
    short = dataclasses.replace(trainer, rollout_length=4, num_rollouts=5, ppo=PPOConfig(minibatch_size=32))
    _, metrics = short.train_steps(short.init(jax.random.key(0), jnp.float32(-30.0)), PARAMS, 2)
    assert metrics["episodes"].tolist() == [8, 8] and metrics["episode_length"].tolist() == [20, 20]
    assert metrics["policy_steps"].tolist() == [160, 160]


@pytest.mark.parametrize(
    ("policy", "counts"), [(Thrust(), (2,)), pytest.param(CountingThrust(), (4, 8), marks=pytest.mark.slow)]
)
def test_any_number_of_devices_makes_the_same_updates(trainer, policy, counts):
    """Eight levels, minibatches of whole rollouts, actions without chance: all else is the same sum.

    Episodes and advantages differ from level to level, so that a mean of each device by itself would be seen.
    """
    heights = [falling(height=0.05 * i + 0.01) for i in range(6)]
    levels = kx.stack_levels([*heights, falling(red=True), rocket()])
    counting = isinstance(policy, CountingThrust)
    start = {"thrust": jnp.float32(30.0), "steps": jnp.float32(0)} if counting else jnp.float32(30.0)
    thrust = lambda state: float(state.params["thrust"] if counting else state.params)

    def run(count):
        own = FixedLevels(levels, 8 // count, count)
        split = dataclasses.replace(trainer, policy=policy, curriculum=own, num_devices=count)
        return split.train_steps(split.init(jax.random.key(0), start), PARAMS, 4)

    state, metrics = run(1)
    assert abs(thrust(state) - 30) > 0.01
    assert 0 < metrics["solve_rate"][0] < 1 and metrics["loss/explained_variance"][0] != 0
    for count in counts:
        other, others = run(count)
        np.testing.assert_allclose(thrust(other), thrust(state), rtol=1e-5)
        assert not counting or [float(each.params["steps"]) for each in (other, state)] == [4 * 160] * 2
        for name, value in metrics.items():
            np.testing.assert_allclose(others[name], value, rtol=1e-4, atol=1e-5, err_msg=f"{name}, {count}")


def test_what_curricula_learn_must_not_be_nan_and_scores_may_be_infinite():
    metrics, fine = {"loss/total": np.zeros(2)}, {"weight": jnp.ones(3)}
    of = lambda score: TrainState(
        fine, fine, {"score": jnp.array(score), "number": jnp.arange(2)}, jax.random.key(0), 1
    )
    assert loop._not_finite(metrics, of([0.5, -jnp.inf])) is None
    assert loop._not_finite(metrics, of([0.5, jnp.nan])) == "what the curriculum learns is"
    without = TrainState(fine, fine, (), jax.random.key(0), 1)
    assert loop._not_finite(metrics, without) is None
