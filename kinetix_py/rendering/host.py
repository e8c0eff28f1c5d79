"""Levels and states on the host: numpy arrays, and the controls of their motors and thrusters."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from kinetix_py.actions import ActionAdapter, actuator_controls
from kinetix_py.env.types import EnvState
from kinetix_py.levels.level import Level
from kinetix_py.levels.rules import NUM_SWITCHES

Drawable = Level | EnvState


def to_host(scene: Drawable) -> Any:
    """Returns a level or state with numpy arrays.

    Raises:
      ValueError: it is neither, or its arrays have no values because it is inside `jit` or `vmap`.
    """
    if not isinstance(scene, (Level, EnvState)):
        raise ValueError(f"a drawing needs a Level or an EnvState, got {type(scene).__name__}")
    if any(isinstance(leaf, (jax.core.Tracer, jax.ShapeDtypeStruct)) for leaf in jax.tree.leaves(scene)):
        raise ValueError("a drawing needs values, got traced arrays: draw outside of jit and vmap")
    return jax.tree.map(np.asarray, scene)


def row(scene: Any, index: Any) -> Any:
    """Indexes the leading axes of every array."""
    return jax.tree.map(lambda value: value[index], scene)


@functools.partial(jax.jit, static_argnames="adapter")
def _all_controls(adapter: ActionAdapter, scene: Level | EnvState, actions: jax.Array) -> jax.Array:
    """Controls `[n, J + T]` under actions `[n, ...]`."""
    one = lambda action: actuator_controls(adapter.binding_values(adapter.check(action)), scene)
    return jax.vmap(one)(actions)


def controls(
    scene: Any, actions: Any, action_type: str, axes: int = 0, on: np.ndarray | None = None
) -> np.ndarray:
    """Returns the controls of every motor and thruster of a scene under actions of an environment.

    Args:
      scene: one level or state, on the host.
      actions: `[*axes, ...]`, actions of the type.
      action_type: a type of `kinetix_py.ActionAdapter`.
      axes: number of leading axes of the actions.
      on: bool `[*axes, NUM_SWITCHES]`, switches that are on; those of the scene if None, none in a level.

    Returns:
      float `[*axes, J + T]`; 0 where a joint has no motor, a slot is not in use, or waits for its switch.

    Raises:
      ValueError: an unknown type, or actions that are not of this type and the scene's size.
    """
    actions = np.asarray(actions)
    adapter = ActionAdapter(action_type, scene.size)
    lead, expected = actions.shape[:axes], adapter.space.shape
    if actions.shape[axes:] != expected:
        raise ValueError(
            f"a {action_type} action of this size must have shape {expected}, got {actions.shape[axes:]}"
        )
    joints = scene.sim.joints
    driven = np.concatenate([joints.active & joints.motor_on & ~joints.weld, scene.sim.thrusters.active])
    flat = actions.reshape(-1, *expected)
    found = (np.asarray(_all_controls(adapter, scene, flat)) * driven).reshape(*lead, len(driven))
    rules, progress = scene.rules, getattr(scene, "progress", None)
    if rules is None:
        return found
    if on is None:
        on = np.zeros(NUM_SWITCHES, bool) if progress is None else progress.on
    waits_for = np.concatenate([rules.joint_waits_for, rules.thruster_waits_for])
    # Switch 0 stands for none and is always on.
    ready = np.concatenate([np.ones((*on.shape[:-1], 1), bool), on], axis=-1)[..., waits_for]
    return found * ready


def polygon_corners(scene: Any, body: int) -> np.ndarray:
    """Returns the corners of a polygon in its own frame, clockwise: float `[n, 2]` m."""
    return scene.sim.vertices[body, : scene.sim.num_vertices[body]]


def polygon_depth(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns the depth of points inside convex polygons, negative outside.

    Args:
      corners: float `[..., n, 2]` m, clockwise.
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
    """Returns the depth `[m]` [m] of points `[m, 2]` of a body's own frame inside it, negative outside."""
    polygons = scene.sim.vertices.shape[0]
    if body < polygons:
        return polygon_depth(polygon_corners(scene, body), points)
    return scene.sim.radius[body - polygons] - np.linalg.norm(points, axis=1)
