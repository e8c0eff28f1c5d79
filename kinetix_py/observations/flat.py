"""Observations as one vector: entities in slot order; the same padded to a common size; time alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.observations.entity import EntityObservation, entity_observation
from kinetix_py.sizes import SIZES

# Rows of each table of the padded vector, enough for every named size.
PADDED = SIZES["l"]


def _body_one_hot(index: jax.Array, mask: jax.Array, count: int) -> jax.Array:
    named = index[..., None] == jnp.arange(count).reshape((1,) * index.ndim + (-1,))
    return (named & mask.reshape(mask.shape + (1,) * index.ndim)).astype(jnp.float32)


def _vector(tables: EntityObservation, num_bodies: int) -> jax.Array:
    """Features, use and references of all entities as one vector; a joint once, from body a to body b."""
    count = tables.joints.shape[0] // 2
    joint_mask = tables.joint_mask[:count]
    parts = [
        tables.shapes,
        tables.shape_mask,
        tables.joints[:count],
        joint_mask,
        _body_one_hot(tables.joint_bodies[:count], joint_mask, num_bodies),
        tables.thrusters,
        tables.thruster_mask,
        _body_one_hot(tables.thruster_body, tables.thruster_mask, num_bodies),
    ]
    if tables.rule_tables is not None:
        shape_rules, joint_rules, thruster_rules = tables.rule_tables
        parts += [shape_rules, joint_rules[:count], thruster_rules]
    return jnp.concatenate([part.reshape(-1).astype(jnp.float32) for part in parts])


def flat_observation(state: EnvState, params: EnvParams) -> jax.Array:
    """All entities in slot order: float `[D]`, D fixed by the size."""
    return _vector(entity_observation(state, params), state.size.num_bodies)


def flat_padded_observation(state: EnvState, params: EnvParams) -> jax.Array:
    """All entities in slot order, each kind padded to the slots of size l (more if the size has more).

    Every size up to l gives a vector of one length, in which an entity's slot has a fixed place.
    """
    tables, size = entity_observation(state, params), state.size
    most = lambda name: max(getattr(size, name), getattr(PADDED, name))
    polygons, circles = most("num_polygons"), most("num_circles")

    def shapes(table):
        rows = lambda part, count: jnp.pad(part, [(0, count - part.shape[0])] + [(0, 0)] * (part.ndim - 1))
        return jnp.concatenate(
            [rows(table[: size.num_polygons], polygons), rows(table[size.num_polygons :], circles)]
        )

    moved = lambda index: jnp.where(index >= size.num_polygons, index + polygons - size.num_polygons, index)
    grow = lambda value, count: jnp.pad(value, [(0, count - value.shape[0])] + [(0, 0)] * (value.ndim - 1))
    joints, thrusters = 2 * most("num_joints"), most("num_thrusters")
    half = tables.joints.shape[0] // 2
    # The first half of the rows is padded; the second, the same joints backwards, is not read.
    first = lambda value: grow(value[:half], joints)
    padded = EntityObservation(
        shapes=shapes(tables.shapes),
        shape_mask=shapes(tables.shape_mask),
        joints=first(tables.joints),
        joint_mask=first(tables.joint_mask),
        joint_bodies=first(moved(tables.joint_bodies)),
        thrusters=grow(tables.thrusters, thrusters),
        thruster_mask=grow(tables.thruster_mask, thrusters),
        thruster_body=grow(moved(tables.thruster_body), thrusters),
        attention=tables.attention,
        shape_rules=None if tables.shape_rules is None else shapes(tables.shape_rules),
        joint_rules=None if tables.joint_rules is None else first(tables.joint_rules),
        thruster_rules=None if tables.thruster_rules is None else grow(tables.thruster_rules, thrusters),
    )
    return _vector(padded, polygons + circles)


def blind_observation(state: EnvState, params: EnvParams) -> jax.Array:
    """Observes the share of the time limit that has passed: float `[1]`."""
    return (state.step_count / params.max_timesteps).astype(jnp.float32)[None]
