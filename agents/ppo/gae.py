"""Generalized advantage estimation that tells a time limit from an end."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def advantages(
    rewards: jax.Array,
    values: jax.Array,
    next_values: jax.Array,
    terminated: jax.Array,
    done: jax.Array,
    discount: jax.Array | float,
    trace: jax.Array | float,
) -> tuple[jax.Array, jax.Array]:
    """Advantages and value targets of a rollout.

    Schulman et al., "High-dimensional continuous control using generalized advantage estimation" (2016),
    equation 16: `A_t = d_t + discount * trace * A_{t+1}` with
    `d_t = r_t + discount * V(s_{t+1}) - V(s_t)`. Nothing follows a termination, so its `V(s_{t+1})` is 0; a
    truncated episode would have gone on, so its is kept. The sum stops at either.

    Args:
      rewards, values: float `[T, B]`, of each step and of the observation before it.
      next_values: float `[T, B]`, of the observation after each step, before any reset.
      terminated, done: bool `[T, B]`; done where terminated or truncated.
      discount: in 0 .. 1.
      trace: lambda, in 0 .. 1.

    Returns:
      advantages and targets (advantages plus values), float `[T, B]` each.
    """
    follows = jnp.where(terminated, 0.0, next_values)
    deltas = rewards + discount * follows - values

    def backwards(later, step):
        delta, ends = step
        here = delta + discount * trace * jnp.where(ends, 0.0, later)
        return here, here

    _, result = jax.lax.scan(backwards, jnp.zeros_like(deltas[0]), (deltas, done), reverse=True)
    return result, result + values
