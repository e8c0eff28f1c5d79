"""The entity observation: one table a kind of entity, who refers to whom, and four attention masks."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.env.game import touching_bodies
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.roles import NUM_ROLES

# Angular velocities go through tanh(w / ANGULAR_VELOCITY_SCALE) [rad/s].
ANGULAR_VELOCITY_SCALE = 10.0
# Columns of `shape_features` that say polygon or circle: from, to.
KIND_COLUMNS = (19, 21)
# Columns of `joint_features` and `thruster_features` before the one-hot of the binding.
JOINT_COLUMNS, THRUSTER_COLUMNS = 15, 5


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EntityObservation:
    """A level as sets of entities; rows of unused slots are zero and masked."""

    shapes: jax.Array  # float [N, F], bodies in slot order
    shape_mask: jax.Array  # bool [N]
    joints: jax.Array  # float [2 J, G], from a to b, then from b to a
    joint_mask: jax.Array  # bool [2 J]
    joint_bodies: jax.Array  # int32 [2 J, 2], the body a row starts from, and the other
    thrusters: jax.Array  # float [T, H]
    thruster_mask: jax.Array  # bool [T]
    thruster_body: jax.Array  # int32 [T]
    attention: jax.Array  # bool [4, N, N]: all, same component, joined by a joint, in contact now


def _columns(*parts: jax.Array) -> jax.Array:
    """Features side by side: `[rows]` and `[rows, n]` to `[rows, sum]`, as floats."""
    wide = [part[:, None] if part.ndim == 1 else part for part in parts]
    return jnp.concatenate([part.astype(jnp.float32) for part in wide], axis=1)


def _one_hot(index: jax.Array, count: int) -> jax.Array:
    return index[:, None] == jnp.arange(count)[None]


def shape_features(state: EnvState) -> jax.Array:
    """Features of every body: float `[N, 21 + 3 V]`.

    Position (2), velocity (2), inverse mass, inverse inertia, density, tanh of the angular velocity / 10,
    role one-hot (4), sine and cosine of the rotation, friction, restitution, gravity (2), radius, polygon?,
    circle?, then the vertices (2 V) and which of them are used (V).
    """
    sim = state.sim
    polygons, size = sim.vertices.shape[:2]
    circle = jnp.arange(state.size.num_bodies) >= polygons
    used = jnp.arange(size)[None] < sim.num_vertices[:, None]
    outline = jnp.concatenate(
        [jnp.where(used[..., None], sim.vertices, 0).reshape(polygons, -1), used.astype(jnp.float32)], axis=1
    )
    spread = lambda value, before, after: jnp.pad(value, ((before, after), (0, 0)))
    circles = state.size.num_bodies - polygons
    return _columns(
        sim.position,
        sim.velocity,
        sim.inverse_mass,
        sim.inverse_inertia,
        state.labels.density,
        jnp.tanh(sim.angular_velocity / ANGULAR_VELOCITY_SCALE),
        _one_hot(state.labels.role, NUM_ROLES),
        jnp.sin(sim.rotation),
        jnp.cos(sim.rotation),
        sim.friction,
        sim.restitution,
        jnp.broadcast_to(sim.gravity[None], sim.position.shape),
        spread(sim.radius[:, None], polygons, 0),
        ~circle,
        circle,
        spread(outline, 0, circles),
    )


def joint_features(state: EnvState, backwards: bool) -> jax.Array:
    """Features of every joint seen from body a, or backwards from body b: float `[J, 15 + bindings]`.

    Anchor on this body (2) and on the other (2), fixed?, motor?, speed, power, limits?, least and greatest
    rotation, sine and cosine of the reference rotation, runs by itself?, inactive motors bound to nothing:
    one-hot of the binding, and whether this is the direction from b to a.
    """
    joints = state.sim.joints
    sign = -1.0 if backwards else 1.0
    here, there = joints.anchor_a, joints.anchor_b
    low, high = joints.min_rotation, joints.max_rotation
    if backwards:
        here, there, low, high = there, here, -high, -low
    return _columns(
        here,
        there,
        joints.weld,
        joints.motor_on,
        sign * joints.motor_speed,
        joints.motor_power,
        joints.limits_on,
        jnp.where(joints.limits_on, low, 0),
        jnp.where(joints.limits_on, high, 0),
        jnp.sin(sign * joints.reference_rotation),
        jnp.cos(joints.reference_rotation),
        state.labels.motor_auto,
        jnp.full_like(joints.active, backwards),
        _one_hot(state.labels.motor_binding, state.size.num_motor_bindings),
    )


def thruster_features(state: EnvState) -> jax.Array:
    """Features of every thruster: anchor (2), sine and cosine of its direction, power, binding one-hot."""
    thrusters = state.sim.thrusters
    return _columns(
        thrusters.anchor,
        jnp.sin(thrusters.direction),
        jnp.cos(thrusters.direction),
        thrusters.power,
        _one_hot(state.labels.thruster_binding, state.size.num_thruster_bindings),
    )


def attention_masks(state: EnvState) -> jax.Array:
    """Who may attend to whom: bool `[4, N, N]`; rows and columns of unused slots are False."""
    active = state.sim.active
    both = active[:, None] & active[None]
    linked = state.component[:, None] == state.component[None]
    return both[None] & jnp.stack([both, linked, jax2d.joint_adjacency(state.sim), touching_bodies(state)])


def entity_observation(state: EnvState, params: EnvParams) -> EntityObservation:
    """The entity observation of one environment."""
    joints, thrusters = state.sim.joints, state.sim.thrusters
    masked = lambda table, mask: jnp.where(mask[:, None], table, 0)
    both_ways = jnp.concatenate([joints.active, joints.active])
    tables = [joint_features(state, backwards) for backwards in (False, True)]
    ends = jnp.stack(
        [
            jnp.concatenate([joints.body_a, joints.body_b]),
            jnp.concatenate([joints.body_b, joints.body_a]),
        ],
        axis=1,
    )
    return EntityObservation(
        shapes=masked(shape_features(state), state.sim.active),
        shape_mask=state.sim.active,
        joints=masked(jnp.concatenate(tables), both_ways),
        joint_mask=both_ways,
        joint_bodies=jnp.where(both_ways[:, None], ends, 0),
        thrusters=masked(thruster_features(state), thrusters.active),
        thruster_mask=thrusters.active,
        thruster_body=jnp.where(thrusters.active, thrusters.body, 0),
        attention=attention_masks(state),
    )
