"""Joints: sequential impulses with position correction (docs/physics.md, sweeps). Arrays are batch-last.

Which bodies a joint links is data, so bodies are read by one-hot sums (README.md, layout). Walls never move
and have no rows among the free bodies.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.batching import on_cpu, short_scan
from jax2d.params import SOLVER_VELOCITY_MARGIN, SimParams, SimSpec
from jax2d.solver.blocks import unrolled_sum
from jax2d.solver.contacts import Bodies
from jax2d.types import Joints, SimState


class JointEnd(NamedTuple):
    """One end of every joint slot; an inactive joint has no body, and zeros."""

    body: jax.Array  # int32 [J, B], index among the free bodies; negative for a wall and for none
    arm_x: jax.Array  # [J, B] m, anchor minus body position, in the world
    arm_y: jax.Array
    inverse_mass: jax.Array  # [J, B] 1/kg
    inverse_inertia: jax.Array  # [J, B] 1/(kg m^2)


class JointConstraints(NamedTuple):
    """Properties of joints that stay fixed while constraints are solved."""

    a: JointEnd
    b: JointEnd
    anchor_error_x: jax.Array  # [J, B] m, anchor b minus anchor a when the step began
    anchor_error_y: jax.Array
    inverse_mass: jax.Array  # [J, B] 1/kg, of both; 1 where it would be 0
    inverse_inertia: jax.Array  # [J, B] 1/(kg m^2), of both; 1 where it would be 0
    weld: jax.Array  # bool [J, B]
    angular_bias: jax.Array  # [J, B] rad/s


class JointImpulses(NamedTuple):
    """Impulses of every joint slot."""

    x: jax.Array  # [J, B] N s, on body a
    y: jax.Array
    angular: jax.Array  # [J, B] N m s, of weld joints


def nonzero(value: jax.Array) -> jax.Array:
    """Replaces 0 by 1: a divisor that masked entities cannot turn into NaN."""
    return jnp.where(value == 0, 1, value)


def one_hot(index: jax.Array, active: jax.Array, num_bodies: int) -> jax.Array:
    """Encodes the bodies that `index [M, B]` names, none where inactive: float `[M, num_bodies, B]`."""
    named = index[:, None] == jnp.arange(num_bodies)[None, :, None]
    return (named & active[:, None]).astype(jnp.float32)


def pick(is_body: jax.Array, values: jax.Array) -> jax.Array:
    """Sums `values [bodies, B]` over one-hot rows `[..., bodies, B]`: `[..., B]`."""
    wide = values.reshape(values.shape[0], *[1] * (is_body.ndim - 2), values.shape[-1])
    rows = [is_body[..., i, :] * wide[i] for i in range(values.shape[0])]
    return unrolled_sum(rows) if rows else jnp.zeros(is_body.shape[:-2] + is_body.shape[-1:])


def relative_rotation(joints: Joints, state: SimState, a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes the rotation of b relative to a less the joint's reference: `[J, B]` rad."""
    return pick(b, state.rotation) - pick(a, state.rotation) - joints.reference_rotation


