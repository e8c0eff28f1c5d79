"""Memory: a gated recurrent unit over a sequence in which episodes begin."""

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
        """Goes through a sequence.

        Args:
          carry: float32 `[B, W]`, the state before the first step.
          inputs: float `[T, B, E]` and bool `[T, B]`, where an episode begins: there the state is made zero
            before the step's input is heard.

        Returns:
          The state after the last step, and those after each step, float32 `[T, B, W]`.
        """
        x, reset = inputs
        carry = jnp.where(reset[:, None], 0.0, carry)
        state, _ = nn.GRUCell(self.width, dtype=self.dtype)(carry, x)
        state = state.astype(jnp.float32)
        return state, state
