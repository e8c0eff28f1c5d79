"""Contents of a level file of either format: a level as plain columns, and the notes about it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from jax2d.validation import SceneError, check_polygon
from kinetix_py.levels.difficulty import Difficulty
from kinetix_py.levels.json_node import JsonNode, LevelError
from kinetix_py.levels.level import Level, LevelLabels, validate_level
from kinetix_py.sizes import LevelSize

MAX_SLOTS = 256  # of any kind: a wrong count must not exhaust the memory

FLAT: tuple[int, ...] = ()
PAIR = (2,)
# Columns of each kind of entity: type, and shape of one entry.
BODY_COLUMNS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "position": (np.float32, PAIR),
    "rotation": (np.float32, FLAT),
    "velocity": (np.float32, PAIR),
    "angular_velocity": (np.float32, FLAT),
    "inverse_mass": (np.float32, FLAT),
    "inverse_inertia": (np.float32, FLAT),
    "friction": (np.float32, FLAT),
    "restitution": (np.float32, FLAT),
    "collision_mode": (np.int32, FLAT),
    "active": (bool, FLAT),
    "role": (np.int32, FLAT),
    "density": (np.float32, FLAT),
}
JOINT_COLUMNS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "body_a": (np.int32, FLAT),
    "body_b": (np.int32, FLAT),
    "anchor_a": (np.float32, PAIR),
    "anchor_b": (np.float32, PAIR),
    "reference_rotation": (np.float32, FLAT),
    "active": (bool, FLAT),
    "weld": (bool, FLAT),
    "motor_on": (bool, FLAT),
    "motor_speed": (np.float32, FLAT),
    "motor_power": (np.float32, FLAT),
    "limits_on": (bool, FLAT),
    "min_rotation": (np.float32, FLAT),
    "max_rotation": (np.float32, FLAT),
    "motor_binding": (np.int32, FLAT),
    "motor_auto": (bool, FLAT),
}
THRUSTER_COLUMNS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "body": (np.int32, FLAT),
    "anchor": (np.float32, PAIR),
    "direction": (np.float32, FLAT),
    "power": (np.float32, FLAT),
    "active": (bool, FLAT),
    "thruster_binding": (np.int32, FLAT),
}
LABEL_FIELDS = tuple(field.name for field in dataclasses.fields(LevelLabels))


@dataclasses.dataclass(frozen=True)
class LevelFile:
    """A level and what its file says about it."""

    level: Level
    name: str | None = None
    author: str | None = None
    description: str | None = None
    solution: list[list[int]] | None = None  # multi-discrete actions, one row per environment step
    env: dict | None = None  # parameters in a Kinetix file that are not Kinetix's defaults
    difficulty: Difficulty | None = None  # as measured
    extra: dict[str, Any] | None = None  # top-level fields of a Kinetix file that this package does not know

    @property
    def solver_options(self) -> dict[str, Any]:
        """Solver options of a Kinetix file that are not the defaults, as `kinetix_py.make` takes them."""
        static = (self.env or {}).get("static_env_params", {})
        names = {"num_solver_iterations": "solver_iterations", "do_warm_starting": "warm_start"}
        return {option: static[name] for name, option in names.items() if name in static}


@dataclasses.dataclass(frozen=True)
class LevelArrays:
    """A level on the host, by kind of entity; shapes and units as in `Level` and `jax2d.SimState`."""

    bodies: dict[str, np.ndarray]
    joints: dict[str, np.ndarray]
    thrusters: dict[str, np.ndarray]
    vertices: np.ndarray  # float32 [P, V, 2] m
    num_vertices: np.ndarray  # int32 [P]
    radius: np.ndarray  # float32 [C] m
    gravity: np.ndarray  # float32 [2] m/s^2


def empty_arrays(size: LevelSize) -> LevelArrays:
    """Returns the arrays of a level without entities: zeros, and density 1."""

    def zeros(columns: dict[str, tuple[Any, tuple[int, ...]]], count: int) -> dict[str, np.ndarray]:
        return {name: np.zeros((count, *shape), dtype) for name, (dtype, shape) in columns.items()}

    bodies = zeros(BODY_COLUMNS, size.num_bodies)
    bodies["density"][:] = 1
    return LevelArrays(
        bodies=bodies,
        joints=zeros(JOINT_COLUMNS, size.num_joints),
        thrusters=zeros(THRUSTER_COLUMNS, size.num_thrusters),
        vertices=np.zeros((size.num_polygons, size.max_vertices, 2), np.float32),
        num_vertices=np.zeros(size.num_polygons, np.int32),
        radius=np.zeros(size.num_circles, np.float32),
        gravity=np.zeros(2, np.float32),
    )


def from_level(level: Level) -> LevelArrays:
    """Returns a level's arrays on the host."""
    level = jax.tree.map(np.asarray, level)
    sim, labels = level.sim, level.labels

    def take(source: Any, columns: dict[str, Any]) -> dict[str, np.ndarray]:
        return {name: getattr(labels if name in LABEL_FIELDS else source, name) for name in columns}

    return LevelArrays(
        bodies=take(sim, BODY_COLUMNS),
        joints=take(sim.joints, JOINT_COLUMNS),
        thrusters=take(sim.thrusters, THRUSTER_COLUMNS),
        vertices=np.asarray(sim.vertices),
        num_vertices=np.asarray(sim.num_vertices),
        radius=np.asarray(sim.radius),
        gravity=np.asarray(sim.gravity),
    )