def pick_turned(is_body: jax.Array, active: jax.Array, rotation: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Computes cosine and sine of the rotations of one-hot bodies: `[M, B]` each, 0 where inactive.

    Of what was picked, and not picked from those of all bodies: the compiler would compute all of them anew
    for every row.
    """
    angle = pick(is_body, rotation)
    return jnp.where(active, jnp.cos(angle), 0), jnp.where(active, jnp.sin(angle), 0)


def _end(index, anchor, state, spec) -> tuple[JointEnd, jax.Array, jax.Array, jax.Array]:
    """Prepares one end of all joints; also returns its anchors in the world and its one-hot rows."""
    whole = one_hot(index, state.joints.active, spec.num_bodies)
    c, s = pick_turned(whole, state.joints.active, state.rotation)
    arm_x = c * anchor[:, 0] - s * anchor[:, 1]
    arm_y = s * anchor[:, 0] + c * anchor[:, 1]
    free = whole[:, spec.num_walls :]
    end = JointEnd(
        body=jnp.where(state.joints.active, index - spec.num_walls, -1).astype(jnp.int32),
        arm_x=arm_x,
        arm_y=arm_y,
        inverse_mass=pick(free, state.inverse_mass[spec.num_walls :]),
        inverse_inertia=pick(free, state.inverse_inertia[spec.num_walls :]),
    )
    x, y = pick(whole, state.position[:, 0]), pick(whole, state.position[:, 1])
    return end, x + arm_x, y + arm_y, whole


def prepare_joints(state: SimState, params: SimParams, spec: SimSpec) -> JointConstraints:
    """Prepares the joints of a batch-last state."""
    joints, params = state.joints, params.broadcast_to_rank(2)
    a, ax, ay, is_a = _end(joints.body_a, joints.anchor_a, state, spec)
    b, bx, by, is_b = _end(joints.body_b, joints.anchor_b, state, spec)
    active = joints.active
    rotation = relative_rotation(joints, state, is_a, is_b)
    beyond = rotation - jnp.clip(rotation, joints.min_rotation, joints.max_rotation)
    weld = joints.weld & active
    limited = joints.limits_on & active & ~joints.weld
    return JointConstraints(
        a=a,
        b=b,
        anchor_error_x=jnp.where(active, bx - ax, 0),
        anchor_error_y=jnp.where(active, by - ay, 0),
        inverse_mass=nonzero(a.inverse_mass + b.inverse_mass),
        inverse_inertia=nonzero(a.inverse_inertia + b.inverse_inertia),
        weld=weld,
        angular_bias=jnp.where(
            weld,
            params.fixed_joint_angular_bias * rotation,
            jnp.where(limited, params.joint_limit_angular_bias * beyond, 0),
        ),
    )


# While joints are solved, the motion of the free bodies is one array `[5, bodies, B]`: velocity along x and
# y [m/s], displacement along x and y [m], angular velocity [rad/s].
_ANGULAR = 4


def _join_bodies(bodies: Bodies) -> tuple[jax.Array, jax.Array]:
    """Joins polygons and circles to single arrays: motion, and the inverse mass or inertia of each row."""
    join = lambda rows: jnp.stack([jnp.concatenate(row) for row in rows])
    velocity, spin = join([bodies.velocity_x, bodies.velocity_y]), join([bodies.angular_velocity])
    inverses = [bodies.inverse_mass] * _ANGULAR + [bodies.inverse_inertia]
    return jnp.concatenate([velocity, bodies.displacement, spin]), join(inverses)


def _split_bodies(motion: jax.Array, bodies: Bodies) -> Bodies:
    """Splits the motion of all bodies into polygons and circles again."""
    size = bodies.angular_velocity[0].shape[0]
    vx, vy, w = ((row[:size], row[size:]) for row in (motion[0], motion[1], motion[_ANGULAR]))
    return bodies._replace(velocity_x=vx, velocity_y=vy, angular_velocity=w, displacement=motion[2:_ANGULAR])


def _cross(x, y, u, v):
    return x * v - y * u


def _at_end(end: JointEnd, values: jax.Array) -> jax.Array:
    """Picks from `values [bodies, B]` those of the body at one joint's end, 0 if it is not free: `[B]`."""
    return unrolled_sum([jnp.where(end.body == i, row, 0) for i, row in enumerate(values)])


def _apply_joint_impulse(
    joint: JointConstraints,
    motion: jax.Array,
    inverses: jax.Array,
    impulse: JointImpulses,
    shift_x: jax.Array,
    shift_y: jax.Array,
) -> jax.Array:
    """Applies an impulse at a's anchor and its opposite at b's, and moves both bodies.

    Args:
      joint: one joint; fields `[B]`.
      motion: bodies before, `[5, bodies, B]`.
      inverses: their inverse masses and inertias, likewise.
      impulse: linear and angular impulse on body a.
      shift_x, shift_y: `[B]` kg m; a moves by its inverse mass times that, b the other way.
    """
    angular_a = _cross(joint.a.arm_x, joint.a.arm_y, impulse.x, impulse.y) + impulse.angular
    angular_b = _cross(joint.b.arm_x, joint.b.arm_y, impulse.x, impulse.y) + impulse.angular
    linear = (impulse.x, impulse.y, shift_x, shift_y)
    on_a, on_b = jnp.stack([*linear, angular_a]), jnp.stack([*linear, angular_b])
    # Of the motion's own shape: the compiler would keep smaller ones as arrays.
    body = jax.lax.broadcasted_iota(jnp.int32, motion.shape, 1)
    at = lambda end, value: jnp.where(jnp.broadcast_to(end.body, motion.shape) == body, value[:, None], 0)
    return motion + inverses * (at(joint.a, on_a) - at(joint.b, on_b))


def _solve_one(
    joint: JointConstraints, motion: jax.Array, inverses: jax.Array, params: SimParams
) -> tuple[jax.Array, JointImpulses]:
    """Solves one joint in one sweep; fields of `joint` are `[B]`.

    Errors and velocities are divided by the joint's mass first (README.md, XLA: quotients).
    """
    a, b, mass = joint.a, joint.b, joint.inverse_mass
    *linear_a, wa = (_at_end(a, row) for row in motion)
    *linear_b, wb = (_at_end(b, row) for row in motion)
    vx, vy, dx, dy = (of_b - of_a for of_a, of_b in zip(linear_a, linear_b, strict=True))
    # The shared anchor divides the error between both anchors; the heavier body's anchor is nearer to it.
    error_over_mass_x = (joint.anchor_error_x + dx) / mass
    error_over_mass_y = (joint.anchor_error_y + dy) / mass
    shared_anchor_ax = a.arm_x + a.inverse_mass * error_over_mass_x
    shared_anchor_ay = a.arm_y + a.inverse_mass * error_over_mass_y
    shared_anchor_bx = b.arm_x - b.inverse_mass * error_over_mass_x
    shared_anchor_by = b.arm_y - b.inverse_mass * error_over_mass_y
    # The impulse that would stop the anchors if the bodies could not turn. Joints of one sweep see what those
    # before them left: without the bound a row of them could double velocities until their squares overflow.
    bound = 2 * SOLVER_VELOCITY_MARGIN * params.max_velocity
    ux = jnp.clip(vx - wb * shared_anchor_by + wa * shared_anchor_ay, -bound, bound) / mass
    uy = jnp.clip(vy + wb * shared_anchor_bx - wa * shared_anchor_ax, -bound, bound) / mass
    turning = (
        _cross(a.arm_x, a.arm_y, ux, uy) ** 2 * a.inverse_inertia
        + _cross(b.arm_x, b.arm_y, ux, uy) ** 2 * b.inverse_inertia
    )
    scale = params.joint_stiffness / (1 + turning / (mass * nonzero(ux**2 + uy**2)))
    jx = scale * (ux + params.joint_velocity_bias * error_over_mass_x)
    jy = scale * (uy + params.joint_velocity_bias * error_over_mass_y)
    relative_spin = (
        wb
        - b.inverse_inertia * _cross(b.arm_x, b.arm_y, jx, jy)
        - wa
        - a.inverse_inertia * _cross(a.arm_x, a.arm_y, jx, jy)
    )
    wanted = relative_spin + joint.angular_bias
    stops = joint.weld | (relative_spin * joint.angular_bias > 0)
    impulse = JointImpulses(jx, jy, jnp.where(stops, wanted, 0) / joint.inverse_inertia)
    shift_x = params.joint_position_correction * error_over_mass_x
    shift_y = params.joint_position_correction * error_over_mass_y
    return _apply_joint_impulse(joint, motion, inverses, impulse, shift_x, shift_y), impulse


def solve_joints(
    joints: JointConstraints, accumulated: JointImpulses, bodies: Bodies, params: SimParams
) -> tuple[JointImpulses, Bodies]:
    """Solves all joints once, one after another in slot order."""
    if joints.anchor_error_x.shape[0] == 0:
        return accumulated, bodies
    motion, inverses = _join_bodies(bodies)

    def visit(motion, joint):
        motion, impulse = _solve_one(joint, motion, inverses, params)
        return motion, impulse._replace(angular=jnp.where(joint.weld, impulse.angular, 0))

    motion, added = short_scan(visit, motion, joints)
    return jax.tree.map(jnp.add, accumulated, added), _split_bodies(motion, bodies)


def warm_start_joints(joints: JointConstraints, impulses: JointImpulses, bodies: Bodies) -> Bodies:
    """Applies last step's impulses of all joints."""
    motion, inverses = _join_bodies(bodies)
    for j in range(joints.anchor_error_x.shape[0]):
        joint, impulse = jax.tree.map(lambda field, j=j: field[j], (joints, impulses))
        still = jnp.zeros_like(impulse.x)
        motion = _apply_joint_impulse(joint, motion, inverses, impulse, still, still)
    if not on_cpu():  # or every part of it would be computed from all joints anew
        motion = jax.lax.optimization_barrier(motion)
    return _split_bodies(motion, bodies)
