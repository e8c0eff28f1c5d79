"""Level files that are wrong, and levels that cannot be written: one clear error each."""

from __future__ import annotations

import copy
import dataclasses
import json

import jax
import numpy as np
import pytest

from kinetix_py.levels.files import level_from_json, level_to_json, load_level, save_level
from kinetix_py.levels.json_node import LevelError
from kinetix_py.levels.level import empty_level, stack_levels
from kinetix_py.sizes import SIZES, LevelSize
from tests.kinetix_py.level_samples import ODD, assert_canonical, assert_same, example, level_of_all_kinds


def put(content, path, value):
    """Sets, or with `...` removes, the value at a path such as `("bodies", 0, "radius")`."""
    *place, last = path
    for key in place:
        content = content[key]
    if value is ...:
        del content[last]
    else:
        content[last] = value


BENT = [[0, 0.2], [0.05, 0.05], [0.2, 0], [0, 0]]
CIRCLE = {"shape": "circle", "radius": 0.2, "position": [3, 1]}
# Where, what, and what the message must have beside the file's name.
WRONG = {
    "missing field": ("gravity", ..., "the content has no field 'gravity'"),
    "extra field": ("bodies.0.radios", 1, "bodies[0] has an unknown field 'radios'"),
    "misspelt field": (
        "bodies.0.frictoin",
        1,
        "bodies[0] has an unknown field 'frictoin'; did you mean 'friction'",
    ),
    "other format": ("format", "a level", "format must be one of kinetix-py level, got 'a level'"),
    "newer version": ("version", 4, "version is 4, newer than this package reads; at most 3"),
    "no version": ("version", True, "version must be an integer, got True"),
    "unknown size": ("size", "xl", "size must be one of s, m, l, got 'xl'"),
    "too large": ("size", {"polygons": 10**9}, "size has no field 'circles'"),
    "not a list": ("bodies", {}, "bodies must be a list, got {}"),
    "not an object": ("bodies.0", 3, "bodies[0] must be an object, got 3"),
    "a string": ("bodies.2.radius", "0.2", "bodies[2].radius must be a number, got '0.2'"),
    "a flag for a number": ("bodies.2.radius", True, "bodies[2].radius must be a number, got True"),
    "a number for a flag": ("joints.0.weld", 1, "joints[0].weld must be true or false, got 1"),
    "too small": ("bodies.2.radius", 0, "bodies[2].radius must be above 0, got 0"),
    "below float32": ("bodies.2.radius", 1e-60, "bodies[2].radius must be above 0, got 1e-60"),
    "above float32": (
        "bodies.2.radius",
        1e40,
        "bodies[2].radius must be finite, within the range of float32",
    ),
    "above integers": ("bodies.2.radius", 10**400, "bodies[2].radius must be finite"),
    "massless": ("bodies.2.radius", 1e-15, "bodies[2] is too light: its inverse_inertia must be finite"),
    "NaN": ("bodies.2.position.0", float("nan"), "bodies[2].position[0] must be finite, got nan"),
    "infinite": ("gravity.1", float("-inf"), "gravity[1] must be finite, got -inf"),
    "three numbers": ("bodies.2.position", [1, 2, 3], "bodies[2].position must have 2 entries, got 3"),
    "restitution": ("bodies.0.restitution", 1.5, "bodies[0].restitution must be at most 1, got 1.5"),
    "mode": ("bodies.0.collision_mode", 3, "bodies[0].collision_mode must be in 0 .. 2, got 3"),
    "role": ("bodies.0.role", "gren", "bodies[0].role must be one of none, green, blue, red, got 'gren'"),
    "shape": ("bodies.0.shape", "star", "bodies[0].shape must be one of box, polygon, circle, got 'star'"),
    "mass twice": (
        "bodies.0",
        {"shape": "box", "size": [1, 1], "position": [1, 1], "static": True, "inverse_mass": 2},
        "bodies[0].inverse_mass is 2, but the body is static",
    ),
    "not convex": (
        "bodies.1.vertices",
        BENT,
        "bodies[1].vertices: must be convex, but it turns left at vertex 1",
    ),
    "wrong way round": (
        "bodies.1.vertices",
        [[0, 0], [1, 0], [0, 1]],
        "bodies[1].vertices: vertices must run clock",
    ),
    "two vertices": (
        "bodies.1.vertices",
        [[0, 0], [1, 0]],
        "bodies[1].vertices must have at least 3 entries, got 2",
    ),
    "five vertices": (
        "bodies.1.vertices",
        [[1, 0], [0.3, -1], [-0.8, -0.6], [-0.8, 0.6], [0.3, 1]],
        "bodies[1].vertices: needs 3 to 4 vertices, got 5",
    ),
    "slot": ("bodies.0.slot", 6, "bodies[0].slot must be in 4 .. 5, got 6"),
    "slot of a wall": ("bodies.0.slot", 3, "bodies[0].slot must be in 4 .. 5, got 3"),
    "same slot": ("bodies.1.slot", 4, "bodies[1].slot is 4, the polygon slot that bodies[0] has"),
    "same id": ("bodies.1.id", "car", "bodies[1].id is 'car', as of another body"),
    "too many": ("bodies", [CIRCLE] * 4, "bodies[3] has no slot: the size's last circle slot is 2, got 3"),
    "no such body": (
        "joints.0.b",
        "bal",
        "joints[0].b must be the id of a body; the nearest is 'ball', got 'bal'",
    ),
    "one body": ("joints.0.b", "car", "joints[0].b must be another body than a, got 'car'"),
    "limits": ("joints.0.limits", [1, 0.5], "joints[0].limits[1] must be at least 1, got 0.5"),
    "binding": ("joints.0.motor_binding", 4, "joints[0].motor_binding must be in 0 .. 3, got 4"),
    "power": ("joints.0.motor_power", -1, "joints[0].motor_power must be at least 0, got -1"),
    "thruster binding": (
        "thrusters.0.thruster_binding",
        -1,
        "thrusters[0].thruster_binding must be in 0 .. 1, got -1",
    ),
    "room": ("walls", "igloo", "walls must be one of standard, kinetix, listed, got 'igloo'"),
    "wall": (
        "walls",
        {"room": "kinetix", "roles": {"roof": "red"}},
        "walls.roles has an unknown field 'roof'",
    ),
    "solution's length": ("solution.0", [0] * 5, "solution[0] must have 6 entries, got 5"),
    "solution's motor": ("solution.0.3", 3, "solution[0][3] must be in 0 .. 2, got 3"),
    "solution's thruster": ("solution.0.4", 2, "solution[0][4] must be in 0 .. 1, got 2"),
    "note": ("name", 7, "name must be a string, got 7"),
    "parameter": ("kinetix", {"env_params": {"dt": "1"}}, "kinetix.env_params.dt must be a number, got '1'"),
}


