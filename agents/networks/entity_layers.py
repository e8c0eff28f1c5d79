"""Layers that read entity observations: embeddings of entities, messages along joints and thrusters."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from agents.networks.config import DTYPES, NetworkConfig
from kinetix_py.observations.entity import JOINT_COLUMNS, THRUSTER_COLUMNS, EntityObservation

# Columns of `kinetix_py.observations.entity.shape_features`.
POSITION_COLUMNS = slice(0, 2)
MASS_COLUMNS = (4, 5)  # inverse mass and inverse inertia: 0, or anything from 0.1 to 1e5
GOAL_ROLE_COLUMNS = slice(9, 12)  # green, blue, red
ROTATION_COLUMNS = (12, 13)  # sine and cosine
CIRCLE_COLUMN = 20
MASS_SCALE = 0.25  # brings the logarithms of masses to the size of the other features


def symlog(value: jax.Array) -> jax.Array:
    """Computes `sign(x) log(1 + |x|)`.

    Hafner et al., "Mastering diverse domains through world models" (2023).
    """
    return jnp.sign(value) * jnp.log1p(jnp.abs(value))


def dense(features: int, dtype: Any, scale: float = np.sqrt(2), bias: bool = True, name: str | None = None):
    """Makes a layer with orthogonal weights (Saxe et al., 2014) that computes in `dtype`."""
    init = nn.initializers.orthogonal(scale)
    return nn.Dense(features, use_bias=bias, dtype=dtype, kernel_init=init, name=name)


def masked_mean(table: jax.Array, mask: jax.Array) -> jax.Array:
    """Averages the rows in use of `[B, N, W]`, by bool `[B, N]`: float32 `[B, W]`, 0 if none is in use."""
    total = jnp.where(mask[..., None], table, 0).astype(jnp.float32).sum(axis=1)
    return total / jnp.maximum(mask.sum(axis=1), 1)[:, None]


def masked_max(table: jax.Array, mask: jax.Array) -> jax.Array:
    """Maximum over the rows in use of a table without negative numbers: float32 `[B, W]`, 0 if none is."""
    return jnp.where(mask[..., None], table, 0).astype(jnp.float32).max(axis=1, initial=0)


class Entities(NamedTuple):
    """Embeddings of and references between the entities of a batch of scenes."""

    bodies: jax.Array  # [B, N, W]
    joints: jax.Array  # [B, 2 J, W]
    thrusters: jax.Array  # [B, T, W]
    mask: jax.Array  # bool [B, N], bodies in use
    source: jax.Array  # [B, 2 J, N] one-hot, body that a joint's row starts from; 0 in unused rows
    target: jax.Array  # [B, 2 J, N] one-hot, the joint's other body
    body: jax.Array  # [B, T, N] one-hot, a thruster's body
    roles: jax.Array  # [B, N, 3] one-hot, green, blue, red
    motor_binding: jax.Array  # [B, 2 J, M] one-hot, binding of a joint
    thruster_binding: jax.Array  # [B, T, K] one-hot, binding of a thruster


class EntityEmbedding(NamedTuple):
    """Output of an entity network for a batch of scenes."""

    scene: jax.Array  # [B, E]
    bodies: jax.Array  # [B, N, W]
    entities: Entities


def gather(reference: jax.Array, bodies: jax.Array) -> jax.Array:
    """Reads the body that each row refers to: `[B, R, N]` one-hot and `[B, N, W]` to `[B, R, W]`."""
    return jnp.einsum("brn,bnw->brw", reference, bodies)


def scatter(reference: jax.Array, rows: jax.Array) -> jax.Array:
    """Sums rows over the bodies that they refer to: `[B, R, N]` one-hot and `[B, R, W]` to `[B, N, W]`."""
    return jnp.einsum("brn,brw->bnw", reference, rows)


def rotate(vector: jax.Array, sine: jax.Array, cosine: jax.Array) -> jax.Array:
    """Rotates vectors `[..., 2]` from bodies' frames into the world, by the bodies' rotations `[...]`."""
    x, y = vector[..., 0], vector[..., 1]
    return jnp.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)


def relative_positions(shapes: jax.Array, roles: jax.Array) -> jax.Array:
    """Computes vectors from the mean positions of green, blue and red shapes to each body.

    Args:
      shapes: `[B, N, F]`, the observation's table of bodies.
      roles: `[B, N, 3]` one-hot.

    Returns:
      `[B, N, 6]` m; 0 for a role that no shape has.
    """
    position = shapes[..., POSITION_COLUMNS]
    count = roles.sum(axis=1)
    center = jnp.einsum("bnr,bnx->brx", roles, position) / jnp.maximum(count, 1)[..., None]
    offset = position[:, :, None] - center[:, None]
    offset = jnp.where((count > 0)[:, None, :, None], offset, 0)
    return offset.reshape(*position.shape[:2], -1)


def joints_in_world(obs: EntityObservation, source: jax.Array, target: jax.Array) -> jax.Array:
    """Computes vectors from both bodies' centers to a joint, in the world: `[B, 2 J, 4]` m."""
    ends = []
    for anchor, reference in ((obs.joints[..., 0:2], source), (obs.joints[..., 2:4], target)):
        sine, cosine = (jnp.einsum("brn,bn->br", reference, obs.shapes[..., c]) for c in ROTATION_COLUMNS)
        ends.append(rotate(anchor, sine, cosine))
    return jnp.concatenate(ends, axis=-1)


