"""Writes this package's level files: the counterpart of `native_reader`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from jax2d.scene import box_vertices
from kinetix_py.levels.difficulty import difficulty_row
from kinetix_py.levels.json_node import same, shortest_decimal
from kinetix_py.levels.level_file import RULE_NAMES, LevelArrays, LevelFile, from_level
from kinetix_py.levels.native_reader import (
    BODY_NUMBERS,
    COUNTS,
    FORMAT,
    INVERSES,
    JOINT_FLAGS,
    JOINT_NUMBERS,
    NOTES,
    RULES_VERSION,
    THRUSTER_NUMBERS,
    Default,
    body_id,
    inverses,
    unit_mass,
)
from kinetix_py.levels.rules import BODY_RULES, JOINT_RULES, PLAIN, THRUSTER_RULES, is_plain
from kinetix_py.levels.walls import DEFAULT_ROOM, WALL_NAMES, written_walls
from kinetix_py.roles import ROLES
from kinetix_py.sizes import SIZES, LevelSize

Row = dict[str, Any]


def write(file: LevelFile) -> str:
    """Makes the text of a level that `native_reader.read` reads back bit for bit, one entity to a line.

    The level must be valid: nothing is checked here.
    """
    size, arrays = file.level.size, from_level(file.level)
    walls = written_walls(arrays, size)
    first = 0 if walls == "listed" else size.num_walls
    # The lowest version that has every field of the file, so that older readers take what they can.
    version = 1 if file.difficulty is None and file.extra is None else 2
    if not is_plain(arrays.rules):
        version = RULES_VERSION
    content: Row = {"format": FORMAT, "version": version}
    content |= {note: getattr(file, note) for note in NOTES if getattr(file, note) is not None}
    content |= {"size": _size(size), "gravity": _pair(arrays.gravity)}
    if walls != DEFAULT_ROOM:
        content["walls"] = walls
    ids = [WALL_NAMES[i] if i < first else body_id(i, size) for i in range(size.num_bodies)]
    content["bodies"] = _bodies(arrays, size, ids, first)
    content["joints"] = _rows(arrays.joints["active"], lambda row: _joint(arrays, ids, row))
    content["thrusters"] = _rows(arrays.thrusters["active"], lambda row: _thruster(arrays, ids, row))
    if agents := _agents(arrays):
        content["agents"] = agents
    if file.solution is not None:
        content["solution"] = file.solution
    if file.difficulty is not None:
        content["difficulty"] = difficulty_row(file.difficulty)
    if file.env is not None:
        content["kinetix"] = file.env
    if file.extra is not None:
        content["extra"] = file.extra
    return _lines(content)


def _lines(content: Row) -> str:
    """Formats JSON with a line for each field, and for each entry of a list of entities."""
    dump = lambda value: json.dumps(value, ensure_ascii=False, allow_nan=False)

    def field(value) -> str:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n" + ",\n".join(f"  {dump(row)}" for row in value) + "\n ]"
        return dump(value)

    return "{\n" + ",\n".join(f" {dump(key)}: {field(value)}" for key, value in content.items()) + "\n}\n"


def _size(size: LevelSize) -> str | Row:
    named = next((name for name, known in SIZES.items() if known == size), None)
    if named:
        return named
    required, optional = list(COUNTS)[:4], list(COUNTS)[4:]
    usual = LevelSize(*(getattr(size, COUNTS[key]) for key in required))
    kept = [key for key in optional if getattr(size, COUNTS[key]) != getattr(usual, COUNTS[key])]
    return {key: getattr(size, COUNTS[key]) for key in (*required, *kept)}


def _pair(vector: np.ndarray) -> list[float | int]:
    return [shortest_decimal(value) for value in vector]


def _rows(active: np.ndarray, write_row) -> list[Row]:
    """Lists the active rows, each with its slot where it does not follow the last one."""
    return _with_slots(np.flatnonzero(active), write_row, 0)


def _with_slots(slots, write_row, expected: int) -> list[Row]:
    rows = []
    for slot in map(int, slots):
        rows.append(write_row(slot) | ({} if slot == expected else {"slot": slot}))
        expected = slot + 1
    return rows


def _numbers(table: dict[str, np.ndarray], row: int, numbers: dict[str, Default]) -> Row:
    values = {field: table[field][row] for field in numbers}
    return {k: shortest_decimal(v) for k, v in values.items() if not same(v, numbers[k].value)}


def _vectors(table: dict[str, np.ndarray], row: int, fields: tuple[str, ...]) -> Row:
    return {field: _pair(table[field][row]) for field in fields if not same(table[field][row], (0, 0))}


def _bodies(arrays: LevelArrays, size: LevelSize, ids: list[str], first: int) -> list[Row]:
    polygons = size.num_polygons
    active = np.flatnonzero(arrays.bodies["active"])
    write_polygon = lambda slot: _polygon(arrays, ids, slot)
    write_circle = lambda slot: _circle(arrays, ids, slot + polygons)
    return _with_slots(active[(active >= first) & (active < polygons)], write_polygon, first) + _with_slots(
        active[active >= polygons] - polygons, write_circle, 0
    )


def _polygon(arrays: LevelArrays, ids: list[str], index: int) -> Row:
    points = arrays.vertices[index, : arrays.num_vertices[index]]
    size = 2 * points[0]
    if (size > 0).all() and same(points, box_vertices(*(size / 2))):
        return _body(arrays, ids, index, {"shape": "box", "size": _pair(size)})
    return _body(arrays, ids, index, {"shape": "polygon", "vertices": [_pair(point) for point in points]})


def _circle(arrays: LevelArrays, ids: list[str], index: int) -> Row:
    radius = arrays.radius[index - len(arrays.num_vertices)]
    return _body(arrays, ids, index, {"shape": "circle", "radius": shortest_decimal(radius)})


def _body(arrays: LevelArrays, ids: list[str], index: int, shape: Row) -> Row:
    bodies = arrays.bodies
    row: Row = {"id": ids[index], **shape, "position": _pair(bodies["position"][index])}
    if bodies["role"][index]:
        row["role"] = ROLES[bodies["role"][index]]
    row |= _vectors(bodies, index, ("velocity",)) | _numbers(bodies, index, BODY_NUMBERS)
    if bodies["collision_mode"][index] != 1:
        row["collision_mode"] = int(bodies["collision_mode"][index])
    return row | _mass(arrays, index) | _rules(arrays, index, BODY_RULES)


def _agents(arrays: LevelArrays) -> Row:
    rules = arrays.rules
    row: Row = {name: rules[f"{name[:-1]}_agent"].tolist() for name in ("motors", "thrusters")}
    row = {name: agents for name, agents in row.items() if any(agents)}
    return row | ({"opposed": True} if rules["opposed"] else {})


def _rules(arrays: LevelArrays, index: int, names: Iterable[str]) -> Row:
    values = {name: int(arrays.rules[name][index]) for name in names}
    return {RULE_NAMES[name]: value for name, value in values.items() if value != PLAIN[name]}


def _mass(arrays: LevelArrays, index: int) -> Row:
    actual = [arrays.bodies[field][index] for field in INVERSES]
    if same(actual, (0, 0)):
        return {"static": True}
    own = inverses(unit_mass(arrays, index), arrays.bodies["density"][index])
    pairs = zip(INVERSES, actual, own, strict=True)
    return {field: shortest_decimal(value) for field, value, implied in pairs if not same(value, implied)}


def _joint(arrays: LevelArrays, ids: list[str], row: int) -> Row:
    table = arrays.joints
    a, b = int(table["body_a"][row]), int(table["body_b"][row])
    rotation = arrays.bodies["rotation"]
    reference = {"reference_rotation": Default(rotation[b] - rotation[a])}
    result: Row = {"a": ids[a], "b": ids[b], **_vectors(table, row, ("anchor_a", "anchor_b"))}
    result |= {field: True for field in JOINT_FLAGS if table[field][row]}
    result |= _numbers(table, row, JOINT_NUMBERS | reference)
    if table["motor_binding"][row]:
        result["motor_binding"] = int(table["motor_binding"][row])
    limits = np.array([table["min_rotation"][row], table["max_rotation"][row]])
    if table["limits_on"][row] or not same(limits, (0, 0)):
        result["limits"] = _pair(limits)
        if not table["limits_on"][row]:
            result["limits_on"] = False
    return result | _rules(arrays, row, JOINT_RULES)


def _thruster(arrays: LevelArrays, ids: list[str], row: int) -> Row:
    table = arrays.thrusters
    result: Row = {"body": ids[int(table["body"][row])], **_vectors(table, row, ("anchor",))}
    result |= _numbers(table, row, THRUSTER_NUMBERS)
    if table["thruster_binding"][row]:
        result["thruster_binding"] = int(table["thruster_binding"][row])
    return result | _rules(arrays, row, THRUSTER_RULES)
