"""Distributions of actions, in which choices without effect are masked out."""

from __future__ import annotations

import math

import distrax
import jax
import jax.numpy as jnp

from kinetix_py.actions import ActionAdapter
from kinetix_py.spaces import Discrete, MultiDiscrete

# Logit of a choice that is masked out: its probability is exactly 0 in float32.
MASKED_LOGIT = -1e9


class MultiCategorical(distrax.Distribution):
    """One choice, or a vector of independent choices, by their logits.

    Unlike `distrax.Independent(distrax.Categorical(...))`, it never promotes ranks and can be indexed.
    """

    def __init__(self, logits: jax.Array, multi: bool):
        """Normalizes logits.

        Args:
          logits: float `[..., k]` of one choice in `0 .. k - 1`, or `[..., n, k]` of `n` choices if `multi`.
          multi: whether a sample is a vector of choices.
        """
        super().__init__()
        self._log_probs, self._multi = jax.nn.log_softmax(logits), multi

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: `(n,)` or `()`."""
        return self._log_probs.shape[-2:-1] if self._multi else ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return self._log_probs.shape[: -2 if self._multi else -1]

    @property
    def probs(self) -> jax.Array:
        """Probabilities `[..., k]` or `[..., n, k]`."""
        return jnp.exp(self._log_probs)

    def _total(self, value: jax.Array) -> jax.Array:
        return value.sum(axis=-1) if self._multi else value

    def _sample_n(self, key: jax.Array, n: int) -> jax.Array:
        noise = jax.random.gumbel(key, (n, *self._log_probs.shape), self._log_probs.dtype)
        return jnp.argmax(self._log_probs[None] + noise, axis=-1).astype(jnp.int32)

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Log-probability `[...]` of choices `[...]` or `[..., n]`, which may have more leading axes."""
        before = value.ndim + 1 - self._log_probs.ndim
        logs = self._log_probs.reshape((1,) * before + self._log_probs.shape)
        count = self._log_probs.shape[-1]
        chosen = value[..., None] == jnp.arange(count).reshape((1,) * value.ndim + (-1,))
        return self._total(jnp.where(chosen, logs, 0).sum(axis=-1))

    def entropy(self) -> jax.Array:
        """Entropy `[...]` in nats."""
        return self._total(-(self.probs * self._log_probs).sum(axis=-1))

    def mode(self) -> jax.Array:
        """Most likely choices: int32 `[...]` or `[..., n]`."""
        return jnp.argmax(self._log_probs, axis=-1).astype(jnp.int32)

    def __getitem__(self, index) -> MultiCategorical:
        """Part of the batch, by an index of the leading axes."""
        return MultiCategorical(self._log_probs[index], self._multi)


class MaskedNormal(distrax.Distribution):
    """Independent normal distributions of a vector, of which masked components are always 0.

    Masked components add nothing to log-probability and entropy. The environment clips samples; `log_prob`
    is that of the value before clipping.
    """

    def __init__(self, mean: jax.Array, log_std: jax.Array, mask: jax.Array):
        """Stores arrays `[..., n]` of one shape; the mask is bool, True where a component has an effect."""
        super().__init__()
        self._mean, self._log_std, self._mask = mean, log_std, mask

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: `(n,)`."""
        return self._mean.shape[-1:]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return self._mean.shape[:-1]

    def _masked(self, value: jax.Array) -> jax.Array:
        return jnp.where(self._like(self._mask, value), value, 0)

    def _like(self, own: jax.Array, value: jax.Array) -> jax.Array:
        """An own array in the shape of a value, which may have more leading axes."""
        return jnp.broadcast_to(own.reshape((1,) * (value.ndim - own.ndim) + own.shape), value.shape)

    def _sample_n(self, key: jax.Array, n: int) -> jax.Array:
        noise = jax.random.normal(key, (n, *self._mean.shape), self._mean.dtype)
        return self._masked(self._mean[None] + jnp.exp(self._log_std)[None] * noise)

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Log-density `[...]` of values `[..., n]`."""
        mean, log_std = self._like(self._mean, value), self._like(self._log_std, value)
        z = (value - mean) * jnp.exp(-log_std)
        return self._masked(-0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(axis=-1)

    def entropy(self) -> jax.Array:
        """Entropy `[...]` in nats."""
        return self._masked(self._log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(axis=-1)

    def mean(self) -> jax.Array:
        """Mean `[..., n]`."""
        return self._masked(self._mean)

    def stddev(self) -> jax.Array:
        """Standard deviation `[..., n]` of components that are not masked."""
        return jnp.exp(self._log_std)

    def mode(self) -> jax.Array:
        """Most likely value `[..., n]`: the mean."""
        return self.mean()

    def __getitem__(self, index) -> MaskedNormal:
        """Part of the batch, by an index of the leading axes."""
        return MaskedNormal(self._mean[index], self._log_std[index], self._mask[index])


def num_outputs(actions: ActionAdapter) -> int:
    """Counts the numbers that describe a policy: logits of all choices, or means of continuous actions."""
    space = actions.space
    if isinstance(space, Discrete):
        return space.n
    return sum(actions.choices) if isinstance(space, MultiDiscrete) else space.shape[0]


def choice_logits(outputs: jax.Array, motors: int) -> jax.Array:
    """Arranges logits of multi-discrete actions by binding.

    Args:
      outputs: float `[..., 3 motors + 2 thrusters]`.
      motors: number of motor bindings.

    Returns:
      float `[..., motors + thrusters, 3]`; the third choice of a thruster, which does not exist, is masked.
    """
    lead = outputs.shape[:-1]
    by_motor = outputs[..., : 3 * motors].reshape(*lead, motors, 3)
    by_thruster = outputs[..., 3 * motors :].reshape(*lead, -1, 2)
    missing = [(0, 0)] * (by_thruster.ndim - 1) + [(0, 1)]
    return jnp.concatenate([by_motor, jnp.pad(by_thruster, missing, constant_values=MASKED_LOGIT)], axis=-2)


def make_distribution(
    outputs: jax.Array, log_std: jax.Array | None, actions: ActionAdapter, mask: jax.Array | None
) -> distrax.Distribution:
    """Makes the distribution of actions.

    Args:
      outputs: float32 `[..., num_outputs(actions)]`.
      log_std: float32 `[num_bindings]` for continuous actions, else None.
      actions: action type.
      mask: bool, `Environment.action_mask` with the same leading axes; None allows every action.

    Returns:
      A distribution with batch shape `[...]` over single actions: one categorical, or one for each binding,
      or a normal distribution of each binding's value before the environment clips it.
    """
    if actions.type == "continuous":
        assert log_std is not None
        allowed = jnp.ones(outputs.shape, bool) if mask is None else mask
        wide = log_std.reshape((1,) * (outputs.ndim - 1) + (-1,))
        return MaskedNormal(outputs, jnp.broadcast_to(wide, outputs.shape), allowed)
    multi = actions.type == "multi_discrete"
    logits = choice_logits(outputs, actions.size.num_motor_bindings) if multi else outputs
    logits = logits if mask is None else jnp.where(mask, logits, MASKED_LOGIT)
    return MultiCategorical(logits, multi)
