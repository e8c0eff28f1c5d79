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
    point: tuple[jax.Array, jax.Array]  # (x, y), each [*pairs, B] m
    active: jax.Array  # bool [*pairs, B]


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
    point = (x_a + normal_x * radius_a, y_a + normal_y * radius_a)
    return CircleContacts(normal_x, normal_y, penetration, point, penetration > 0)


def circle_polygon_contacts(x, y, radius, outline: Outlines) -> CircleContacts:
    """Contacts of circles (a) with polygons (b).

    Args:
      x, y, radius: broadcast to `[*pairs, B]`.
      outline: fields broadcast to `[*pairs, V, B]`.
    """
    centre_x, centre_y = x[..., None, :], y[..., None, :]
    from_x, from_y = centre_x - outline.x, centre_y - outline.y
    share = (from_x * outline.edge_x + from_y * outline.edge_y) / outline.length**2
    share = jnp.clip(share, 0, 1)
    nearest_x = outline.x + share * outline.edge_x
    nearest_y = outline.y + share * outline.edge_y
    squared = jnp.where(
        outline.used, (centre_x - nearest_x) ** 2 + (centre_y - nearest_y) ** 2, jnp.inf
    )
    # Outward of a clockwise face is to the left of its edge; inside is behind every face.
    outward = outline.edge_x * from_y - outline.edge_y * from_x
    behind = (outward < 0) | ~outline.used
    best, point_x, point_y, inside = (
        squared[..., 0, :],
        nearest_x[..., 0, :],
        nearest_y[..., 0, :],
        behind[..., 0, :],
    )
    for i in range(1, squared.shape[-2]):
        nearer = squared[..., i, :] < best
        best = jnp.where(nearer, squared[..., i, :], best)
        point_x = jnp.where(nearer, nearest_x[..., i, :], point_x)
        point_y = jnp.where(nearer, nearest_y[..., i, :], point_y)
        inside = inside & behind[..., i, :]
    normal_x, normal_y, distance = _direction(point_x - x, point_y - y)
    outwards = jnp.where(inside, -1, 1)
    return CircleContacts(
        normal_x=normal_x * outwards,
        normal_y=normal_y * outwards,
        penetration=jnp.where(inside, radius, radius - distance),
        point=(point_x, point_y),
        active=inside | (distance <= radius),
    )
