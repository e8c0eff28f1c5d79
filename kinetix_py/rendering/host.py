"""Levels and states on the host: numpy arrays, and the controls of their motors and thrusters."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from kinetix_py.actions import ActionAdapter, actuator_controls
from kinetix_py.env.types import EnvState
from kinetix_py.levels.level import Level

Scene = Level | EnvState


def to_host(scene: Scene) -> Any:
    """The same level or state with numpy arrays.

    Raises:
      ValueError: it is neither, or its arrays have no values because it is inside `jit` or `vmap`.
    """
    if not isinstance(scene, (Level, EnvState)):
        raise ValueError(f"a drawing needs a Level or an EnvState, got {type(scene).__name__}")
    if any(isinstance(leaf, (jax.core.Tracer, jax.ShapeDtypeStruct)) for leaf in jax.tree.leaves(scene)):
        raise ValueError("a drawing needs values, got traced arrays: draw outside of jit and vmap")
    return jax.tree.map(np.asarray, scene)


def row(scene: Any, index: Any) -> Any:
    """One entry along the leading axis of every array."""
    return jax.tree.map(lambda value: value[index], scene)


def action_type(actions: np.ndarray, axes: int) -> str:
    """Returns the type of the actions that an array with some leading axes holds."""
    if actions.dtype.kind == "f":
        return "continuous"
    return "discrete" if actions.ndim == axes else "multi_discrete"


def controls(scene: Any, actions: Any, axes: int = 0) -> np.ndarray:
    """Returns the controls of every motor and thruster of a scene under actions of an environment.

    Args:
      scene: one level or state, on the host.
      actions: `[*axes, ...]` actions of any type: floats are continuous ones; integers are discrete or,
        with one more axis, multi-discrete.
      axes: number of leading axes of the actions.

    Returns:
      float `[*axes, J + T]`; 0 where a joint has no motor or a slot is not in use.

    Raises:
      ValueError: the actions are of no type that fits the scene's size.
    """
    actions = np.asarray(actions)
    adapter = ActionAdapter(action_type(actions, axes), scene.size)
    lead, expected = actions.shape[:axes], adapter.space.shape
    if actions.shape[axes:] != expected:
        raise ValueError(
            f"a {adapter.type} action of this size must have shape {expected}, got {actions.shape[axes:]}"
        )
    joints = scene.sim.joints
    driven = np.concatenate([joints.active & joints.motor_on & ~joints.weld, scene.sim.thrusters.active])
    flat = actions.reshape(-1, *expected)
    if not len(flat):
        return np.zeros((*lead, len(driven)), np.float32)
    one = lambda action: actuator_controls(adapter.binding_values(action), scene)
    return (np.asarray(jax.vmap(one)(flat)) * driven).reshape(*lead, len(driven))


def outline(scene: Any, body: int) -> np.ndarray:
    """Corners of a polygon in its own frame, clockwise: float `[n, 2]` m."""
    return scene.sim.vertices[body, : scene.sim.num_vertices[body]]


def polygon_depth(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far points are inside convex polygons with corners clockwise, negative outside.

    Args:
      corners: float `[..., n, 2]` m.
      points: float `[..., m, 2]` m.

    Returns:
      float `[..., m]` m.
    """
    edge = np.roll(corners, -1, axis=-2) - corners
    edge = edge / np.maximum(np.linalg.norm(edge, axis=-1, keepdims=True), 1e-9)
    away = points[..., :, None, :] - corners[..., None, :, :]
    edge = edge[..., None, :, :]
    return (edge[..., 1] * away[..., 0] - edge[..., 0] * away[..., 1]).min(-1)


def shape_depth(scene: Any, body: int, points: np.ndarray) -> np.ndarray:
    """How far points of a body's own frame are inside it, negative outside: `[m, 2]` m to `[m]` m."""
    polygons = scene.sim.vertices.shape[0]
    if body < polygons:
        return polygon_depth(outline(scene, body), points)
    return scene.sim.radius[body - polygons] - np.linalg.norm(points, axis=1)


def turned(rotation: Any, vectors: np.ndarray) -> np.ndarray:
    """Vectors `[..., 2]` of a frame turned by `rotation [...]` rad, as seen from outside."""
    cos, sin = np.cos(rotation), np.sin(rotation)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
