"""Layers that read entity observations: embeddings of entities, messages along joints and thrusters."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from agents.networks.config import DTYPES, NetworkConfig
from kinetix_py.observations.entity import (
    JOINT_FEATURES,
    SHAPE_FEATURES,
    THRUSTER_FEATURES,
    EntityObservation,
)

# Features that are 0, or anything from 0.1 to 1e5, and so go through a logarithm.
MASS_FEATURES = ("inverse_mass", "inverse_inertia")
MASS_SCALE = 0.25  # brings the logarithms of masses to the size of the other features


def symlog(value: jax.Array) -> jax.Array:
    """Computes `sign(x) log(1 + |x|)`.

    Hafner et al., "Mastering diverse domains through world models" (2023).
    """
    return jnp.sign(value) * jnp.log1p(jnp.abs(value))


class Dense(nn.Dense):
    """A dense layer on a table of two axes, whatever the leading axes of its input are.

    The gradient of the weights is then one product of matrices, which a CPU computes in half the time.
    """

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps `[..., F]` to `[..., features]`."""
        rows = super().__call__(inputs.reshape(-1, inputs.shape[-1]))
        return rows.reshape(*inputs.shape[:-1], self.features)


def dense(features: int, dtype: Any, scale: float = np.sqrt(2), bias: bool = True, name: str | None = None):
    """Makes a layer with orthogonal weights (Saxe et al., 2014) that computes in `dtype`."""
    init = nn.initializers.orthogonal(scale)
    return Dense(features, use_bias=bias, dtype=dtype, kernel_init=init, name=name)


def masked_mean(table: jax.Array, mask: jax.Array) -> jax.Array:
    """Averages the rows in use of `[B, N, W]`, by bool `[B, N]`: float32 `[B, W]`, 0 if none is in use."""
    total = jnp.where(mask[..., None], table, 0).astype(jnp.float32).sum(axis=1)
    return total / jnp.maximum(mask.sum(axis=1), 1)[:, None]


def masked_max(table: jax.Array, mask: jax.Array) -> jax.Array:
    """Maximum over the rows in use of a table without negative numbers: float32 `[B, W]`, 0 if none is."""
    return jnp.where(mask[..., None], table, 0).astype(jnp.float32).max(axis=1, initial=0)


class Entities(NamedTuple):
    """Tables of the entities of a batch of scenes, features or embeddings, and what they refer to."""

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


def _weighted_sums(weights: jax.Array, rows: jax.Array) -> jax.Array:
    shape = (*weights.shape[:2], rows.shape[-1])
    terms = (weights[:, :, n, None] * rows[:, None, n] for n in range(rows.shape[1]))
    return sum(terms, start=jnp.zeros(shape, jnp.result_type(weights, rows)))


@jax.custom_vjp
def gather(reference: jax.Array, bodies: jax.Array) -> jax.Array:
    """Reads the body that each row refers to: `[B, R, N]` one-hot and `[B, N, W]` to `[B, R, W]`.

    A sum over the few bodies, written out, is one loop that a CPU vectorizes; as a product of matrices it is
    one tiny product for each of the `B` scenes, and of lower precision where a GPU rounds their factors.
    """
    return _weighted_sums(reference, bodies)


