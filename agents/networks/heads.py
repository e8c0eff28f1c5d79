"""Actor and critic heads, and the distributions of actions; choices that change nothing are masked out."""

from __future__ import annotations

import math
from typing import Any

import distrax
import flax.linen as nn
import jax
import jax.numpy as jnp

from agents.networks.encoders import dense
from kinetix_py.actions import ActionAdapter

# The logit of a choice that is not allowed: its probability is exactly 0 in float32.
NEVER = -1e9
# The last layer of the actor starts small, so that a new policy is nearly uniform (Andrychowicz et al.,
# "What matters in on-policy reinforcement learning?", 2021, section 3.2).
ACTOR_SCALE = 0.01


class Choices(distrax.Distribution):
    """One choice, or a vector of independent ones, by their logits.

    Beside `distrax.Independent(distrax.Categorical(...))`, it never promotes ranks and can be indexed.
    """

    def __init__(self, logits: jax.Array, several: bool):
        """Logits `[..., k]` of one choice in `0 .. k - 1`, or, if several, `[..., n, k]` of `n` choices."""
        super().__init__()
        self._log_probs, self._several = jax.nn.log_softmax(logits), several

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self._log_probs.shape[-2:-1] if self._several else ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self._log_probs.shape[: -2 if self._several else -1]

    @property
    def log_probs(self) -> jax.Array:
        """Normalized logits `[..., k]` or `[..., n, k]`."""
        return self._log_probs

    @property
    def probs(self) -> jax.Array:
        """Probabilities `[..., k]` or `[..., n, k]`."""
        return jnp.exp(self._log_probs)

    def _total(self, value: jax.Array) -> jax.Array:
        return value.sum(axis=-1) if self._several else value

    def _sample_n(self, key: jax.Array, n: int) -> jax.Array:
        noise = jax.random.gumbel(key, (n, *self._log_probs.shape), self._log_probs.dtype)
        return jnp.argmax(self._log_probs[None] + noise, axis=-1).astype(jnp.int32)

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Float `[...]` of choices `[...]` or `[..., n]`; more leading axes, of samples, are allowed."""
        before = value.ndim + 1 - self._log_probs.ndim
        logs = self._log_probs.reshape((1,) * before + self._log_probs.shape)
        count = self._log_probs.shape[-1]
        chosen = value[..., None] == jnp.arange(count).reshape((1,) * value.ndim + (-1,))
        return self._total(jnp.where(chosen, logs, 0).sum(axis=-1))

    def entropy(self) -> jax.Array:
        """Float `[...]`, in nats."""
        return self._total(-(self.probs * self._log_probs).sum(axis=-1))

    def mode(self) -> jax.Array:
        """The most likely choices: int32."""
        return jnp.argmax(self._log_probs, axis=-1).astype(jnp.int32)

    def __getitem__(self, index) -> Choices:
        """Part of a batch; the index is of the leading axes."""
        return Choices(self._log_probs[index], self._several)


class MaskedNormal(distrax.Distribution):
    """Independent normal distributions of a vector, of which masked components are always 0.

    These add nothing to log-probability and entropy. The batch shape is that of `mean` without its last
    axis; the environment clips samples, and `log_prob` is of the value before it.
    """

    def __init__(self, mean: jax.Array, log_std: jax.Array, mask: jax.Array):
        """Arrays `[..., n]` of one shape; the mask is bool, True where a component has an effect."""
        super().__init__()
        self._mean, self._log_std, self._mask = mean, log_std, mask

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self._mean.shape[-1:]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self._mean.shape[:-1]

    def _kept(self, value: jax.Array) -> jax.Array:
        return jnp.where(self._like(self._mask, value), value, 0)

    def _like(self, own: jax.Array, value: jax.Array) -> jax.Array:
        """An own array in the shape of a value, which may have more leading axes."""
        return jnp.broadcast_to(own.reshape((1,) * (value.ndim - own.ndim) + own.shape), value.shape)

    def _sample_n(self, key: jax.Array, n: int) -> jax.Array:
        noise = jax.random.normal(key, (n, *self._mean.shape), self._mean.dtype)
        return self._kept(self._mean[None] + jnp.exp(self._log_std)[None] * noise)

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Float `[...]` of values `[..., n]`."""
        mean, log_std = self._like(self._mean, value), self._like(self._log_std, value)
        z = (value - mean) * jnp.exp(-log_std)
        return self._kept(-0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(axis=-1)

    def entropy(self) -> jax.Array:
        """Float `[...]`, in nats."""
        return self._kept(self._log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(axis=-1)

    def mean(self) -> jax.Array:
        """Float `[..., n]`."""
        return self._kept(self._mean)

    def mode(self) -> jax.Array:
        """Float `[..., n]`."""
        return self.mean()

    def stddev(self) -> jax.Array:
        """Float `[..., n]`."""
        return self._kept(jnp.exp(self._log_std))

    def __getitem__(self, index) -> MaskedNormal:
        """Part of a batch; the index is of the leading axes."""
        return MaskedNormal(self._mean[index], self._log_std[index], self._mask[index])


def num_outputs(actions: ActionAdapter) -> int:
    """How many numbers describe a policy: logits of all choices, or means (continuous)."""
    motors, thrusters = actions.size.num_motor_bindings, actions.size.num_thruster_bindings
    each = {"continuous": (1, 1, 0), "multi_discrete": (3, 2, 0), "discrete": (2, 1, 1)}
    motor, thruster, more = each[actions.type]
    return motor * motors + thruster * thrusters + more


def choice_logits(outputs: jax.Array, motors: int) -> jax.Array:
    """Logits of multi-discrete actions: `[..., 3 motors + 2 thrusters]` to `[..., motors + thrusters, 3]`.

    The third choice of a thruster does not exist.
    """
    lead = outputs.shape[:-1]
    by_motor = outputs[..., : 3 * motors].reshape(*lead, motors, 3)
    by_thruster = outputs[..., 3 * motors :].reshape(*lead, -1, 2)
    missing = [(0, 0)] * (by_thruster.ndim - 1) + [(0, 1)]
    return jnp.concatenate([by_motor, jnp.pad(by_thruster, missing, constant_values=NEVER)], axis=-2)


def make_distribution(
    outputs: jax.Array, log_std: jax.Array | None, actions: ActionAdapter, mask: jax.Array | None
) -> distrax.Distribution:
    """The distribution of actions.

    Args:
      outputs: float32 `[..., num_outputs(actions)]`.
      log_std: float32 `[num_bindings]` for continuous actions, else None.
      actions: the action type.
      mask: bool, `Environment.action_mask` with the same leading axes; None allows everything.

    Returns:
      A distribution with batch shape `[...]` over single actions: one categorical, or one for each binding,
      or a normal distribution of each binding's value before the environment clips it.
    """
    if actions.type == "continuous":
        assert log_std is not None
        allowed = jnp.ones(outputs.shape, bool) if mask is None else mask
        wide = log_std.reshape((1,) * (outputs.ndim - 1) + (-1,))
        return MaskedNormal(outputs, jnp.broadcast_to(wide, outputs.shape), allowed)
    several = actions.type == "multi_discrete"
    logits = choice_logits(outputs, actions.size.num_motor_bindings) if several else outputs
    logits = logits if mask is None else jnp.where(mask, logits, NEVER)
    return Choices(logits, several)


class Head(nn.Module):
    """Hidden layers, then a linear one: from `[..., E]` to float32 `[..., outputs]`."""

    outputs: int
    scale: float
    width: int
    layers: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(self.layers):
            x = jnp.tanh(dense(self.width, self.dtype)(x))
        return dense(self.outputs, jnp.float32, self.scale, name="out")(x)
