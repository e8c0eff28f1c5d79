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


def negative_advantages(
    rewards: jax.Array,
    values: jax.Array,
    next_values: jax.Array,
    terminated: jax.Array,
    done: jax.Array,
    gamma: jax.Array | float,
    gae_lambda: jax.Array | float,
) -> jax.Array:
    """Computes by how much steps are followed by worse than the best that could be expected at any time.

    Mead et al., "Improving regret approximation for unsupervised dynamic environment generation" (2026),
    maximized negative advantage, as in their code: with `d_t` as for `advantages`, `N_t` is the mean of
    `T_1, T_2, ..` with the weights `(1 - lambda) lambda^(n - 1)`, of which the last of an episode has all
    that is left, where `T_n = min(T_{n-1} + gamma^(n-1) d_{t+n-1}, 0)` and `T_0 = 0`. So T_n is the n-step
    advantage less the largest m-step advantage with m <= n, if that is above 0. Takes time of order `T^2`.

    Args:
      rewards, values, next_values, terminated, done, gamma, gae_lambda: as for `advantages`.

    Returns:
      float `[T, B]`, at most 0.
    """
    deltas = rewards + gamma * jnp.where(terminated, 0.0, next_values) - values
    length = deltas.shape[0]
    ends = done | (jnp.arange(length) == length - 1)[:, None]

    def further(carried, ahead):
        """Adds the n-step advantages of all steps at once, for one n."""
        result, total, alive, power, discount = carried
        here = (jnp.arange(length) + ahead) % length
        total = jnp.minimum(total + discount * deltas[here], 0.0)
        last = ends[here]
        weight = jnp.where(last, power, power * (1 - gae_lambda))
        result = result + jnp.where(alive, weight * total, 0.0)
        return (result, total, alive & ~last, power * gae_lambda, discount * gamma), None

    zero, one = jnp.zeros_like(deltas), jnp.ones((), deltas.dtype)
    start = zero, zero, jnp.ones(deltas.shape, bool), one, one
    return jax.lax.scan(further, start, jnp.arange(length))[0][0]
