"""This package's level files: what a level has, in meters, radians and kilograms, and no more.

Version 2 adds `difficulty` and `extra`, version 3 the rules of `kinetix_py.levels.rules`; a file says the
lowest version that has all of its fields, so that older readers take what they can.

A body, joint or thruster takes the next free slot of its kind unless it names one. Vertices are about the
body's position, which is taken for its center of mass. A number that is left out has the default below.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from jax2d.geometry import circle_mass, polygon_mass
from jax2d.scene import box_vertices
from kinetix_py.levels.difficulty import read_difficulty
from kinetix_py.levels.json_node import JsonNode, truncated_repr
from kinetix_py.levels.kinetix_params import read_env, read_extra
from kinetix_py.levels.level_file import (
    MAX_SLOTS,
    RULE_NAMES,
    LevelArrays,
    LevelFile,
    check_vertices,
    empty_arrays,
    read_solution,
    to_level,
)
from kinetix_py.levels.rules import BODY_RULES, JOINT_RULES, NUM_AGENTS, THRUSTER_RULES, rule_bounds
from kinetix_py.levels.walls import DEFAULT_ROOM, read_walls
from kinetix_py.roles import ROLES
from kinetix_py.sizes import SIZES, LevelSize

FORMAT = "kinetix-py level"
VERSION = 3
RULES_VERSION = 3  # first version with fields of rules
NOTES = ("name", "author", "description")
# Names in a file for counts of LevelSize; the first four have no default.
COUNTS = {
    "polygons": "num_polygons",
    "circles": "num_circles",
    "joints": "num_joints",
    "thrusters": "num_thrusters",
    "max_vertices": "max_vertices",
    "motor_bindings": "num_motor_bindings",
    "thruster_bindings": "num_thruster_bindings",
    "walls": "num_walls",
}
GEOMETRY = {"box": "size", "polygon": "vertices", "circle": "radius"}


class Default(NamedTuple):
    """A number's value when it is left out, and its bounds."""

    value: float
    low: float = -np.inf
    high: float = np.inf
    above: bool = False


BODY_NUMBERS = {
    "rotation": Default(0.0),
    "angular_velocity": Default(0.0),
    "density": Default(1.0, 0, above=True),
    "friction": Default(1.0, 0),
    "restitution": Default(0.0, 0, 1),
}
JOINT_NUMBERS = {"motor_speed": Default(1.0), "motor_power": Default(1.0, 0)}
JOINT_FLAGS = ("weld", "motor_on", "motor_auto")
THRUSTER_NUMBERS = {"direction": Default(0.0), "power": Default(1.0, 0)}
INVERSES = ("inverse_mass", "inverse_inertia")
BODY_OPTIONS = ("id", "slot", "role", "velocity", "collision_mode", "static", *INVERSES, *BODY_NUMBERS)
JOINT_OPTIONS: tuple[str, ...] = ("slot", "anchor_a", "anchor_b", "reference_rotation", "limits", "limits_on")
JOINT_OPTIONS += ("motor_binding", *JOINT_FLAGS, *JOINT_NUMBERS)
THRUSTER_OPTIONS = ("slot", "anchor", "thruster_binding", *THRUSTER_NUMBERS)


def read(root: JsonNode) -> LevelFile:
    """Reads the level of a file in this format.

    Raises:
      LevelError: naming the field that is wrong, its value and its bound.
    """
    root["format"].choice((FORMAT,))
    version = root["version"].integer(1, 10**9)
    if version > VERSION:
        root["version"].fail(f"is {version}, newer than this package reads; at most {VERSION}")
    lists = ("bodies", "joints", "thrusters")
    later: tuple[str, ...] = ("difficulty", "extra") if version >= 2 else ()
    later += ("agents",) if version >= RULES_VERSION else ()
    optional = (*NOTES, "solution", "walls", *lists, "kinetix", *later)
    root.require_keys(("format", "version", "size", "gravity"), optional)
    size = read_size(root["size"])
    arrays = empty_arrays(size)
    arrays.gravity[:] = root["gravity"].vector()
    ids = read_walls(root.get("walls", DEFAULT_ROOM), arrays, size)
    with_rules = version >= RULES_VERSION
    _read_bodies(root.get("bodies", []), arrays, size, ids, with_rules)
    slots = _Slots("joint", 0, size.num_joints)
    options = (*JOINT_OPTIONS, *_rule_fields(JOINT_RULES, with_rules))
    for node in root.get("joints", []).elements():
        _read_joint(node.require_keys(("a", "b"), options), arrays, size, ids, slots)
    slots = _Slots("thruster", 0, size.num_thrusters)
    options = (*THRUSTER_OPTIONS, *_rule_fields(THRUSTER_RULES, with_rules))
    for node in root.get("thrusters", []).elements():
        _read_thruster(node.require_keys(("body",), options), arrays, size, ids, slots)
    if "agents" in root:
        _read_agents(root["agents"], arrays, size)
    return LevelFile(
        level=to_level(arrays, size, root.file),
        solution=read_solution(root.get("solution", None), size),
        env=read_env(root["kinetix"]) if "kinetix" in root else None,
        difficulty=read_difficulty(root["difficulty"]) if "difficulty" in root else None,
        extra=read_extra(root["extra"]) if "extra" in root else None,
        **{note: root[note].string() for note in NOTES if note in root},
    )


