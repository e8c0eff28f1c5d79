"""Playing: one scan over the environment steps of a batch, with what learning needs of them."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp

import kinetix_py as kx


class Policy(Protocol):
    """An actor-critic: `carry, distribution, value = policy(params, carry, obs, reset, action_mask)`.

    Observations have leading axes `[T, B]`, `reset` is bool `[T, B]` (an episode begins with this
    observation, so that nothing is remembered of before), the mask is as `Environment.action_mask` gives it,
    with `[T, B]` in front; the carry has a leading axis `[B]`, or is `()` for a policy without memory.
    """

    def __call__(self, params, carry, obs, reset, action_mask) -> tuple[Any, Any, jax.Array]: ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Actors:
    """A batch of environments and what acts in them knows; every array with a leading axis `[B]`."""

    env: Any  # EnvState
    obs: Any  # of the states
    reset: jax.Array  # bool [B], an episode begins with this observation
    carry: Any  # memory of the policy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Transitions:
    """A rollout; every array with leading axes `[T, B]`."""

    obs: Any
    reset: jax.Array  # bool, an episode begins with this observation
    action_mask: jax.Array
    action: jax.Array
    log_prob: jax.Array  # float
    value: jax.Array  # float, of the observation
    next_value: jax.Array  # float, of the observation after the step, before any reset
    reward: jax.Array  # float
    terminated: jax.Array  # bool
    done: jax.Array  # bool
    info: dict[str, jax.Array]  # solved, episode_return, episode_length, distance


INFO = ("solved", "failed", "diverged", "episode_return", "episode_length", "distance")


def start(env: kx.Environment, levels: kx.Level, params: kx.EnvParams, carry: Any) -> Actors:
    """Actors at the start of a batch of levels.

    Args:
      carry: of a policy that remembers nothing, with a leading axis `[B]`.
    """
    reset = jax.vmap(env.reset_to_level, (0, None))
    obs, state = reset(levels, params)
    return Actors(state, obs, jnp.ones(levels.batch_shape[0], bool), carry)


def _one(tree):
    """Adds a leading time axis of 1."""
    return jax.tree.map(lambda value: value[None], tree)


def where_rows(flags: jax.Array, new, old):
    """Chooses per environment between two pytrees with a leading axis `[B]`."""
    wide = lambda value: flags.reshape(flags.shape + (1,) * (value.ndim - 1))
    return jax.tree.map(lambda a, b: jnp.where(wide(a), a, b), new, old)


def rollout(
    key: jax.Array,
    policy: Policy,
    policy_params: Any,
    actors: Actors,
    env: kx.Environment,
    params: kx.EnvParams,
    length: int,
) -> tuple[Actors, Transitions]:
    """Plays `length` steps in every environment, each episode beginning at its own level.

    A truncated episode is bootstrapped from its last observation. That observation is kept aside when it
    comes, one per environment, and valued once afterwards: exact as long as no environment is truncated twice
    in a rollout, which needs `length <= params.max_timesteps`.

    Args:
      env: with auto-reset.
      length: static.
    """
    act_mask = jax.vmap(env.action_mask)
    step_env = jax.vmap(env.step, (0, 0, 0, None))
    batch = actors.reset.shape[0]

    def step(carry, key):
        actors, aside = carry
        act_key, env_key = jax.random.split(key)
        mask = act_mask(actors.env)
        inputs = _one((actors.obs, actors.reset, mask))
        memory, distribution, value = policy(policy_params, actors.carry, *inputs)
        action = distribution.sample(seed=act_key)
        log_prob = distribution.log_prob(action)
        keys = jax.random.split(env_key, batch)
        obs, state, reward, done, info = step_env(keys, actors.env, action[0], params)
        aside = where_rows(info["truncated"], (info["final_observation"], memory, mask), aside)
        seen = {
            "obs": actors.obs,
            "reset": actors.reset,
            "action_mask": mask,
            "action": action[0],
            "log_prob": log_prob[0],
            "value": value[0],
            "reward": reward,
            "terminated": info["terminated"],
            "done": done,
            "info": {name: info[name] for name in INFO},
        }
        return (Actors(state, obs, done, memory), aside), seen

    aside = (actors.obs, actors.carry, act_mask(actors.env))
    (actors, aside), seen = jax.lax.scan(step, (actors, aside), jax.random.split(key, length))
    next_value = _next_values(policy, policy_params, actors, aside, act_mask(actors.env), seen)
    return actors, Transitions(**seen, next_value=next_value)


def _next_values(policy, policy_params, actors: Actors, aside, mask, seen) -> jax.Array:
    """Values of the observations that followed each step: `[T, B]`."""
    value_of = lambda carry, obs, reset, mask: policy(policy_params, carry, *_one((obs, reset, mask)))[2][0]
    last = value_of(actors.carry, actors.obs, actors.reset, mask)
    obs, carry, old_mask = aside
    cut = value_of(carry, obs, jnp.zeros_like(actors.reset), old_mask)
    following = jnp.concatenate([seen["value"][1:], last[None]])
    truncated = seen["done"] & ~seen["terminated"]
    return jnp.where(truncated, cut[None], following)
