"""An actor that treats all motor bindings alike, and all thruster bindings alike."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from agents.networks.config import DTYPES, NetworkConfig
from agents.networks.entity_layers import EntityEmbedding, dense, gather, scatter
from agents.networks.heads import ACTOR_SCALE
from kinetix_py.actions import ActionAdapter

# Outputs of one motor binding and of one thruster binding.
NUM_OUTPUTS = {"continuous": (1, 1), "multi_discrete": (3, 2), "discrete": (2, 1)}


class BindingPool(nn.Module):
    """Sum, over the motors or thrusters of each binding, of a function of them and of their bodies."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, binding: jax.Array, *parts: jax.Array) -> jax.Array:
        """Maps one-hot bindings `[B, R, K]` of rows, and parts `[B, R, W]`, to `[B, K, W]`."""
        row = nn.relu(dense(self.width, self.dtype)(jnp.concatenate(parts, axis=-1)))
        return scatter(binding, row)


class BindingHead(nn.Module):
    """One head shared by all bindings of a kind: reads the scene and the pool of each binding."""

    config: NetworkConfig
    outputs: int

    @nn.compact
    def __call__(self, scene: jax.Array, pooled: jax.Array) -> jax.Array:
        """Maps `[B, E]` and `[B, K, W]` to float32 `[B, K, outputs]`."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        layer = lambda name: dense(config.head_width, dtype, name=name)
        x = jnp.tanh(layer("scene")(scene)[:, None] + layer("pooled")(pooled))
        for i in range(config.head_layers - 1):
            x = jnp.tanh(layer(f"hidden_{i}")(x))
        return dense(self.outputs, jnp.float32, ACTOR_SCALE, name="out")(x)


class BindingActor(nn.Module):
    """An actor with one head for all motor bindings and one for all thruster bindings.

    Exchanging two bindings of a level exchanges their part of the policy and changes nothing else.
    """

    config: NetworkConfig
    actions: ActionAdapter

    @nn.compact
    def __call__(self, scene: jax.Array, embedding: EntityEmbedding) -> jax.Array:
        """Computes the outputs of `agents.networks.distributions.make_distribution`.

        Args:
          scene: `[B, E]`, which may have been through a memory.
          embedding: embeddings of the entities.

        Returns:
          float32 `[B, num_outputs]`.
        """
        config, dtype = self.config, DTYPES[self.config.dtype]
        entities, bodies = embedding.entities, embedding.bodies
        source, target = gather(entities.source, bodies), gather(entities.target, bodies)
        body = gather(entities.body, bodies)
        motors = BindingPool(config.width, dtype, name="motors")
        thrusters = BindingPool(config.width, dtype, name="thrusters")
        by_motor = motors(entities.motor_binding, source, target, entities.joints)
        by_thruster = thrusters(entities.thruster_binding, body, entities.thrusters)
        num_motor, num_thruster = NUM_OUTPUTS[self.actions.type]
        motor_outputs = BindingHead(config, num_motor, name="motor")(scene, by_motor)
        thruster_outputs = BindingHead(config, num_thruster, name="thruster")(scene, by_thruster)
        flat = [outputs.reshape(scene.shape[0], -1) for outputs in (motor_outputs, thruster_outputs)]
        if self.actions.type == "discrete":  # the choice between motors and thrusters that does nothing
            flat.insert(1, dense(1, jnp.float32, ACTOR_SCALE, name="noop")(scene))
        return jnp.concatenate(flat, axis=-1)
