"""Overlaps of convex shapes and the contacts that they would give, without a physics step.

Polygons are tested along the normals of both (separating axes), circles by their distance. Vertices are taken
one by one: rolled arrays would keep XLA from vectorizing; and no test divides, since every quotient would be
stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator.arrays import any_of, least

FAR = 1e6  # m, beyond any distance in a scene
FACE_BIAS = 0.01  # m, as in the engine: a face of the second polygon must be better by so much


class Outline(NamedTuple):
    """A convex polygon, clockwise: `[V, ...]`. Slots beyond its vertices repeat the first one.

    The remaining axes of what is tested together broadcast with equal ranks.
    """

    x: jax.Array  # m
    y: jax.Array  # m
    edge_x: jax.Array  # m, from a vertex to the next
    edge_y: jax.Array  # m
    inverse: jax.Array  # 1/m, of the edge's length; 0 if it has none, and its vertex then does not count


def outline(x: jax.Array, y: jax.Array) -> Outline:
    """The outline through some vertices, each `[V, ...]` m."""
    edge_x, edge_y = jnp.roll(x, -1, axis=0) - x, jnp.roll(y, -1, axis=0) - y
    square = edge_x**2 + edge_y**2
    inverse = jnp.where(square > 0, jax.lax.rsqrt(jnp.maximum(square, 1e-12)), 0)
    return Outline(x, y, edge_x, edge_y, inverse)


def shifted(polygon: Outline, x: jax.Array, y: jax.Array) -> Outline:
    """An outline moved by a vector `[...]` m."""
    return polygon._replace(x=polygon.x + x[None], y=polygon.y + y[None])


def _vertices(polygon: Outline) -> Iterator[tuple[jax.Array, ...]]:
    """Every vertex, its edge and the inverse of its length, each `[...]`."""
    return zip(*(list(part) for part in polygon), strict=True)


def _deepest_face(a: Outline, b: Outline) -> tuple[jax.Array, jax.Array]:
    """The face of a that separates b most: by how much [m], and how many vertices of b are behind it."""
    points = [(x, y, jnp.where(inverse > 0, 1.0, 0.0)) for x, y, _, _, inverse in _vertices(b)]
    separation = behind = jnp.float32(-2 * FAR)
    for x, y, ex, ey, inverse in _vertices(a):
        # Clockwise, the outward normal of an edge (ex, ey) is (-ey, ex).
        offset = ey * x - ex * y
        distances = [ex * by - ey * bx + offset for bx, by, _ in points]
        count = sum(jnp.where(d < 0, real, 0.0) for d, (_, _, real) in zip(distances, points, strict=True))
        here = jnp.where(inverse > 0, least(distances) * inverse, -FAR)
        better = here > separation
        separation, behind = jnp.where(better, here, separation), jnp.where(better, count, behind)
    return separation, behind


def polygon_contacts(a: Outline, b: Outline) -> jax.Array:
    """Contact points of two polygons: 0 if they are apart, 1, or 2 if two corners are behind a face."""
    of_a, behind_a = _deepest_face(a, b)
    of_b, behind_b = _deepest_face(b, a)
    behind = jnp.where(of_b > of_a + FACE_BIAS, behind_b, behind_a)
    return jnp.where((of_a < 0) & (of_b < 0), jnp.where(behind < 2, behind, 2.0), 0.0)


def circle_overlaps_polygon(x: jax.Array, y: jax.Array, radius: jax.Array, polygon: Outline) -> jax.Array:
    """Whether a circle overlaps a polygon: it holds a corner, crosses an edge, or its center is inside."""
    square, outside, meets = radius**2, [], []
    for corner_x, corner_y, ex, ey, _ in _vertices(polygon):
        dx, dy = x - corner_x, y - corner_y
        length, along = ex**2 + ey**2, dx * ex + dy * ey
        side = ex * dy - ey * dx
        meets += [dx**2 + dy**2 < square, (along > 0) & (along < length) & (side**2 < square * length)]
        outside.append(side > 0)
    return ~any_of(outside) | any_of(meets)


def circles_overlap(dx: jax.Array, dy: jax.Array, radii: jax.Array) -> jax.Array:
    """Whether two circles overlap, by the vector between their centers and the sum of their radii."""
    return dx**2 + dy**2 < radii**2
