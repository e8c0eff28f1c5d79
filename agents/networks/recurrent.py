"""A gated recurrent unit whose state is zeroed where episodes begin."""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class ScannedGRU(nn.Module):
    """A gated recurrent unit (Cho et al., 2014) whose state is zero wherever an episode begins."""

    width: int
    dtype: Any

    @functools.partial(
        nn.scan, variable_broadcast="params", in_axes=0, out_axes=0, split_rngs={"params": False}
    )
    @nn.compact
    def __call__(self, carry: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Unrolls a sequence.

        Args:
          carry: float32 `[B, W]`, the state before the first step.
          inputs: float `[T, B, E]` and bool `[T, B]`, True where an episode begins: there the state is
            zero before the step.

        Returns:
          The state after the last step, and those after each step, float32 `[T, B, W]`.
        """
        x, reset = inputs
        carry = jnp.where(reset[:, None], 0.0, carry)
        state, _ = nn.GRUCell(self.width, dtype=self.dtype)(carry, x)
        state = state.astype(jnp.float32)
        return state, state
