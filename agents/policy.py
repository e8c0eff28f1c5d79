"""The interface between learners and what acts: one policy protocol, and a uniformly random policy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from agents.ppo.devices import Axis

if TYPE_CHECKING:
    import distrax

    import kinetix_py as kx
    from agents.networks.value_histogram import ValueHistogram

Params = Any  # a pytree of arrays
Carry = Any  # a pytree of arrays with a leading axis [B]; () of a policy without memory


class PolicyOutput(NamedTuple):
    """Result of one step `[B]`, or of a sequence `[T, B]`."""

    carry: Carry  # [B], memory after the last step
    distribution: distrax.Distribution  # of actions, batch shape [B] or [T, B]
    value: jax.Array  # float32 [B] or [T, B]
    value_histogram: ValueHistogram | None = None  # whose mean the value is, of a critic that classifies


class Policy(Protocol):
    """An actor-critic: pure functions of parameters; hashable, so that it may be a static argument.

    A class of its own derives from this one and defines `init` and `unroll`; the other methods have defaults
    for a policy without memory and without statistics.
    """

    @property
    def recurrent(self) -> bool:
        """Tells whether the policy has a memory, so that it must learn from whole sequences."""
        return False

    def init(self, key: jax.Array) -> Params:
        """Initial parameters."""
        ...

    def initial_carry(self, batch: int) -> Carry:
        """Empty memory of `batch` environments, leading axis `[B]`."""
        return ()

    def unroll(
        self,
        params: Params,
        carry: Carry,
        obs: Any,
        reset: jax.Array,
        action_mask: jax.Array | None = None,
    ) -> PolicyOutput:
        """Applies the policy to a sequence of observations.

        Args:
          params: parameters, as from `init`.
          carry: memory before the first step, leading axis `[B]`.
          obs: observations with leading axes `[T, B]`.
          reset: bool `[T, B]`, True where an episode begins with this observation: the memory is emptied
            before it.
          action_mask: bool, `Environment.action_mask` with leading axes `[T, B]`; None allows every action.

        Returns:
          The memory after the last step, the distributions of actions, the values, and of a critic that
          classifies their histograms.
        """
        ...

    def step(
        self,
        params: Params,
        carry: Carry,
        obs: Any,
        reset: jax.Array,
        action_mask: jax.Array | None = None,
    ) -> PolicyOutput:
        """Applies the policy to one step: as `unroll`, with the leading axis `[B]` only."""
        obs, reset, action_mask = jax.tree.map(lambda leaf: leaf[None], (obs, reset, action_mask))
        output = self.unroll(params, carry, obs, reset, action_mask)
        histogram = None if output.value_histogram is None else output.value_histogram[0]
        return PolicyOutput(output.carry, output.distribution[0], output.value[0], histogram)

    def params_of_call(self, params: Params, call: int) -> Params:
        """Parameters for one of several calls that play episodes, each with keys of its own.

        A policy that draws its actions from a key among its parameters folds the number of the call into it.
        """
        return params

    def attention(self, params: Params, carry: Carry, obs: Any, reset: jax.Array) -> jax.Array | None:
        """Attention among bodies in one step, arguments as of `step`; None of a policy without attention.

        Returns:
          float32 `[B, N, N]`, the weight by which each body (second axis) attends to each (last axis), a mean
          over layers and heads; rows add up to at most 1, as tokens that are no bodies may have a share.
        """
        return None

    def update_statistics(self, params: Params, obs: Any, axis: Axis = None) -> Params:
        """Adds a rollout's observations to running statistics in the parameters.

        Args:
          params: parameters.
          obs: observations of this device, leading axes `[T, B]`.
          axis: axis of devices in `jax.shard_map`, over all of which statistics are taken.
        """
        return params


@dataclasses.dataclass(frozen=True)
class UniformPolicy(Policy):
    """Chooses uniformly among the actions that have an effect in a level; has no parameters."""

    env: kx.Environment

    def init(self, key: jax.Array) -> tuple[()]:
        """Returns no parameters."""
        return ()

    def unroll(
        self,
        params: Params,
        carry: Carry,
        obs: Any,
        reset: jax.Array,
        action_mask: jax.Array | None = None,
    ) -> PolicyOutput:
        """Returns uniform distributions and zero values; needs the action mask.

        Raises:
          ValueError: there is no action mask.
        """
        import distrax

        from agents.networks.distributions import MASKED_LOGIT, MultiCategorical

        if action_mask is None:
            raise ValueError("UniformPolicy needs an action mask")
        value = jnp.zeros(reset.shape)
        if self.env.action_type == "continuous":
            space: Any = self.env.action_space
            low, high = (jnp.broadcast_to(jnp.asarray(b), action_mask.shape) for b in (space.low, space.high))
            return PolicyOutput(carry, distrax.Uniform(low, high), value)
        logits = jnp.where(action_mask, 0.0, MASKED_LOGIT)
        return PolicyOutput(carry, MultiCategorical(logits, self.env.action_type == "multi_discrete"), value)
