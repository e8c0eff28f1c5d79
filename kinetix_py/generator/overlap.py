"""Overlap of convex shapes, without a physics step.

Polygons are tested along the normals of both (separating axes), circles by their distance. `V` vertices
come clockwise as arrays x and y `[V, ...]`; the remaining axes of all arguments broadcast with
equal ranks. An edge without length separates nothing and keeps no distance. No test divides: XLA would
store every quotient.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_py.generator.arrays import any_of, greatest, least

Points = tuple[jax.Array, jax.Array]
FAR = 1e6  # m, beyond any distance in a scene


def edges(polygon: Points) -> Points:
    """Vector from every vertex to the next: x and y `[V, ...]`."""
    x, y = polygon
    return jnp.roll(x, -1, axis=0) - x, jnp.roll(y, -1, axis=0) - y


def _a_face_separates(a: Points, b: Points) -> jax.Array:
    """Whether all vertices of b are outside some face of a."""
    (ax, ay), (ex, ey) = a, edges(a)
    # Clockwise, the outward normal of an edge (ex, ey) is (-ey, ex).
    faces = [slice(i, i + 1) for i in range(ax.shape[0])]
    outside = [ex[i] * (b[1] - ay[i]) - ey[i] * (b[0] - ax[i]) for i in faces]
    return any_of([least(side) > 0 for side in outside])


def polygons_overlap(a: Points, b: Points) -> jax.Array:
    """Whether two polygons overlap."""
    return ~(_a_face_separates(a, b) | _a_face_separates(b, a))


def circle_overlaps_polygon(x: jax.Array, y: jax.Array, radius: jax.Array, polygon: Points) -> jax.Array:
    """Whether a circle overlaps a polygon: it holds a corner, crosses an edge, or its centre is inside."""
    ex, ey = edges(polygon)
    square, outside, meets = radius**2, [], []
    for i in range(ex.shape[0]):
        dx, dy = x - polygon[0][i], y - polygon[1][i]
        length, along = ex[i] ** 2 + ey[i] ** 2, dx * ex[i] + dy * ey[i]
        side = ex[i] * dy - ey[i] * dx
        meets += [dx**2 + dy**2 < square, (along > 0) & (along < length) & (side**2 < square * length)]
        outside.append(side > 0)
    return ~any_of(outside) | any_of(meets)


def circles_overlap(dx: jax.Array, dy: jax.Array, radii: jax.Array) -> jax.Array:
    """Whether two circles overlap, by the vector between their centres and the sum of their radii."""
    return dx**2 + dy**2 < radii**2


def reach_beyond_polygon(points: Points, radius: jax.Array, polygon: Points) -> jax.Array:
    """How far points with a radius around them `[W, ...]` stick out of a polygon's faces [m]."""
    ex, ey = edges(polygon)
    reaches = []
    for i in range(ex.shape[0]):
        length = ex[i] ** 2 + ey[i] ** 2
        inverse = jax.lax.rsqrt(jnp.maximum(length, 1e-12))
        dx, dy = points[0] - polygon[0][i][None], points[1] - polygon[1][i][None]
        distance = greatest(ex[i][None] * dy - ey[i][None] * dx) * inverse + radius
        reaches.append(jnp.where(length > 0, distance, -FAR))
    return greatest(reaches)


def reach_beyond_circle(points: Points, x: jax.Array, y: jax.Array, radius: jax.Array) -> jax.Array:
    """How far the outermost of some points `[W, ...]` is outside a circle [m]."""
    squares = (points[0] - x[None]) ** 2 + (points[1] - y[None]) ** 2
    return jnp.sqrt(greatest(squares)) - radius
