"""Motors and thrusters (docs/physics.md, actuators). Arrays are batch-last."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jax2d.params import SimParams, SimSpec
from jax2d.solver.blocks import unrolled_sum
from jax2d.solver.joints import nonzero, one_hot, pick, relative_rotation
from jax2d.types import SimState


def _scatter(is_body: jax.Array, values: jax.Array) -> jax.Array:
    """Sums over slots of one-hot rows `[M, N, B]` times `values [M, B]`: `[N, B]`."""
    return unrolled_sum([is_body[i] * values[i][None] for i in range(values.shape[0])])


def apply_motors(state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec) -> SimState:
    """Changes angular velocities by the motors' impulses; `actions [J, B]`. All read the same state."""
    joints, params = state.joints, params.broadcast_to_rank(2)
    if spec.num_joints == 0:
        return state
    on = joints.active & joints.motor_on & ~joints.weld & (actions != 0)
    a = one_hot(joints.body_a, on, spec.num_bodies)
    b = one_hot(joints.body_b, on, spec.num_bodies)
    inertia = 1 / nonzero(pick(a, state.inverse_inertia) + pick(b, state.inverse_inertia))
    relative_spin = pick(b, state.angular_velocity) - pick(a, state.angular_velocity)
    error = relative_spin - joints.motor_speed * actions * params.base_motor_speed
    impulse = params.base_motor_power * joints.motor_power * params.dt * inertia
    impulse = impulse * jnp.tanh(params.motor_decay * error)
    rotation = relative_rotation(joints, state, a, b)
    margin = params.motor_limit_margin
    over = rotation - jnp.clip(rotation, joints.min_rotation + margin, joints.max_rotation - margin)
    fading = joints.limits_on & (over * actions > 0)
    impulse = impulse * jnp.where(fading, jnp.maximum(0, 1 - jnp.abs(over) / margin), 1)
    change = state.inverse_inertia * _scatter(a - b, jnp.where(on, impulse, 0))
    return dataclasses.replace(state, angular_velocity=state.angular_velocity + change)


def apply_thrusters(
    state: SimState,
    actions: jax.Array,
    cos: jax.Array,
    sin: jax.Array,
    params: SimParams,
    spec: SimSpec,
) -> SimState:
    """Changes velocities by the thrusters' impulses; `actions [T, B]`, `cos, sin [N, B]` of the rotations."""
    thrusters, params = state.thrusters, params.broadcast_to_rank(2)
    if spec.num_thrusters == 0:
        return state
    body = one_hot(thrusters.body, thrusters.active, spec.num_bodies)
    c, s = pick(body, cos), pick(body, sin)
    size = thrusters.power * params.base_thruster_power * actions * params.dt
    size = jnp.where(thrusters.active, size, 0)
    along_x, along_y = jnp.cos(thrusters.direction), jnp.sin(thrusters.direction)
    jx, jy = size * (c * along_x - s * along_y), size * (s * along_x + c * along_y)
    arm_x = c * thrusters.anchor[:, 0] - s * thrusters.anchor[:, 1]
    arm_y = s * thrusters.anchor[:, 0] + c * thrusters.anchor[:, 1]
    linear = jnp.stack([_scatter(body, jx), _scatter(body, jy)], axis=1)
    angular = _scatter(body, arm_x * jy - arm_y * jx)
    return dataclasses.replace(
        state,
        velocity=state.velocity + state.inverse_mass[:, None] * linear,
        angular_velocity=state.angular_velocity + state.inverse_inertia * angular,
    )
