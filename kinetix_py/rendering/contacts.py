"""Points where shapes touch, for drawings.

A state says which pairs overlapped when the last physics step began, but not where, and they may be apart
since. So the points are not the engine's, but those of either shape that are deepest in the other now.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jax2d import contact_pairs
from jax2d.geometry import rotate
from kinetix_py.rendering.host import polygon_corners, polygon_depth
from kinetix_py.roles import BLUE, GREEN, RED

# Points at most this much less deep than the deepest one count for the mark too [m].
DEPTH_TOLERANCE = 0.01


def marked_pairs(scene: Any, pairs: np.ndarray) -> np.ndarray:
    """Selects the pairs of bodies whose contact is marked: bool `[K]`.

    Bodies that joints link overlap all the time without pushing each other, so their contact is marked only
    if it ends the episode.
    """
    a, b = pairs.T
    roles = np.sort(np.stack([scene.labels.role[a], scene.labels.role[b]]), axis=0)
    decides = (roles[0] == GREEN) & ((roles[1] == BLUE) | (roles[1] == RED))
    return decides | (scene.component[a] != scene.component[b])


def touching_pairs(scene: Any, contact: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Finds the frames in which each pair of bodies touched.

    Args:
      scene: one state on the host.
      contact: bool `[T, K]`, as in `EnvState.touching_slots`.

    Returns:
      the frames in order, by body indices (a, b); pairs that never touched are left out.
    """
    found: dict[tuple[int, int], np.ndarray] = {}
    pairs = contact_pairs(scene.size.sim_spec())
    for slot in np.flatnonzero(contact.any(0) & marked_pairs(scene, pairs)):
        pair = (int(pairs[slot, 0]), int(pairs[slot, 1]))
        frames = np.flatnonzero(contact[:, slot])
        found[pair] = np.union1d(found[pair], frames) if pair in found else frames
    return found


def _candidates(scene: Any, body: int, position, rotation, others: np.ndarray) -> np.ndarray:
    """Returns points `[T, m, 2]` [m] of a body that may be deepest in one with corners `others [T, n, 2]`."""
    polygons = scene.sim.vertices.shape[0]
    if body < polygons:
        return position[:, None] + rotate(polygon_corners(scene, body)[None], rotation[:, None])
    away = others - position[:, None]
    if others.shape[1] > 1:  # straight towards the edges of a polygon, and towards its corners
        edge = np.roll(others, -1, axis=1) - others
        inward = np.stack([edge[..., 1], -edge[..., 0]], axis=-1)
        away = np.concatenate([inward, away], axis=1)
    away = away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9)
    return position[:, None] + scene.sim.radius[body - polygons] * away


def _depth(scene: Any, body: int, position, rotation, points: np.ndarray) -> np.ndarray:
    """Returns the depth `[T, m]` [m] in a body of points `[T, m, 2]` of the world."""
    polygons = scene.sim.vertices.shape[0]
    if body < polygons:
        return polygon_depth(
            position[:, None] + rotate(polygon_corners(scene, body)[None], rotation[:, None]), points
        )
    return scene.sim.radius[body - polygons] - np.linalg.norm(points - position[:, None], axis=-1)


def touching_point(scene: Any, a: int, b: int, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Returns the mean of the points of either body that are deepest in the other.

    Args:
      scene: one level or state on the host, for the shapes.
      position, rotation: poses of all bodies, `[T, N, 2]` m and `[T, N]` rad.

    Returns:
      float `[T, 2]` m.
    """
    polygons = scene.sim.vertices.shape[0]
    place = {body: (position[:, body], rotation[:, body]) for body in (a, b)}
    corners = lambda body: (
        place[body][0][:, None]
        + (
            rotate(polygon_corners(scene, body)[None], place[body][1][:, None])
            if body < polygons
            else np.zeros((1, 2))
        )
    )
    points_a = _candidates(scene, a, *place[a], corners(b))
    points_b = _candidates(scene, b, *place[b], corners(a))
    depth = [_depth(scene, b, *place[b], points_a), _depth(scene, a, *place[a], points_b)]
    points, depths = np.concatenate([points_a, points_b], axis=1), np.concatenate(depth, axis=1)
    even = (depths >= depths.max(1, keepdims=True) - DEPTH_TOLERANCE)[..., None]
    return (points * even).sum(1) / even.sum(1)


def contact_history(
    scene: Any, position: np.ndarray, rotation: np.ndarray, contact: np.ndarray
) -> list[np.ndarray]:
    """Returns the points where shapes touch in every frame.

    Args:
      scene: one state on the host, for the shapes.
      position, rotation, contact: `[T, N, 2]` m, `[T, N]` rad, bool `[T, K]`.

    Returns:
      for each frame float `[m, 2]` m, one point for each pair that touches.
    """
    found: list[list[np.ndarray]] = [[] for _ in contact]
    for (a, b), frames in touching_pairs(scene, contact).items():
        for frame, point in zip(
            frames, touching_point(scene, a, b, position[frames], rotation[frames]), strict=True
        ):
            found[frame].append(point)
    return [np.array(points).reshape(-1, 2) for points in found]


def contact_points(scene: Any) -> np.ndarray:
    """Returns the points where shapes of one state touch: float `[m, 2]` m."""
    sim = scene.sim
    return contact_history(scene, sim.position[None], sim.rotation[None], scene.touching_slots[None])[0]
