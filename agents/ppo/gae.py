"""Generalized advantage estimation that tells truncation from termination."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def advantages(
    rewards: jax.Array,
    values: jax.Array,
    next_values: jax.Array,
    terminated: jax.Array,
    done: jax.Array,
    gamma: jax.Array | float,
    gae_lambda: jax.Array | float,
) -> tuple[jax.Array, jax.Array]:
    """Computes advantages and value targets of a rollout.

    Schulman et al., "High-dimensional continuous control using generalized advantage estimation" (2016),
    equation 16: `A_t = d_t + gamma * lambda * A_{t+1}` with
    `d_t = r_t + gamma * V(s_{t+1}) - V(s_t)`. After a termination `V(s_{t+1})` is 0; a truncated
    episode would have gone on, so that its `V(s_{t+1})` is kept. The sum stops at either.

    Args:
      rewards: float `[T, B]`, reward of each step.
      values: float `[T, B]`, value of the observation before each step.
      next_values: float `[T, B]`, value of the observation after each step, before any reset.
      terminated, done: bool `[T, B]`; done where terminated or truncated.
      gamma: discount of later rewards, in 0 .. 1.
      gae_lambda: decay of the sum, in 0 .. 1.

    Returns:
      advantages and targets (advantages plus values), float `[T, B]` each.
    """
    bootstrap = jnp.where(terminated, 0.0, next_values)
    deltas = rewards + gamma * bootstrap - values

    def backwards(later, step):
        delta, end = step
        advantage = delta + gamma * gae_lambda * jnp.where(end, 0.0, later)
        return advantage, advantage

    _, result = jax.lax.scan(backwards, jnp.zeros_like(deltas[0]), (deltas, done), reverse=True)
    return result, result + values
