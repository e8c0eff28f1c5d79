"""The mirror image of an entity observation: the room reflected about its vertical middle line."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.levels.mirror import turned_order
from kinetix_py.observations.entity import (
    JOINT_FEATURES,
    SHAPE_FEATURES,
    THRUSTER_FEATURES,
    EntityObservation,
)
from kinetix_py.sizes import ROOM

# Features whose first column changes its sign: x of vectors, sine of rotations, angular velocity.
ODD_SHAPE_FEATURES = ("position", "velocity", "angular_velocity", "rotation", "gravity")
ODD_JOINT_FEATURES = ("anchor", "other_anchor", "reference_rotation")
ODD_THRUSTER_FEATURES = ("anchor",)


def _negate(table: jax.Array, columns: list[int]) -> jax.Array:
    """Negates columns of a table `[..., rows, F]`."""
    sign = np.ones(table.shape[-1], np.float32)
    sign[columns] = -1
    return table * jnp.asarray(sign).reshape((1,) * (table.ndim - 1) + (-1,))


def _mirror_shapes(table: jax.Array, used: jax.Array) -> jax.Array:
    columns = [SHAPE_FEATURES[name].start for name in ODD_SHAPE_FEATURES]
    table = _negate(table, columns)
    x = SHAPE_FEATURES["position"].start
    table = table.at[..., x].add(jnp.where(used, ROOM, 0.0))
    outline = table[..., SHAPE_FEATURES["outline"]]
    num_vertices = outline.shape[-1] // 3
    vertices, in_use = jnp.split(outline, [2 * num_vertices], axis=-1)
    vertices = vertices.reshape(*table.shape[:-1], num_vertices, 2).at[..., 0].multiply(-1.0)
    order = turned_order(in_use.sum(axis=-1).astype(jnp.int32), num_vertices)
    vertices = jnp.take_along_axis(vertices, order[..., None], axis=-2)
    outline = jnp.concatenate([vertices.reshape(*table.shape[:-1], 2 * num_vertices), in_use], axis=-1)
    return table.at[..., SHAPE_FEATURES["outline"]].set(outline)


def _mirror_joints(table: jax.Array) -> jax.Array:
    speed, auto = (table[..., JOINT_FEATURES[name]] for name in ("motor_speed", "motor_auto"))
    limits = table[..., JOINT_FEATURES["limits"]]
    table = _negate(table, [JOINT_FEATURES[name].start for name in ODD_JOINT_FEATURES])
    table = table.at[..., JOINT_FEATURES["motor_speed"]].set(jnp.where(auto > 0, -speed, speed))
    return table.at[..., JOINT_FEATURES["limits"]].set(-limits[..., ::-1])


def _mirror_thrusters(table: jax.Array) -> jax.Array:
    columns = [THRUSTER_FEATURES[name].start for name in ODD_THRUSTER_FEATURES]
    cosine = THRUSTER_FEATURES["direction"].start + 1
    return _negate(table, [*columns, cosine])


def mirror_observation(obs: EntityObservation) -> EntityObservation:
    """Returns the observation of the mirrored state, each entity in its own row.

    It is what the same moment of `kinetix_py.mirror_level` looks like, where actions are those of
    `ActionAdapter.mirror`; only that the rows of the left and the right wall have not changed places. The
    mirror image of a mirror image is the observation.

    Args:
      obs: entity observation with any leading axes.
    """
    return dataclasses.replace(
        obs,
        shapes=_mirror_shapes(obs.shapes, obs.shape_mask),
        joints=_mirror_joints(obs.joints),
        thrusters=_mirror_thrusters(obs.thrusters),
    )