def to_level(arrays: LevelArrays, size: LevelSize, file: str) -> Level:
    """Returns the level of some arrays, checked as a whole.

    Raises:
      LevelError: a level that `validate_level` refuses, with the file's name.
    """
    inside = lambda table: {k: jnp.asarray(v) for k, v in table.items() if k not in LABEL_FIELDS}
    sim = jax2d.SimState(
        **inside(arrays.bodies),
        vertices=jnp.asarray(arrays.vertices),
        num_vertices=jnp.asarray(arrays.num_vertices),
        radius=jnp.asarray(arrays.radius),
        gravity=jnp.asarray(arrays.gravity),
        joints=jax2d.Joints(**inside(arrays.joints)),
        thrusters=jax2d.Thrusters(**inside(arrays.thrusters)),
        contact_impulse=jnp.asarray(np.zeros((jax2d.num_contacts(size.sim_spec()), 2), np.float32)),
        joint_impulse=jnp.asarray(np.zeros((size.num_joints, 3), np.float32)),
    )
    tables = arrays.bodies | arrays.joints | arrays.thrusters
    labels = LevelLabels(**{name: jnp.asarray(tables[name]) for name in LABEL_FIELDS})
    level = Level(sim=sim, labels=labels, size=size)
    check_level(level, file)
    return level


def check_level(level: Level, file: str) -> None:
    """Checks one level as `validate_level` does.

    Raises:
      LevelError: a level that is refused, or a batch; naming the file.
    """
    if level.batch_shape:
        raise LevelError(f"{file}: a file holds one level, got a batch of shape {level.batch_shape}")
    try:
        validate_level(level)
    except ValueError as error:
        raise LevelError(f"{file}: {error}") from None


def check_vertices(node: JsonNode, points: np.ndarray, max_vertices: int) -> np.ndarray:
    """Checks the float32 vertices `[n, 2]` [m] of a convex polygon, clockwise, and returns them.

    Raises:
      LevelError: naming the node.
    """
    try:
        check_polygon(f"{node.file}: {node.path}", points, max_vertices)
    except SceneError as error:
        raise LevelError(str(error)) from None
    return points


def read_solution(node: JsonNode, size: LevelSize) -> list[list[int]] | None:
    """Reads rows of multi-discrete actions: 0 .. 2 for motor bindings, then 0 .. 1 for thruster bindings.

    Raises:
      LevelError: a row of another length, or a value out of range.
    """
    if node.value is None:
        return None
    rows = [row.elements(size.num_bindings, size.num_bindings) for row in node.elements()]
    return [
        [value.integer(0, 2 if i < size.num_motor_bindings else 1) for i, value in enumerate(row)]
        for row in rows
    ]
