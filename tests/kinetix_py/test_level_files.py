"""Level files: both formats without loss."""

from __future__ import annotations

import json
import statistics

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jax2d
import kinetix_py as kx
from kinetix_py.levels.files import (
    level_from_json,
    level_to_json,
    load_level_file,
    save_level,
)
from kinetix_py.levels.level import empty_level, from_scene
from kinetix_py.levels.python_code import level_to_python
from kinetix_py.sizes import SIZES, LevelSize
from tests.jax2d.kinetix_files import LEVELS, read_level
from tests.kinetix_py.level_samples import (
    ODD,
    assert_canonical,
    assert_same,
    example,
    level_of_all_kinds,
    used,
    without,
)
from tests.kinetix_py.small_levels import relabeled, rocket

PATHS = sorted(LEVELS.glob("*/*.json"))
needs_levels = pytest.mark.skipif(not PATHS, reason="Kinetix's level files are not beside the project")
each_level = pytest.mark.parametrize("path", PATHS, ids=lambda p: f"{p.parent.name}-{p.stem}")


@each_level
def test_kinetix_levels_survive_both_formats(path, tmp_path):
    file = load_level_file(path)
    assert_canonical(file.level)
    for format in ("native", "kinetix"):
        target = tmp_path / f"{format}.json"
        save_level(file.level, target, format=format, env=file.env)
        again = load_level_file(target)
        assert_same(file.level, again.level)
        assert_canonical(again.level)
        assert again.level.size == file.level.size
        jax.tree.map(np.testing.assert_array_equal, file.level, again.level)


@each_level
def test_kinetix_levels_are_what_the_file_says(path):
    file, other = load_level_file(path), read_level(path)
    wanted = from_scene(
        other.state,
        file.level.size,
        role=other.roles,
        motor_binding=other.motor_bindings,
        thruster_binding=other.thruster_bindings,
    )
    densities = file.level.labels.density  # from_scene derives them; a file states them
    assert_same(file.level, relabeled(wanted, density=densities))
    stated = json.loads(path.read_text())["env_state"]
    for row, density in zip(stated["polygon"] + stated["circle"], densities, strict=True):
        assert not row["active"] or np.float32(row["density"]) == density


def numbers(value, path=""):
    """Leaves of parsed JSON by path; floats as float32, for which a file may have more digits."""
    if isinstance(value, dict):
        return {k: v for key in value for k, v in numbers(value[key], f"{path}.{key}").items()}
    return {path: float(np.float32(value)) if isinstance(value, float) else value}


# What a shape of the other kind would have, and what follows from the rest.
UNUSED = {"polygon": ("radius",), "circle": ("vertices", "n_vertices")}
UNUSED |= {"joint": ("global_position",), "thruster": ("global_position",)}


def stated(row, kind):
    """Rows of active entities, without unused values and vertices beyond the last."""
    values = numbers({key: value for key, value in row.items() if key not in UNUSED[kind]})
    return {
        k: v for k, v in values.items() if "vertices." not in k or int(k.split(".")[2]) < row["n_vertices"]
    }


@each_level
def test_rewritten_kinetix_files_say_the_same(path):
    old, file = json.loads(path.read_text()), load_level_file(path)
    new = json.loads(level_to_json(file.level, format="kinetix", env=file.env))
    assert new["env_params"] == old["env_params"] and list(new) == list(old)
    assert new["static_env_params"] == old["static_env_params"]
    before, after = old["env_state"], new["env_state"]
    assert list(before) == list(after)
    for kind in ("polygon", "circle", "joint", "thruster"):
        assert len(before[kind]) == len(after[kind])
        for a, b in zip(before[kind], after[kind], strict=True):
            assert list(a) == list(b) and a["active"] == b["active"]
            if a["active"]:
                assert stated(a, kind) == stated(b, kind)
    for name in ("collision_matrix", "acc_rr_manifolds", "acc_cr_manifolds", "acc_cc_manifolds"):
        assert before[name] == after[name]
    assert numbers(before["gravity"]) == numbers(after["gravity"])


@needs_levels
def test_anchors_in_the_world_are_where_kinetix_has_them():
    for path in (path for path in PATHS if "triangles" not in path.stem):  # those moved without their joints
        old, file = json.loads(path.read_text())["env_state"], load_level_file(path)
        new = json.loads(level_to_json(file.level, format="kinetix"))["env_state"]
        for a, b in zip(old["joint"] + old["thruster"], new["joint"] + new["thruster"], strict=True):
            if a["active"]:
                for axis in "01":
                    assert a["global_position"][axis] == pytest.approx(b["global_position"][axis], abs=2e-6)


@needs_levels
def test_own_files_are_short():
    files = [load_level_file(path) for path in PATHS]
    sizes = [len(level_to_json(file.level)) for file in files]
    assert statistics.median(sizes) <= 1000 and max(sizes) <= 1500


