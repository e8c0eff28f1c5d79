"""Motors and thrusters (docs/physics.md, actuators). Arrays are batch-last."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jax2d.batching import on_cpu
from jax2d.params import SimParams, SimSpec
from jax2d.solver.blocks import unrolled_sum
from jax2d.solver.joints import nonzero, one_hot, pick, pick_turned, relative_rotation
from jax2d.types import Joints, SimState, Thrusters


def _scatter(is_body: jax.Array, values: jax.Array) -> jax.Array:
    """Sums over slots of one-hot rows `[M, N, B]` times `values [M, B]`: `[N, B]`."""
    return unrolled_sum([is_body[i] * values[i][None] for i in range(values.shape[0])])


def motor_impulses(
    joints: Joints, actions: jax.Array, relative_spin, relative_rotation, inertia, params: SimParams
) -> jax.Array:
    """Computes the angular impulses of motors on body a: `[J, B]` N m s.

    Args:
      joints: their properties.
      actions: `[J, B]`.
      relative_spin: `[J, B]` rad/s, of b relative to a.
      relative_rotation: `[J, B]` rad, likewise, less the joint's reference.
      inertia: `[J, B]` 1/(kg m^2), sum of both bodies' inverse inertias.
      params: numbers of the physics.
    """
    params = params.broadcast_to_rank(2)
    on = joints.active & joints.motor_on & ~joints.weld & (actions != 0)
    error = relative_spin - joints.motor_speed * actions * params.base_motor_speed
    strength = params.base_motor_power * joints.motor_power * params.dt * jnp.tanh(params.motor_decay * error)
    margin = params.motor_limit_margin
    low, high = joints.min_rotation + margin, joints.max_rotation - margin
    over = relative_rotation - jnp.clip(relative_rotation, low, high)
    fading = joints.limits_on & (over * actions > 0)
    strength = strength * jnp.where(fading, jnp.maximum(0, 1 - jnp.abs(over) / margin), 1)
    # Divided last, so that it is computed once (README.md, XLA: quotients).
    return jnp.where(on, strength, 0) / nonzero(inertia)


def apply_motors(state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec) -> SimState:
    """Changes angular velocities by the motors' impulses; `actions [J, B]`. All read the same state."""
    joints = state.joints
    if spec.num_joints == 0:
        return state
    a = one_hot(joints.body_a, joints.active, spec.num_bodies)
    b = one_hot(joints.body_b, joints.active, spec.num_bodies)
    impulse = motor_impulses(
        joints,
        actions,
        pick(b, state.angular_velocity) - pick(a, state.angular_velocity),
        relative_rotation(joints, state, a, b),
        pick(a, state.inverse_inertia) + pick(b, state.inverse_inertia),
        params,
    )
    change = state.inverse_inertia * _scatter(a - b, impulse)
    return dataclasses.replace(state, angular_velocity=state.angular_velocity + change)


def thruster_impulses(
    thrusters: Thrusters, actions: jax.Array, cos: jax.Array, sin: jax.Array, params: SimParams
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Computes the impulses of thrusters along x and y [N s] and about their bodies [N m s]: `[T, B]`.

    Args:
      thrusters: their properties.
      actions: `[T, B]`.
      cos, sin: `[T, B]`, of the rotations of their bodies.
      params: numbers of the physics.
    """
    params = params.broadcast_to_rank(2)
    size = thrusters.power * params.base_thruster_power * actions * params.dt
    size = jnp.where(thrusters.active, size, 0)
    along_x, along_y = jnp.cos(thrusters.direction), jnp.sin(thrusters.direction)
    jx, jy = size * (cos * along_x - sin * along_y), size * (sin * along_x + cos * along_y)
    arm_x = cos * thrusters.anchor[:, 0] - sin * thrusters.anchor[:, 1]
    arm_y = sin * thrusters.anchor[:, 0] + cos * thrusters.anchor[:, 1]
    torque = arm_x * jy - arm_y * jx
    if on_cpu():  # by ones, so that they are computed once and not for every body (README.md, XLA: quotients)
        ones = nonzero(thrusters.active.astype(jnp.float32))
        return jx / ones, jy / ones, torque / ones
    return jx, jy, torque


def apply_thrusters(state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec) -> SimState:
    """Changes velocities by the thrusters' impulses; `actions [T, B]`."""
    thrusters = state.thrusters
    if spec.num_thrusters == 0:
        return state
    body = one_hot(thrusters.body, thrusters.active, spec.num_bodies)
    cos, sin = pick_turned(body, thrusters.active, state.rotation)
    jx, jy, torque = thruster_impulses(thrusters, actions, cos, sin, params)
    linear = jnp.stack([_scatter(body, jx), _scatter(body, jy)], axis=1)
    return dataclasses.replace(
        state,
        velocity=state.velocity + state.inverse_mass[:, None] * linear,
        angular_velocity=state.angular_velocity + state.inverse_inertia * _scatter(body, torque),
    )
