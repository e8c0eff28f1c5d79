"""An actor that treats all motor bindings alike, and all thruster bindings."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from agents.networks.config import DTYPES, NetworkConfig
from agents.networks.encoders import EntityEmbedding, dense
from agents.networks.heads import ACTOR_SCALE
from kinetix_py.actions import ActionAdapter

# Numbers of one motor and of one thruster binding that describe a policy.
NUM_EACH = {"continuous": (1, 1), "multi_discrete": (3, 2), "discrete": (2, 1)}


class BoundTo(nn.Module):
    """What each binding drives: the sum of a function of what is bound to it and of the bodies there."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, binding: jax.Array, *parts: jax.Array) -> jax.Array:
        """From bindings `[B, R, K]` of rows, and parts `[B, R, W]`, to `[B, K, W]`."""
        row = nn.relu(dense(self.width, self.dtype)(jnp.concatenate(parts, axis=-1)))
        return jnp.einsum("brk,brw->bkw", binding, row)


class BindingHead(nn.Module):
    """One head for all bindings of a kind: each from the scene and from what is bound to it."""

    config: NetworkConfig
    outputs: int

    @nn.compact
    def __call__(self, scene: jax.Array, bound: jax.Array) -> jax.Array:
        """From `[B, E]` and `[B, K, W]` to float32 `[B, K, outputs]`."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        layer = lambda name: dense(config.head_width, dtype, name=name)
        x = jnp.tanh(layer("scene")(scene)[:, None] + layer("bound")(bound))
        for i in range(config.head_layers - 1):
            x = jnp.tanh(layer(f"hidden_{i}")(x))
        return dense(self.outputs, jnp.float32, ACTOR_SCALE, name="out")(x)


class BindingActor(nn.Module):
    """The numbers that describe a policy, in the order of `agents.networks.heads.num_outputs`.

    Exchanging two bindings of a level exchanges their part of the policy and changes nothing else.
    """

    config: NetworkConfig
    actions: ActionAdapter

    @nn.compact
    def __call__(self, scene: jax.Array, embedding: EntityEmbedding) -> jax.Array:
        """From scenes `[B, E]` (which may have been through a memory) to `[B, outputs]`."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        entities, bodies = embedding.entities, embedding.bodies
        read = lambda reference: jnp.einsum("brn,bnw->brw", reference, bodies)
        here, there, at = read(entities.here), read(entities.there), read(entities.at)
        bound = (
            BoundTo(config.width, dtype, name="motors")(entities.motor, here, there, entities.joints),
            BoundTo(config.width, dtype, name="thrusters")(entities.thruster, at, entities.thrusters),
        )
        flat = []
        for name, rows, count in zip(("motor", "thruster"), bound, NUM_EACH[self.actions.type], strict=True):
            numbers = BindingHead(config, count, name=name)(scene, rows)
            flat.append(numbers.reshape(scene.shape[0], -1))
        if self.actions.type == "discrete":  # between motors and thrusters: to do nothing
            flat.insert(1, dense(1, jnp.float32, ACTOR_SCALE, name="noop")(scene))
        return jnp.concatenate(flat, axis=-1)
