"""The clipped loss of proximal policy optimization."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from agents.ppo.devices import Axis, mean_over_devices


class LossTerms(NamedTuple):
    """The loss and its terms; scalars."""

    total: jax.Array
    policy: jax.Array
    value: jax.Array
    entropy: jax.Array  # nats, mean over the batch
    kl: jax.Array  # nats, estimated divergence from the policy that acted
    clipped: jax.Array  # share of samples whose ratio is outside the clipping range


class OldPolicyTerms(NamedTuple):
    """Terms of the policy that acted, for a batch of steps; all fields have one shape `[...]`."""

    log_prob: jax.Array  # of the action
    value: jax.Array
    advantage: jax.Array
    target: jax.Array


def weighted_mean(values: jax.Array, weight: jax.Array | None) -> jax.Array:
    """Mean of values `[...]`, each times its weight if there are any: those of a batch have mean 1."""
    return values.mean() if weight is None else (weight * values).mean()


def standardize(advantage: jax.Array, axis: Axis = None, weight: jax.Array | None = None) -> jax.Array:
    """Shifts and scales advantages to mean 0 and standard deviation 1 over the batch, of all devices.

    Args:
      advantage: float `[...]`.
      axis: axis of devices in `jax.shard_map`.
      weight: weights of the samples `[...]`, of mean 1 over all devices; all alike if None.
    """
    centered = advantage - mean_over_devices(weighted_mean(advantage, weight), axis)
    variance = mean_over_devices(weighted_mean(centered**2, weight), axis)
    return centered / (jnp.sqrt(variance) + 1e-8)


def squared_error(value: jax.Array, old: OldPolicyTerms, clip_eps: jax.Array | float | None) -> jax.Array:
    """Computes half the squared error of values, for each sample of the batch: `[...]`.

    Args:
      value: values `[...]` of the current policy.
      old: terms of the policy that acted, of which the old value and the target count.
      clip_eps: largest change of a value that is rewarded: of the errors of the value, and of the old value
        changed by at most so much, the larger one counts. No bound if None.
    """
    error = (value - old.target) ** 2
    if clip_eps is not None:
        near = old.value + jnp.clip(value - old.value, -clip_eps, clip_eps)
        error = jnp.maximum(error, (near - old.target) ** 2)
    return 0.5 * error


def ppo_loss(
    log_prob: jax.Array,
    entropy: jax.Array,
    value_error: jax.Array,
    old: OldPolicyTerms,
    *,
    clip_eps: jax.Array | float,
    value_coef: jax.Array | float,
    entropy_coef: jax.Array | float,
    weight: jax.Array | None = None,
) -> LossTerms:
    """Computes the clipped surrogate loss, with the error of the values and an entropy bonus.

    Schulman et al., "Proximal policy optimization algorithms" (2017), equations 7 and 9; the KL estimate
    `mean(r - 1 - log r)` is Schulman's k3 (2020).

    Args:
      log_prob, entropy: terms of the current policy, for the actions and observations of the batch.
      value_error: error of its values: `squared_error`, or the cross-entropy of a critic that classifies.
      old: terms of the policy that acted; advantages are used as they are (standardize them before).
      clip_eps: largest change of the ratio that is rewarded.
      value_coef, entropy_coef: weights of the value loss and of the entropy bonus.
      weight: weights of the samples, of mean 1; all alike if None.
    """
    mean = lambda values: weighted_mean(values, weight)
    log_ratio = log_prob - old.log_prob
    ratio = jnp.exp(log_ratio)
    bounded = jnp.clip(ratio, 1 - clip_eps, 1 + clip_eps)
    policy = -mean(jnp.minimum(ratio * old.advantage, bounded * old.advantage))
    value_loss, bonus = mean(value_error), mean(entropy)
    total = policy + value_coef * value_loss - entropy_coef * bonus
    kl, clipped = mean(ratio - 1 - log_ratio), mean(jnp.abs(ratio - 1) > clip_eps)
    return LossTerms(total, policy, value_loss, bonus, kl, clipped)
