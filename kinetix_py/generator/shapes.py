"""Shapes of the generator: affine images of regular polygons, and circles.

Arrays are batch-last: `[rows, B]`, x and y apart. A polygon is told by its number of vertices and two half
sizes: it is a regular polygon (circumradius sqrt 2, a vertex at 45 degrees), stretched by the half sizes.
So four vertices give a rectangle, and the centroid is always the origin.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.generator.arrays import lerp
from kinetix_py.generator.params import GeneratorParams

CIRCUMRADIUS = np.sqrt(2)  # of the regular polygons; so four vertices make a square of half size 1


def unit_corners(count: int, max_vertices: int) -> np.ndarray:
    """Corners of a regular polygon, clockwise from the top right: `[2, max_vertices]`.

    Those beyond `count` repeat the first: such edges have no length, and no test minds them.
    """
    angle = np.pi / 4 - 2 * np.pi * np.arange(count) / count
    corners = CIRCUMRADIUS * np.stack([np.cos(angle), np.sin(angle)])
    corners = np.round(corners) if count == 4 else corners
    return np.concatenate([corners, np.repeat(corners[:, :1], max_vertices - count, axis=1)], axis=1)


def by_count(num_vertices: jax.Array, values: dict[int, np.ndarray]) -> jax.Array:
    """Selects constants `[V]` (or a number) by the number of vertices `[...]`: `[V, ...]` (or `[...]`)."""
    widen = lambda value: jnp.asarray(
        np.reshape(value, np.shape(value) + (1,) * num_vertices.ndim), jnp.float32
    )
    counts = sorted(values)
    shape = np.shape(values[counts[0]]) + num_vertices.shape
    chosen = jnp.broadcast_to(widen(values[counts[0]]), shape)
    for count in counts[1:]:
        same = jnp.broadcast_to(num_vertices == count, shape)
        chosen = jnp.where(same, jnp.broadcast_to(widen(values[count]), shape), chosen)
    return chosen


def corners(
    num_vertices: jax.Array, half_width: jax.Array, half_height: jax.Array, max_vertices: int
) -> tuple[jax.Array, jax.Array]:
    """Vertices of polygons about their centroids.

    Args:
      num_vertices: int `[...]`, 3 .. `max_vertices`.
      half_width, half_height: float `[...]` m.

    Returns:
      x and y, each `[max_vertices, ...]` m, clockwise, the first repeated beyond `num_vertices`.
    """
    units = {count: unit_corners(count, max_vertices) for count in range(3, max_vertices + 1)}
    x = by_count(num_vertices, {count: unit[0] for count, unit in units.items()})
    y = by_count(num_vertices, {count: unit[1] for count, unit in units.items()})
    return x * half_width[None], y * half_height[None]


def inner_box(num_vertices: jax.Array, max_vertices: int) -> jax.Array:
    """Half side, over the half sizes, of a box inside a polygon: all of a rectangle. `[...]`."""
    inside = {count: np.cos(np.pi / count) for count in range(3, max_vertices + 1)}
    return by_count(num_vertices, inside | ({4: np.array(1.0)} if max_vertices >= 4 else {}))


def polygon_area(num_vertices: jax.Array, half_width: jax.Array, half_height: jax.Array, max_vertices: int):
    """Area `[...]` m^2."""
    factors = {count: np.array(count * np.sin(2 * np.pi / count)) for count in range(3, max_vertices + 1)}
    return by_count(num_vertices, factors) * half_width * half_height


def sample_num_vertices(draw: jax.Array, params: GeneratorParams, max_vertices: int) -> jax.Array:
    """Vertices of a polygon from a uniform, both of any shape; int."""
    if max_vertices == 3:
        return jnp.full(draw.shape, 3, jnp.int32)
    many = max_vertices - 4
    count = jnp.full(draw.shape, 4, jnp.int32)
    if many:
        # What lies beyond the first threshold is again uniform.
        share = (draw - params.triangle_chance) / jnp.maximum(params.many_vertices_chance, 1e-9)
        more = 5 + jnp.clip(jnp.int32(share * many), 0, many - 1)
        count = jnp.where(share < 1, more, count)
    return jnp.where(draw < params.triangle_chance, 3, count)


def sample_half_sizes(
    width: jax.Array, height: jax.Array, elongation: jax.Array, params: GeneratorParams
) -> tuple[jax.Array, jax.Array]:
    """Half width and half height [m] of a polygon from three uniforms, all of one shape."""
    longer = elongation < params.elongation_chance
    wider = elongation < params.elongation_chance / 2
    width = lerp(width, params.min_half_size, params.max_half_size)
    height = lerp(height, params.min_half_size, params.max_half_size)
    width = width * jnp.where(wider, params.elongation, 1.0)
    return width, height * jnp.where(longer & ~wider, params.elongation, 1.0)
