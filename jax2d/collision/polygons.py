"""Contacts between convex polygons by separating axes (docs/physics.md, contacts).

Arrays are batch-last: `[V, polygons, B]` for polygons, `[*pairs, B]` for contacts. Faces and vertices are
visited by scans (README.md, XLA).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.batching import short_scan
from jax2d.collision.manifold import Manifold

# A face of b must be this much less deep than the best face of a to be the reference face [m].
REFERENCE_FACE_PREFERENCE = 0.01


class WorldPolygons(NamedTuple):
    """Polygons in world coordinates; face i runs from vertex i to the next one, clockwise."""

    x: jax.Array  # [V, polygons, B] m, vertices
    y: jax.Array
    tangent_x: jax.Array  # [V, polygons, B] 1, along the face; the outward normal is to its left
    tangent_y: jax.Array
    length: jax.Array  # [V, polygons, B] m, of the face; 0 for an unused one
    support: jax.Array  # [V, polygons, B] m, largest projection of the polygon on the face's normal
    used: jax.Array  # bool [V, polygons, B]

    def pick(self, pick: Callable[[jax.Array], jax.Array]) -> WorldPolygons:
        """The polygons that `pick` chooses, applied to every field."""
        return jax.tree.map(pick, self)


class _ReferenceFace(NamedTuple):
    """The face of largest separation found so far, for every pair `[*pairs, B]`."""

    separation: jax.Array  # m, of the other polygon along the face's normal
    x: jax.Array
    y: jax.Array
    tangent_x: jax.Array
    tangent_y: jax.Array
    length: jax.Array
    support: jax.Array


class _IncidentPoints(NamedTuple):
    """The two vertices that lie deepest behind the reference face, slid along it onto its extent."""

    depth: tuple[jax.Array, jax.Array]  # m, projections on the normal: least, second least
    x: tuple[jax.Array, jax.Array]
    y: tuple[jax.Array, jax.Array]


def to_world(
    vertices: jax.Array,
    num_vertices: jax.Array,
    x: jax.Array,
    y: jax.Array,
    cos: jax.Array,
    sin: jax.Array,
) -> WorldPolygons:
    """Places polygons in the world.

    Args:
      vertices: `[polygons, V, 2, B]` m, in the bodies' frames.
      num_vertices: `[polygons, B]`.
      x, y: `[polygons, B]` m, positions.
      cos, sin: `[polygons, B]`, of the rotations.
    """
    size = vertices.shape[1]
    local_x, local_y = jnp.moveaxis(vertices, (1, 2), (0, 1)).swapaxes(0, 1)
    index = jnp.arange(size)[:, None, None]
    used = index < num_vertices[None]
    after = lambda v: jnp.where(index == num_vertices[None] - 1, v[:1], jnp.roll(v, -1, axis=0))

    def place(_, vertex):
        # Turned first, then moved: symmetric shapes at rest then have vertices of exactly equal depth.
        at_x, at_y = vertex
        return None, (x + (cos * at_x - sin * at_y), y + (sin * at_x + cos * at_y))

    _, (world_x, world_y) = short_scan(place, None, (local_x, local_y))
    edge_x, edge_y = after(world_x) - world_x, after(world_y) - world_y
    # The root of an unused face's 0 would have an infinite derivative.
    length = jnp.where(used, jnp.sqrt(jnp.where(used, edge_x**2 + edge_y**2, 1)), 0)
    divisor = jnp.where(length > 0, length, 1)
    tangent_x, tangent_y = edge_x / divisor, edge_y / divisor

    def reach(support, vertex):
        vertex_x, vertex_y, real = vertex
        depth = tangent_x * vertex_y[None] - tangent_y * vertex_x[None]
        return jnp.maximum(support, jnp.where(real[None], depth, -jnp.inf)), None

    support = jnp.full_like(length, -jnp.inf)
    support, _ = short_scan(reach, support, (world_x, world_y, used))
    return WorldPolygons(world_x, world_y, tangent_x, tangent_y, length, support, used)


def _separation(face: WorldPolygons, other: WorldPolygons) -> jax.Array:
    """Computes the separation of the other polygon along one face's outward normal: `[*pairs, B]` m."""
    nearest = jnp.asarray(jnp.inf)
    for x, y, used in zip(other.x, other.y, other.used, strict=True):
        depth = face.tangent_x * y - face.tangent_y * x
        nearest = jnp.minimum(nearest, jnp.where(used, depth, jnp.inf))
    return jnp.where(face.used, nearest - face.support, -jnp.inf)


