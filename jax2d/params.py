"""Static structure of a scene (`SimSpec`) and numbers of the physics (`SimParams`)."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

ContactOrder = Literal["parallel", "kinetix"]
CONTACT_ORDERS: tuple[ContactOrder, ...] = ("parallel", "kinetix")
# Within a step velocities may exceed by this factor the bounds that hold between steps.
SOLVER_VELOCITY_MARGIN = 10
Backend = Literal["xla", "cuda"]
BACKENDS: tuple[Backend, ...] = ("xla", "cuda")


@dataclasses.dataclass(frozen=True)
class SimSpec:
    """Sizes of a scene and structure of its solver: static, hashable, part of the compiled program.

    Attributes:
      num_polygons: polygon slots, walls included (body indices `0 .. num_polygons - 1`).
      num_circles: circle slots (body indices `num_polygons .. num_bodies - 1`).
      num_joints: joint slots.
      num_thrusters: thruster slots.
      max_vertices: vertices a polygon may have, at least 3.
      num_walls: the first `num_walls` polygon slots are walls: static, at rest, never tested against
        each other. Order: floor, left, right, ceiling. Clipped to `num_polygons`.
      solver_iterations: sweeps over all constraints in one step.
      warm_start: start the solver from the impulses of the step before.
      contact_order: order of contacts of one kind within a sweep (docs/physics.md). `"parallel"`: all of them
        read the same velocities, a body with many contacts splitting its mass among them; the result
        depends neither on the order of slots nor on unused ones. `"kinetix"`: in the data-dependent
        groups of 16 of Kinetix's engine, its padding accident included; choose it to reproduce
        published episodes.
      backend: what computes a step on an NVIDIA GPU; the numbers are the same but for rounding. `"xla"`: the
        compiler's own kernels, hundreds for a step. `"cuda"`: one kernel, compiled by NVRTC for the spec
        (README.md, kernel); elsewhere, and for derivatives, as `"xla"`.

    Raises:
      ValueError: a count is negative or not an integer, `max_vertices < 3`, `solver_iterations < 1`,
        or `contact_order` or `backend` is unknown.
    """

    num_polygons: int
    num_circles: int
    num_joints: int
    num_thrusters: int
    max_vertices: int = 4
    num_walls: int = 4
    solver_iterations: int = 10
    warm_start: bool = True
    contact_order: ContactOrder = "parallel"
    backend: Backend = "xla"

    def __post_init__(self) -> None:
        least = {"max_vertices": 3, "solver_iterations": 1}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("warm_start", "contact_order", "backend"):
                continue
            bound = least.get(field.name, 0)
            if isinstance(value, bool) or not isinstance(value, int) or value < bound:
                raise ValueError(
                    f"SimSpec.{field.name} must be an integer of at least {bound}, got {value!r}"
                )
        if self.contact_order not in CONTACT_ORDERS:
            raise ValueError(
                f"SimSpec.contact_order must be one of {CONTACT_ORDERS}, got {self.contact_order!r}"
            )
        if self.backend not in BACKENDS:
            raise ValueError(f"SimSpec.backend must be one of {BACKENDS}, got {self.backend!r}")
        object.__setattr__(self, "num_walls", min(self.num_walls, self.num_polygons))

    @property
    def num_bodies(self) -> int:
        """Polygon slots plus circle slots."""
        return self.num_polygons + self.num_circles

    @property
    def num_actions(self) -> int:
        """Length of an action vector: one entry per joint slot, then one per thruster slot."""
        return self.num_joints + self.num_thrusters


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SimParams:
    """Numbers of the physics: traced, so changing one never recompiles.

    Every field is a float, or an array with one entry per scene of a batch (shape `[batch]`).
    """

    dt: jax.Array | float = 1 / 60
    """Length of a step [s]. Longer steps tunnel and shake."""
    slop: jax.Array | float = 0.01
    """Penetration left alone [m]; keeps resting contacts from flickering."""
    contact_bias: jax.Array | float = 0.2
    """Share of the remaining penetration pushed out in one step [1]; high values bounce."""
    joint_velocity_bias: jax.Array | float = 2.0
    """Velocity a joint adds per meter its anchors are apart [1/s]."""
    joint_position_correction: jax.Array | float = 0.7
    """Share of the anchors' distance closed at once in every sweep [1]."""
    joint_stiffness: jax.Array | float = 0.6
    """Share of the full joint impulse applied in a sweep [1]."""
    fixed_joint_angular_bias: jax.Array | float = 2.0
    """Angular velocity a weld joint adds per radian of error [1/s]."""
    joint_limit_angular_bias: jax.Array | float = 5.0
    """Angular velocity a joint limit adds per radian beyond it [1/s]."""
    base_motor_speed: jax.Array | float = 6.0
    """Angular velocity of a motor of speed 1 under action 1 [rad/s]."""
    base_motor_power: jax.Array | float = 900.0
    """Torque per effective inertia of a motor of power 1, far from its speed [rad/s^2]."""
    motor_decay: jax.Array | float = 0.1
    """Rate at which a motor's torque fades near its speed [s/rad]: `tanh(decay * speed error)`."""
    motor_limit_margin: jax.Array | float = 0.1
    """Angle before a joint limit over which a motor fades out [rad]; above 0."""
    base_thruster_power: jax.Array | float = 10.0
    """Force of a thruster of power 1 under action 1 [N]."""
    base_friction: jax.Array | float = 0.4
    """Factor on every body's friction coefficient [1]."""
    max_position: jax.Array | float = 15.0
    """Bound on each coordinate of a body's position [m]."""
    max_velocity: jax.Array | float = 100.0
    """Bound on each component of a body's velocity [m/s]."""
    max_angular_velocity: jax.Array | float = 50.0
    """Bound on a body's angular velocity [rad/s]."""

    def broadcast_to_rank(self, rank: int) -> SimParams:
        """Shapes the numbers to go with batch-last arrays of a rank: `[batch] -> [1, .., batch]`."""
        widen = lambda value: jnp.reshape(value, (1,) * (rank - 1) + (-1,))
        return jax.tree.map(lambda value: widen(value) if jnp.ndim(value) else value, self)
