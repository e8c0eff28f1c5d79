"""A graph network: messages from goals, along contacts, joints and thrusters; heads shared by all bindings.

Battaglia et al., "Relational inductive biases, deep learning, and graph networks" (2018). Made of few, wide
operations: layers of several inputs are sums rather than one layer of a concatenation, and the messages of
pairs are pooled before they are transformed.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from agents.networks.binding_actor import NUM_OUTPUTS
from agents.networks.config import DTYPES, NetworkConfig
from agents.networks.entity_layers import (
    Entities,
    EntityEmbedding,
    dense,
    driven_joints,
    entity_tables,
    gather,
    pool_scene,
    scatter,
)
from agents.networks.heads import ACTOR_SCALE
from kinetix_py.actions import ActionAdapter
from kinetix_py.observations.entity import SHAPE_FEATURES, EntityObservation

# The attention mask of bodies that touch.
CONTACT_MASK = 3
MOTION_FEATURES = ("position", "velocity")


@jax.custom_vjp
def pair_messages(receiver: jax.Array, sender: jax.Array, weights: jax.Array) -> jax.Array:
    """Pools the messages `relu(receiver + sender)` of all pairs of bodies.

    Args:
      receiver, sender: `[B, N, W]`.
      weights: `[B, K, N, N]`, in each of K pools, of the message to a body from a body (last axis).

    Returns:
      `[B, N, K, W]`.
    """
    pools = [jnp.zeros_like(receiver)] * weights.shape[1]
    for j in range(sender.shape[1]):  # written out, it is one loop, and no table of pairs is ever stored
        message = nn.relu(receiver + sender[:, j : j + 1])
        pools = [pool + weights[:, k, :, j, None] * message for k, pool in enumerate(pools)]
    return jnp.stack(pools, axis=2)


def _pair_forward(
    receiver: jax.Array, sender: jax.Array, weights: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    return pair_messages(receiver, sender, weights), (receiver, sender, weights)


def _pair_backward(
    saved: tuple[jax.Array, ...], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums the cotangents of all messages to a body, and of all from it, each again in one loop."""
    receiver, sender, weights = saved
    by_receiver, by_sender = jnp.zeros_like(receiver), jnp.zeros_like(sender)
    for n in range(sender.shape[1]):
        to_all = sum(weights[:, k, :, n, None] * cotangent[:, :, k] for k in range(weights.shape[1]))
        by_receiver += jnp.where(receiver + sender[:, n : n + 1] > 0, to_all, 0)
        to_one = sum(weights[:, k, n, :, None] * cotangent[:, n, None, k] for k in range(weights.shape[1]))
        by_sender += jnp.where(receiver[:, n : n + 1] + sender > 0, to_one, 0)
    messages = nn.relu(receiver[:, :, None] + sender[:, None])
    return by_receiver, by_sender, jnp.einsum("bikw,bijw->bkij", cotangent, messages)


pair_messages.defvjp(_pair_forward, _pair_backward)


def pair_weights(entities: Entities, attention: jax.Array) -> jax.Array:
    """Returns the weights of means over green, blue and red bodies, and of a sum over touching ones.

    Args:
      entities: entities of a scene.
      attention: bool `[B, 4, N, N]`, the masks of the observation.

    Returns:
      `[B, 4, N, N]`.
    """
    roles = entities.roles / jnp.maximum(entities.roles.sum(axis=1, keepdims=True), 1)
    contact = attention[:, CONTACT_MASK : CONTACT_MASK + 1].astype(roles.dtype)
    goals = jnp.swapaxes(roles, 1, 2)[:, :, None]
    goals = jnp.broadcast_to(goals, (*goals.shape[:2], *contact.shape[2:]))
    return jnp.concatenate([goals, contact], axis=1)


def read_ends(bodies: jax.Array, entities: Entities) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Reads source and target of each joint's row, `[B, 2 J, W]`, and each thruster's body, `[B, T, W]`."""
    return gather(entities.source, bodies), gather(entities.target, bodies), gather(entities.body, bodies)


class Edges(nn.Module):
    """Embeds joints and thrusters together with the bodies that they act on."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, bodies: jax.Array, entities: Entities) -> tuple[jax.Array, jax.Array]:
        """Maps bodies `[B, N, W]` and entities to joints `[B, 2 J, W]` and thrusters `[B, T, W]`."""
        layer = lambda name: dense(self.config.width, DTYPES[self.config.dtype], name=name)
        source, target, body = read_ends(bodies, entities)
        joints = layer("source")(source) + layer("target")(target) + layer("joint")(entities.joints)
        return nn.relu(joints), nn.relu(layer("body")(body) + layer("thruster")(entities.thrusters))


