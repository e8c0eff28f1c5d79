"""Hidden layers and output layer of an actor or a critic."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from agents.networks.entity_layers import dense

# The last layer of the actor starts small, so that a new policy is nearly uniform (Andrychowicz et al.,
# "What matters in on-policy reinforcement learning?", 2021, section 3.2).
ACTOR_SCALE = 0.01


class Head(nn.Module):
    """Hidden layers, then a linear one."""

    outputs: int
    scale: float
    width: int
    layers: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps features `[..., E]` to float32 `[..., outputs]`."""
        for _ in range(self.layers):
            x = jnp.tanh(dense(self.width, self.dtype)(x))
        return dense(self.outputs, jnp.float32, self.scale, name="out")(x)
