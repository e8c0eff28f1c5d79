"""Reward functions, and the names under which an environment takes them."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from kinetix_py.env.types import EnvParams, EnvState

RewardFn = Callable[[EnvState, EnvState, jax.Array, EnvParams], jax.Array]


def sparse_reward(previous: EnvState, state: EnvState, outcome: jax.Array, params: EnvParams) -> jax.Array:
    """Rewards a solved episode with +1 and a failed one with -1.

    Args:
      previous: state before the step.
      state: state after the step, before any reset.
      outcome: int32 `[]`, +1 if the step solved the level, -1 if it failed, else 0.
      params: numbers of the game.

    Returns:
      float `[]`.
    """
    return outcome.astype(jnp.float32)


def distance_reward(previous: EnvState, state: EnvState, outcome: jax.Array, params: EnvParams) -> jax.Array:
    """Rewards as `sparse_reward`, plus `params.dense_reward_scale` per meter that green and blue come closer.

    The first step of an episode has no dense term, as in Kinetix.

    Args:
      previous, state, outcome, params: as for `sparse_reward`.

    Returns:
      float `[]`.
    """
    closer = jnp.where(previous.step_count == 0, 0, previous.distance - state.distance)
    return outcome.astype(jnp.float32) + params.dense_reward_scale * closer


REWARDS: dict[str, RewardFn] = {"distance": distance_reward, "sparse": sparse_reward}
