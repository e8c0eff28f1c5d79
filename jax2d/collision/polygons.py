"""Contacts between convex polygons by separating axes (PHYSICS: contacts of polygon a with polygon b).

Arrays are batch-last: `[polygons, V, B]` for outlines, `[*pairs, B]` for contacts. Quotients end the
expensive expressions on purpose: XLA's CPU compiler repeats a cheap producer in every consumer, but
computes a division that several consumers share only once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

# A face of b must be this much less deep than the best face of a to be the reference face [m].
REFERENCE_FACE_PREFERENCE = 0.01

Pick = Callable[[jax.Array], jax.Array]


class Outlines(NamedTuple):
    """Polygons in the world; face i runs from vertex i to the next one, clockwise."""

    x: jax.Array  # [polygons, V, B] m, vertices
    y: jax.Array
    edge_x: jax.Array  # [polygons, V, B] m, next vertex minus vertex
    edge_y: jax.Array
    length: jax.Array  # [polygons, V, B] m, of the face
    support: jax.Array  # [polygons, V, B] m, largest projection of the polygon on the face's normal
    used: jax.Array  # bool [polygons, V, B]

    def pick(self, pick: Pick) -> Outlines:
        """The outlines that `pick` chooses along the leading axis."""
        return Outlines(*(pick(field) for field in self))


class PolygonContacts(NamedTuple):
    """Two contact points of each pair."""

    normal_x: jax.Array  # [*pairs, B] 1, from a to b
    normal_y: jax.Array
    penetration: jax.Array  # [*pairs, B] m, of both points
    points: tuple[tuple[jax.Array, jax.Array], ...]  # ((x, y), (x, y)), each [*pairs, B] m
    active: tuple[jax.Array, ...]  # two, bool [*pairs, B]


def _next(values: jax.Array, last: jax.Array) -> jax.Array:
    """The value at the next vertex; after the last one comes the first. `[polygons, V, B]`."""
    return jnp.where(last, values[:, :1], jnp.roll(values, -1, axis=1))


def outlines(
    vertices: jax.Array,
    num_vertices: jax.Array,
    x: jax.Array,
    y: jax.Array,
    rotation: tuple[jax.Array, jax.Array],
) -> Outlines:
    """Places polygons in the world.

    Args:
      vertices: `[polygons, V, 2, B]` in the bodies' frames.
      num_vertices: `[polygons, B]`.
      x, y: `[polygons, B]`, positions.
      rotation: cosine and sine, each `[polygons, B]`.
    """
    local_x, local_y = vertices[:, :, 0], vertices[:, :, 1]
    cos, sin = (part[:, None] for part in rotation)
    world_x = x[:, None] + (cos * local_x - sin * local_y)
    world_y = y[:, None] + (sin * local_x + cos * local_y)
    index = jnp.arange(vertices.shape[1])[None, :, None]
    last = index == num_vertices[:, None] - 1
    used = index < num_vertices[:, None]
    edge_x = _next(world_x, last) - world_x
    edge_y = _next(world_y, last) - world_y
    length = jnp.sqrt(edge_x**2 + edge_y**2)
    length = jnp.where(used & (length > 0), length, 1)
    project = lambda i: edge_x * world_y[:, i, None] - edge_y * world_x[:, i, None]
    support = _largest([jnp.where(used[:, i, None], project(i), -jnp.inf) for i in range(used.shape[1])])
    return Outlines(world_x, world_y, edge_x, edge_y, length, support / length, used)


def _largest(values: list[jax.Array]) -> jax.Array:
    total = values[0]
    for value in values[1:]:
        total = jnp.maximum(total, value)
    return total


def separations(a: Outlines, b: Outlines) -> jax.Array:
    """Separation of b from a along each face normal of a: `[*pairs, V, B]` m, -inf for no face."""
    size = a.x.shape[-2]
    nearest = _largest(
        [
            jnp.where(
                b.used[..., j, None, :],
                a.edge_y * b.x[..., j, None, :] - a.edge_x * b.y[..., j, None, :],
                -jnp.inf,
            )
            for j in range(size)
        ]
    )
    return jnp.where(a.used, (-nearest) / a.length - a.support, -jnp.inf)


def _best_face(separation: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Largest separation over the faces and the first face that has it, `[*pairs, B]` each."""
    best = separation[..., 0, :]
    face = jnp.zeros(best.shape, jnp.int32)
    for i in range(1, separation.shape[-2]):
        better = separation[..., i, :] > best
        best = jnp.where(better, separation[..., i, :], best)
        face = jnp.where(better, i, face)
    return best, face