@pytest.mark.parametrize("change", [lambda level: level, without], ids=["full", "gaps"])
def test_own_format_keeps_every_field(change, tmp_path):
    level, path = change(level_of_all_kinds()), tmp_path / "all.json"
    solution = np.tile([[2, 1, 0, 0, 1, 1, 0, 1]], (3, 1))
    notes = {"name": "Ünï", "author": "me", "description": "two\nlines"}
    env = {"env_params": {"base_friction": 0.7}, "static_env_params": {}}
    save_level(level, path, solution=solution, env=env, **notes)
    file = load_level_file(path)
    assert_same(level, file.level)
    assert_canonical(file.level)
    assert (file.name, file.author, file.description) == tuple(notes.values())
    assert file.solution == solution.tolist() and file.level.size == ODD and file.env == env
    assert list(tmp_path.iterdir()) == [path]


def test_kinetix_format_keeps_what_it_can():
    level = level_of_all_kinds()
    level = relabeled(level, motor_auto=np.zeros(4, bool))
    static = {"num_solver_iterations": 12, "do_warm_starting": False, "screen_dim": {"0": 125, "1": 125}}
    env = {"env_params": {"gust": 2.0}, "static_env_params": static}
    file = level_from_json(level_to_json(level, format="kinetix", env=env))
    assert_same(level, file.level)
    assert file.level.size == ODD and file.env == env
    assert file.solver_options == {"solver_iterations": 12, "warm_start": False}
    own = level_from_json(level_to_json(file.level, env=file.env))
    assert own.level.size == ODD and own.env == env and own.solver_options == file.solver_options