def _reference_faces(
    a: WorldPolygons, b: WorldPolygons, shape: tuple[int, ...]
) -> tuple[_ReferenceFace, _ReferenceFace]:
    """Finds for each pair the face of a with the largest separation, and that of b."""

    def measure(_, faces):
        return None, (_separation(faces[0], b), _separation(faces[1], a))

    def better(best: _ReferenceFace, separation: jax.Array, face: WorldPolygons) -> _ReferenceFace:
        found = _ReferenceFace(
            separation, face.x, face.y, face.tangent_x, face.tangent_y, face.length, face.support
        )
        return jax.tree.map(lambda f, b: jnp.where(separation > best.separation, f, b), found, best)

    def visit(best, faces):
        (separation_a, separation_b), face_a, face_b = faces
        return (better(best[0], separation_a, face_a), better(best[1], separation_b, face_b)), None

    zero = jnp.zeros(shape, a.x.dtype)
    none = _ReferenceFace(zero - jnp.inf, zero, zero, zero, zero, zero, zero)
    # Two scans: a face's separations are computed once and not in every selection (README.md, XLA).
    _, separations = short_scan(measure, None, (a, b))
    return short_scan(visit, (none, none), (separations, a, b))[0]


def _incident_points(face: _ReferenceFace, vertices: WorldPolygons) -> _IncidentPoints:
    """Finds the two vertices that lie deepest behind a face; on a tie the higher index comes first."""
    tangent_x, tangent_y = face.tangent_x, face.tangent_y

    def visit(best: _IncidentPoints, vertex):
        x, y, used = vertex
        depth = jnp.where(used, tangent_x * y - tangent_y * x, jnp.inf)
        along = (x - face.x) * tangent_x + (y - face.y) * tangent_y
        slide = jnp.clip(along, 0, face.length) - along
        first, second = best.depth
        # An unused vertex is infinitely far and must not win a tie against a real one.
        deepest, deeper = used & (depth <= first), used & (depth <= second)

        def place(old, new):
            after_first = jnp.where(deeper, new, old[1])
            return jnp.where(deepest, new, old[0]), jnp.where(deepest, old[0], after_first)

        point_x, point_y = x + slide * tangent_x, y + slide * tangent_y
        return _IncidentPoints(
            depth=place(best.depth, depth), x=place(best.x, point_x), y=place(best.y, point_y)
        ), None

    zero = jnp.zeros_like(face.x)
    far = (zero + jnp.inf, zero + jnp.inf)
    init = _IncidentPoints(far, (zero, zero), (zero, zero))
    return short_scan(visit, init, (vertices.x, vertices.y, vertices.used))[0]


def polygon_manifolds(a: WorldPolygons, b: WorldPolygons) -> Manifold:
    """Finds the contacts of polygons a with polygons b, whose fields broadcast to `[V, *pairs, B]`."""
    shape = jnp.broadcast_shapes(a.x.shape, b.x.shape)[1:]
    best_a, best_b = _reference_faces(a, b, shape)
    use_b = best_a.separation + REFERENCE_FACE_PREFERENCE < best_b.separation
    choose = lambda from_a, from_b: jnp.where(use_b, from_b, from_a)
    face = jax.tree.map(choose, best_a, best_b)
    incident = jax.tree.map(lambda of_a, of_b: choose(of_b, of_a), a, b)
    deepest = _incident_points(face, incident)
    touching = (best_a.separation < 0) & (best_b.separation < 0)
    sign = choose(1, -1)
    return Manifold(
        normal_x=-sign * face.tangent_y,
        normal_y=sign * face.tangent_x,
        penetration=-jnp.maximum(best_a.separation, best_b.separation),
        point_x=jnp.stack(deepest.x),
        point_y=jnp.stack(deepest.y),
        active=jnp.stack([touching, touching & (deepest.depth[1] < face.support)]),
    )