class GraphLayer(nn.Module):
    """One round of messages to every body: from the goals and along contacts, joints and thrusters."""

    config: NetworkConfig

    @nn.compact
    def __call__(
        self, bodies: jax.Array, entities: Entities, motion: jax.Array, attention: jax.Array
    ) -> jax.Array:
        """Updates the bodies.

        Args:
          bodies: `[B, N, W]`.
          entities: tables and references of the scene.
          motion: `[B, N, 4]`, positions [m] and velocities [m/s], of which messages see the differences.
          attention: bool `[B, 4, N, N]`.

        Returns:
          `[B, N, W]`, nowhere negative.
        """
        width, dtype = self.config.width, DTYPES[self.config.dtype]
        layer = lambda name: dense(width, dtype, 1.0, name=name)
        half = lambda name: dense(max(width // 2, 1), dtype, 1.0, bias=name == "receiver", name=name)
        relative = half("relative")(motion)
        receiver, sender = half("receiver")(bodies) + relative, half("sender")(bodies) - relative
        pairs = pair_messages(receiver, sender, pair_weights(entities, attention))
        joints, thrusters = Edges(self.config, name="edges")(bodies, entities)
        received = layer("pairs")(pairs.reshape(*bodies.shape[:2], -1))
        received += scatter(entities.source, layer("joints")(joints))
        received += scatter(entities.body, layer("thrusters")(thrusters))
        return nn.relu(layer("own")(bodies) + received)


class GraphNet(nn.Module):
    """An embedding of every body, rounds of messages, and pooling over bodies."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: EntityObservation, features: EntityObservation) -> EntityEmbedding:
        """Embeds observations, read as by `entity_tables`: scenes `[B, 5 W]` and bodies.

        Joints that no action moves have no binding; the tables of joints and thrusters are not embedded.
        """
        config, dtype = self.config, DTYPES[self.config.dtype]
        entities = entity_tables(config, obs, features)
        driven = driven_joints(obs)[..., None].astype(dtype)
        entities = entities._replace(motor_binding=entities.motor_binding * driven)
        motion = jnp.concatenate([obs.shapes[..., SHAPE_FEATURES[name]] for name in MOTION_FEATURES], axis=-1)
        # Polygons and circles share the layer: the features of the one are 0 in rows of the other.
        bodies = nn.relu(dense(config.width, dtype, name="shape")(entities.bodies))
        for i in range(config.layers):
            bodies = GraphLayer(config, name=f"layer_{i}")(bodies, entities, motion, obs.attention)
        return EntityEmbedding(pool_scene(bodies, entities), bodies, entities)


class BindingActorCritic(nn.Module):
    """One actor head for all motor bindings, one for all thruster bindings, and a critic that hears both.

    The critic adds up a function of each binding's motors or thrusters, so that it knows which act together.
    Joints without a motor that listens to their binding belong to none.
    Exchanging two bindings of a level exchanges their part of the policy and changes nothing else.
    """

    config: NetworkConfig
    actions: ActionAdapter
    critic_outputs: int

    @nn.compact
    def __call__(self, scene: jax.Array, embedding: EntityEmbedding) -> tuple[jax.Array, jax.Array]:
        """Computes the outputs of `agents.networks.distributions.make_distribution`, and the critic's.

        Args:
          scene: `[B, E]`, which may have been through a memory.
          embedding: embeddings of the entities.

        Returns:
          float32 `[B, num_outputs]` and float32 `[B, critic_outputs]`.
        """
        config, dtype = self.config, DTYPES[self.config.dtype]
        width, entities = config.head_width, embedding.entities
        joints, thrusters = Edges(config, name="edges")(embedding.bodies, entities)
        pooled = scatter(entities.motor_binding, joints), scatter(entities.thruster_binding, thrusters)
        layer = lambda name: dense(width, dtype, name=name)
        outputs, critic = [], layer("critic_scene")(scene)
        for name, bound, count in zip(
            ("motor", "thruster"), pooled, NUM_OUTPUTS[self.actions.type], strict=True
        ):
            hidden = layer(f"{name}_scene")(scene)[:, None] + layer(f"{name}_bound")(bound)
            hidden = self._hidden(name, jnp.tanh(hidden))
            head = dense(count, jnp.float32, ACTOR_SCALE, name=f"{name}_out")(hidden)
            outputs.append(head.reshape(scene.shape[0], -1))
            # Summed after a curved function: a sum of linear ones would not tell which act together.
            critic += layer(f"critic_{name}")(jnp.tanh(bound).sum(axis=1))
        if self.actions.type == "discrete":  # the choice between motors and thrusters that does nothing
            outputs.insert(1, dense(1, jnp.float32, ACTOR_SCALE, name="noop")(scene))
        value = dense(self.critic_outputs, jnp.float32, 1.0, name="value")
        return jnp.concatenate(outputs, axis=-1), value(self._hidden("critic", jnp.tanh(critic)))

    def _hidden(self, name: str, x: jax.Array) -> jax.Array:
        """Applies the hidden layers of a head but the first."""
        for i in range(self.config.head_layers - 1):
            x = jnp.tanh(dense(self.config.head_width, DTYPES[self.config.dtype], name=f"{name}_{i}")(x))
        return x
