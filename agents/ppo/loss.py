"""The clipped loss of proximal policy optimization."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class LossTerms(NamedTuple):
    """The loss and what it is made of; scalars."""

    total: jax.Array
    policy: jax.Array
    value: jax.Array
    entropy: jax.Array  # nats, mean over the batch
    kl: jax.Array  # nats, an estimate of how far the policy has moved from the one that acted
    clipped: jax.Array  # share of samples whose ratio is out of the clipping range


class Sample(NamedTuple):
    """What the policy that acted made of a batch of steps; every field `[...]` alike."""

    log_prob: jax.Array  # of the action
    value: jax.Array
    advantage: jax.Array
    target: jax.Array


def standardize(advantage: jax.Array) -> jax.Array:
    """Mean 0 and standard deviation 1 over the batch."""
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)


def ppo_loss(
    log_prob: jax.Array,
    entropy: jax.Array,
    value: jax.Array,
    old: Sample,
    *,
    clip: jax.Array | float,
    value_weight: jax.Array | float,
    entropy_weight: jax.Array | float,
) -> LossTerms:
    """The clipped surrogate loss, with a value clipped around the old one and an entropy bonus.

    Schulman et al., "Proximal policy optimization algorithms" (2017), equations 7 and 9; the KL estimate
    `mean(r - 1 - log r)` is Schulman's k3 (2020).

    Args:
      log_prob, entropy, value: of the policy now, for the actions and observations of the batch.
      old: of the policy that acted; advantages as they are to be used (standardize them before).
      clip: how far the ratio, and the value, may move.
      value_weight, entropy_weight: weights of these terms.
    """
    log_ratio = log_prob - old.log_prob
    ratio = jnp.exp(log_ratio)
    bounded = jnp.clip(ratio, 1 - clip, 1 + clip)
    policy = -jnp.minimum(ratio * old.advantage, bounded * old.advantage).mean()
    near = old.value + jnp.clip(value - old.value, -clip, clip)
    error = jnp.maximum((value - old.target) ** 2, (near - old.target) ** 2)
    value_loss = 0.5 * error.mean()
    bonus = entropy.mean()
    total = policy + value_weight * value_loss - entropy_weight * bonus
    kl = (ratio - 1 - log_ratio).mean()
    return LossTerms(total, policy, value_loss, bonus, kl, (jnp.abs(ratio - 1) > clip).mean())
