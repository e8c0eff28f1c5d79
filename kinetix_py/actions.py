"""Actions: from the choices of an agent to one value for every motor and thruster."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.env.types import EnvState
from kinetix_py.levels.level import Level
from kinetix_py.sizes import LevelSize
from kinetix_py.spaces import Box, Discrete, MultiDiscrete

ACTION_TYPES = ("continuous", "multi_discrete", "discrete")
# Choices of a multi-discrete action for each motor binding and each thruster binding.
MOTOR_CHOICES, THRUSTER_CHOICES = 3, 2


@dataclasses.dataclass(frozen=True)
class ActionAdapter:
    """One of the action types, for levels of one size.

    Attributes:
      type: `"continuous"`: a value for each binding, motors in -1 .. 1, thrusters in 0 .. 1.
        `"multi_discrete"`: for each motor binding 0 (off), 1 (+1) or 2 (-1), for each thruster binding
        0 (off) or 1 (on). `"discrete"`: action `2 i` sets motor binding `i` to -1, `2 i + 1` to +1, then
        comes one that does nothing, then one for each thruster binding.
      size: sizes of the levels, of which the numbers of bindings count.

    Raises:
      ValueError: an unknown type.
    """

    type: str
    size: LevelSize

    def __post_init__(self) -> None:
        if self.type not in ACTION_TYPES:
            raise ValueError(f"action_type must be one of {ACTION_TYPES}, got {self.type!r}")

    @property
    def choices(self) -> tuple[int, ...]:
        """Number of choices of a multi-discrete action for each binding."""
        motors, thrusters = self.size.num_motor_bindings, self.size.num_thruster_bindings
        return (MOTOR_CHOICES,) * motors + (THRUSTER_CHOICES,) * thrusters

    @property
    def space(self) -> Box | MultiDiscrete | Discrete:
        """The space of one action."""
        motors, thrusters = self.size.num_motor_bindings, self.size.num_thruster_bindings
        if self.type == "continuous":
            return Box((-1.0,) * motors + (0.0,) * thrusters, 1.0, (motors + thrusters,))
        if self.type == "multi_discrete":
            return MultiDiscrete(self.choices)
        return Discrete(2 * motors + 1 + thrusters)

    @property
    def noop(self) -> jax.Array:
        """The action that leaves every motor and thruster off."""
        space = self.space
        if isinstance(space, Discrete):
            return jnp.asarray(2 * self.size.num_motor_bindings, space.dtype)
        return jnp.zeros(space.shape, space.dtype)

    def check(self, action: jax.Array) -> jax.Array:
        """Returns an action as an array of the space's type.

        Raises:
          ValueError: its shape, or its kind of numbers, is not the space's.
        """
        action, space = jnp.asarray(action), self.space
        if action.shape != space.shape:
            raise ValueError(
                f"a {self.type} action must have shape {space.shape}, got {action.shape} "
                f"(vmap env.step for a batch)"
            )
        if self.type != "continuous" and not jnp.issubdtype(action.dtype, jnp.integer):
            raise ValueError(f"a {self.type} action must be integers, got {action.dtype}")
        return action.astype(space.dtype)

    def binding_values(self, action: jax.Array) -> jax.Array:
        """Converts an action to one value per binding.

        Args:
          action: action of the space; numbers out of range are clipped.

        Returns:
          float `[num_bindings]`, motors in -1 .. 1, thrusters in 0 .. 1.
        """
        motors = self.size.num_motor_bindings
        if self.type == "continuous":
            low = np.where(np.arange(self.size.num_bindings) < motors, np.float32(-1), np.float32(0))
            return jnp.clip(action, low, np.float32(1))
        if self.type == "multi_discrete":
            motor, thruster = action[:motors], action[motors:]
            chosen = jnp.where(motor == 1, 1.0, jnp.where(motor == 2, -1.0, 0.0))
            return jnp.concatenate([chosen, jnp.where(thruster > 0, 1.0, 0.0)])
        index = jnp.arange(self.size.num_bindings)
        up, down, on = 2 * index + 1, 2 * index, index + motors + 1
        motor = (action == up).astype(jnp.float32) - (action == down).astype(jnp.float32)
        return jnp.where(index < motors, motor, (action == on).astype(jnp.float32))

    def mirror(self, action: jax.Array) -> jax.Array:
        """Returns the action that does in a mirrored level (`kinetix_py.mirror_level`) what a given one does.

        Motors turn the other way, thrusters stay as they are. The choices that `mask` allows are the same.

        Args:
          action: actions of the space, with any leading axes.
        """
        motors = self.size.num_motor_bindings
        if self.type == "discrete":  # choices 2 i and 2 i + 1 drive one motor in opposite ways
            return jnp.where((action >= 0) & (action < 2 * motors), action ^ 1, action)
        motor, thruster = jnp.split(action, [motors], axis=-1)
        if self.type == "continuous":
            return jnp.concatenate([-motor, thruster], axis=-1)
        motor = jnp.where(motor == 1, 2, jnp.where(motor == 2, 1, motor))
        return jnp.concatenate([motor, thruster], axis=-1)

    def only(self, action: jax.Array, has_motor: jax.Array, has_thruster: jax.Array) -> jax.Array:
        """Returns an action with no-ops in place of what some bindings would do.

        Args:
          action: action of the space.
          has_motor: bool `[num_motor_bindings]`, motor bindings that keep their values.
          has_thruster: bool `[num_thruster_bindings]`, thruster bindings that do.
        """
        if self.type == "discrete":
            return jnp.where(self.mask(has_motor, has_thruster)[action], action, self.noop)
        return jnp.where(jnp.concatenate([has_motor, has_thruster]), action, self.noop)

    def mask(self, has_motor: jax.Array, has_thruster: jax.Array) -> jax.Array:
        """Returns the choices that can change anything in a level; the no-op is always among them.

        Args:
          has_motor: bool `[num_motor_bindings]`, some motor listens to the binding.
          has_thruster: bool `[num_thruster_bindings]`, some thruster listens to the binding.

        Returns:
          continuous: bool `[num_bindings]`; multi_discrete: bool `[num_bindings, 3]`, the third choice of
          a thruster never; discrete: bool `[2 num_motor_bindings + 1 + num_thruster_bindings]`.
        """
        if self.type == "continuous":
            return jnp.concatenate([has_motor, has_thruster])
        if self.type == "multi_discrete":
            rows = jnp.concatenate([has_motor, has_thruster])
            third = jnp.concatenate([has_motor, jnp.zeros_like(has_thruster)])
            return jnp.stack([jnp.ones_like(rows), rows, third], axis=1)
        return jnp.concatenate([jnp.repeat(has_motor, 2), jnp.ones((1,), bool), has_thruster])


def bindings_in_use(scene: Level | EnvState) -> tuple[jax.Array, jax.Array]:
    """Returns the bindings that some motor, or some thruster, of a level or state listens to.

    Returns:
      bool `[num_motor_bindings]` and bool `[num_thruster_bindings]`.
    """
    joints, thrusters, labels = scene.sim.joints, scene.sim.thrusters, scene.labels
    driven = joints.active & joints.motor_on & ~joints.weld & ~labels.motor_auto

    def listens(binding: jax.Array, on: jax.Array, count: int) -> jax.Array:
        return ((binding[:, None] == jnp.arange(count)[None]) & on[:, None]).any(0)

    return (
        listens(labels.motor_binding, driven, scene.size.num_motor_bindings),
        listens(labels.thruster_binding, thrusters.active, scene.size.num_thruster_bindings),
    )


def agent_bindings(scene: Level | EnvState, agent: int) -> tuple[jax.Array, jax.Array]:
    """Returns the bindings in use that belong to an agent, 0 or 1; shapes as of `bindings_in_use`."""
    motors, thrusters = bindings_in_use(scene)
    if scene.rules is None:
        return (motors, thrusters) if agent == 0 else (motors & False, thrusters & False)
    return motors & (scene.rules.motor_agent == agent), thrusters & (scene.rules.thruster_agent == agent)


def single_player_bindings(scene: Level | EnvState) -> tuple[jax.Array, jax.Array]:
    """Returns the bindings in use that one who plays alone has; shapes as of `bindings_in_use`.

    They are those of both agents, or of agent 0 if the agents are opposed.
    """
    both = bindings_in_use(scene)
    if scene.rules is None:
        return both
    first = agent_bindings(scene, 0)
    motors, thrusters = (
        jnp.where(scene.rules.opposed, own, all_) for own, all_ in zip(first, both, strict=True)
    )
    return motors, thrusters


def actuator_controls(binding_values: jax.Array, scene: Level | EnvState) -> jax.Array:
    """Converts values of bindings to the controls of motors and thrusters, the engine's `actions`.

    Args:
      binding_values: float `[num_bindings]`, from `ActionAdapter.binding_values`.
      scene: level or state whose motors and thrusters listen to them.

    Returns:
      float `[num_joints + num_thrusters]`.
    """
    labels, motors = scene.labels, scene.size.num_motor_bindings

    def read(binding: jax.Array, values: jax.Array) -> jax.Array:
        chosen = binding[:, None] == jnp.arange(values.shape[0])[None]
        return jnp.where(chosen, values[None], 0).sum(1)

    by_joint = jnp.where(labels.motor_auto, 1.0, read(labels.motor_binding, binding_values[:motors]))
    return jnp.concatenate([by_joint, read(labels.thruster_binding, binding_values[motors:])])