def in_the_layout_of_the_editor(level):
    """A file as Kinetix's browser editor writes it: `version`, whole numbers, no marks, no `downscale`.

    Other versions of Kinetix, as the one of real-time-chunking-kinetix, have taken such files over.
    """

    def whole(value):
        if isinstance(value, dict):
            return {
                key: whole(item) for key, item in value.items() if key not in ("highlighted", "downscale")
            }
        if isinstance(value, list):
            return [whole(item) for item in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    content = whole(json.loads(level_to_json(level, format="kinetix")))
    for wall in content["env_state"]["polygon"][:4]:
        wall["collision_mode"] = 1
    content["static_env_params"]["frame_skip"] = 1
    content["env_params"]["dense_reward_scale"] = 1
    return content | {"version": "1.0.0"}


@pytest.mark.parametrize("change", [{}, {"format": "editor", "author": {"name": "Ünï", "links": [1, None]}}])
def test_files_of_other_versions_load_and_keep_their_fields(change):
    content = in_the_layout_of_the_editor(level_from_json(example()).level) | change
    content["static_env_params"]["renderer"] = {"name": "webgl", "layers": ["grid"]}
    content["env_params"]["seed"] = None
    file = level_from_json(json.dumps(content))
    assert file.extra == {"version": "1.0.0"} | change
    assert file.env == {
        "env_params": {"dense_reward_scale": 1, "seed": None},
        "static_env_params": {"frame_skip": 1, "renderer": {"name": "webgl", "layers": ["grid"]}},
    }
    text = level_to_json(file.level, format="kinetix", env=file.env, extra=file.extra)
    again = json.loads(text)
    assert {name: again[name] for name in file.extra} == file.extra
    assert again["env_params"] == content["env_params"]
    assert again["static_env_params"] == content["static_env_params"] | {"downscale": 4}
    assert level_from_json(text).extra == file.extra
    native = level_from_json(level_to_json(file.level, env=file.env, extra=file.extra))
    assert (native.extra, native.env) == (file.extra, file.env)
    assert_same(native.level, file.level)


@pytest.mark.parametrize("size", [*SIZES, "none", "two walls"])
def test_empty_rooms(size):
    small = {"none": LevelSize(0, 0, 0, 0), "two walls": LevelSize(2, 0, 0, 0)}
    level = empty_level(small.get(size, size))
    text = level_to_json(level)
    assert '"bodies": []' in text and "walls" not in json.loads(text)
    assert_same(level, level_from_json(text).level)
    assert_same(level, level_from_json(level_to_json(level, format="kinetix")).level)


def test_a_file_written_by_hand():
    """Slots in order, defaults, mass from density, a wall's role, ids of one's own."""
    file = level_from_json(
        {
            "format": "kinetix-py level",
            "version": 1,
            "size": "m",
            "gravity": [0, -9.81],
            "walls": {"room": "standard", "roles": {"floor": "red"}},
            "bodies": [
                {"id": "car", "shape": "box", "size": [1, 0.5], "position": [2, 1], "density": 2},
                {"id": "wheel", "shape": "circle", "radius": 0.2, "position": [1.5, 1], "role": "green"},
                {"shape": "circle", "radius": 0.2, "position": [4, 1], "role": "blue", "static": True},
            ],
            "joints": [{"a": "car", "b": "wheel", "anchor_a": [-0.5, 0], "motor_on": True}],
            "thrusters": [{"body": "car", "direction": 1.5}],
        }
    )
    scene = jax2d.Scene(SIZES["m"].sim_spec())
    scene.add_walls()
    car = scene.add_box((2, 1), 1, 0.5, density=2)
    wheel = scene.add_circle((1.5, 1), 0.2)
    scene.add_circle((4, 1), 0.2, static=True)
    scene.add_revolute_joint(car, wheel, anchor_a=(-0.5, 0), motor=True)
    scene.add_thruster(car, direction=1.5)
    wanted = from_scene(scene.build(), SIZES["m"], role=[3, 0, 0, 0, 0, 0, 1, 2, 0])
    for name, value in used(wanted).items():
        if name == "counts":
            assert used(file.level)[name] == value
        else:
            np.testing.assert_allclose(used(file.level)[name], value, rtol=1e-6, err_msg=name)
    assert file.level.size == SIZES["m"] and file.solution is None


def test_a_rectangle_may_begin_at_any_corner(tmp_path):
    """Each is the same box; the first of these outlines is written as one, the others as polygons."""
    corners = [(0.3, 0.2), (0.3, -0.2), (-0.3, -0.2), (-0.3, 0.2)]
    for first in range(4):
        builder = kx.LevelBuilder("s")
        builder.polygon((2, 2), corners[first:] + corners[:first])
        level, file = builder.level(), tmp_path / f"{first}.json"
        kx.save_level(level, file)
        assert_same(level, kx.load_level(file))
        names: dict = {}
        exec(level_to_python(level), names)
        np.testing.assert_allclose(names["level"].sim.vertices, level.sim.vertices, atol=1e-6)
        shape = json.loads(file.read_text())["bodies"][0]["shape"]
        assert shape == ("box" if level.sim.vertices[4, 0].min() > 0 else "polygon")


def test_joints_without_motors_need_no_bindings(tmp_path):
    size = LevelSize(6, 0, 1, 0, num_motor_bindings=0)
    builder = kx.LevelBuilder(size)
    builder.weld(builder.box((2, 2), 0.2, 0.2), builder.box((2.2, 2), 0.2, 0.2), (2.1, 2))
    kx.save_level(builder.level(), tmp_path / "weld.json")
    assert_same(builder.level(), kx.load_level(tmp_path / "weld.json"))
    driven = json.loads((tmp_path / "weld.json").read_text())
    driven["joints"][0] |= {"weld": False, "motor_on": True}
    with pytest.raises(kx.LevelError, match=r"motor_binding must be in 0 \.\. -1, got 0"):
        level_from_json(driven)


def test_text_that_no_file_can_hold_is_refused(tmp_path):
    with pytest.raises(kx.LevelError, match="its notes, solution, env or extra is not JSON"):
        kx.save_level(rocket(), tmp_path / "a.json", name="\ud800")
    assert not list(tmp_path.iterdir())


finite = st.floats(-20, 20, width=32, allow_subnormal=False)
positive = st.floats(1 / 64, 3, width=32)


@st.composite
def levels(draw):
    """Levels of a few random shapes, joined at random."""
    level_size = LevelSize(6, draw(st.integers(0, 2)), 2, 1, max_vertices=draw(st.sampled_from([4, 8])))
    scene = jax2d.Scene(level_size.sim_spec())
    scene.add_walls(friction=draw(positive))
    bodies = []
    for _ in range(draw(st.integers(0, 2))):
        count, size = draw(st.integers(3, level_size.max_vertices)), draw(positive)
        angle = draw(finite) - np.arange(count) * 2 * np.pi / count
        points = size * np.stack([np.cos(angle), np.sin(angle)], 1)
        options = {"rotation": draw(finite), "density": draw(positive), "static": draw(st.booleans())}
        bodies.append(scene.add_polygon((draw(finite), draw(finite)), points, **options))
    for _ in range(level_size.num_circles):
        options = {
            "restitution": draw(st.floats(0, 1, width=32, allow_subnormal=False)),
            "velocity": (draw(finite), 0),
        }
        bodies.append(scene.add_circle((draw(finite), 1), draw(positive), **options))
    if len(bodies) > 1:
        limits = draw(st.none() | st.tuples(st.floats(-3, 0), st.floats(0, 3)))
        scene.add_revolute_joint(*bodies[:2], (1, 1), motor_speed=draw(finite), limits=limits)
        scene.add_thruster(bodies[-1], (draw(finite), 2), draw(finite), draw(positive))
    role = draw(st.lists(st.integers(0, 3), min_size=level_size.num_bodies, max_size=level_size.num_bodies))
    auto = draw(st.tuples(st.booleans(), st.booleans()))
    return from_scene(scene.build(), level_size, role=role, motor_auto=auto)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(levels())
def test_any_level_survives(level):
    text = level_to_json(level)
    file = level_from_json(text)
    assert_same(level, file.level)
    assert file.level.size == level.size
    assert level_to_json(file.level) == text
