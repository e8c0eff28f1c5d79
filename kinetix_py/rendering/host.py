"""Levels and states on the host: numpy arrays, the size they are of, and what their actions ask for."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from jax2d import num_contacts
from kinetix_py.actions import Actions
from kinetix_py.env.types import EnvState
from kinetix_py.levels.level import Level
from kinetix_py.spec import SIZES, EnvSpec

Scene = Level | EnvState


def to_host(scene: Scene) -> Any:
    """The same level or state with numpy arrays.

    Raises:
      ValueError: it is neither, or its arrays have no values because it is inside `jit` or `vmap`.
    """
    if not isinstance(scene, (Level, EnvState)):
        raise ValueError(f"a drawing needs a Level or an EnvState, got {type(scene).__name__}")
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(scene)):
        raise ValueError("a drawing needs values, got traced arrays: draw outside of jit and vmap")
    return jax.tree.map(np.asarray, scene)


def row(scene: Any, index: Any) -> Any:
    """One entry along the leading axis of every array."""
    return jax.tree.map(lambda value: value[index], scene)


def spec_of(scene: Any, spec: EnvSpec | None) -> EnvSpec:
    """The size a level or state is of.

    Args:
      scene: one of them, or a batch.
      spec: if None, a spec of the scene's slots with the walls and bindings of the named sizes.

    Raises:
      ValueError: the scene's slots are not the spec's.
    """
    sim = scene.sim
    sizes = {
        "num_polygons": sim.vertices.shape[-3],
        "num_circles": sim.radius.shape[-1],
        "num_joints": sim.joints.active.shape[-1],
        "num_thrusters": sim.thrusters.active.shape[-1],
        "max_vertices": sim.vertices.shape[-2],
    }
    if spec is None:
        changes: dict[str, Any] = sizes
        spec = dataclasses.replace(SIZES["s"], **changes)
    for name, count in sizes.items():
        if getattr(spec, name) != count:
            raise ValueError(f"{name} is {count} in the scene, but {getattr(spec, name)} in the spec")
    contacts = sim.contact_impulse.shape[-2]
    if contacts != num_contacts(spec.sim):
        raise ValueError(
            f"the scene has {contacts} contact slots, but one with {spec.walls} walls has "
            f"{num_contacts(spec.sim)}: give the spec it is of"
        )
    return spec


def action_kind(actions: np.ndarray, axes: int) -> str:
    """Which of the three kinds of actions an array with some leading axes holds."""
    if actions.dtype.kind == "f":
        return "continuous"
    return "discrete" if actions.ndim == axes else "multi_discrete"


def controls(scene: Any, actions: Any, spec: EnvSpec, axes: int = 0) -> np.ndarray:
    """What every motor and thruster of a scene does under actions of an environment.

    Args:
      scene: one level or state, on the host.
      actions: `[*axes, ...]` actions of any kind: floats are continuous ones; integers are discrete or,
        with one more axis, multi-discrete.
      axes: how many leading axes the actions have.

    Returns:
      float `[*axes, J + T]`; 0 where a joint has no motor or a slot is not in use.

    Raises:
      ValueError: the actions are of no kind that fits the spec.
    """
    actions = np.asarray(actions)
    kind = Actions(action_kind(actions, axes), spec)
    lead, expected = actions.shape[:axes], kind.space.shape
    if actions.shape[axes:] != expected:
        raise ValueError(
            f"a {kind.kind} action of this size must have shape {expected}, got {actions.shape[axes:]}"
        )
    flat = actions.reshape(-1, *expected)
    values = np.asarray(jax.vmap(kind.values)(flat)) if len(flat) else np.zeros((0, spec.num_bindings))
    motors, thrusters = spec.num_motor_bindings, spec.num_thruster_bindings
    read = lambda values, binding: (values[:, None] * (binding[:, None] == np.arange(values.shape[1]))).sum(2)
    joints = scene.sim.joints
    turning = np.where(scene.motor_auto, 1.0, read(values[:, :motors], scene.motor_binding))
    turning = turning * (joints.active & joints.motor_on & ~joints.weld)
    pushing = read(values[:, motors : motors + thrusters], scene.thruster_binding)
    both = np.concatenate([turning, pushing * scene.sim.thrusters.active], axis=1)
    return both.reshape(*lead, both.shape[1])


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