def _read_agents(node: JsonNode, arrays: LevelArrays, size: LevelSize) -> None:
    """Reads which agent each binding belongs to, and whether the agents are opposed."""
    node.require_keys((), ("motors", "thrusters", "opposed"))
    counts = {"motors": size.num_motor_bindings, "thrusters": size.num_thruster_bindings}
    for field, count in counts.items():
        agents = node.get(field, [0] * count).elements(count, count)
        arrays.rules[f"{field[:-1]}_agent"][:] = [agent.integer(0, NUM_AGENTS - 1) for agent in agents]
    arrays.rules["opposed"] = np.array(node.get("opposed", False).boolean())


def read_size(node: JsonNode) -> LevelSize:
    """Reads a size: its name, or its counts.

    Raises:
      LevelError: an unknown name, a count that is missing or out of range.
    """
    if isinstance(node.value, str):
        return SIZES[node.choice(SIZES)]
    node.require_keys(list(COUNTS)[:4], list(COUNTS)[4:])
    lows = {"max_vertices": 3}
    return LevelSize(**{COUNTS[key]: node[key].integer(lows.get(key, 0), MAX_SLOTS) for key in node.value})


class _Slots:
    """Hands out slots `first .. end - 1`: the one that an entity names, or the one after the last."""

    def __init__(self, kind: str, first: int, end: int):
        self.kind, self.first, self.end = kind, first, end
        self.next = first
        self.owners: dict[int, str] = {}

    def take(self, node: JsonNode) -> int:
        if "slot" not in node and self.next >= self.end:
            node.fail(f"has no slot: the size's last {self.kind} slot is {self.end - 1}, got {self.next}")
        where = node.get("slot", self.next)
        if self.first >= self.end:
            where.fail(
                f"is {truncated_repr(where.value)}, but the size has no {self.kind} slots that are free"
            )
        slot = where.integer(self.first, self.end - 1)
        if slot in self.owners:
            where.fail(
                f"is {slot}, the {self.kind} slot that {self.owners[slot]} has; each slot may occur once"
            )
        self.owners[slot] = node.path
        self.next = slot + 1
        return slot


def _read_bodies(
    node: JsonNode, arrays: LevelArrays, size: LevelSize, ids: dict[str, int], with_rules: bool
) -> None:
    options = (*BODY_OPTIONS, *_rule_fields(BODY_RULES, with_rules))
    polygons = _Slots("polygon", len(ids), size.num_polygons)
    circles = _Slots("circle", 0, size.num_circles)
    for body in node.elements():
        shape = body["shape"].choice(GEOMETRY)
        body.require_keys(("shape", "position", GEOMETRY[shape]), options)
        slot = (circles if shape == "circle" else polygons).take(body)
        index = slot + (size.num_polygons if shape == "circle" else 0)
        name = body.get("id", body_id(index, size))
        if name.string() in ids:
            name.fail(f"is {name.value!r}, as of another body; each id may occur once")
        ids[name.value] = index
        _read_body(body, arrays, index)
        (_read_circle if shape == "circle" else _read_polygon)(body, arrays, slot)
        _read_inverses(body, arrays, index)
        _read_rules(body, BODY_RULES, arrays, index)


def _rule_fields(names: Iterable[str], with_rules: bool) -> list[str]:
    """Fields of rules of an entity, none in files of a version without them."""
    return [RULE_NAMES[name] for name in names if with_rules]


def _read_rules(node: JsonNode, names: Iterable[str], arrays: LevelArrays, index: int) -> None:
    for name in names:
        if RULE_NAMES[name] in node:
            arrays.rules[name][index] = node[RULE_NAMES[name]].integer(*rule_bounds(name))


def body_id(index: int, size: LevelSize) -> str:
    """Returns the default id of a body."""
    polygons = size.num_polygons
    return f"polygon {index}" if index < polygons else f"circle {index - polygons}"


def _read_numbers(
    node: JsonNode, numbers: dict[str, Default], table: dict[str, np.ndarray], row: int
) -> None:
    for field, (value, low, high, above) in numbers.items():
        table[field][row] = node.get(field, value).number(low, high, above=above)