def place(path):
    return [int(key) if key.isdecimal() else key for key in path.split(".")]


def assert_refused(path, message):
    with pytest.raises(LevelError) as caught:
        load_level(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_one_clear_error(case, tmp_path):
    path, content = tmp_path / "wrong.json", example()
    level_from_json(content)
    where, value, message = WRONG[case]
    put(content, place(where), value)
    path.write_text(json.dumps(content))
    assert_refused(path, message)


TEXTS = {
    "empty": (b"", "not valid JSON"),
    "not JSON": (b"{'a': 1}", "not valid JSON"),
    "cut off": (json.dumps(example()).encode()[:-9], "not valid JSON"),
    "bytes": (b"\xff\xfe\x01", "not valid JSON"),
    "a list": (b"[1]", "must be a JSON object, got [1]"),
    "twice": (b'{"format": 1, "format": 2}', "field 'format' is there twice"),
    "deep": (b"[" * 200_000, "not"),
    "another file": (b'{"polygon": []}', "has neither 'format' nor 'env_state'"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_what_is_no_level_is_one_clear_error(case, tmp_path):
    path = tmp_path / "text.json"
    path.write_bytes(TEXTS[case][0])
    assert_refused(path, TEXTS[case][1])


KINETIX_WRONG = {
    "missing part": ("env_params", ..., "the content has no field 'env_params'"),
    "missing field": ("env_state.polygon.4.role", ..., "env_state.polygon[4] has no field 'role'"),
    "extra field": ("env_state.joint.0.auto", True, "env_state.joint[0] has an unknown field 'auto'"),
    "vector": (
        "env_state.circle.0.position",
        [1, 2],
        "env_state.circle[0].position must be an object, got [1, 2]",
    ),
    "NaN": (
        "env_state.circle.0.position.0",
        float("nan"),
        "env_state.circle[0].position.0 must be finite, got nan",
    ),
    "radius": ("env_state.circle.0.radius", -1, "env_state.circle[0].radius must be above 0, got -1"),
    "role": ("env_state.polygon.4.role", 4, "env_state.polygon[4].role must be in 0 .. 3, got 4"),
    "vertices": (
        "env_state.polygon.4.n_vertices",
        5,
        "env_state.polygon[4].n_vertices must be in 3 .. 4, got 5",
    ),
    "index": ("env_state.joint.0.a_index", 9, "env_state.joint[0].a_index must be in 0 .. 8, got 9"),
    "body not in use": (
        "env_state.joint.0.b_index",
        8,
        "env_state.joint[0].b_index must be a body in use, got 8",
    ),
    "one body": (
        "env_state.joint.0.b_index",
        4,
        "env_state.joint[0].b_index must be another body than a_index",
    ),
    "binding": (
        "env_state.joint.0.motor_binding",
        4,
        "env_state.joint[0].motor_binding must be in 0 .. 3, got 4",
    ),
    "unknown field of the scene": ("env_state.wind", 1, "env_state has an unknown field 'wind'"),
    "known parameter": ("env_params.dt", "1/60", "env_params.dt must be a number, got '1/60'"),
    "solver": (
        "static_env_params.num_solver_iterations",
        0,
        "static_env_params.num_solver_iterations must be in 1 .. 256, got 0",
    ),
    "count": ("static_env_params.num_joints", 3, "env_state.joint must have 3 entries, got 2"),
    "huge": ("static_env_params.num_joints", 10**6, "static_env_params.num_joints must be in 0 .. 256"),
    "wall": ("env_state.polygon.0.inverse_mass", 1, "is a wall; its inverse mass and velocity must be 0"),
}


@pytest.mark.parametrize("case", KINETIX_WRONG)
def test_a_wrong_kinetix_file_is_one_clear_error(case, tmp_path):
    path = tmp_path / "wrong.json"
    content = json.loads(level_to_json(level_from_json(example()).level, format="kinetix"))
    where, value, message = KINETIX_WRONG[case]
    parts = where.split(".")
    keys = [
        int(key) if key.isdecimal() and parts[i - 1] != "position" else key for i, key in enumerate(parts)
    ]
    put(content, keys, value)
    path.write_text(json.dumps(content))
    assert_refused(path, message)


def test_unused_slots_of_a_kinetix_file_may_hold_anything():
    content = json.loads(level_to_json(level_from_json(example()).level, format="kinetix"))
    wild = copy.deepcopy(content)
    wild["env_state"]["joint"][1] |= {"a_index": 77, "motor_binding": -3, "motor_power": 5.0}
    wild["env_state"]["thruster"][1] |= {"object_index": -1, "thruster_binding": 9}
    wild["env_state"]["polygon"][5] |= {"active": False, "n_vertices": 99, "role": 8, "density": 0.0}
    content["env_state"]["polygon"][5]["active"] = False
    del wild["env_state"]["circle"][0]["highlighted"]  # older files have none
    level = level_from_json(wild).level
    assert_canonical(level)
    jax.tree.map(np.testing.assert_array_equal, level, level_from_json(content).level)


def bad_level():
    level = jax.tree.map(np.array, level_from_json(example()).level)
    level.sim.radius[0] = -1
    return level


def few_bindings():
    return dataclasses.replace(level_of_all_kinds(), size=dataclasses.replace(ODD, num_motor_bindings=4))


BATCH = stack_levels([empty_level(SIZES["s"])] * 2)
REFUSED = {
    "not valid": (bad_level, {}, "radius must be above 0, got -1"),
    "another size": (
        lambda: dataclasses.replace(level_of_all_kinds(), size=SIZES["m"]),
        {},
        "sim.vertices has shape (7, 8, 2)",
    ),
    "binding": (few_bindings, {}, "joint 0: motor_binding must be in 0 .. 3, got 4"),
    "motor_auto": (level_of_all_kinds, {"format": "kinetix"}, "joint 0: motor_auto is True"),
    "solution": (
        level_of_all_kinds,
        {"solution": [[3] * 8]},
        "solution[0][0] must be in 0 .. 2, got 3",
    ),
    "extra": (
        lambda: empty_level("s"),
        {"format": "kinetix", "extra": {"env_state": {}}},
        "extra must not have a field 'env_state'",
    ),
    "no extra": (lambda: empty_level("s"), {"extra": {"set": {1}}}, "is not JSON"),
    "no solution": (level_of_all_kinds, {"solution": object()}, "is not JSON"),
    "name": (level_of_all_kinds, {"name": 3}, "name must be a string, got 3"),
    "no field": (lambda: empty_level(SIZES["s"]), {"format": "kinetix", "name": "x"}, "name must be None"),
    "format": (
        lambda: empty_level(SIZES["s"]),
        {"format": "xml"},
        "format must be one of native, kinetix, got 'xml'",
    ),
    "batch": (lambda: BATCH, {}, "a file holds one level, got a batch of shape (2,)"),
    "huge": (
        lambda: empty_level(LevelSize(5, 2, 999, 1)),
        {},
        "num_joints must be at most 256, got 999",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_save_touches_nothing(case, tmp_path):
    make, options, message = REFUSED[case]
    path = tmp_path / "kept.json"
    path.write_text("before")
    with pytest.raises(LevelError) as caught:
        save_level(make(), path, **options)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_failing_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path, level = tmp_path / "kept.json", empty_level(SIZES["s"])
    save_level(level, path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_level(level, path, name="new")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_levels_by_name(tmp_path, monkeypatch):
    library = tmp_path / "library"
    monkeypatch.setattr("kinetix_py.levels.files.LIBRARY", library)
    with pytest.raises(LevelError, match=r"car: no such level file.* the library has 0 levels"):
        load_level("car")
    (library / "m").mkdir(parents=True)
    level = level_from_json(example()).level
    save_level(level, library / "m" / "car_left.json")
    assert_same(load_level("car_left"), level)
    with pytest.raises(LevelError, match=r"car_leff: no such level file.* did you mean car_left\?"):
        load_level("car_leff")
    (library / "s").mkdir()
    save_level(level, library / "s" / "car_left.json")
    assert_same(load_level("m/car_left"), level)
    with pytest.raises(
        LevelError, match="car_left: the library has 2 levels of that name: m/car_left, s/car_left"
    ):
        load_level("car_left")
    with pytest.raises(LevelError, match="no such level file"):
        load_level(tmp_path / "missing.json")
