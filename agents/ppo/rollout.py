"""Playing: one scan over the steps of a batch of environments that records transitions."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.policy import Carry, Params, Policy

# Entries of the environment's info that a rollout keeps.
INFO = ("solved", "failed", "diverged", "episode_return", "episode_length", "distance")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RunnerState:
    """A batch of environments, and the memory of the policy that acts in them; leading axis `[B]`."""

    env_state: kx.EnvState
    obs: Any  # observations of the states
    reset: jax.Array  # bool [B], True where an episode begins with this observation
    carry: Carry


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Transitions:
    """A rollout; every array with leading axes `[T, B]`."""

    obs: Any
    reset: jax.Array  # bool, True where an episode begins with this observation
    action_mask: jax.Array
    action: jax.Array
    log_prob: jax.Array  # float
    value: jax.Array  # float, of the observation
    next_value: jax.Array  # float, of the observation after the step, before any reset
    reward: jax.Array  # float
    terminated: jax.Array  # bool
    done: jax.Array  # bool, terminated or truncated
    info: dict[str, jax.Array]  # entries `INFO`


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PlayedSteps:
    """A rollout, or several in a row, without what only the learner needs; leading axes `[T, B]`."""

    reward: jax.Array  # float
    value: jax.Array  # float, of the observation before the step
    advantage: jax.Array  # float, generalized advantage estimate
    terminated: jax.Array  # bool
    done: jax.Array  # bool, terminated or truncated
    info: dict[str, jax.Array]  # entries `INFO`
    # Float, `agents.ppo.gae.negative_advantages`; None where no score needs it.
    maximized_negative: jax.Array | None = None

    @classmethod
    def of(
        cls, transitions: Transitions, advantage: jax.Array, maximized_negative: jax.Array | None = None
    ) -> PlayedSteps:
        """Leaves observations and actions out of a rollout."""
        names = ("reward", "value", "terminated", "done", "info")
        kept = {name: getattr(transitions, name) for name in names}
        return cls(advantage=advantage, maximized_negative=maximized_negative, **kept)


class FinalStep(NamedTuple):
    """Last step of each environment's truncated episode, for its bootstrap; leading axis `[B]`."""

    obs: Any  # observation before the reset
    carry: Carry
    action_mask: jax.Array


def start_runner(
    env: kx.Environment, levels: kx.Level, env_params: kx.EnvParams, policy: Policy
) -> RunnerState:
    """Starts an episode of each of a batch of levels `[B]`, with an empty memory."""
    obs, state = jax.vmap(env.reset_to_level, (0, None))(levels, env_params)
    batch = levels.batch_shape[0]
    return RunnerState(state, obs, jnp.ones(batch, bool), policy.initial_carry(batch))


def tree_where(flags: jax.Array, new: Any, old: Any) -> Any:
    """Chooses per environment, by bool `[B]`, between two pytrees with a leading axis `[B]`."""
    wide = lambda value: flags.reshape(flags.shape + (1,) * (value.ndim - 1))
    return jax.tree.map(lambda a, b: jnp.where(wide(a), a, b), new, old)


def rollout(
    key: jax.Array,
    policy: Policy,
    params: Params,
    runner: RunnerState,
    env: kx.Environment,
    env_params: kx.EnvParams,
    length: int,
) -> tuple[RunnerState, Transitions]:
    """Plays `length` steps in every environment, each episode beginning at its own level.

    A truncated episode is bootstrapped from its last observation. One such observation is kept per
    environment and valued after the rollout: exact as long as no environment is truncated twice in a rollout,
    that is for `length <= env_params.max_timesteps`; a longer one is refused where the limit is known while
    the program is traced.

    Args:
      key: random key of actions and environments.
      policy, params: policy that acts.
      runner: environments as they are now.
      env: environment with auto-reset.
      env_params: numbers of the game.
      length: number of steps; static.

    Returns:
      the environments after the rollout, and the transitions.

    Raises:
      ValueError: `length` is above the time limit.
    """
    check_rollout_length(length, env_params)
    action_mask = jax.vmap(env.action_mask)
    step_env = jax.vmap(env.step, (0, 0, 0, None))
    batch = runner.reset.shape[0]

    def step(carried, key):
        runner, final = carried
        act_key, env_key = jax.random.split(key)
        mask = action_mask(runner.env_state)
        with jax.named_scope("network"):
            output = policy.step(params, runner.carry, runner.obs, runner.reset, mask)
            action = output.distribution.sample(seed=act_key)
        keys = jax.random.split(env_key, batch)
        with jax.named_scope("env"):
            obs, state, reward, done, info = step_env(keys, runner.env_state, action, env_params)
        last = FinalStep(info["final_observation"], output.carry, mask)
        recorded = {
            "obs": runner.obs,
            "reset": runner.reset,
            "action_mask": mask,
            "action": action,
            "log_prob": output.distribution.log_prob(action),
            "value": output.value,
            "reward": reward,
            "terminated": info["terminated"],
            "done": done,
            "info": {name: info[name] for name in INFO},
        }
        later = RunnerState(state, obs, done, output.carry)
        return (later, tree_where(info["truncated"], last, final)), recorded

    final = FinalStep(runner.obs, runner.carry, action_mask(runner.env_state))
    (runner, final), recorded = jax.lax.scan(step, (runner, final), jax.random.split(key, length))
    last = policy.step(params, runner.carry, runner.obs, runner.reset, action_mask(runner.env_state))
    bootstrap = truncation_bootstrap(policy, params, final)
    truncated = recorded["done"] & ~recorded["terminated"]
    next_value = jnp.concatenate([recorded["value"][1:], last.value[None]])
    next_value = jnp.where(truncated, bootstrap[None], next_value)
    return runner, Transitions(**recorded, next_value=next_value)


def check_rollout_length(length: int, env_params: kx.EnvParams) -> None:
    """Checks that no environment can be truncated twice in a rollout.

    Raises:
      ValueError: the length is above the time limit, where that is not a traced value.
    """
    limit = env_params.max_timesteps
    if not isinstance(limit, jax.core.Tracer) and length > int(limit):
        raise ValueError(f"a rollout must be at most the time limit of {int(limit)} steps long, got {length}")


def truncation_bootstrap(policy: Policy, params: Params, final: FinalStep) -> jax.Array:
    """Values `[B]` of the last observations of truncated episodes, which would have gone on."""
    never = jnp.zeros(final.action_mask.shape[0], bool)
    return policy.step(params, final.carry, final.obs, never, final.action_mask).value
