"""Contents of a level file of either format: a level as plain columns, and the notes about it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

import jax2d
from jax2d.fields import FieldSpec, dimensions, field_specs
from jax2d.validation import SceneError, check_polygon
from kinetix_py.levels.difficulty import Difficulty
from kinetix_py.levels.json_node import JsonNode, LevelError
from kinetix_py.levels.level import Level, LevelLabels, validate_level
from kinetix_py.levels.rules import PLAIN, Rules, is_plain, plain_rules
from kinetix_py.sizes import LevelSize

MAX_SLOTS = 256  # of any kind: a wrong count must not exhaust the memory

# Columns of each kind of entity: those of the scene, then those of the labels.
BODY_COLUMNS = field_specs(jax2d.SimState, axis="N") | field_specs(LevelLabels, axis="N")
JOINT_COLUMNS = field_specs(jax2d.Joints) | field_specs(LevelLabels, axis="J")
THRUSTER_COLUMNS = field_specs(jax2d.Thrusters) | field_specs(LevelLabels, axis="T")
# Names in a file for arrays of `Rules`.
RULE_NAMES = {name: "waits_for" if name.endswith("_waits_for") else name for name in PLAIN}
LABEL_FIELDS = tuple(field_specs(LevelLabels))
# Arrays of a scene that are no column of one kind of entity.
SHARED_COLUMNS = {
    name: field_specs(jax2d.SimState)[name] for name in ("vertices", "num_vertices", "radius", "gravity")
}


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
    # By name, as in `Rules`; those of the plain game, or nothing, if the level has none.
    rules: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


def empty_arrays(size: LevelSize) -> LevelArrays:
    """Returns the arrays of a level without entities: zeros, and density 1."""

    sizes = dimensions(size.sim_spec())

    def zeros(columns: dict[str, FieldSpec]) -> dict[str, np.ndarray]:
        return {name: np.zeros(spec.shape(sizes), spec.dtype) for name, spec in columns.items()}

    bodies, others = zeros(BODY_COLUMNS), zeros(SHARED_COLUMNS)
    bodies["density"][:] = 1
    return LevelArrays(
        bodies=bodies,
        joints=zeros(JOINT_COLUMNS),
        thrusters=zeros(THRUSTER_COLUMNS),
        **others,
        rules=dict(vars(plain_rules(size))),
    )


def from_level(level: Level) -> LevelArrays:
    """Returns a level's arrays on the host."""
    level = jax.tree.map(np.asarray, level)
    sim, labels = level.sim, level.labels

    def take(source: Any, columns: dict[str, FieldSpec]) -> dict[str, np.ndarray]:
        return {name: getattr(labels if name in LABEL_FIELDS else source, name) for name in columns}

    return LevelArrays(
        bodies=take(sim, BODY_COLUMNS),
        joints=take(sim.joints, JOINT_COLUMNS),
        thrusters=take(sim.thrusters, THRUSTER_COLUMNS),
        **{name: getattr(sim, name) for name in SHARED_COLUMNS},
        rules=dict(vars(level.rules or plain_rules(level.size))),
    )


def to_level(arrays: LevelArrays, size: LevelSize, file: str) -> Level:
    """Returns the level of some arrays, checked as a whole.

    Raises:
      LevelError: a level that `validate_level` refuses, with the file's name.
    """
    put = jax.device_put  # unlike jnp.asarray, it compiles nothing
    inside = lambda table: {k: put(v) for k, v in table.items() if k not in LABEL_FIELDS}
    sim = jax2d.SimState(
        **inside(arrays.bodies),
        **{name: put(getattr(arrays, name)) for name in SHARED_COLUMNS},
        joints=jax2d.Joints(**inside(arrays.joints)),
        thrusters=jax2d.Thrusters(**inside(arrays.thrusters)),
        contact_impulse=put(np.zeros((jax2d.num_contacts(size.sim_spec()), 2), np.float32)),
        joint_impulse=put(np.zeros((size.num_joints, 3), np.float32)),
    )
    tables = arrays.bodies | arrays.joints | arrays.thrusters
    labels = LevelLabels(**{name: put(tables[name]) for name in LABEL_FIELDS})
    rules = None if is_plain(arrays.rules) else Rules(**{k: put(v) for k, v in arrays.rules.items()})
    level = Level(sim=sim, labels=labels, size=size, rules=rules)
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
