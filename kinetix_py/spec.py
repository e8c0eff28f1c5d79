"""Sizes of the task space: how many entities a level may have, and how many bindings its actions."""

from __future__ import annotations

import dataclasses

import jax2d
from jax2d.params import ContactOrder

NUM_ROLES = 4
ROLES = ("none", "green", "blue", "red")
NONE, GREEN, BLUE, RED = range(NUM_ROLES)

# Surface of the floor [m] and extent of the room [m]; the origin is the bottom left.
FLOOR = 0.4
ROOM = 5.0


@dataclasses.dataclass(frozen=True)
class EnvSpec:
    """Slots of a level and bindings of an action: static, hashable, part of the compiled program.

    Attributes:
      num_polygons: polygon slots, the walls included.
      num_circles, num_joints, num_thrusters: slots.
      num_motor_bindings, num_thruster_bindings: motors (thrusters) that share a binding act together.
      max_vertices: vertices a polygon may have, at least 3.
      num_walls: the first polygon slots that are floor, left wall, right wall and ceiling.
      solver_iterations, warm_start, contact_order: as in `jax2d.SimSpec`; `contact_order="kinetix"`
        reproduces published episodes, `"parallel"` depends neither on slot order nor on padding.

    Raises:
      ValueError: a count is negative or not an integer, or a bound of `jax2d.SimSpec` is broken.
    """

    num_polygons: int
    num_circles: int
    num_joints: int
    num_thrusters: int
    num_motor_bindings: int = 4
    num_thruster_bindings: int = 2
    max_vertices: int = 4
    num_walls: int = 4
    solver_iterations: int = 10
    warm_start: bool = True
    contact_order: ContactOrder = "parallel"

    def __post_init__(self) -> None:
        for name in ("num_motor_bindings", "num_thruster_bindings"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"EnvSpec.{name} must be an integer of at least 0, got {value!r}")
        try:
            _ = self.sim
        except ValueError as error:
            raise ValueError(str(error).replace("SimSpec.", "EnvSpec.")) from None

    @property
    def sim(self) -> jax2d.SimSpec:
        """What the engine is told."""
        names = [field.name for field in dataclasses.fields(jax2d.SimSpec)]
        return jax2d.SimSpec(**{name: getattr(self, name) for name in names})

    @property
    def num_bodies(self) -> int:
        """Polygon slots plus circle slots."""
        return self.num_polygons + self.num_circles

    @property
    def walls(self) -> int:
        """Polygon slots that are walls."""
        return min(self.num_walls, self.num_polygons)

    @property
    def num_bindings(self) -> int:
        """Motor bindings plus thruster bindings."""
        return self.num_motor_bindings + self.num_thruster_bindings


SIZES = {
    "s": EnvSpec(num_polygons=5, num_circles=2, num_joints=1, num_thrusters=1),
    "m": EnvSpec(num_polygons=6, num_circles=3, num_joints=2, num_thrusters=2),
    "l": EnvSpec(num_polygons=12, num_circles=4, num_joints=6, num_thrusters=2),
}


def as_spec(size: str | EnvSpec) -> EnvSpec:
    """A named size (`"s"`, `"m"`, `"l"`) or a spec itself.

    Raises:
      ValueError: an unknown name.
    """
    if isinstance(size, EnvSpec):
        return size
    if size not in SIZES:
        raise ValueError(f"size must be one of {tuple(SIZES)} or an EnvSpec, got {size!r}")
    return SIZES[size]
