"""Actions: from what an agent chooses to one value for every motor and thruster."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.levels.level import Level
from kinetix_py.spaces import Box, Discrete, MultiDiscrete
from kinetix_py.spec import EnvSpec

ACTION_TYPES = ("continuous", "multi_discrete", "discrete")
# What choices 0, 1, 2 of a multi-discrete action mean to a motor.
MOTOR_CHOICES = (0.0, 1.0, -1.0)


@dataclasses.dataclass(frozen=True)
class Actions:
    """One of the action types, for levels of one size.

    Attributes:
      kind: `"continuous"`: a value for each binding, motors in -1 .. 1, thrusters in 0 .. 1.
        `"multi_discrete"`: for each motor binding 0 (off), 1 (+1) or 2 (-1), for each thruster binding
        0 (off) or 1 (on). `"discrete"`: action `2 i` sets motor binding `i` to -1, `2 i + 1` to +1, then
        comes one that does nothing, then one for each thruster binding.

    Raises:
      ValueError: an unknown kind.
    """

    kind: str
    spec: EnvSpec

    def __post_init__(self) -> None:
        if self.kind not in ACTION_TYPES:
            raise ValueError(f"action must be one of {ACTION_TYPES}, got {self.kind!r}")

    @property
    def space(self) -> Box | MultiDiscrete | Discrete:
        """The space of one action."""
        motors, thrusters = self.spec.num_motor_bindings, self.spec.num_thruster_bindings
        if self.kind == "continuous":
            return Box((-1.0,) * motors + (0.0,) * thrusters, 1.0, (motors + thrusters,))
        if self.kind == "multi_discrete":
            return MultiDiscrete((3,) * motors + (2,) * thrusters)
        return Discrete(2 * motors + 1 + thrusters)

    @property
    def noop(self) -> jax.Array:
        """The action that leaves every motor and thruster off."""
        space = self.space
        if isinstance(space, Discrete):
            return jnp.asarray(2 * self.spec.num_motor_bindings, space.dtype)
        return jnp.zeros(space.shape, space.dtype)

    def check(self, action: jax.Array) -> jax.Array:
        """The action as an array of the space's type.

        Raises:
          ValueError: its shape, or its kind of numbers, is not the space's.
        """
        action, space = jnp.asarray(action), self.space
        if action.shape != space.shape:
            raise ValueError(
                f"a {self.kind} action must have shape {space.shape}, got {action.shape} "
                f"(vmap env.step for a batch)"
            )
        if self.kind != "continuous" and not jnp.issubdtype(action.dtype, jnp.integer):
            raise ValueError(f"a {self.kind} action must be integers, got {action.dtype}")
        return action.astype(space.dtype)

    def values(self, action: jax.Array) -> jax.Array:
        """What an action asks of every binding: float `[num_bindings]`; out of range is clipped."""
        motors = self.spec.num_motor_bindings
        if self.kind == "continuous":
            low = np.where(np.arange(self.spec.num_bindings) < motors, np.float32(-1), np.float32(0))
            return jnp.clip(action, low, np.float32(1))
        if self.kind == "multi_discrete":
            motor, thruster = action[:motors], action[motors:]
            chosen = jnp.where(motor == 1, 1.0, jnp.where(motor == 2, -1.0, 0.0))
            return jnp.concatenate([chosen, jnp.where(thruster > 0, 1.0, 0.0)])
        index = jnp.arange(self.spec.num_bindings)
        up, down, on = 2 * index + 1, 2 * index, index + motors + 1
        motor = (action == up).astype(jnp.float32) - (action == down).astype(jnp.float32)
        return jnp.where(index < motors, motor, (action == on).astype(jnp.float32))

    def mask(self, has_motor: jax.Array, has_thruster: jax.Array) -> jax.Array:
        """Which choices can change anything in a level; doing nothing always may be chosen.

        Args:
          has_motor: bool `[num_motor_bindings]`, some motor listens to the binding.
          has_thruster: bool `[num_thruster_bindings]`.

        Returns:
          continuous: bool `[num_bindings]`; multi_discrete: bool `[num_bindings, 3]`, the third choice of
          a thruster never; discrete: bool `[2 num_motor_bindings + 1 + num_thruster_bindings]`.
        """
        if self.kind == "continuous":
            return jnp.concatenate([has_motor, has_thruster])
        if self.kind == "multi_discrete":
            rows = jnp.concatenate([has_motor, has_thruster])
            third = jnp.concatenate([has_motor, jnp.zeros_like(has_thruster)])
            return jnp.stack([jnp.ones_like(rows), rows, third], axis=1)
        return jnp.concatenate([jnp.repeat(has_motor, 2), jnp.ones((1,), bool), has_thruster])


def bindings_in_use(level: Level, spec: EnvSpec) -> tuple[jax.Array, jax.Array]:
    """Which bindings some motor, or some thruster, of a level listens to.

    Returns:
      bool `[num_motor_bindings]` and bool `[num_thruster_bindings]`.
    """
    joints, thrusters = level.sim.joints, level.sim.thrusters
    driven = joints.active & joints.motor_on & ~joints.weld & ~level.motor_auto
    listens = lambda binding, on, count: ((binding[:, None] == jnp.arange(count)[None]) & on[:, None]).any(0)
    return (
        listens(level.motor_binding, driven, spec.num_motor_bindings),
        listens(level.thruster_binding, thrusters.active, spec.num_thruster_bindings),
    )


class Bound(Protocol):
    """What says which binding a motor or thruster listens to: a `Level` or an `EnvState`."""

    @property
    def motor_binding(self) -> jax.Array: ...
    @property
    def motor_auto(self) -> jax.Array: ...
    @property
    def thruster_binding(self) -> jax.Array: ...


def to_engine(values: jax.Array, level: Bound, spec: EnvSpec) -> jax.Array:
    """What every motor and thruster does: float `[num_joints + num_thrusters]`.

    Args:
      values: float `[num_bindings]`, from `Actions.values`.
    """
    motors = spec.num_motor_bindings

    def read(binding, values):
        chosen = binding[:, None] == jnp.arange(values.shape[0])[None]
        return jnp.where(chosen, values[None], 0).sum(1)

    by_joint = jnp.where(level.motor_auto, 1.0, read(level.motor_binding, values[:motors]))
    return jnp.concatenate([by_joint, read(level.thruster_binding, values[motors:])])