def thrusters_in_world(obs: EntityObservation, body: jax.Array) -> jax.Array:
    """Computes vectors from a body's center to a thruster [m], and thrust directions: `[B, T, 4]`."""
    sine, cosine = (jnp.einsum("btn,bn->bt", body, obs.shapes[..., c]) for c in ROTATION_COLUMNS)
    direction = jnp.stack([obs.thrusters[..., 3], obs.thrusters[..., 2]], axis=-1)  # cosine, sine
    parts = [rotate(vector, sine, cosine) for vector in (obs.thrusters[..., 0:2], direction)]
    return jnp.concatenate(parts, axis=-1)


class EntityEncoder(nn.Module):
    """One dense layer for each kind of entity: polygons, circles, joints, thrusters."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: EntityObservation) -> Entities:
        """Embeds the entities of observations with one leading axis `[B]`."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        layer = lambda name, table: nn.relu(dense(config.width, dtype, name=name)(table))
        is_mass = np.isin(np.arange(obs.shapes.shape[-1]), MASS_COLUMNS)[None, None]
        shapes = jnp.where(is_mass, MASS_SCALE * symlog(obs.shapes), obs.shapes)
        circle = obs.shapes[..., CIRCLE_COLUMN, None] > 0
        count = obs.shapes.shape[1]

        def reference(index, mask):
            named = index[..., None] == jnp.arange(count)[None, None]
            return (named & mask[..., None]).astype(dtype)

        source = reference(obs.joint_bodies[..., 0], obs.joint_mask)
        target = reference(obs.joint_bodies[..., 1], obs.joint_mask)
        body = reference(obs.thruster_body, obs.thruster_mask)
        roles = obs.shapes[..., GOAL_ROLE_COLUMNS]
        joints, motor = jnp.split(obs.joints, [JOINT_COLUMNS], axis=-1)
        thrusters, thruster = jnp.split(obs.thrusters, [THRUSTER_COLUMNS], axis=-1)
        if config.actor == "global":  # the per-binding actor must not see binding indices
            joints, thrusters = obs.joints, obs.thrusters
        if config.relative_features:
            shapes = jnp.concatenate([shapes, relative_positions(obs.shapes, roles)], axis=-1)
            joints = jnp.concatenate([joints, joints_in_world(obs, source, target)], axis=-1)
            thrusters = jnp.concatenate([thrusters, thrusters_in_world(obs, body)], axis=-1)
        return Entities(
            bodies=jnp.where(circle, layer("circle", shapes), layer("polygon", shapes)),
            joints=layer("joint", joints),
            thrusters=layer("thruster", thrusters),
            mask=obs.shape_mask,
            source=source,
            target=target,
            body=body,
            roles=roles.astype(dtype),
            motor_binding=motor.astype(dtype),
            thruster_binding=thruster.astype(dtype),
        )


class MessagePassing(nn.Module):
    """Messages to every body from its joints, the bodies beyond them, and its thrusters.

    The message along a joint is a function of both its bodies and of the joint; a thruster's is a function of
    its body and of the thruster. A body sums its messages, so that their order has no meaning.
    """

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, bodies: jax.Array, entities: Entities) -> jax.Array:
        """Computes messages `[B, N, W]` from embeddings of the bodies `[B, N, W]`."""
        source, target = gather(entities.source, bodies), gather(entities.target, bodies)
        body = gather(entities.body, bodies)
        joint = self._message("joint", source, target, entities.joints)
        thruster = self._message("thruster", body, entities.thrusters)
        return scatter(entities.source, joint) + scatter(entities.body, thruster)

    def _message(self, name: str, *inputs: jax.Array) -> jax.Array:
        hidden = nn.relu(dense(self.width, self.dtype, name=f"{name}_in")(jnp.concatenate(inputs, -1)))
        return dense(self.width, self.dtype, 1.0, name=f"{name}_out")(hidden)
