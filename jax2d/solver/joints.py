"""Joints: sequential impulses with position correction (PHYSICS: step 6, joint). Arrays are batch-last.

Which bodies a joint links is data, so bodies are read by one-hot sums: for a dozen bodies that is
cheaper than a gather on a CPU and on a GPU alike. Walls never move and have no rows in the tables.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.params import SimParams, SimSpec
from jax2d.solver.blocks import total
from jax2d.solver.contacts import Bodies
from jax2d.types import Joints, SimState


class End(NamedTuple):
    """One end of every joint slot; zero everywhere for an inactive joint."""

    is_body: jax.Array  # float [J, free bodies, B], one-hot
    arm_x: jax.Array  # [J, B] m, anchor minus body position, in the world
    arm_y: jax.Array
    inverse_mass: jax.Array  # [J, B] 1/kg
    inverse_inertia: jax.Array  # [J, B] 1/(kg m^2)


class JointRows(NamedTuple):
    """Everything about joints that stays fixed while constraints are solved."""

    a: End
    b: End
    gap_x: jax.Array  # [J, B] m, anchor b minus anchor a when the step began
    gap_y: jax.Array
    inverse_mass: jax.Array  # [J, B] 1/kg, of both; 1 where it would be 0
    inverse_inertia: jax.Array  # [J, B] 1/(kg m^2), of both; 1 where it would be 0
    weld: jax.Array  # bool [J, B]
    angular_push: jax.Array  # [J, B] rad/s


class JointImpulses(NamedTuple):
    x: jax.Array  # [J, B] N s, on body a
    y: jax.Array
    angular: jax.Array  # [J, B] N m s, of weld joints


def nonzero(value: jax.Array) -> jax.Array:
    """The value, or 1 where it is 0: a divisor that masked entities cannot turn into NaN."""
    return jnp.where(value == 0, 1, value)


def one_hot(index: jax.Array, active: jax.Array, num_bodies: int) -> jax.Array:
    """Bodies that `index [M, B]` names, none where inactive: float `[M, num_bodies, B]`."""
    named = index[:, None] == jnp.arange(num_bodies)[None, :, None]
    return (named & active[:, None]).astype(jnp.float32)


def pick(is_body: jax.Array, values: jax.Array) -> jax.Array:
    """Sum of `values [bodies, B]` over one-hot rows `[..., bodies, B]`: `[..., B]`."""
    wide = values.reshape(values.shape[0], *[1] * (is_body.ndim - 2), values.shape[-1])
    rows = [is_body[..., i, :] * wide[i] for i in range(values.shape[0])]
    return total(rows) if rows else jnp.zeros(is_body.shape[:-2] + is_body.shape[-1:])


def relative_rotation(joints: Joints, state: SimState, a: jax.Array, b: jax.Array) -> jax.Array:
    """Rotation of b relative to a, less the joint's reference, from one-hot rows: `[J, B]` rad."""
    return pick(b, state.rotation) - pick(a, state.rotation) - joints.reference_rotation


def _end(index, anchor, state, cos, sin, spec) -> tuple[End, jax.Array, jax.Array, jax.Array]:
    whole = one_hot(index, state.joints.active, spec.num_bodies)
    c, s = pick(whole, cos), pick(whole, sin)
    arm_x = c * anchor[:, 0] - s * anchor[:, 1]
    arm_y = s * anchor[:, 0] + c * anchor[:, 1]
    free = whole[:, spec.num_walls :]
    end = End(
        free,
        arm_x,
        arm_y,
        pick(free, state.inverse_mass[spec.num_walls :]),
        pick(free, state.inverse_inertia[spec.num_walls :]),
    )
    x, y = pick(whole, state.position[:, 0]), pick(whole, state.position[:, 1])
    return end, x + arm_x, y + arm_y, whole


def joint_rows(
    state: SimState, cos: jax.Array, sin: jax.Array, params: SimParams, spec: SimSpec
) -> JointRows:
    """Prepares the joints of a batch-last state; `cos, sin [N, B]` are of the bodies' rotations."""
    joints, params = state.joints, params.at_rank(2)
    a, ax, ay, is_a = _end(joints.body_a, joints.anchor_a, state, cos, sin, spec)
    b, bx, by, is_b = _end(joints.body_b, joints.anchor_b, state, cos, sin, spec)
    active = joints.active
    rotation = relative_rotation(joints, state, is_a, is_b)
    beyond = rotation - jnp.clip(rotation, joints.min_rotation, joints.max_rotation)
    weld = joints.weld & active
    limited = joints.limits_on & active & ~joints.weld
    return JointRows(
        a,
        b,
        jnp.where(active, bx - ax, 0),
        jnp.where(active, by - ay, 0),
        nonzero(a.inverse_mass + b.inverse_mass),
        nonzero(a.inverse_inertia + b.inverse_inertia),
        weld,
        jnp.where(
            weld,
            params.fixed_joint_angular_bias * rotation,
            jnp.where(limited, params.joint_limit_angular_bias * beyond, 0),
        ),
    )


def _row(rows, j: int):
    return jax.tree.map(lambda field: field[j], rows)


class _Motion(NamedTuple):
    """The free bodies, polygons and circles in one table, while joints are solved."""

    linear: jax.Array  # [4, bodies, B]: velocity x, y [m/s], shift x, y [m]
    turning: jax.Array  # [bodies, B] rad/s


