"""Joints whose bodies are read and changed in place (README.md, lists); formulas as in `joints.py`."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.batching import WRITTEN_OUT
from jax2d.bodies import (
    ANGULAR_VELOCITY,
    COS,
    INVERSE_INERTIA,
    INVERSE_MASS,
    ROTATION,
    SIN,
    X,
    Y,
    take_bodies,
)
from jax2d.flat import add_at, columns, in_arrays, take
from jax2d.params import SOLVER_VELOCITY_MARGIN, SimParams, SimSpec
from jax2d.solver.actuators import motor_impulses, thruster_impulses
from jax2d.solver.joints import nonzero
from jax2d.types import SimState

# Rows of a motion `[5, N, B]`, which is flat: velocity along x and y [m/s], angular velocity [rad/s],
# displacement along x and y since the step began [m].
VX, VY, W, DX, DY = range(5)


class ListedJoints(NamedTuple):
    """Joints for the sweeps; the axis of length 2 is a vector's x and y, `ends` means bodies a and b.

    Every field has a leading axis `[J]`.
    """

    motion_places: jax.Array  # int32 [5, ends, B], places of the bodies' rows in a flat motion
    arm: jax.Array  # [ends, 2, B] m, anchor minus body position
    inverse_mass: jax.Array  # [ends, B] 1/kg; 0 for a wall and for an inactive joint
    inverse_inertia: jax.Array  # [ends, B] 1/(kg m^2)
    anchor_error: jax.Array  # [2, B] m
    mass: jax.Array  # [2, B] 1/kg, of both, twice; 1 where it would be 0
    inertia: jax.Array  # [B] 1/(kg m^2), of both; 1 where it would be 0
    weld: jax.Array  # bool [B]
    angular_bias: jax.Array  # [B] rad/s


def motion_of_bodies(state: SimState, spec: SimSpec) -> jax.Array:
    """Collects the motion of all bodies before the first sweep; walls are at rest."""
    wall = np.arange(spec.num_bodies)[:, None] < spec.num_walls
    still = jnp.zeros_like(state.rotation)
    rows = [state.velocity[:, 0], state.velocity[:, 1], state.angular_velocity, still, still]
    return jnp.where(wall[None], 0, jnp.stack(rows)).reshape(-1)


def _places(body: jax.Array, active: jax.Array) -> jax.Array:
    """Places of bodies `[M, B]` in a flat array `[N, B]`; some place that exists where inactive."""
    batch = body.shape[-1]
    return jnp.where(active, body, 0).astype(jnp.int32) * batch + jnp.arange(batch, dtype=jnp.int32)[None]


def run_motors(
    state: SimState, bodies: jax.Array, motion: jax.Array, actions: jax.Array, params: SimParams
) -> jax.Array:
    """Changes angular velocities by the motors' impulses, as `actuators.apply_motors`."""
    joints = state.joints
    if joints.active.shape[0] == 0:
        return motion
    index = jnp.stack([_places(body, joints.active) for body in (joints.body_a, joints.body_b)])
    rotation, spin, inertia = take_bodies(bodies, index, (ROTATION, ANGULAR_VELOCITY, INVERSE_INERTIA))
    relative = rotation[1] - rotation[0] - joints.reference_rotation
    impulse = motor_impulses(joints, actions, spin[1] - spin[0], relative, inertia[0] + inertia[1], params)
    change = jnp.stack([inertia[0] * impulse, -inertia[1] * impulse])
    return add_at(motion, columns(index, state.rotation.size, (W,)), change)


def run_thrusters(
    state: SimState, bodies: jax.Array, motion: jax.Array, actions: jax.Array, params: SimParams
) -> jax.Array:
    """Changes velocities by the thrusters' impulses, as `actuators.apply_thrusters`."""
    thrusters = state.thrusters
    if thrusters.active.shape[0] == 0:
        return motion
    index = _places(thrusters.body, thrusters.active)
    c, s, mass, inertia = take_bodies(bodies, index, (COS, SIN, INVERSE_MASS, INVERSE_INERTIA))
    jx, jy, torque = thruster_impulses(thrusters, actions, c, s, params)
    change = jnp.stack([mass * jx, mass * jy, inertia * torque])
    return add_at(motion, columns(index, state.rotation.size, (VX, VY, W)), change)


def list_joints(state: SimState, bodies: jax.Array, params: SimParams, spec: SimSpec) -> ListedJoints:
    """Prepares the joints as `joints.prepare_joints`."""
    joints, params = state.joints, params.broadcast_to_rank(2)
    active = joints.active
    index = jnp.stack([_places(joints.body_a, active), _places(joints.body_b, active)], axis=1)
    x, y = (jnp.stack([joints.anchor_a[:, i], joints.anchor_b[:, i]], axis=1) for i in range(2))
    rows = (X, Y, INVERSE_MASS, INVERSE_INERTIA, ROTATION, COS, SIN)
    *at, mass, inertia, rotation, c, s = take_bodies(bodies, index, rows)
    arm = jnp.stack([c * x - s * y, s * x + c * y], axis=2)
    anchor = arm + jnp.stack(at, axis=2)
    counts = active[:, None] & (index >= spec.num_walls * active.shape[-1])
    mass, inertia = jnp.where(counts, mass, 0), jnp.where(counts, inertia, 0)
    relative = rotation[:, 1] - rotation[:, 0] - joints.reference_rotation
    beyond = relative - jnp.clip(relative, joints.min_rotation, joints.max_rotation)
    weld, limited = joints.weld & active, joints.limits_on & active & ~joints.weld
    limit_bias = jnp.where(limited, params.joint_limit_angular_bias * beyond, 0)
    return ListedJoints(
        motion_places=jnp.moveaxis(columns(index, state.rotation.size, range(5)), 1, 0),
        arm=arm,
        inverse_mass=mass,
        inverse_inertia=inertia,
        anchor_error=jnp.where(active[:, None], anchor[:, 1] - anchor[:, 0], 0),
        mass=jnp.stack([nonzero(mass[:, 0] + mass[:, 1])] * 2, axis=1),
        inertia=nonzero(inertia[:, 0] + inertia[:, 1]),
        weld=weld,
        angular_bias=jnp.where(weld, params.fixed_joint_angular_bias * relative, limit_bias),
    )


