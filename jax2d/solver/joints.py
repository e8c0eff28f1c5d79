"""Joints: sequential impulses with position correction (PHYSICS: step 6, joint). Arrays are batch-last.

Which bodies a joint links is data, so bodies are read by one-hot sums: for a dozen bodies that is
cheaper than a gather on a CPU and on a GPU alike. Walls never move and have no rows in the tables.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.params import SimParams, SimSpec
from jax2d.solver.blocks import Tables, total
from jax2d.solver.contacts import Bodies
from jax2d.types import Joints, SimState


class End(NamedTuple):
    """One end of every joint slot; zero everywhere for an inactive joint."""

    is_body: tuple[jax.Array, jax.Array]  # float [J, polygons, B] and [J, circles, B], one-hot
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
    fixed: jax.Array  # bool [J, B]
    angular_push: jax.Array  # [J, B] rad/s


class JointImpulses(NamedTuple):
    x: jax.Array  # [J, B] N s, on body a
    y: jax.Array
    angular: jax.Array  # [J, B] N m s, of fixed joints


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
    walls, polygons = spec.walls, spec.num_polygons
    end = End(
        (whole[:, walls:polygons], whole[:, polygons:]),
        arm_x,
        arm_y,
        pick(whole[:, walls:], state.inverse_mass[walls:]),
        pick(whole[:, walls:], state.inverse_inertia[walls:]),
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
    fixed = joints.fixed & active
    limited = joints.limits_on & active & ~joints.fixed
    return JointRows(
        a,
        b,
        jnp.where(active, bx - ax, 0),
        jnp.where(active, by - ay, 0),
        nonzero(a.inverse_mass + b.inverse_mass),
        nonzero(a.inverse_inertia + b.inverse_inertia),
        fixed,
        jnp.where(
            fixed,
            params.fixed_joint_angular_bias * rotation,
            jnp.where(limited, params.joint_limit_angular_bias * beyond, 0),
        ),
    )


def _row(rows, j: int):
    return jax.tree.map(lambda field: field[j], rows)


def _read(end: End, tables: Tables) -> jax.Array:
    return pick(end.is_body[0], tables[0]) + pick(end.is_body[1], tables[1])


def _spread(tables: Tables, inverse: Tables | None, row: JointRows, change_a, change_b) -> Tables:
    """Adds a change of body a and one of body b, each times the body's own inverse mass if given."""
    out = []
    for i in range(2):
        change = row.a.is_body[i] * change_a[None] + row.b.is_body[i] * change_b[None]
        out.append(tables[i] + (change if inverse is None else inverse[i] * change))
    return out[0], out[1]


def _cross(x, y, u, v):
    return x * v - y * u


def _push(row: JointRows, bodies: Bodies, jx, jy, angular) -> Bodies:
    """Impulse (jx, jy) at a's anchor and its opposite at b's, and likewise an angular one."""
    turn_a = _cross(row.a.arm_x, row.a.arm_y, jx, jy) + angular
    turn_b = -_cross(row.b.arm_x, row.b.arm_y, jx, jy) - angular
    mass, inertia = bodies.inverse_mass, bodies.inverse_inertia
    return bodies._replace(
        velocity_x=_spread(bodies.velocity_x, mass, row, jx, -jx),
        velocity_y=_spread(bodies.velocity_y, mass, row, jy, -jy),
        angular_velocity=_spread(bodies.angular_velocity, inertia, row, turn_a, turn_b),
    )


def _solve_one(row: JointRows, bodies: Bodies, params: SimParams):
    """One joint in one sweep; `row` fields are `[B]` or `[bodies, B]`."""
    a, b = row.a, row.b
    gap_x = row.gap_x + _read(b, bodies.shift_x) - _read(a, bodies.shift_x)
    gap_y = row.gap_y + _read(b, bodies.shift_y) - _read(a, bodies.shift_y)
    # Each anchor's share of the gap to the meeting point, which the heavier body moves less for.
    share_x, share_y = gap_x / row.inverse_mass, gap_y / row.inverse_mass
    wa, wb = _read(a, bodies.angular_velocity), _read(b, bodies.angular_velocity)
    meet_ax, meet_ay = a.arm_x + a.inverse_mass * share_x, a.arm_y + a.inverse_mass * share_y
    meet_bx, meet_by = b.arm_x - b.inverse_mass * share_x, b.arm_y - b.inverse_mass * share_y
    vx = _read(b, bodies.velocity_x) - wb * meet_by - (_read(a, bodies.velocity_x) - wa * meet_ay)
    vy = _read(b, bodies.velocity_y) + wb * meet_bx - (_read(a, bodies.velocity_y) + wa * meet_ax)
    turning = (
        _cross(a.arm_x, a.arm_y, vx, vy) ** 2 * a.inverse_inertia
        + _cross(b.arm_x, b.arm_y, vx, vy) ** 2 * b.inverse_inertia
    )
    effective = row.inverse_mass + turning / nonzero(vx**2 + vy**2)
    jx = params.joint_stiffness * (vx + params.joint_velocity_bias * gap_x) / effective
    jy = params.joint_stiffness * (vy + params.joint_velocity_bias * gap_y) / effective
    turn = (
        wb
        - b.inverse_inertia * _cross(b.arm_x, b.arm_y, jx, jy)
        - wa
        - a.inverse_inertia * _cross(a.arm_x, a.arm_y, jx, jy)
    )
    wanted = turn + row.angular_push
    angular = jnp.where(row.fixed | (turn * row.angular_push > 0), wanted, 0) / row.inverse_inertia
    bodies = _push(row, bodies, jx, jy, angular)
    share_x, share_y = (params.joint_position_correction * share for share in (share_x, share_y))
    mass = bodies.inverse_mass
    bodies = bodies._replace(
        shift_x=_spread(bodies.shift_x, mass, row, share_x, -share_x),
        shift_y=_spread(bodies.shift_y, mass, row, share_y, -share_y),
    )
    return bodies, jx, jy, angular


def solve_joints(
    rows: JointRows, sum_so_far: JointImpulses, bodies: Bodies, params: SimParams
) -> tuple[JointImpulses, Bodies]:
    """One sweep over all joints, one after another in slot order."""
    if rows.gap_x.shape[0] == 0:
        return sum_so_far, bodies

    def visit(bodies, row):
        bodies, jx, jy, angular = _solve_one(row, bodies, params)
        return bodies, JointImpulses(jx, jy, jnp.where(row.fixed, angular, 0))

    bodies, added = jax.lax.scan(visit, bodies, rows)
    return jax.tree.map(jnp.add, sum_so_far, added), bodies


def warm_start_joints(rows: JointRows, impulses: JointImpulses, bodies: Bodies) -> Bodies:
    """Applies last step's impulses of all joints."""
    for j in range(rows.gap_x.shape[0]):
        row = _row(rows, j)
        bodies = _push(row, bodies, impulses.x[j], impulses.y[j], impulses.angular[j])
    return bodies