def _join_tables(bodies: Bodies) -> tuple[_Motion, jax.Array, jax.Array]:
    """The bodies' motion, inverse masses and inverse inertias as single tables."""
    joined = [jnp.concatenate(tables) for tables in bodies]
    return _Motion(jnp.stack([*joined[:2], *joined[3:5]]), joined[2]), joined[5], joined[6]


def _split_tables(motion: _Motion, bodies: Bodies) -> Bodies:
    size = bodies.angular_velocity[0].shape[0]
    split = [(table[:size], table[size:]) for table in (*motion.linear, motion.turning)]
    return Bodies(split[0], split[1], split[4], split[2], split[3], *bodies[5:])


def _cross(x, y, u, v):
    return x * v - y * u


def _push(row: JointRows, motion: _Motion, inverse_mass, inverse_inertia, jx, jy, angular, shift) -> _Motion:
    """Impulse (jx, jy) at a's anchor and its opposite at b's; likewise an angular one, and a shift.

    Args:
      shift: [kg m] along x and y; each body moves by its inverse mass times that.
    """
    turn_a = _cross(row.a.arm_x, row.a.arm_y, jx, jy) + angular
    turn_b = -_cross(row.b.arm_x, row.b.arm_y, jx, jy) - angular
    is_a, is_b = row.a.is_body, row.b.is_body
    change = jnp.stack([jx, jy, *shift])[:, None]
    linear = motion.linear + ((is_a - is_b) * inverse_mass)[None] * change
    turning = motion.turning + inverse_inertia * (is_a * turn_a[None] + is_b * turn_b[None])
    return _Motion(linear, turning)


def _solve_one(row: JointRows, motion: _Motion, inverse_mass, inverse_inertia, params: SimParams):
    """One joint in one sweep; `row` fields are `[B]` or `[bodies, B]`.

    XLA's CPU compiler repeats sums and products in each of their consumers and materializes quotients, so
    that what several consumers need ends in one: gaps and speeds are divided by the joint's mass first.
    """
    a, b, mass = row.a, row.b, row.inverse_mass
    vx, vy, shift_x, shift_y = (pick(b.is_body - a.is_body, table) for table in motion.linear)
    wa, wb = pick(a.is_body, motion.turning), pick(b.is_body, motion.turning)
    # Each anchor's share of the gap to the meeting point, which the heavier body moves less for.
    share_x, share_y = (row.gap_x + shift_x) / mass, (row.gap_y + shift_y) / mass
    meet_ax, meet_ay = a.arm_x + a.inverse_mass * share_x, a.arm_y + a.inverse_mass * share_y
    meet_bx, meet_by = b.arm_x - b.inverse_mass * share_x, b.arm_y - b.inverse_mass * share_y
    # What impulse would stop the anchors if the bodies could not turn.
    ux = (vx - wb * meet_by + wa * meet_ay) / mass
    uy = (vy + wb * meet_bx - wa * meet_ax) / mass
    turning = (
        _cross(a.arm_x, a.arm_y, ux, uy) ** 2 * a.inverse_inertia
        + _cross(b.arm_x, b.arm_y, ux, uy) ** 2 * b.inverse_inertia
    )
    scale = params.joint_stiffness / (1 + turning / (mass * nonzero(ux**2 + uy**2)))
    jx = scale * (ux + params.joint_velocity_bias * share_x)
    jy = scale * (uy + params.joint_velocity_bias * share_y)
    turn = (
        wb
        - b.inverse_inertia * _cross(b.arm_x, b.arm_y, jx, jy)
        - wa
        - a.inverse_inertia * _cross(a.arm_x, a.arm_y, jx, jy)
    )
    wanted = turn + row.angular_push
    angular = jnp.where(row.weld | (turn * row.angular_push > 0), wanted, 0) / row.inverse_inertia
    shift = [params.joint_position_correction * share for share in (share_x, share_y)]
    motion = _push(row, motion, inverse_mass, inverse_inertia, jx, jy, angular, shift)
    return motion, jx, jy, angular


def solve_joints(
    rows: JointRows, sum_so_far: JointImpulses, bodies: Bodies, params: SimParams
) -> tuple[JointImpulses, Bodies]:
    """One sweep over all joints, one after another in slot order."""
    if rows.gap_x.shape[0] == 0:
        return sum_so_far, bodies
    motion, inverse_mass, inverse_inertia = _join_tables(bodies)

    def visit(motion, row):
        motion, jx, jy, angular = _solve_one(row, motion, inverse_mass, inverse_inertia, params)
        return motion, JointImpulses(jx, jy, jnp.where(row.weld, angular, 0))

    motion, added = jax.lax.scan(visit, motion, rows)
    return jax.tree.map(jnp.add, sum_so_far, added), _split_tables(motion, bodies)


def warm_start_joints(rows: JointRows, impulses: JointImpulses, bodies: Bodies) -> Bodies:
    """Applies last step's impulses of all joints."""
    motion, inverse_mass, inverse_inertia = _join_tables(bodies)
    for j in range(rows.gap_x.shape[0]):
        row, (jx, jy, angular) = _row((rows, impulses), j)
        nothing = (jnp.zeros_like(jx), jnp.zeros_like(jx))
        motion = _push(row, motion, inverse_mass, inverse_inertia, jx, jy, angular, nothing)
    return _split_tables(motion, bodies)
