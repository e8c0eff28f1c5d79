"""Sizes: of the room in meters, and of levels in slots and bindings."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax2d
from kinetix_py.validation import check_integer

# Surface of the floor and extent of the room [m]; the origin is the bottom left.
FLOOR = 0.4
ROOM = 5.0


@dataclasses.dataclass(frozen=True)
class LevelSize:
    """Slots of a level and bindings of an action: static, hashable, part of the compiled program.

    Attributes:
      num_polygons: polygon slots, the walls included.
      num_circles, num_joints, num_thrusters: slots.
      max_vertices: vertices a polygon may have, at least 3.
      num_walls: the first polygon slots that are floor, left wall, right wall and ceiling; at most
        `num_polygons`, to which a greater number is clipped.
      num_motor_bindings, num_thruster_bindings: motors (thrusters) that share a binding act together.

    Raises:
      ValueError: a count is negative or not an integer, or `max_vertices` is below 3.
    """

    num_polygons: int
    num_circles: int
    num_joints: int
    num_thrusters: int
    max_vertices: int = 4
    num_walls: int = 4
    num_motor_bindings: int = 4
    num_thruster_bindings: int = 2

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            check_integer(f"LevelSize.{name}", value, 3 if name == "max_vertices" else 0)
        object.__setattr__(self, "num_walls", min(self.num_walls, self.num_polygons))

    @property
    def num_bodies(self) -> int:
        """Polygon slots plus circle slots."""
        return self.num_polygons + self.num_circles

    @property
    def num_bindings(self) -> int:
        """Motor bindings plus thruster bindings."""
        return self.num_motor_bindings + self.num_thruster_bindings

    def sim_spec(self, **solver: Any) -> jax2d.SimSpec:
        """Returns the engine's spec of this size.

        Args:
          solver: solver options of `jax2d.SimSpec`: `solver_iterations`, `warm_start`, `contact_order`,
            `backend`.
        """
        return jax2d.SimSpec(
            num_polygons=self.num_polygons,
            num_circles=self.num_circles,
            num_joints=self.num_joints,
            num_thrusters=self.num_thrusters,
            max_vertices=self.max_vertices,
            num_walls=self.num_walls,
            **solver,
        )


SIZES = {
    "s": LevelSize(num_polygons=5, num_circles=2, num_joints=1, num_thrusters=1),
    "m": LevelSize(num_polygons=6, num_circles=3, num_joints=2, num_thrusters=2),
    "l": LevelSize(num_polygons=12, num_circles=4, num_joints=6, num_thrusters=2),
}


def as_size(size: str | LevelSize) -> LevelSize:
    """Returns a size by its name (`"s"`, `"m"`, `"l"`), or a size as it is.

    Raises:
      ValueError: an unknown name.
    """
    if isinstance(size, LevelSize):
        return size
    if size not in SIZES:
        raise ValueError(f"size must be one of {tuple(SIZES)} or a LevelSize, got {size!r}")
    return SIZES[size]


def largest(sizes: list[LevelSize]) -> LevelSize:
    """Returns the size with the largest count of each kind."""
    rows = [dataclasses.asdict(size) for size in sizes]
    return LevelSize(**{name: max(row[name] for row in rows) for name in rows[0]})
