"""Overlap of convex shapes, without a physics step.

Polygons are tested along the normals of both (separating axes), circles by their distance. `V` vertices
come clockwise as arrays x and y `[V, ...]`; the remaining axes of all arguments broadcast with equal ranks.
An edge without length separates nothing and keeps no distance. Vertices are taken one by one: rolled arrays
would keep XLA from vectorising; and no test divides, since every quotient would be stored.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from kinetix_py.generator.arrays import any_of, greatest, least

Points = tuple[jax.Array, jax.Array]
FAR = 1e6  # m, beyond any distance in a scene


def edges(polygon: Points) -> Iterator[tuple[jax.Array, jax.Array, jax.Array, jax.Array]]:
    """Every vertex (x, y) and the vector from it to the next, each `[...]`."""
    x, y = list(polygon[0]), list(polygon[1])
    for i in range(len(x)):
        after = (i + 1) % len(x)
        yield x[i], y[i], x[after] - x[i], y[after] - y[i]


def _a_face_separates(a: Points, b: Points) -> jax.Array:
    """Whether all vertices of b are outside some face of a."""
    points = list(zip(*b, strict=True))
    # Clockwise, the outward normal of an edge (ex, ey) is (-ey, ex).
    separates = lambda x, y, ex, ey: least([ex * (by - y) - ey * (bx - x) for bx, by in points]) > 0
    return any_of([separates(*edge) for edge in edges(a)])


def polygons_overlap(a: Points, b: Points) -> jax.Array:
    """Whether two polygons overlap."""
    return ~(_a_face_separates(a, b) | _a_face_separates(b, a))


def circle_overlaps_polygon(x: jax.Array, y: jax.Array, radius: jax.Array, polygon: Points) -> jax.Array:
    """Whether a circle overlaps a polygon: it holds a corner, crosses an edge, or its centre is inside."""
    square, outside, meets = radius**2, [], []
    for corner_x, corner_y, ex, ey in edges(polygon):
        dx, dy = x - corner_x, y - corner_y
        length, along = ex**2 + ey**2, dx * ex + dy * ey
        side = ex * dy - ey * dx
        meets += [dx**2 + dy**2 < square, (along > 0) & (along < length) & (side**2 < square * length)]
        outside.append(side > 0)
    return ~any_of(outside) | any_of(meets)


def circles_overlap(dx: jax.Array, dy: jax.Array, radii: jax.Array) -> jax.Array:
    """Whether two circles overlap, by the vector between their centres and the sum of their radii."""
    return dx**2 + dy**2 < radii**2


def reach_beyond_polygon(points: Points, radius: jax.Array, polygon: Points) -> jax.Array:
    """How far points with a radius around them `[W, ...]` stick out of a polygon's faces [m]."""
    corners, reaches = list(zip(*points, strict=True)), []
    for x, y, ex, ey in edges(polygon):
        length = ex**2 + ey**2
        inverse = jax.lax.rsqrt(jnp.maximum(length, 1e-12))
        distance = greatest([ex * (py - y) - ey * (px - x) for px, py in corners]) * inverse + radius
        reaches.append(jnp.where(length > 0, distance, -FAR))
    return greatest(reaches)


def reach_beyond_circle(points: Points, x: jax.Array, y: jax.Array, radius: jax.Array) -> jax.Array:
    """How far the outermost of some points `[W, ...]` is outside a circle [m]."""
    squares = (points[0] - x[None]) ** 2 + (points[1] - y[None]) ** 2
    return jnp.sqrt(greatest(squares)) - radius
