"""Level files of Kinetix and its browser editor, read and written without loss.

What an engine carries from step to step (impulses, manifolds) and what follows from the rest (the collision
matrix, where anchors are in the world) is not read, and written as for a level at rest. Slots not in use
may hold anything in a file; they are not read and written empty.

Files of other versions have fields that this package does not know, as the `version` of the browser editor.
Unknown parameters (`LevelFile.env`) and unknown fields beside the level (`LevelFile.extra`) are kept and
written back. An unknown field of the scene is an error, since it may change how the level plays.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from kinetix_py.levels.json_node import JsonNode, LevelError
from kinetix_py.levels.kinetix_params import PARTS, full_env, read_env, read_extra
from kinetix_py.levels.level_file import (
    MAX_SLOTS,
    LevelArrays,
    LevelFile,
    check_vertices,
    empty_arrays,
    from_level,
    to_level,
)
from kinetix_py.levels.rules import is_plain
from kinetix_py.roles import NUM_ROLES
from kinetix_py.sizes import LevelSize

Row = dict[str, Any]

MANIFOLDS = ("acc_rr_manifolds", "acc_cr_manifolds", "acc_cc_manifolds")
SCENE = ("polygon", "circle", "joint", "thruster", "collision_matrix", *MANIFOLDS, "gravity")
# Names in a file for the fields of LevelSize.
COUNTS = {
    "num_polygons": "num_polygons",
    "num_circles": "num_circles",
    "num_joints": "num_joints",
    "num_thrusters": "num_thrusters",
    "max_polygon_vertices": "max_vertices",
    "num_static_fixated_polys": "num_walls",
    "num_motor_bindings": "num_motor_bindings",
    "num_thruster_bindings": "num_thruster_bindings",
}
# Names in a file for arrays, by how a value is read.
BODY_VECTORS = {"position": "position", "velocity": "velocity"}
BODY_NUMBERS = {name: name for name in ("rotation", "angular_velocity")}
BODY_POSITIVE = {name: name for name in ("inverse_mass", "inverse_inertia", "friction")}
JOINT_VECTORS = {"a_relative_pos": "anchor_a", "b_relative_pos": "anchor_b"}
JOINT_NUMBERS = {"rotation": "reference_rotation", "motor_speed": "motor_speed", "motor_power": "motor_power"}
JOINT_NUMBERS |= {"min_rotation": "min_rotation", "max_rotation": "max_rotation"}
JOINT_FLAGS = {"motor_on": "motor_on", "motor_has_joint_limits": "limits_on", "is_fixed_joint": "weld"}
THRUSTER_VECTORS = {"relative_position": "anchor"}
THRUSTER_NUMBERS = {"rotation": "direction", "power": "power"}

BODY_KEYS = (*BODY_VECTORS, *BODY_NUMBERS, *BODY_POSITIVE, "restitution", "collision_mode", "active")
BODY_KEYS += ("n_vertices", "vertices", "radius", "role", "density")
JOINT_KEYS = ("a_index", "b_index", *JOINT_VECTORS, "global_position", "active", "acc_impulse")
JOINT_KEYS += ("acc_r_impulse", *JOINT_NUMBERS, *JOINT_FLAGS, "motor_binding")
THRUSTER_KEYS = ("object_index", *THRUSTER_VECTORS, *THRUSTER_NUMBERS, "global_position", "active")
THRUSTER_KEYS += ("thruster_binding",)


def read(root: JsonNode) -> LevelFile:
    """Reads the level of a file of Kinetix, in exactly the file's slots.

    Raises:
      LevelError: naming the field that is wrong, its value and its bound.
    """
    scene = root.require_keys(PARTS, optional=root.value)["env_state"].require_keys(SCENE)
    size = read_size(root["static_env_params"], scene)
    arrays = empty_arrays(size)
    arrays.gravity[:] = _vector(scene["gravity"])
    _read_rows(scene["polygon"], BODY_KEYS, lambda node, i: _read_polygon(node, arrays, i))
    _read_rows(scene["circle"], BODY_KEYS, lambda node, i: _read_circle(node, arrays, i))
    _read_rows(scene["joint"], JOINT_KEYS, lambda node, i: _read_joint(node, arrays, size, i))
    _read_rows(scene["thruster"], THRUSTER_KEYS, lambda node, i: _read_thruster(node, arrays, size, i))
    for name in MANIFOLDS:
        scene[name].elements()
    scene["collision_matrix"].require_keys([str(i) for i in range(size.num_bodies)])
    params = JsonNode({part: root[part].value for part in PARTS[1:]}, root.file)
    root["static_env_params"]["num_solver_iterations"].integer(1, MAX_SLOTS)
    root["static_env_params"]["do_warm_starting"].boolean()
    env = read_env(params, ignored=tuple(COUNTS))
    extra = {name: value for name, value in root.value.items() if name not in PARTS}
    return LevelFile(level=to_level(arrays, size, root.file), env=env, extra=extra or None)


def read_size(node: JsonNode, scene: JsonNode) -> LevelSize:
    """Reads the size that a file states, and checks that its lists have it.

    Raises:
      LevelError: a count is missing, out of range, or not that of the list.
    """
    lows = {"max_polygon_vertices": 3}
    counts: dict[str, Any] = {
        field: node[key].integer(lows.get(key, 0), MAX_SLOTS) for key, field in COUNTS.items()
    }
    for kind in ("polygon", "circle", "joint", "thruster"):
        count = counts[f"num_{kind}s"]
        scene[kind].elements(count, count)
    return LevelSize(**counts)


def _read_rows(rows: JsonNode, keys: tuple[str, ...], read_row: Callable[[JsonNode, int], None]) -> None:
    for i, node in enumerate(rows.elements()):
        if node.require_keys(keys, ("highlighted",))["active"].boolean():
            read_row(node, i)


def _vector(node: JsonNode) -> np.ndarray:
    node.require_keys(("0", "1"))
    return np.array([node["0"].number(), node["1"].number()], np.float32)


def _fill(table: dict[str, np.ndarray], row: int, values: Row) -> None:
    for field, value in values.items():
        table[field][row] = value


def _body(node: JsonNode) -> Row:
    values: Row = {field: _vector(node[key]) for key, field in BODY_VECTORS.items()}
    values |= {field: node[key].number() for key, field in BODY_NUMBERS.items()}
    values |= {field: node[key].number(0) for key, field in BODY_POSITIVE.items()}
    return values | {
        "restitution": node["restitution"].number(0, 1),
        "collision_mode": node["collision_mode"].integer(0, 2),
        "active": True,
        "role": node["role"].integer(0, NUM_ROLES - 1),
        "density": node["density"].number(0, above=True),
    }


def _read_polygon(node: JsonNode, arrays: LevelArrays, slot: int) -> None:
    most = arrays.vertices.shape[1]
    count = node["n_vertices"].integer(3, most)
    vertices = node["vertices"].require_keys(map(str, range(most)))
    points = np.array([_vector(vertices[str(i)]) for i in range(count)])
    arrays.vertices[slot, :count] = check_vertices(vertices, points, most)
    arrays.num_vertices[slot] = count
    _fill(arrays.bodies, slot, _body(node))


def _read_circle(node: JsonNode, arrays: LevelArrays, slot: int) -> None:
    arrays.radius[slot] = node["radius"].number(0, above=True)
    _fill(arrays.bodies, len(arrays.num_vertices) + slot, _body(node))


def _read_index(node: JsonNode, arrays: LevelArrays) -> int:
    active = arrays.bodies["active"]
    index = node.integer(0, len(active) - 1)
    node.require(bool(active[index]), "a body in use")
    return index


def _read_joint(node: JsonNode, arrays: LevelArrays, size: LevelSize, row: int) -> None:
    a, b = _read_index(node["a_index"], arrays), _read_index(node["b_index"], arrays)
    node["b_index"].require(a != b, "another body than a_index")
    values: Row = {field: _vector(node[key]) for key, field in JOINT_VECTORS.items()}
    values |= {field: node[key].number() for key, field in JOINT_NUMBERS.items()}
    values |= {field: node[key].boolean() for key, field in JOINT_FLAGS.items()}
    if values["limits_on"] and not values["weld"]:
        node["max_rotation"].number(values["min_rotation"])
    binding = node["motor_binding"].integer(0, size.num_motor_bindings - 1)
    values |= {"body_a": a, "body_b": b, "active": True, "motor_binding": binding}
    _fill(arrays.joints, row, values)


def _read_thruster(node: JsonNode, arrays: LevelArrays, size: LevelSize, row: int) -> None:
    values: Row = {field: _vector(node[key]) for key, field in THRUSTER_VECTORS.items()}
    values |= {field: node[key].number() for key, field in THRUSTER_NUMBERS.items()}
    binding = node["thruster_binding"].integer(0, size.num_thruster_bindings - 1)
    values |= {"body": _read_index(node["object_index"], arrays), "active": True}
    _fill(arrays.thrusters, row, values | {"thruster_binding": binding})


def check_writable(file: LevelFile, where: str) -> None:
    """Checks that Kinetix's format has a field for everything to be written.

    Raises:
      LevelError: naming what it has none for.
    """
    level = file.level
    for row in np.flatnonzero(np.asarray(level.sim.joints.active) & np.asarray(level.labels.motor_auto)):
        raise LevelError(
            f"{where}: joint {row}: motor_auto is True, but Kinetix's files cannot say so; it must be False"
        )
    for field in ("name", "author", "description", "solution", "difficulty"):
        if getattr(file, field) is not None:
            raise LevelError(
                f"{where}: {field} must be None, as Kinetix's files have no such field; format='native' has"
            )
    if level.rules is not None and not is_plain(vars(level.rules)):
        raise LevelError(f"{where}: the level has rules (goals), for which Kinetix's files have no fields")
    if file.extra is not None:
        read_extra(JsonNode(file.extra, where, "extra"))


def write(file: LevelFile) -> str:
    """Makes the text of a file of Kinetix with every field that its own files have, on one line as there.

    The level must be valid and `check_writable`.
    """
    size, arrays = file.level.size, empty_unused(from_level(file.level))
    counts: Row = {key: getattr(size, field) for key, field in COUNTS.items()}
    polygons, circles = size.num_polygons, size.num_circles
    walls = size.num_walls
    pairs = (polygons * (polygons - 1) - walls * (walls - 1)) // 2
    manifolds = (2 * pairs, circles * polygons, circles * (circles - 1) // 2)
    rows = lambda write_row, count, first=0: [write_row(arrays, first + i) for i in range(count)]
    scene = {
        "polygon": rows(_polygon, polygons),
        "circle": rows(_circle, circles, polygons),
        "joint": rows(_joint, size.num_joints),
        "thruster": rows(_thruster, size.num_thrusters),
        "collision_matrix": _collision_matrix(arrays, size.num_bodies),
        **{name: [_no_contact()] * count for name, count in zip(MANIFOLDS, manifolds, strict=True)},
        "gravity": _xy(arrays.gravity),
    }
    static = full_env(file.env, PARTS[2]) | counts
    content = {PARTS[0]: scene, PARTS[1]: full_env(file.env, PARTS[1]), PARTS[2]: static} | (file.extra or {})
    return json.dumps(content, allow_nan=False)


def empty_unused(arrays: LevelArrays) -> LevelArrays:
    """Clears the slots that are not in use, but for friction and density 1."""
    clean = lambda table: {
        name: np.where(table["active"].reshape(-1, *[1] * (column.ndim - 1)), column, column.dtype.type(0))
        for name, column in table.items()
    }
    bodies = clean(arrays.bodies)
    for field in ("friction", "density", "collision_mode"):
        bodies[field] = np.where(bodies["active"], bodies[field], bodies[field].dtype.type(1))
    polygons = len(arrays.num_vertices)
    count = np.where(bodies["active"][:polygons], arrays.num_vertices, 0)
    used = np.arange(arrays.vertices.shape[1]) < count[:, None]
    return LevelArrays(
        bodies=bodies,
        joints=clean(arrays.joints),
        thrusters=clean(arrays.thrusters),
        vertices=np.where(used[..., None], arrays.vertices, np.float32(0)),
        num_vertices=count,
        radius=np.where(bodies["active"][polygons:], arrays.radius, np.float32(0)),
        gravity=arrays.gravity,
        rules=arrays.rules,
    )


def _xy(vector: np.ndarray) -> dict[str, float]:
    return {"0": float(vector[0]), "1": float(vector[1])}


def _vertices(points: np.ndarray) -> Row:
    return {str(i): _xy(point) for i, point in enumerate(points)}


def _polygon(arrays: LevelArrays, index: int) -> Row:
    count = int(arrays.num_vertices[index])
    return _body_row(arrays, index, n_vertices=count, vertices=_vertices(arrays.vertices[index]), radius=0.0)


def _circle(arrays: LevelArrays, index: int) -> Row:
    radius = float(arrays.radius[index - len(arrays.num_vertices)])
    no_points = np.zeros(arrays.vertices.shape[1:])
    return _body_row(arrays, index, n_vertices=0, vertices=_vertices(no_points), radius=radius)


def _body_row(arrays: LevelArrays, index: int, **shape: Any) -> Row:
    value = {name: column[index] for name, column in arrays.bodies.items()}
    return {
        "position": _xy(value["position"]),
        "rotation": float(value["rotation"]),
        "velocity": _xy(value["velocity"]),
        **{name: float(value[name]) for name in ("angular_velocity", "inverse_mass", "inverse_inertia")},
        **{name: float(value[name]) for name in ("friction", "restitution")},
        "collision_mode": int(value["collision_mode"]),
        "active": bool(value["active"]),
        **shape,
        "role": int(value["role"]),
        "density": float(value["density"]),
        "highlighted": False,
    }


def _anchor_in_world(arrays: LevelArrays, body: int, anchor: np.ndarray) -> dict[str, float]:
    angle = arrays.bodies["rotation"][body]
    (x, y), cos, sin = anchor, np.cos(angle), np.sin(angle)
    return _xy(arrays.bodies["position"][body] + np.array([cos * x - sin * y, sin * x + cos * y], np.float32))


def _joint(arrays: LevelArrays, row: int) -> Row:
    value = {name: column[row] for name, column in arrays.joints.items()}
    number = lambda key: float(value[JOINT_NUMBERS[key]])
    flag = lambda key: bool(value[JOINT_FLAGS[key]])
    return {
        "a_index": int(value["body_a"]),
        "b_index": int(value["body_b"]),
        **{key: _xy(value[field]) for key, field in JOINT_VECTORS.items()},
        "global_position": _anchor_in_world(arrays, int(value["body_a"]), value["anchor_a"]),
        "active": bool(value["active"]),
        "acc_impulse": {"0": 0.0, "1": 0.0},
        "acc_r_impulse": 0.0,
        **{key: number(key) for key in ("motor_speed", "motor_power")},
        **{key: flag(key) for key in ("motor_on", "motor_has_joint_limits")},
        **{key: number(key) for key in ("min_rotation", "max_rotation")},
        "is_fixed_joint": flag("is_fixed_joint"),
        "rotation": number("rotation"),
        "motor_binding": int(value["motor_binding"]),
    }


def _thruster(arrays: LevelArrays, row: int) -> Row:
    value = {name: column[row] for name, column in arrays.thrusters.items()}
    return {
        "object_index": int(value["body"]),
        "relative_position": _xy(value["anchor"]),
        **{key: float(value[field]) for key, field in THRUSTER_NUMBERS.items()},
        "global_position": _anchor_in_world(arrays, int(value["body"]), value["anchor"]),
        "active": bool(value["active"]),
        "thruster_binding": int(value["thruster_binding"]),
    }


def _no_contact() -> Row:
    zero = {"0": 0.0, "1": 0.0}
    values: Row = {"normal": zero, "penetration": 0.0, "collision_point": zero, "active": False}
    impulses = ("acc_impulse_normal", "acc_impulse_tangent", "restitution_velocity_target")
    return values | dict.fromkeys(impulses, 0.0)


def _collision_matrix(arrays: LevelArrays, count: int) -> dict[str, dict[str, bool]]:
    """Makes Kinetix's matrix: False for bodies that a chain of joints connects, and for a body and itself."""
    group = np.arange(count)
    for row in np.flatnonzero(arrays.joints["active"]):
        a, b = arrays.joints["body_a"][row], arrays.joints["body_b"][row]
        group = np.where(group == group[b], group[a], group)
    return {str(i): {str(j): bool(group[i] != group[j]) for j in range(count)} for i in range(count)}
