"""A box of generator parameters: a task space of a few numbers, for teachers that choose where to draw."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.generator.params import GeneratorParams, LocomotionParams

if TYPE_CHECKING:
    from kinetix_py.levels.level import Level
    from kinetix_py.sizes import LevelSize


@dataclasses.dataclass(frozen=True)
class GeneratorBox:
    """Some numbers of the level distribution, each between two bounds; a point of it is a distribution.

    Points are float `[..., d]`, in the order of `names` and in each number's own unit, or in 0 .. 1 ("unit
    points"). Nothing is compiled anew when they change.

    Attributes:
      names: fields of `base`.
      low, high: bounds of each.
      base: all other numbers, plain ones: `GeneratorParams`, or `LocomotionParams`.

    Raises:
      ValueError: no name, an unknown one or one twice, bounds that are not as many, or a lower bound that is
        not finite and below the upper one.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    base: GeneratorParams | LocomotionParams = dataclasses.field(default_factory=GeneratorParams)

    def __post_init__(self) -> None:
        for name in ("names", "low", "high"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        known = {field.name for field in dataclasses.fields(self.base)}
        unknown = [name for name in self.names if name not in known]
        if not self.names or unknown or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"GeneratorBox.names must be distinct fields of {type(self.base).__name__}, got {self.names}"
            )
        if not len(self.names) == len(self.low) == len(self.high):
            raise ValueError(
                f"GeneratorBox needs two bounds for each of {len(self.names)} names, got {len(self.low)} low "
                f"and {len(self.high)} high"
            )
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            if not (low < high and math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"GeneratorBox: {name} must have low < high, both finite, got {low}, {high}")

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return len(self.names)

    @property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.low, np.float32), np.array(self.high, np.float32)

    @jax.numpy_rank_promotion("allow")  # bounds broadcast against any batch of points
    def from_unit(self, unit: jax.Array) -> jax.Array:
        """Scales unit points to points of the box: float `[..., d]`; what lies outside is clipped."""
        low, high = self._bounds
        return low + jnp.clip(unit, 0.0, 1.0) * (high - low)

    @jax.numpy_rank_promotion("allow")
    def to_unit(self, points: jax.Array) -> jax.Array:
        """Scales points of the box to unit points: float `[..., d]`; what lies outside is clipped."""
        low, high = self._bounds
        return jnp.clip((points - low) / (high - low), 0.0, 1.0)

    def params(self, points: jax.Array) -> GeneratorParams | LocomotionParams:
        """Parameters of the distribution at points `[..., d]` of the box: its numbers have the axes `[...]`.

        With those of a batch `[B, d]`, `sample_levels(key, B, size, params)` draws level i at point i.

        Raises:
          ValueError: points with another number of coordinates.
        """
        if points.shape[-1] != self.dimension:
            raise ValueError(
                f"points must have {self.dimension} coordinates {self.names}, got {points.shape}"
            )
        changes: dict[str, Any] = {name: points[..., i] for i, name in enumerate(self.names)}
        return dataclasses.replace(self.base, **changes)

    def sample(self, key: jax.Array, count: int) -> jax.Array:
        """Draws points of the box, uniformly: float `[count, d]`."""
        return self.from_unit(jax.random.uniform(key, (count, self.dimension)))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class BoxLevels:
    """Levels of a box: each of a distribution at a point of its own, drawn uniformly.

    A level distribution (`kinetix_py.levels.distributions.LevelDistribution`): those of
    `GeneratorBox(("max_shapes",), (2.0,), (12.0,))` have three to twelve shapes.

    Attributes:
      box: numbers of the distribution, and their bounds.
    """

    box: GeneratorBox

    def sample(self, key: jax.Array, size: LevelSize) -> Level:
        """Draws a point of the box, and one level of a size there."""
        point_key, level_key = jax.random.split(key)
        return self.box.params(self.box.sample(point_key, 1)[0]).sample(level_key, size)


# What makes levels easy or hard, from the tamest to well beyond the default distribution.
_TASKS = {
    "max_shapes": (2.0, 24.0),
    "joined_shape_weight": (0.0, 1.0),
    "free_shape_weight": (0.0, 1.0),
    "no_shape_weight": (0.05, 1.0),
    "max_half_size": (0.1, 0.6),
    "max_radius": (0.1, 0.6),
    "max_static_chance": (0.0, 1.0),
    "red_floor_chance": (0.0, 0.5),
    "red_weight": (0.0, 1.0),
    "max_motor_speed": (0.4, 6.0),
    "max_motor_power": (1.0, 6.0),
    "limits_chance": (0.0, 1.0),
    "thruster_chance": (0.0, 1.0),
    "max_thruster_factor": (0.5, 4.0),
    "gravity": (-15.0, 0.0),
}
DEFAULT_BOX = GeneratorBox(
    tuple(_TASKS), tuple(low for low, _ in _TASKS.values()), tuple(high for _, high in _TASKS.values())
)
