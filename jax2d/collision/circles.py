"""Contacts of circles with polygons and each other (docs/physics.md, contacts). Arrays are batch-last."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.batching import short_scan
from jax2d.collision.manifold import Manifold
from jax2d.collision.polygons import WorldPolygons


def _direction(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Computes the unit vector along (x, y), zero at zero, and the length; derivatives are finite."""
    squared = x**2 + y**2
    nonzero = squared > 0
    length = jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, squared, 1)), 0)
    divisor = jnp.where(nonzero, length, 1)
    return x / divisor, y / divisor, length


def circle_manifolds(x_a, y_a, radius_a, x_b, y_b, radius_b) -> Manifold:
    """Finds the contacts of circles a with circles b; every argument broadcasts to `[pairs, B]`."""
    normal_x, normal_y, distance = _direction(x_b - x_a, y_b - y_a)
    penetration = radius_a + radius_b - distance
    point_x, point_y = x_a + normal_x * radius_a, y_a + normal_y * radius_a
    return Manifold(
        normal_x=normal_x,
        normal_y=normal_y,
        penetration=penetration,
        point_x=point_x[None],
        point_y=point_y[None],
        active=(penetration > 0)[None],
    )


class _Nearest(NamedTuple):
    """The nearest point of the faces visited so far, `[*pairs, B]`."""

    squared: jax.Array  # m^2, squared distance from the center
    x: jax.Array  # m
    y: jax.Array
    inside: jax.Array  # bool, the center is behind every face


def circle_polygon_manifolds(x, y, radius, polygons: WorldPolygons) -> Manifold:
    """Finds the contacts of circles (a) with polygons (b).

    Args:
      x, y, radius: centers and radii of the circles; broadcast to `[*pairs, B]`.
      polygons: polygons; fields broadcast to `[V, *pairs, B]`.
    """

    def visit(best: _Nearest, face: WorldPolygons):
        from_x, from_y = x - face.x, y - face.y
        along = jnp.clip(from_x * face.tangent_x + from_y * face.tangent_y, 0, face.length)
        nearest_x, nearest_y = face.x + along * face.tangent_x, face.y + along * face.tangent_y
        squared = (x - nearest_x) ** 2 + (y - nearest_y) ** 2
        nearer = face.used & (squared < best.squared)
        behind = face.tangent_x * from_y - face.tangent_y * from_x < 0
        return _Nearest(
            jnp.where(nearer, squared, best.squared),
            jnp.where(nearer, nearest_x, best.x),
            jnp.where(nearer, nearest_y, best.y),
            best.inside & (behind | ~face.used),
        ), None

    shape = jnp.broadcast_shapes(polygons.x.shape[1:], x.shape)
    zero = jnp.zeros(shape, polygons.x.dtype)
    best, _ = short_scan(visit, _Nearest(zero + jnp.inf, zero, zero, jnp.ones(shape, bool)), polygons)
    normal_x, normal_y, distance = _direction(best.x - x, best.y - y)
    outwards = jnp.where(best.inside, -1, 1)
    return Manifold(
        normal_x=normal_x * outwards,
        normal_y=normal_y * outwards,
        penetration=jnp.where(best.inside, radius, radius - distance),
        point_x=best.x[None],
        point_y=best.y[None],
        active=(best.inside | (distance <= radius))[None],
    )