def _read_body(node: JsonNode, arrays: LevelArrays, index: int) -> None:
    bodies = arrays.bodies
    bodies["active"][index] = True
    bodies["position"][index] = node["position"].vector()
    bodies["velocity"][index] = node.get("velocity", [0, 0]).vector()
    bodies["role"][index] = ROLES.index(node.get("role", ROLES[0]).choice(ROLES))
    bodies["collision_mode"][index] = node.get("collision_mode", 1).integer(0, 2)
    _read_numbers(node, BODY_NUMBERS, bodies, index)


def _read_polygon(node: JsonNode, arrays: LevelArrays, slot: int) -> None:
    if "size" in node:
        where = node["size"]
        width, height = (float(item.number(0, above=True)) for item in where.elements(2, 2))
        points = box_vertices(width / 2, height / 2).astype(np.float32)
    else:
        where = node["vertices"]
        points = np.array([item.vector() for item in where.elements(3)], np.float32)
    points = check_vertices(where, points, arrays.vertices.shape[1])
    arrays.vertices[slot, : len(points)] = points
    arrays.num_vertices[slot] = len(points)


def _read_circle(node: JsonNode, arrays: LevelArrays, slot: int) -> None:
    arrays.radius[slot] = node["radius"].number(0, above=True)


def unit_mass(arrays: LevelArrays, index: int) -> tuple[float, float]:
    """Mass [kg] and inertia [kg m^2] that a body would have at density 1."""
    polygons = len(arrays.num_vertices)
    if index >= polygons:
        return circle_mass(float(arrays.radius[index - polygons]), 1.0)
    points = arrays.vertices[index, : arrays.num_vertices[index]]
    mass, inertia, _ = polygon_mass(points.astype(np.float64), np.float64(1))
    return mass, inertia


def inverses(mass: tuple[float, float], density: float) -> np.ndarray:
    """Returns inverse mass and inertia, float32 `[2]`; infinite where a shape is too small for float32."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        return (1 / (float(density) * np.array(mass, np.float64))).astype(np.float32)


def _read_inverses(node: JsonNode, arrays: LevelArrays, index: int) -> None:
    if node.get("static", False).boolean():
        for field in INVERSES:
            if field in node:
                node[field].fail(
                    f"is {truncated_repr(node[field].value)}, but the body is static; leave one out"
                )
        return
    own = inverses(unit_mass(arrays, index), arrays.bodies["density"][index])
    for field, value in zip(INVERSES, own, strict=True):
        if field not in node and not np.isfinite(value):
            node.fail(f"is too light: its {field} must be finite in float32, got {value}")
        arrays.bodies[field][index] = node[field].number(0) if field in node else value


def _read_body_id(node: JsonNode, ids: dict[str, int]) -> int:
    name = node.string()
    if name not in ids:
        near = difflib.get_close_matches(name, ids, 1, 0)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        node.fail(f"must be the id of a body{hint}, got {truncated_repr(name)}")
    return ids[name]


def _read_joint(
    node: JsonNode, arrays: LevelArrays, size: LevelSize, ids: dict[str, int], slots: _Slots
) -> None:
    row, table = slots.take(node), arrays.joints
    a, b = _read_body_id(node["a"], ids), _read_body_id(node["b"], ids)
    node["b"].require(a != b, "another body than a")
    rotation = arrays.bodies["rotation"]
    reference = {"reference_rotation": Default(float(rotation[b] - rotation[a]))}
    limits = node.get("limits", [0, 0])
    low, high = limits.vector()
    limited = node.get("limits_on", "limits" in node).boolean()
    if limited and not node.get("weld", False).boolean():
        limits[1].number(low)
    values: dict[str, Any] = {"body_a": a, "body_b": b, "active": True, "limits_on": limited}
    values |= {"min_rotation": low, "max_rotation": high}
    values |= {field: node.get(field, [0, 0]).vector() for field in ("anchor_a", "anchor_b")}
    values |= {field: node.get(field, False).boolean() for field in JOINT_FLAGS}
    least = 0 if values["motor_on"] else 1  # a joint without a motor has binding 0, though there are none
    most = max(size.num_motor_bindings, least) - 1
    values["motor_binding"] = node.get("motor_binding", 0).integer(0, most)
    for field, value in values.items():
        table[field][row] = value
    _read_numbers(node, JOINT_NUMBERS | reference, table, row)
    _read_rules(node, JOINT_RULES, arrays, row)


def _read_thruster(
    node: JsonNode, arrays: LevelArrays, size: LevelSize, ids: dict[str, int], slots: _Slots
) -> None:
    row, table = slots.take(node), arrays.thrusters
    table["active"][row] = True
    table["body"][row] = _read_body_id(node["body"], ids)
    table["anchor"][row] = node.get("anchor", [0, 0]).vector()
    binding = node.get("thruster_binding", 0).integer(0, size.num_thruster_bindings - 1)
    table["thruster_binding"][row] = binding
    _read_numbers(node, THRUSTER_NUMBERS, table, row)
    _read_rules(node, THRUSTER_RULES, arrays, row)