def _take(values: jax.Array, index: jax.Array) -> jax.Array:
    """`values[..., index, :]` by selection: `[*pairs, V, B]`, `[*pairs, B]` -> `[*pairs, B]`."""
    taken = values[..., 0, :]
    for i in range(1, values.shape[-2]):
        taken = jnp.where(index == i, values[..., i, :], taken)
    return jnp.broadcast_to(taken, index.shape)


def _two_deepest(depth: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Indices of the smallest and second smallest depth; on a tie the higher index comes first."""
    least, second = depth[..., 0, :], jnp.full_like(depth[..., 0, :], jnp.inf)
    first_index = second_index = jnp.zeros(least.shape, jnp.int32)
    for i in range(1, depth.shape[-2]):
        value = depth[..., i, :]
        # An unused vertex is infinitely far and must not win a tie against a real one.
        deepest = (value <= least) & jnp.isfinite(value)
        deeper = (value <= second) & jnp.isfinite(value)
        second_index = jnp.where(deepest, first_index, jnp.where(deeper, i, second_index))
        second = jnp.where(deepest, least, jnp.where(deeper, value, second))
        first_index = jnp.where(deepest, i, first_index)
        least = jnp.where(deepest, value, least)
    return first_index, second_index


def polygon_contacts(a: Outlines, b: Outlines) -> PolygonContacts:
    """Contacts of the polygons a with the polygons b, whose outlines broadcast to `[*pairs, V, B]`."""
    separation_a, face_a = _best_face(separations(a, b))
    separation_b, face_b = _best_face(separations(b, a))
    use_b = separation_a + REFERENCE_FACE_PREFERENCE < separation_b
    choose = lambda from_a, from_b: jnp.where(use_b, from_b, from_a)
    on_face = lambda name: choose(_take(getattr(a, name), face_a), _take(getattr(b, name), face_b))
    start_x, start_y, edge_x, edge_y, length = (
        on_face(name) for name in ("x", "y", "edge_x", "edge_y", "length")
    )
    swap = use_b[..., None, :]
    incident_x, incident_y = jnp.where(swap, a.x, b.x), jnp.where(swap, a.y, b.y)
    used = jnp.where(swap, a.used, b.used)
    # The outward normal of a clockwise outline lies to the left of its edge.
    product = edge_x[..., None, :] * incident_y - edge_y[..., None, :] * incident_x
    depth = jnp.where(used, product, jnp.inf) / length[..., None, :]
    tangent_x, tangent_y = edge_x / length, edge_y / length
    overlap = jnp.maximum(separation_a, separation_b)
    behind = jnp.where(use_b, _take(b.support, face_b), _take(a.support, face_a))
    touching = (separation_a < 0) & (separation_b < 0)
    points, depths = [], []
    for index in _two_deepest(depth):
        x, y = _take(incident_x, index), _take(incident_y, index)
        along = (x - start_x) * tangent_x + (y - start_y) * tangent_y
        slide = jnp.clip(along, 0, length) - along
        points.append((x + slide * tangent_x, y + slide * tangent_y))
        depths.append(_take(depth, index))
    sign = choose(1.0, -1.0)
    return PolygonContacts(
        normal_x=-tangent_y * sign,
        normal_y=tangent_x * sign,
        penetration=-overlap,
        points=tuple(points),
        active=(touching, touching & (depths[1] < behind)),
    )
