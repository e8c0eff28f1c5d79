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
# Names of last layers of actors, beside that of a module "actor", which is "out".
ACTOR_OUTPUTS = ("motor_out", "thruster_out", "noop")


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


def scale_actor(params: Any, scale: float) -> Any:
    """Multiplies the last layers of the actor, so that what the policy is sure of becomes a preference.

    Logits and means are linear in them: 0 makes a policy uniform, values between 0 and 1 raise its entropy
    and keep the order of its choices, and no feature is forgotten.

    Args:
      params: parameters of a network of `agents.networks`.
      scale: factor, at least 0.

    Raises:
      ValueError: the parameters have no such layer.
    """
    found = 0

    def scaled(path: Any, value: jax.Array) -> jax.Array:
        nonlocal found
        *modules, layer, _ = (getattr(key, "key", None) for key in path)
        last = layer in ACTOR_OUTPUTS or (layer == "out" and "actor" in modules)
        found += last
        return value * scale if last else value

    result = jax.tree_util.tree_map_with_path(scaled, params)
    if not found:
        raise ValueError("the parameters have no last layer of an actor whose name is known")
    return result