def _cross(u: jax.Array, v: jax.Array) -> jax.Array:
    """Cross product over the axis before the last: `[..., 2, B] -> [..., B]`."""
    return u[..., 0, :] * v[..., 1, :] - u[..., 1, :] * v[..., 0, :]


def _signs() -> jax.Array:
    return jnp.array([[1.0], [-1.0]])


def apply_joint(
    always: jax.Array, joint: ListedJoints, motion: jax.Array, impulse, angular, shift
) -> jax.Array:
    """Applies an impulse at a's anchor and its opposite at b's, and moves both bodies.

    Args:
      always: as for `in_arrays`, for the reason given at `contact_list.apply_impulses`.
      joint: one joint.
      motion: bodies before.
      impulse: `[2, B]` N s, on body a.
      angular: `[B]` N m s, on body a.
      shift: `[2, B]` kg m; a moves by its inverse mass times that, b the other way.
    """

    def change():
        mass, inertia = joint.inverse_mass * _signs(), joint.inverse_inertia * _signs()
        spin = inertia * (_cross(joint.arm, impulse[None]) + angular[None])
        return jnp.concatenate([mass[None] * impulse[:, None], spin[None], mass[None] * shift[:, None]])

    return add_at(motion, joint.motion_places, in_arrays(always, change))


def warm_start_joint_list(
    always: jax.Array, joints: ListedJoints, impulses: jax.Array, motion: jax.Array
) -> jax.Array:
    """Applies last step's impulses `[J, 3, B]`; `always` as for `apply_joint`."""

    def visit(motion, joint_and_impulse):
        joint, impulse = joint_and_impulse
        still = jnp.zeros_like(impulse[:2])
        return apply_joint(always, joint, motion, impulse[:2], impulse[2], still), None

    return jax.lax.scan(visit, motion, (joints, impulses))[0] if impulses.shape[0] else motion


def _solve_one(
    always: jax.Array, joint: ListedJoints, motion: jax.Array, params: SimParams
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Solves one joint in one sweep; also returns the impulse `[2, B]` and the angular one `[B]`."""
    wide = params.broadcast_to_rank(2)
    of_ends = take(motion, joint.motion_places)
    apart = of_ends[:, 1] - of_ends[:, 0]
    spin_a, spin_b = of_ends[W]
    # By arrays, not by one that is repeated (README.md, XLA: quotients).
    error = (joint.anchor_error + apart[DX:]) / joint.mass
    shared_a = joint.arm[0] + joint.inverse_mass[:1] * error
    shared_b = joint.arm[1] - joint.inverse_mass[1:] * error
    turn = spin_b[None] * shared_b - spin_a[None] * shared_a
    bound = 2 * SOLVER_VELOCITY_MARGIN * wide.max_velocity  # for the reason given at `joints._solve_one`
    velocity = jnp.clip(apart[:W] + jnp.stack([-turn[1], turn[0]]), -bound, bound) / joint.mass
    turning_a, turning_b = _cross(joint.arm, velocity[None]) ** 2 * joint.inverse_inertia
    speed = joint.mass[0] * nonzero(velocity[0] ** 2 + velocity[1] ** 2)
    scale = params.joint_stiffness * speed / (speed + turning_a + turning_b)
    impulse = scale[None] * (velocity + wide.joint_velocity_bias * error)
    torque_a, torque_b = _cross(joint.arm, impulse[None]) * joint.inverse_inertia
    relative_spin = spin_b - torque_b - spin_a - torque_a
    stops = joint.weld | (relative_spin * joint.angular_bias > 0)
    angular = jnp.where(stops, relative_spin + joint.angular_bias, 0) / joint.inertia
    motion = apply_joint(always, joint, motion, impulse, angular, wide.joint_position_correction * error)
    return motion, impulse, jnp.where(joint.weld, angular, 0)


def solve_joint_list(
    always: jax.Array, joints: ListedJoints, accumulated: jax.Array, motion: jax.Array, params: SimParams
) -> tuple[jax.Array, jax.Array]:
    """Solves all joints once, in slot order; `accumulated [J, 3, B]`, `always` as for `apply_joint`."""

    def visit(motion, joint_and_total):
        joint, total = joint_and_total
        motion, impulse, angular = _solve_one(always, joint, motion, params)
        return motion, total + jnp.concatenate([impulse, angular[None]])

    if accumulated.shape[0] == 0:
        return accumulated, motion
    unroll = min(len(accumulated), WRITTEN_OUT)  # every turn of a loop would cut all arrays anew
    motion, accumulated = jax.lax.scan(visit, motion, (joints, accumulated), unroll=unroll)
    return accumulated, motion
