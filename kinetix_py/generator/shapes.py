"""Polygons of the generator, and the contacts that convex shapes would have.

Arrays are batch-last: `[rows, B]`, x and y apart. A polygon is told by its number of vertices and two half
sizes: it is a regular polygon (circumradius sqrt 2, a vertex at 45 degrees), stretched by the half sizes.
So four vertices give a rectangle, and the centroid is always the origin.

The contact counts are those of `jax2d.collision`, which also finds points, normals and depths. The generator
needs none of them: with the engine's functions it takes as long (M), 1.2 (S) or 1.6 times as long (L)
(`python -m tools.time_overlap`). Here nothing divides, and vertices are taken one by one, since XLA does not
vectorize rolled arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.polygons import REFERENCE_FACE_PREFERENCE
from kinetix_py.generator import rows

CIRCUMRADIUS = np.sqrt(2)  # of the regular polygons; so four vertices make a square of half size 1
FAR = 1e6  # m, beyond any distance in a scene


def _regular_polygon(count: int, max_vertices: int) -> np.ndarray:
    """Corners `[2, max_vertices]`, clockwise from the top right; the first is repeated beyond `count`."""
    angle = np.pi / 4 - 2 * np.pi * np.arange(count) / count
    corners = CIRCUMRADIUS * np.stack([np.cos(angle), np.sin(angle)])
    corners = np.round(corners) if count == 4 else corners
    return np.concatenate([corners, np.repeat(corners[:, :1], max_vertices - count, axis=1)], axis=1)


def _by_count(num_vertices: jax.Array, constant, max_vertices: int) -> jax.Array:
    """Selects `constant(count)`, a number or `[V]`, by vertices `[...]`: `[...]` or `[V, ...]`."""
    values = [np.asarray(constant(count), np.float32) for count in range(3, max_vertices + 1)]
    shape = values[0].shape + num_vertices.shape
    widen = lambda value: jnp.broadcast_to(value.reshape(value.shape + (1,) * num_vertices.ndim), shape)
    chosen = widen(values[0])
    for count, value in enumerate(values[1:], 4):
        same = jnp.broadcast_to(num_vertices == count, shape)
        chosen = jnp.where(same, widen(value), chosen)
    return chosen


def corners(
    num_vertices: jax.Array, half_width: jax.Array, half_height: jax.Array, max_vertices: int
) -> tuple[jax.Array, jax.Array]:
    """Vertices of polygons about their centroids, clockwise.

    Args:
      num_vertices: int `[...]`, 3 .. `max_vertices`.
      half_width, half_height: float `[...]` m.

    Returns:
      x and y, each `[max_vertices, ...]` m. Those beyond `num_vertices` repeat the first: such edges have no
      length, and no test minds them.
    """
    x, y = (
        _by_count(num_vertices, lambda n, i=i: _regular_polygon(n, max_vertices)[i], max_vertices)
        for i in range(2)
    )
    return x * half_width[None], y * half_height[None]


def inner_box(num_vertices: jax.Array, max_vertices: int) -> jax.Array:
    """Half side, over the half sizes, of a box inside a polygon: all of a rectangle. `[...]`."""
    return _by_count(num_vertices, lambda n: 1.0 if n == 4 else np.cos(np.pi / n), max_vertices)


def polygon_area(
    num_vertices: jax.Array, half_width: jax.Array, half_height: jax.Array, max_vertices: int
) -> jax.Array:
    """Area `[...]` m^2."""
    return (
        _by_count(num_vertices, lambda n: n * np.sin(2 * np.pi / n), max_vertices) * half_width * half_height
    )


def polygon_inertia(
    mass: jax.Array, num_vertices: jax.Array, half_width: jax.Array, half_height: jax.Array, max_vertices: int
) -> jax.Array:
    """Moment of inertia about the centroid `[...]` kg m^2: that of a stretched regular polygon."""
    factor = _by_count(num_vertices, lambda n: (2 + np.cos(2 * np.pi / n)) / 6, max_vertices)
    return mass * factor * (half_width**2 + half_height**2)


class Outline(NamedTuple):
    """A convex polygon in the world, clockwise: `[V, ...]`. Slots beyond its vertices repeat the first one.

    The remaining axes of polygons that are tested together broadcast with equal ranks.
    """

    x: jax.Array  # m
    y: jax.Array  # m
    edge_x: jax.Array  # m, from a vertex to the next
    edge_y: jax.Array  # m
    inverse: jax.Array  # 1/m, of the edge's length; 0 if it has none, and its vertex then does not count

    def shifted(self, x: jax.Array, y: jax.Array) -> Outline:
        """The outline moved by a vector `[...]` m."""
        return self._replace(x=self.x + x[None], y=self.y + y[None])

    def vertices(self) -> Iterator[tuple[jax.Array, ...]]:
        """Every vertex, its edge and the inverse of its length, each `[...]`."""
        return zip(*(list(part) for part in self), strict=True)


def outline(x: jax.Array, y: jax.Array) -> Outline:
    """The outline through some vertices, each `[V, ...]` m."""
    edge_x, edge_y = jnp.roll(x, -1, axis=0) - x, jnp.roll(y, -1, axis=0) - y
    square = edge_x**2 + edge_y**2
    return Outline(x, y, edge_x, edge_y, jnp.where(square > 0, jax.lax.rsqrt(jnp.maximum(square, 1e-12)), 0))


def _reference_face(a: Outline, b: Outline) -> tuple[jax.Array, jax.Array]:
    """The face of a that separates b most: by how much [m], and how many vertices of b are behind it."""
    points = [(x, y, jnp.where(inverse > 0, 1.0, 0.0)) for x, y, _, _, inverse in b.vertices()]
    separation = behind = jnp.float32(-2 * FAR)
    for x, y, ex, ey, inverse in a.vertices():
        # Clockwise, the outward normal of an edge (ex, ey) is (-ey, ex).
        offset = ey * x - ex * y
        distances = [ex * by - ey * bx + offset for bx, by, _ in points]
        count = sum(jnp.where(d < 0, real, 0.0) for d, (_, _, real) in zip(distances, points, strict=True))
        here = jnp.where(inverse > 0, rows.least(distances) * inverse, -FAR)
        better = here > separation
        separation, behind = jnp.where(better, here, separation), jnp.where(better, count, behind)
    return separation, behind


def polygon_contacts(a: Outline, b: Outline) -> jax.Array:
    """Contact points of two polygons: 0 if they are apart, 1, or 2 if two corners are behind a face."""
    of_a, behind_a = _reference_face(a, b)
    of_b, behind_b = _reference_face(b, a)
    behind = jnp.where(of_b > of_a + REFERENCE_FACE_PREFERENCE, behind_b, behind_a)
    return jnp.where((of_a < 0) & (of_b < 0), jnp.where(behind < 2, behind, 2.0), 0.0)


def circle_overlaps_polygon(x: jax.Array, y: jax.Array, radius: jax.Array, polygon: Outline) -> jax.Array:
    """Whether a circle overlaps a polygon: it holds a corner, crosses an edge, or its center is inside."""
    square, outside, meets = radius**2, [], []
    for corner_x, corner_y, ex, ey, _ in polygon.vertices():
        dx, dy = x - corner_x, y - corner_y
        length, along = ex**2 + ey**2, dx * ex + dy * ey
        side = ex * dy - ey * dx
        meets += [dx**2 + dy**2 < square, (along > 0) & (along < length) & (side**2 < square * length)]
        outside.append(side > 0)
    return ~rows.any_of(outside) | rows.any_of(meets)


def circles_overlap(dx: jax.Array, dy: jax.Array, radii: jax.Array) -> jax.Array:
    """Whether two circles overlap, by the vector between their centers and the sum of their radii."""
    return dx**2 + dy**2 < radii**2
