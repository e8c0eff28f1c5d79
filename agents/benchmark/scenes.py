"""Random scenes for benchmarks and tests, drawn on the host with numpy alone.

The densities are those of Kinetix's random levels, roughly: boxes and circles scattered over a 5 m room,
some of them joined, motors and thrusters on movable bodies. Any other engine can be given the same arrays.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jax2d import Joints, SimSpec, SimState, Thrusters
from jax2d.geometry import circle_mass, polygon_mass
from jax2d.pairs import num_contacts
from jax2d.scene import box_vertices, room_walls

# Scenes that differ in a benchmark, at most: they are drawn one by one, and a GPU steps many more.
DISTINCT = 4096
SIZES = {
    "s": SimSpec(5, 2, 1, 1),
    "m": SimSpec(6, 3, 2, 2),
    "l": SimSpec(12, 4, 6, 2),
}


def _turn(vector: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])


def _one_scene(rng: np.random.Generator, spec: SimSpec) -> dict[str, Any]:
    n, p = spec.num_bodies, spec.num_polygons
    vertices = np.zeros((p, spec.max_vertices, 2))
    position = np.zeros((n, 2))
    position[spec.num_walls :] = rng.uniform([0.4, 0.8], [4.6, 4.6], (n - spec.num_walls, 2))
    rotation = np.where(np.arange(n) < spec.num_walls, 0, rng.uniform(0, 2 * np.pi, n))
    radius = rng.uniform(0.1, 0.4, spec.num_circles)
    inverse_mass, inverse_inertia = np.zeros(n), np.zeros(n)
    for i in range(p):
        if i < spec.num_walls:
            position[i], half = room_walls()[i]
        else:
            half = rng.uniform(0.05, 0.354, 2)
        vertices[i, :4] = box_vertices(*half)
        if i >= spec.num_walls:
            mass, inertia = polygon_mass(vertices[i, :4], 1.0)[:2]
            inverse_mass[i], inverse_inertia[i] = 1 / mass, 1 / inertia
    for i in range(spec.num_circles):
        mass, inertia = circle_mass(radius[i], 1.0)
        inverse_mass[p + i], inverse_inertia[p + i] = 1 / mass, 1 / inertia
    active = (np.arange(n) < spec.num_walls) | (rng.random(n) < 0.85)
    static = rng.random(n) < 0.1
    inverse_mass[static] = inverse_inertia[static] = 0
    scene: dict[str, Any] = {
        "position": position,
        "rotation": rotation,
        "velocity": np.zeros((n, 2)),
        "angular_velocity": np.zeros(n),
        "inverse_mass": inverse_mass,
        "inverse_inertia": inverse_inertia,
        "friction": np.ones(n),
        "restitution": np.zeros(n),
        "collision_mode": np.where(np.arange(n) < spec.num_walls, 2, 1).astype(np.int32),
        "active": active,
        "vertices": vertices,
        "num_vertices": np.full(p, 4, np.int32),
        "radius": radius,
        "gravity": np.array([0, -9.81]),
    }
    scene["joints"] = _joints(rng, spec, scene)
    scene["thrusters"] = _thrusters(rng, spec, scene)
    return scene


def _joints(rng: np.random.Generator, spec: SimSpec, scene: dict) -> dict[str, np.ndarray]:
    """Joins bodies to a growing chain, moving each so that the anchors meet."""
    j = spec.num_joints
    shuffled = rng.permutation(np.arange(spec.num_walls, spec.num_bodies))
    free = [i for i in shuffled if scene["active"][i]]
    count = min(j, max(len(free) - 1, 0))
    body_a, body_b = np.zeros(j, np.int32), np.ones(j, np.int32)
    anchor_a, anchor_b = np.zeros((j, 2)), np.zeros((j, 2))
    reference = np.zeros(j)
    for k in range(count):
        a, b = free[rng.integers(max(k - 1, 0), k + 1)], free[k + 1]
        body_a[k], body_b[k] = a, b
        anchor_a[k], anchor_b[k] = rng.uniform(-0.15, 0.15, (2, 2))
        meet = scene["position"][a] + _turn(anchor_a[k], scene["rotation"][a])
        scene["position"][b] = meet - _turn(anchor_b[k], scene["rotation"][b])
        reference[k] = scene["rotation"][b] - scene["rotation"][a]
    active = np.arange(j) < count
    weld = rng.random(j) < 0.3
    return {
        "body_a": body_a,
        "body_b": body_b,
        "anchor_a": anchor_a,
        "anchor_b": anchor_b,
        "reference_rotation": reference,
        "active": active,
        "weld": weld,
        "motor_on": rng.random(j) < 0.8,
        "motor_speed": rng.uniform(0.4, 3, j),
        "motor_power": rng.uniform(1, 3, j),
        "limits_on": rng.random(j) < 0.2,
        "min_rotation": rng.uniform(-np.pi, 0, j),
        "max_rotation": rng.uniform(0, np.pi, j),
    }


def _thrusters(rng: np.random.Generator, spec: SimSpec, scene: dict) -> dict[str, np.ndarray]:
    t = spec.num_thrusters
    movable = np.flatnonzero(scene["active"] & (scene["inverse_mass"] > 0))
    body = rng.choice(movable, t) if len(movable) else np.zeros(t)
    return {
        "body": body.astype(np.int32),
        "anchor": rng.uniform(-0.1, 0.1, (t, 2)),
        "direction": rng.uniform(0, 2 * np.pi, t),
        "power": rng.uniform(0.5, 2, t),
        "active": np.full(t, len(movable) > 0),
    }


def random_scenes(seed: int, count: int, spec: SimSpec) -> SimState:
    """Draws scenes on the host.

    Args:
      seed: of numpy's generator; the same seed gives the same scenes.
      count: how many.
      spec: their sizes; polygons are boxes.

    Returns:
      A `SimState` of numpy arrays with a leading axis of length `count`.
    """
    rng = np.random.default_rng(seed)
    scenes = [_one_scene(rng, spec) for _ in range(count)]

    def stack(rows: list[dict]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name in rows[0]:
            values = [row[name] for row in rows]
            if isinstance(values[0], dict):
                out[name] = stack(values)
            else:
                value = np.stack(values)
                out[name] = value.astype(np.float32) if value.dtype == np.float64 else value
        return out

    arrays = stack(scenes)
    arrays["contact_impulse"] = np.zeros((count, num_contacts(spec), 2), np.float32)
    arrays["joint_impulse"] = np.zeros((count, spec.num_joints, 3), np.float32)
    joints, thrusters = Joints(**arrays.pop("joints")), Thrusters(**arrays.pop("thrusters"))
    return SimState(**arrays, joints=joints, thrusters=thrusters)


def repeated(states: Any, count: int) -> Any:
    """Repeats a batch of scenes, or of levels, in order until there are `count`."""
    index = np.arange(count) % jax.tree.leaves(states)[0].shape[0]
    return jax.tree.map(lambda leaf: leaf[index], states)


def random_actions(seed: int, steps: int, count: int, spec: SimSpec, hold: int = 8) -> np.ndarray:
    """Motor actions in {-1, 0, 1} and thruster actions in {0, 1}, held: float `[steps, count, actions]`."""
    rng = np.random.default_rng(seed)
    draws = -(-steps // hold)
    motors = rng.integers(-1, 2, (draws, count, spec.num_joints))
    thrusters = rng.integers(0, 2, (draws, count, spec.num_thrusters))
    actions = np.concatenate([motors, thrusters], axis=-1).astype(np.float32)
    return np.repeat(actions, hold, axis=0)[:steps]
