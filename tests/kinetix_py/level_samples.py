"""Levels that the tests of level files share, and how two of them are compared."""

from __future__ import annotations

import jax
import numpy as np

import jax2d
from kinetix_py.levels.level import from_scene
from kinetix_py.sizes import LevelSize


def used(level):
    """A level's values by field, those of slots that are not in use left out; bytes tell 0 from -0."""
    level = jax.tree.map(np.asarray, level)
    sim, joints, thrusters = level.sim, level.sim.joints, level.sim.thrusters
    counts = dict(zip(("polygons", "circles"), (len(sim.num_vertices), len(sim.radius)), strict=True))
    values = {
        "counts": counts,
        "gravity": sim.gravity,
        "radius": sim.radius[sim.active[counts["polygons"] :]],
    }
    polygons = np.flatnonzero(sim.active[: counts["polygons"]])
    values["vertices"] = [sim.vertices[i, : sim.num_vertices[i]].tolist() for i in polygons]
    whole = ("vertices", "num_vertices", "radius", "gravity", "joints", "thrusters", "contact_impulse")
    tables = {"body": (vars(sim), sim.active, whole + ("joint_impulse", "active"))}
    tables |= {
        "joint": (vars(joints), joints.active, ()),
        "thruster": (vars(thrusters), thrusters.active, ()),
    }
    for kind, (table, active, left_out) in tables.items():
        values[f"{kind}.slots"] = active
        values |= {f"{kind}.{name}": v[active] for name, v in table.items() if name not in left_out}
    values |= {name: getattr(level.labels, name)[sim.active] for name in ("role", "density")}
    values |= {name: getattr(level.labels, name)[joints.active] for name in ("motor_binding", "motor_auto")}
    values["thruster_binding"] = level.labels.thruster_binding[thrusters.active]
    return values


def assert_same(a, b):
    a, b = used(a), used(b)
    for name, value in a.items():
        if isinstance(value, np.ndarray):
            assert value.dtype == b[name].dtype and value.tobytes() == b[name].tobytes(), name
        else:
            assert repr(value) == repr(b[name]), name


def assert_canonical(level):
    """Slots that are not in use hold zeros, and density 1."""
    level = jax.tree.map(np.asarray, level)
    sim = level.sim
    polygons = len(sim.num_vertices)
    off = ~sim.active
    bodies = [
        sim.position,
        sim.rotation,
        sim.inverse_mass,
        sim.friction,
        sim.collision_mode,
    ]
    for value in (*bodies, level.labels.role, level.labels.density - 1):
        assert not value[off].any()
    assert not sim.radius[off[polygons:]].any()
    assert not sim.vertices[np.arange(sim.vertices.shape[1]) >= sim.num_vertices[:, None]].any()
    for part, active in ((sim.joints, sim.joints.active), (sim.thrusters, sim.thrusters.active)):
        assert not any(value[~active].any() for value in vars(part).values())
    assert not sim.contact_impulse.any() and not sim.joint_impulse.any()


ODD = LevelSize(7, 2, 4, 3, num_motor_bindings=5, num_thruster_bindings=3, max_vertices=8)


def level_of_all_kinds():
    """Eight corners, a triangle, gaps between slots, limits, motors that run by themselves, velocities."""
    scene = jax2d.Scene(ODD.sim_spec())
    scene.add_walls(4, 6, 0.3, restitution=0.25)
    angle = -np.arange(8) * np.pi / 4
    wheel = scene.add_polygon((1, 2), 0.3 * np.stack([np.cos(angle), np.sin(angle)], 1), rotation=-0.7)
    wedge = scene.add_polygon((2, 2), [(0, 0), (0.1, 0.7), (0.5, 0)], density=2.5, friction=0.3)
    box = scene.add_box((3, 3), 0.1, 0.2, velocity=(0.1, -2), angular_velocity=1e-9, static=True)
    ball = scene.add_circle((2, 4), 1 / 3, mass=7, restitution=1, collision_mode=2, solid_inertia=True)
    scene.add_revolute_joint(wheel, wedge, (1.5, 2), motor=True, motor_speed=-2.3, limits=(-1, 0.1))
    scene.add_weld_joint(wedge, ball, (2, 3))
    scene.add_revolute_joint(box, ball, motor=True, motor_power=0)
    scene.add_thruster(wheel, (1.1, 2.1), direction=2.0, power=0.3)
    scene.add_thruster(ball)
    scene.set_gravity((-0.0, 1e-7))
    return from_scene(
        scene.build(),
        ODD,
        role=[3, 0, 0, 2, 1, 2, 3, 1, 0],
        motor_binding=[4, 0, 2, 9],
        motor_auto=[True, False, True, True],
        thruster_binding=[2, 1, 8],
    )


def without(level, body=5, joint=1, thruster=0):
    """The level with slots in the middle freed, their contents left behind."""
    level = jax.tree.map(np.array, level)
    level.sim.joints.active[joint] = level.sim.thrusters.active[thruster] = False
    level.sim.joints.active[0] = False
    level.sim.active[body] = False
    return level


def example():
    """A small file in this package's format, as parsed JSON."""
    return {
        "format": "kinetix-py level",
        "version": 1,
        "size": "m",
        "gravity": [0, -9.81],
        "bodies": [
            {"id": "car", "shape": "box", "size": [1, 0.5], "position": [2, 1]},
            {"id": "wedge", "shape": "polygon", "vertices": [[0, 0.2], [0.2, 0], [0, 0]], "position": [4, 1]},
            {"id": "ball", "shape": "circle", "radius": 0.2, "position": [3, 1]},
        ],
        "joints": [{"a": "car", "b": "ball", "limits": [-1, 1]}],
        "thrusters": [{"body": "car"}],
        "solution": [[0, 0, 0, 0, 0, 0]],
    }
