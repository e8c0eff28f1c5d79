"""From an entity observation to one embedding per entity, and messages along joints and thrusters."""

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
    """`sign(x) log(1 + |x|)`: Hafner et al., "Mastering diverse domains through world models" (2023)."""
    return jnp.sign(value) * jnp.log1p(jnp.abs(value))


def dense(features: int, dtype: Any, scale: float = np.sqrt(2), bias: bool = True, name: str | None = None):
    """A layer with orthogonal weights (Saxe et al., 2014), computed in `dtype`."""
    init = nn.initializers.orthogonal(scale)
    return nn.Dense(features, use_bias=bias, dtype=dtype, kernel_init=init, name=name)


def masked_mean(table: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over the rows in use: `[B, N, W]` and bool `[B, N]` to float32 `[B, W]`; 0 if none is."""
    total = jnp.where(mask[..., None], table, 0).astype(jnp.float32).sum(axis=1)
    return total / jnp.maximum(mask.sum(axis=1), 1)[:, None]


def masked_max(table: jax.Array, mask: jax.Array) -> jax.Array:
    """Maximum over the rows in use of a table without negative numbers: float32 `[B, W]`; 0 if none is."""
    return jnp.where(mask[..., None], table, 0).astype(jnp.float32).max(axis=1, initial=0)


class Entities(NamedTuple):
    """Embeddings and references of a batch of scenes."""

    bodies: jax.Array  # [B, N, W]
    joints: jax.Array  # [B, 2 J, W]
    thrusters: jax.Array  # [B, T, W]
    mask: jax.Array  # bool [B, N], bodies in use
    here: jax.Array  # [B, 2 J, N] one-hot, the body a joint's row starts from; 0 in unused rows
    there: jax.Array  # [B, 2 J, N] one-hot, the other body
    at: jax.Array  # [B, T, N] one-hot, a thruster's body
    roles: jax.Array  # [B, N, 3] one-hot, green, blue, red
    motor: jax.Array  # [B, 2 J, M] one-hot, the binding of a joint
    thruster: jax.Array  # [B, T, K] one-hot, the binding of a thruster


class EntityEmbedding(NamedTuple):
    """What an entity network makes of scenes."""

    scene: jax.Array  # [B, E]
    bodies: jax.Array  # [B, N, W]
    entities: Entities


def turned(vector: jax.Array, sine: jax.Array, cosine: jax.Array) -> jax.Array:
    """Vectors `[..., 2]` of bodies' frames in the world, by the bodies' rotations `[...]`."""
    x, y = vector[..., 0], vector[..., 1]
    return jnp.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)


def relative_positions(shapes: jax.Array, roles: jax.Array) -> jax.Array:
    """From the mean place of green, blue and red shapes to each body; 0 if there are none: `[B, N, 6]` m."""
    position = shapes[..., POSITION_COLUMNS]
    count = roles.sum(axis=1)
    place = jnp.einsum("bnr,bnx->brx", roles, position) / jnp.maximum(count, 1)[..., None]
    away = position[:, :, None] - place[:, None]
    away = jnp.where((count > 0)[:, None, :, None], away, 0)
    return away.reshape(*position.shape[:2], -1)


def joints_in_world(obs: EntityObservation, here: jax.Array, there: jax.Array) -> jax.Array:
    """From both bodies' centers to a joint, in the world: `[B, 2 J, 4]` m."""
    ends = []
    for anchor, body in ((obs.joints[..., 0:2], here), (obs.joints[..., 2:4], there)):
        sine, cosine = (jnp.einsum("brn,bn->br", body, obs.shapes[..., c]) for c in ROTATION_COLUMNS)
        ends.append(turned(anchor, sine, cosine))
    return jnp.concatenate(ends, axis=-1)


def thrusters_in_world(obs: EntityObservation, at: jax.Array) -> jax.Array:
    """From a body's center to a thruster, and where it pushes, in the world: `[B, T, 4]`."""
    sine, cosine = (jnp.einsum("btn,bn->bt", at, obs.shapes[..., c]) for c in ROTATION_COLUMNS)
    push = jnp.stack([obs.thrusters[..., 3], obs.thrusters[..., 2]], axis=-1)  # cosine, sine
    parts = [turned(vector, sine, cosine) for vector in (obs.thrusters[..., 0:2], push)]
    return jnp.concatenate(parts, axis=-1)


class EntityEncoder(nn.Module):
    """One dense layer for each kind of entity: polygons, circles, joints, thrusters."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: EntityObservation) -> Entities:
        """Entities of observations with one leading axis `[B]`."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        layer = lambda name, table: nn.relu(dense(config.width, dtype, name=name)(table))
        is_mass = np.isin(np.arange(obs.shapes.shape[-1]), MASS_COLUMNS)[None, None]
        shapes = jnp.where(is_mass, MASS_SCALE * symlog(obs.shapes), obs.shapes)
        circle = obs.shapes[..., CIRCLE_COLUMN, None] > 0
        count = obs.shapes.shape[1]

        def reference(index, mask):
            named = index[..., None] == jnp.arange(count)[None, None]
            return (named & mask[..., None]).astype(dtype)

        here = reference(obs.joint_bodies[..., 0], obs.joint_mask)
        there = reference(obs.joint_bodies[..., 1], obs.joint_mask)
        at = reference(obs.thruster_body, obs.thruster_mask)
        roles = obs.shapes[..., GOAL_ROLE_COLUMNS]
        joints, motor = jnp.split(obs.joints, [JOINT_COLUMNS], axis=-1)
        thrusters, thruster = jnp.split(obs.thrusters, [THRUSTER_COLUMNS], axis=-1)
        if config.actor == "scene":  # the other one hears of each binding by itself: its number is no matter
            joints, thrusters = obs.joints, obs.thrusters
        if config.geometry:
            shapes = jnp.concatenate([shapes, relative_positions(obs.shapes, roles)], axis=-1)
            joints = jnp.concatenate([joints, joints_in_world(obs, here, there)], axis=-1)
            thrusters = jnp.concatenate([thrusters, thrusters_in_world(obs, at)], axis=-1)
        return Entities(
            bodies=jnp.where(circle, layer("circle", shapes), layer("polygon", shapes)),
            joints=layer("joint", joints),
            thrusters=layer("thruster", thrusters),
            mask=obs.shape_mask,
            here=here,
            there=there,
            at=at,
            roles=roles.astype(dtype),
            motor=motor.astype(dtype),
            thruster=thruster.astype(dtype),
        )


class Messages(nn.Module):
    """What every body hears from its joints, the bodies beyond them, and its thrusters.

    A joint tells each of its bodies a function of that body, the other one and itself; a thruster tells its
    body a function of both. A body adds up what it hears, so that the order has no meaning.
    """

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, bodies: jax.Array, entities: Entities) -> jax.Array:
        """Messages `[B, N, W]` from the bodies as they are now, `[B, N, W]`."""
        read = lambda reference: jnp.einsum("brn,bnw->brw", reference, bodies)
        send = lambda reference, message: jnp.einsum("brn,brw->bnw", reference, message)
        here, there, at = read(entities.here), read(entities.there), read(entities.at)
        joint = self._message("joint", here, there, entities.joints)
        thruster = self._message("thruster", at, entities.thrusters)
        return send(entities.here, joint) + send(entities.at, thruster)

    def _message(self, name: str, *inputs: jax.Array) -> jax.Array:
        hidden = nn.relu(dense(self.width, self.dtype, name=f"{name}_in")(jnp.concatenate(inputs, -1)))
        return dense(self.width, self.dtype, 1.0, name=f"{name}_out")(hidden)
