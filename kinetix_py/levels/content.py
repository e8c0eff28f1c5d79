"""What a level file holds, whatever its format: a level as plain columns, and what is told about it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from jax2d.validation import SceneError, check_polygon
from kinetix_py.levels.checks import LevelError, Node
from kinetix_py.levels.difficulty import Difficulty
from kinetix_py.levels.level import Level, pad_level, validate_level
from kinetix_py.spec import EnvSpec

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
OUTSIDE = ("role", "density", "motor_binding", "motor_auto", "thruster_binding")  # in Level, not in its sim


@dataclasses.dataclass(frozen=True)
class LevelFile:
    """A level and what its file says about it."""

    level: Level
    spec: EnvSpec  # the level's own size
    name: str | None = None
    author: str | None = None
    description: str | None = None
    solution: list[list[int]] | None = None  # multi-discrete actions, one row per environment step
    env: dict | None = None  # parameters in a Kinetix file that are not Kinetix's defaults
    difficulty: Difficulty | None = None  # as measured


@dataclasses.dataclass(frozen=True)
class Columns:
    """A level on the host, by kind of entity; shapes and units as in `Level` and `jax2d.SimState`."""

    bodies: dict[str, np.ndarray]
    joints: dict[str, np.ndarray]
    thrusters: dict[str, np.ndarray]
    vertices: np.ndarray  # float32 [P, V, 2] m
    num_vertices: np.ndarray  # int32 [P]
    radius: np.ndarray  # float32 [C] m
    gravity: np.ndarray  # float32 [2] m/s^2


def blank(spec: EnvSpec) -> Columns:
    """No entity: zeros, and density 1."""
    polygons, circles = spec.num_polygons, spec.num_circles

    def zeros(columns, count):
        return {name: np.zeros((count, *shape), dtype) for name, (dtype, shape) in columns.items()}

    bodies = zeros(BODY_COLUMNS, polygons + circles)
    bodies["density"][:] = 1
    return Columns(
        bodies=bodies,
        joints=zeros(JOINT_COLUMNS, spec.num_joints),
        thrusters=zeros(THRUSTER_COLUMNS, spec.num_thrusters),
        vertices=np.zeros((polygons, spec.max_vertices, 2), np.float32),
        num_vertices=np.zeros(polygons, np.int32),
        radius=np.zeros(circles, np.float32),
        gravity=np.zeros(2, np.float32),
    )


def columns_of(level: Level, spec: EnvSpec) -> Columns:
    """A level's columns at the size of a spec that it fits."""
    level = jax.tree.map(np.asarray, pad_level(level, spec))
    sim = level.sim

    def take(source, columns):
        return {name: getattr(level if name in OUTSIDE else source, name) for name in columns}

    return Columns(
        bodies=take(sim, BODY_COLUMNS),
        joints=take(sim.joints, JOINT_COLUMNS),
        thrusters=take(sim.thrusters, THRUSTER_COLUMNS),
        vertices=np.asarray(sim.vertices),
        num_vertices=np.asarray(sim.num_vertices),
        radius=np.asarray(sim.radius),
        gravity=np.asarray(sim.gravity),
    )


def level_of(columns: Columns, spec: EnvSpec, file: str) -> Level:
    """The level of some columns, checked as a whole.

    Raises:
      LevelError: what `validate_level` refuses, with the file's name.
    """
    inside = lambda table: {k: jnp.asarray(v) for k, v in table.items() if k not in OUTSIDE}
    sim = jax2d.SimState(
        **inside(columns.bodies),
        vertices=jnp.asarray(columns.vertices),
        num_vertices=jnp.asarray(columns.num_vertices),
        radius=jnp.asarray(columns.radius),
        gravity=jnp.asarray(columns.gravity),
        joints=jax2d.Joints(**inside(columns.joints)),
        thrusters=jax2d.Thrusters(**inside(columns.thrusters)),
        contact_impulse=jnp.asarray(np.zeros((jax2d.num_contacts(spec.sim), 2), np.float32)),
        joint_impulse=jnp.asarray(np.zeros((spec.num_joints, 3), np.float32)),
    )
    tables = columns.bodies | columns.joints | columns.thrusters
    level = Level(sim=sim, **{name: jnp.asarray(tables[name]) for name in OUTSIDE})
    check_level(level, spec, file)
    return level


def check_level(level: Level, spec: EnvSpec, file: str) -> None:
    """`validate_level`, and that it is one level.

    Raises:
      LevelError: it is not; naming the file.
    """
    batch = np.shape(level.sim.gravity)[:-1]
    if batch:
        raise LevelError(f"{file}: a file holds one level, got a batch of shape {batch}")
    try:
        validate_level(level, spec)
    except ValueError as error:
        raise LevelError(f"{file}: {error}") from None


def check_vertices(node: Node, points: np.ndarray, max_vertices: int) -> np.ndarray:
    """A convex polygon's float32 vertices `[n, 2]`, clockwise [m].

    Raises:
      LevelError: naming the node.
    """
    try:
        check_polygon(f"{node.file}: {node.path}", points, max_vertices)
    except SceneError as error:
        raise LevelError(str(error)) from None
    return points


def read_solution(node: Node, spec: EnvSpec) -> list[list[int]] | None:
    """Rows of multi-discrete actions: 0 .. 2 for each motor binding, then 0 .. 1 for each thruster binding.

    Raises:
      LevelError: a row of another length, or a value out of range.
    """
    if node.value is None:
        return None
    rows = [row.items(spec.num_bindings, spec.num_bindings) for row in node.items()]
    return [
        [value.integer(0, 2 if i < spec.num_motor_bindings else 1) for i, value in enumerate(row)]
        for row in rows
    ]