def _gather_forward(reference: jax.Array, bodies: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    return _weighted_sums(reference, bodies), (reference, bodies)


def _gather_backward(saved: tuple[jax.Array, ...], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Written out as well: the derivative of each term alone would fill the rows of the others with zeros."""
    reference, bodies = saved
    by_reference = jnp.einsum("brw,bnw->brn", cotangent, bodies).astype(reference.dtype)
    return by_reference, _weighted_sums(jnp.swapaxes(reference, 1, 2), cotangent).astype(bodies.dtype)


gather.defvjp(_gather_forward, _gather_backward)


def scatter(reference: jax.Array, rows: jax.Array) -> jax.Array:
    """Sums rows over the bodies that they refer to: `[B, R, N]` one-hot and `[B, R, W]` to `[B, N, W]`."""
    return gather(jnp.swapaxes(reference, 1, 2), rows)


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
    position = shapes[..., SHAPE_FEATURES["position"]]
    count = roles.sum(axis=1)
    center = scatter(roles, position) / jnp.maximum(count, 1)[..., None]
    offset = position[:, :, None] - center[:, None]
    offset = jnp.where((count > 0)[:, None, :, None], offset, 0)
    return offset.reshape(*position.shape[:2], -1)


def body_rotations(shapes: jax.Array, reference: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Reads sine and cosine, `[B, R]` each, of the body that each row refers to by `[B, R, N]` one-hot."""
    rotation = gather(reference, shapes[..., SHAPE_FEATURES["rotation"]])
    return rotation[..., 0], rotation[..., 1]


def goal_roles(shapes: jax.Array) -> jax.Array:
    """One-hot roles green, blue and red of bodies, `[..., 3]`; all 0 for a body without one."""
    return shapes[..., SHAPE_FEATURES["role"]][..., 1:]


def joints_in_world(obs: EntityObservation, source: jax.Array, target: jax.Array) -> jax.Array:
    """Computes vectors from both bodies' centers to a joint, in the world: `[B, 2 J, 4]` m."""
    ends = []
    for name, reference in (("anchor", source), ("other_anchor", target)):
        sine, cosine = body_rotations(obs.shapes, reference)
        ends.append(rotate(obs.joints[..., JOINT_FEATURES[name]], sine, cosine))
    return jnp.concatenate(ends, axis=-1)


def thrusters_in_world(obs: EntityObservation, body: jax.Array) -> jax.Array:
    """Computes vectors from a body's center to a thruster [m], and thrust directions: `[B, T, 4]`."""
    sine, cosine = body_rotations(obs.shapes, body)
    anchor = obs.thrusters[..., THRUSTER_FEATURES["anchor"]]
    direction = obs.thrusters[..., THRUSTER_FEATURES["direction"]][..., ::-1]  # from sine, cosine to x, y
    return jnp.concatenate([rotate(vector, sine, cosine) for vector in (anchor, direction)], axis=-1)


def driven_joints(obs: EntityObservation) -> jax.Array:
    """Tells whose motor listens to its binding: `[..., 2 J]`, 0 for passive, welded and automatic ones."""
    is_set = lambda name: obs.joints[..., JOINT_FEATURES[name]][..., 0] > 0
    return (obs.joint_mask & is_set("motor_on") & ~is_set("weld") & ~is_set("motor_auto")).astype(jnp.float32)


def entity_tables(config: NetworkConfig, obs: EntityObservation, features: EntityObservation) -> Entities:
    """Reads the tables that are to be embedded, and what they refer to.

    Args:
      config: decides whether the tables hold bindings and relative features.
      obs: observations with one leading axis `[B]`; references, roles, bindings, masks and geometry are
        read from these, so they must not be normalized.
      features: the same observations, whose tables the dense layers read; may be normalized.
    """
    dtype = DTYPES[config.dtype]
    mass_columns = [SHAPE_FEATURES[name].start for name in MASS_FEATURES]
    is_mass = np.isin(np.arange(obs.shapes.shape[-1]), mass_columns)[None, None]
    shapes = jnp.where(is_mass, MASS_SCALE * symlog(features.shapes), features.shapes)
    count = obs.shapes.shape[1]

    def reference(index, mask):
        named = index[..., None] == jnp.arange(count)[None, None]
        return (named & mask[..., None]).astype(dtype)

    source = reference(obs.joint_bodies[..., 0], obs.joint_mask)
    target = reference(obs.joint_bodies[..., 1], obs.joint_mask)
    body = reference(obs.thruster_body, obs.thruster_mask)
    roles = goal_roles(obs.shapes)
    joints, thrusters = features.joints, features.thrusters
    if config.actor == "per_binding":  # it must not see binding indices
        joints = joints[..., : JOINT_FEATURES["binding"].start]
        thrusters = thrusters[..., : THRUSTER_FEATURES["binding"].start]
    if features.rule_tables is not None:
        tables = zip((shapes, joints, thrusters), features.rule_tables, strict=True)
        shapes, joints, thrusters = (jnp.concatenate(pair, axis=-1) for pair in tables)
    if config.relative_features:
        shapes = jnp.concatenate([shapes, relative_positions(obs.shapes, roles)], axis=-1)
        joints = jnp.concatenate([joints, joints_in_world(obs, source, target)], axis=-1)
        thrusters = jnp.concatenate([thrusters, thrusters_in_world(obs, body)], axis=-1)
    return Entities(
        bodies=shapes,
        joints=joints,
        thrusters=thrusters,
        mask=obs.shape_mask,
        source=source,
        target=target,
        body=body,
        roles=roles.astype(dtype),
        motor_binding=obs.joints[..., JOINT_FEATURES["binding"]].astype(dtype),
        thruster_binding=obs.thrusters[..., THRUSTER_FEATURES["binding"]].astype(dtype),
    )


class EntityEncoder(nn.Module):
    """One dense layer for each kind of entity: polygons, circles, joints, thrusters."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: EntityObservation, features: EntityObservation) -> Entities:
        """Embeds the entities of a batch of scenes, read as by `entity_tables`."""
        tables = entity_tables(self.config, obs, features)
        dtype = DTYPES[self.config.dtype]
        layer = lambda name, table: nn.relu(dense(self.config.width, dtype, name=name)(table))
        circle = obs.shapes[..., SHAPE_FEATURES["kind"]][..., 1:] > 0
        return tables._replace(
            bodies=jnp.where(circle, layer("circle", tables.bodies), layer("polygon", tables.bodies)),
            joints=layer("joint", tables.joints),
            thrusters=layer("thruster", tables.thrusters),
        )


def pool_scene(bodies: jax.Array, entities: Entities) -> jax.Array:
    """Pools bodies `[B, N, W]` to `[B, 5 W]`: mean, maximum, and the sums over green, blue and red ones.

    The bodies have no negative numbers.
    """
    by_role = scatter(entities.roles, bodies).reshape(bodies.shape[0], -1)
    pooled = [masked_mean(bodies, entities.mask), masked_max(bodies, entities.mask), by_role]
    return jnp.concatenate(pooled, axis=-1).astype(bodies.dtype)


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
