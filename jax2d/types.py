"""The state of a scene: frozen pytrees, with shape and unit on every field.

`N` bodies are `P` polygon slots, then `C` circle slots; `V` vertices, `J` joint slots, `T` thruster
slots, `K` contact slots (`jax2d.pairs`). Shapes are those of one scene; a batch adds an axis in front
of all of them (or, for `step_batch(..., batch_axis=-1)`, behind).
"""

from __future__ import annotations

import dataclasses

import jax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Joints:
    """Joints between two bodies, in slot order; an inactive slot's contents do not count."""

    body_a: jax.Array  # int32 [J]    body index in 0 .. N-1
    body_b: jax.Array  # int32 [J]    body index in 0 .. N-1, not body_a
    anchor_a: jax.Array  # float [J, 2] m, in body a's frame
    anchor_b: jax.Array  # float [J, 2] m, in body b's frame
    reference_rotation: jax.Array  # float [J] rad, rotation_b - rotation_a when made
    active: jax.Array  # bool [J]
    weld: jax.Array  # bool [J]     weld joint; else revolute
    motor_on: jax.Array  # bool [J]     revolute only
    motor_speed: jax.Array  # float [J]    1, times base_motor_speed
    motor_power: jax.Array  # float [J]    1, times base_motor_power
    limits_on: jax.Array  # bool [J]     revolute only
    min_rotation: jax.Array  # float [J]    rad, bound on rotation_b - rotation_a - reference
    max_rotation: jax.Array  # float [J]    rad


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Thrusters:
    """Thrusters on bodies, in slot order; an inactive slot's contents do not count."""

    body: jax.Array  # int32 [T]    body index in 0 .. N-1
    anchor: jax.Array  # float [T, 2] m, in the body's frame
    direction: jax.Array  # float [T]    rad, in the body's frame; where it pushes the body to
    power: jax.Array  # float [T]    1, times base_thruster_power
    active: jax.Array  # bool [T]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SimState:
    """A scene and its motion: all that `step` needs and carries."""

    position: jax.Array  # float [N, 2] m, of the center of mass
    rotation: jax.Array  # float [N]    rad
    velocity: jax.Array  # float [N, 2] m/s
    angular_velocity: jax.Array  # float [N]    rad/s
    inverse_mass: jax.Array  # float [N]    1/kg, 0 when static
    inverse_inertia: jax.Array  # float [N]    1/(kg m^2), 0 when static
    friction: jax.Array  # float [N]    1, times base_friction
    restitution: jax.Array  # float [N]    1, in 0 .. 1
    collision_mode: jax.Array  # int32 [N]    0, 1 or 2: collide if either is 2 or both are 1
    active: jax.Array  # bool [N]     slot in use
    vertices: jax.Array  # float [P, V, 2] m, clockwise, in the body's frame
    num_vertices: jax.Array  # int32 [P]
    radius: jax.Array  # float [C]    m
    gravity: jax.Array  # float [2]    m/s^2
    joints: Joints
    thrusters: Thrusters
    contact_impulse: jax.Array  # float [K, 2] N s, along the normal and the tangent, last step
    joint_impulse: jax.Array  # float [J, 3] N s (x, y) and N m s, last step


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Contacts:
    """The contacts of one step, found before it was solved; slot `k` belongs to `contact_pairs(spec)[k]`."""

    active: jax.Array  # bool [K]     the pair overlaps (also when a joint links the two)
    pushing: jax.Array  # bool [K]    active, and the two push each other
    normal: jax.Array  # float [K, 2] 1, from the first body of the pair to the second
    point: jax.Array  # float [K, 2] m
    penetration: jax.Array  # float [K]    m
