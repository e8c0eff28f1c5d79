"""Contacts of circles with polygons and with each other (PHYSICS: step 2). Arrays are batch-last."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.collision.polygons import Outlines


class CircleContacts(NamedTuple):
    """One contact point of each pair; body a is a circle."""

    normal_x: jax.Array  # [*pairs, B] 1, from a to b
    normal_y: jax.Array
    penetration: jax.Array  # [*pairs, B] m
    point_x: jax.Array  # [1, *pairs, B] m
    point_y: jax.Array
    active: jax.Array  # bool [1, *pairs, B]


def _direction(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Unit vector along (x, y), the zero vector at zero, and the length; with finite derivatives."""
    squared = x**2 + y**2
    nonzero = squared > 0
    length = jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, squared, 1)), 0)
    divisor = jnp.where(nonzero, length, 1)
    return x / divisor, y / divisor, length


def circle_contacts(x_a, y_a, radius_a, x_b, y_b, radius_b) -> CircleContacts:
    """Contacts of circles a with circles b; every argument broadcasts to `[pairs, B]`."""
    normal_x, normal_y, distance = _direction(x_b - x_a, y_b - y_a)
    penetration = radius_a + radius_b - distance
    point_x, point_y = x_a + normal_x * radius_a, y_a + normal_y * radius_a
    return CircleContacts(
        normal_x, normal_y, penetration, point_x[None], point_y[None], (penetration > 0)[None]
    )


class _Nearest(NamedTuple):
    """The nearest point of the outlines visited so far, `[*pairs, B]`."""

    squared: jax.Array  # m^2, distance from the center
    x: jax.Array  # m
    y: jax.Array
    inside: jax.Array  # bool, the center is behind every face


def circle_polygon_contacts(x, y, radius, outline: Outlines) -> CircleContacts:
    """Contacts of circles (a) with polygons (b).

    Args:
      x, y, radius: broadcast to `[*pairs, B]`.
      outline: fields broadcast to `[V, *pairs, B]`.
    """

    def visit(best: _Nearest, face: Outlines):
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

    shape = jnp.broadcast_shapes(outline.x.shape[1:], x.shape)
    zero = jnp.zeros(shape, outline.x.dtype)
    best, _ = jax.lax.scan(visit, _Nearest(zero + jnp.inf, zero, zero, jnp.ones(shape, bool)), outline)
    normal_x, normal_y, distance = _direction(best.x - x, best.y - y)
    outwards = jnp.where(best.inside, -1, 1)
    return CircleContacts(
        normal_x=normal_x * outwards,
        normal_y=normal_y * outwards,
        penetration=jnp.where(best.inside, radius, radius - distance),
        point_x=best.x[None],
        point_y=best.y[None],
        active=(best.inside | (distance <= radius))[None],
    )
