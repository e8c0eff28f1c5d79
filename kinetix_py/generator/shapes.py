"""Shapes of the generator, and the contact points that they would have.

Batch-last: `[..., B]`, so that what a level has once, `[B]`, broadcasts against its rows. A polygon is told
by its number of vertices and two half sizes: it is a regular polygon (circumradius sqrt 2, a vertex at 45
degrees), stretched by the half sizes. So four vertices give a rectangle, and the centroid is the origin.

Contacts are found by `jax2d.collision`, but points between polygons are only counted: with the engine's
function, which also finds where they are, the generator takes 1.5 (S), 1.1 (M) or 1.6 times as long (L)
(`python -m tools.time_contacts`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.circles import circle_manifolds, circle_polygon_manifolds
from jax2d.collision.polygons import REFERENCE_FACE_PREFERENCE, WorldPolygons, to_world
from jax2d.fields import array, shapes
from kinetix_py.sizes import FLOOR, ROOM

CIRCUMRADIUS = np.sqrt(2)  # of the regular polygons; so four vertices make a square of half size 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Body:
    """Shapes, with the joints that they were added with: one `[B]`, or all slots `[N, B]`, 0 where empty."""

    number: jax.Array = array("N", dtype=np.int32, doc="1 for the shape that was added first; 0 if empty")
    x: jax.Array = array("N", unit="m")
    y: jax.Array = array("N", unit="m")
    rotation: jax.Array = array("N", unit="rad")
    num_vertices: jax.Array = array("N", dtype=np.int32, doc="0 for circles")
    half_width: jax.Array = array("N", unit="m", doc="0 for circles")
    half_height: jax.Array = array("N", unit="m", doc="0 for circles")
    radius: jax.Array = array("N", unit="m", doc="0 for polygons")
    role: jax.Array = array("N", dtype=np.int32)
    movable: jax.Array = array("N", dtype=bool)
    joint: jax.Array = array("N", dtype=np.int32, doc="1 for the joint that was added first; 0 if none")
    target: jax.Array = array("N", dtype=np.int32, doc="number of the shape at the joint's other end")
    anchor_x: jax.Array = array("N", unit="m", doc="anchor of the joint in its frame")
    anchor_y: jax.Array = array("N", unit="m")
    target_x: jax.Array = array("N", unit="m", doc="anchor of the joint in the frame of its target")
    target_y: jax.Array = array("N", unit="m")

    @property
    def is_circle(self) -> jax.Array:
        """Circles; and empty slots."""
        return self.num_vertices == 0


def empty_slots(*axes: int) -> Body:
    """Empty slots with arrays of the given axes: all 0."""
    return jax.tree.map(lambda spec: jnp.zeros(axes, spec.dtype), shapes(Body, {"N": 0}))


def _by_count(body: Body, constant: Callable, max_vertices: int) -> jax.Array:
    """Selects `constant(count)`, numbers `[...]`, by the number of vertices."""
    widen = lambda value: np.float32(value).reshape(np.shape(value) + (1,) * body.num_vertices.ndim)
    chosen = jnp.asarray(widen(constant(3)))
    for count in range(4, max_vertices + 1):
        chosen = jnp.where(body.num_vertices == count, widen(constant(count)), chosen)
    return chosen


def corners(body: Body, max_vertices: int) -> tuple[jax.Array, jax.Array]:
    """Vertices of polygons about their centroids, clockwise from the top right: x and y, each `[V, ...]` m.

    Those beyond `num_vertices` repeat the first.
    """

    def regular(count: int) -> np.ndarray:
        index = np.arange(max_vertices)
        angle = np.pi / 4 - 2 * np.pi * np.where(index < count, index, 0) / count
        vertices = CIRCUMRADIUS * np.stack([np.cos(angle), np.sin(angle)])
        return np.round(vertices) if count == 4 else vertices

    x, y = _by_count(body, regular, max_vertices)
    return x * body.half_width, y * body.half_height


def inner_box(body: Body, max_vertices: int) -> tuple[jax.Array, jax.Array]:
    """Half sides [m] of a box inside a polygon, in which anchors lie: all of a rectangle, 0 for a circle."""
    share = _by_count(body, lambda n: 1.0 if n == 4 else np.cos(np.pi / n), max_vertices)
    return body.half_width * share, body.half_height * share


def area(body: Body, max_vertices: int) -> jax.Array:
    """Area `[...]` m^2."""
    unit = _by_count(body, lambda n: n * np.sin(2 * np.pi / n), max_vertices)
    return unit * body.half_width * body.half_height + jnp.pi * body.radius**2


def world_polygons(body: Body, max_vertices: int) -> WorldPolygons:
    """Polygons `[P, B]` in the world; circles among them have no vertices."""
    local = jnp.moveaxis(jnp.stack(corners(body, max_vertices), axis=1), 2, 0)
    cos, sin = jnp.cos(body.rotation), jnp.sin(body.rotation)
    return to_world(local, body.num_vertices, body.x, body.y, cos, sin)


def _reference_face(a: WorldPolygons, b: WorldPolygons) -> tuple[jax.Array, jax.Array]:
    """The face of a that separates b most: by how much [m], and how many vertices of b are behind it."""
    separation = behind = jnp.float32(-jnp.inf)
    vertices = list(zip(b.x, b.y, b.used, strict=True))
    for tangent_x, tangent_y, support, used in zip(a.tangent_x, a.tangent_y, a.support, a.used, strict=True):
        distances = [
            jnp.where(real, tangent_x * y - tangent_y * x - support, jnp.inf) for x, y, real in vertices
        ]
        here = jnp.where(used, functools.reduce(jnp.minimum, distances), -jnp.inf)
        count = sum(jnp.where(distance < 0, 1.0, 0.0) for distance in distances)
        separation, behind = jnp.maximum(here, separation), jnp.where(here > separation, count, behind)
    return separation, behind


def polygon_contacts(a: WorldPolygons, b: WorldPolygons) -> jax.Array:
    """Contact points of polygons: 0 if they are apart, 1, or 2 if two vertices are behind a face."""
    (of_a, behind_a), (of_b, behind_b) = _reference_face(a, b), _reference_face(b, a)
    behind = jnp.where(of_b > of_a + REFERENCE_FACE_PREFERENCE, behind_b, behind_a)
    return jnp.where((of_a < 0) & (of_b < 0), jnp.minimum(behind, 2.0), 0.0)


def _room_contacts(body: Body, polygon: WorldPolygons) -> jax.Array:
    """Contact points of shapes with the four sides of the room."""
    hits = jnp.zeros(body.x.shape)
    # Every side by its position and the depths behind it: of the center, and of the vertices.
    for side, center, vertices in (
        (0, body.x, polygon.x),
        (0, ROOM - body.x, ROOM - polygon.x),
        (FLOOR, body.y, polygon.y),
        (0, ROOM - body.y, ROOM - polygon.y),
    ):
        behind = sum(
            jnp.where(used & (depth < side), 1.0, 0.0)
            for depth, used in zip(vertices, polygon.used, strict=True)
        )
        hits += jnp.where(body.is_circle, center < side + body.radius, jnp.minimum(behind, 2.0))
    return hits


def count_contacts(body: Body, bodies: Body, polygons: WorldPolygons, max_vertices: int) -> jax.Array:
    """Contact points of a shape `[1, B]` with the room and all shapes `[N, B]`: float `[B]`.

    Args:
      polygons: the first P of the shapes, which are polygons.
    """
    circles = jax.tree.map(lambda value: value[polygons.x.shape[1] :], bodies)
    new = world_polygons(body, max_vertices)
    here, there = ((part.x, part.y, part.radius) for part in (body, circles))
    on_polygons = jnp.where(
        body.is_circle,
        circle_polygon_manifolds(*here, polygons).active[0],
        polygon_contacts(polygons, new),
    )
    on_circles = jnp.where(
        body.is_circle,
        circle_manifolds(*here, *there).active[0],
        circle_polygon_manifolds(*there, new).active[0],
    )
    on_room, on_all = _room_contacts(body, new), jnp.concatenate([on_polygons, on_circles])
    counts = jnp.concatenate([on_room, jnp.where(bodies.number > 0, on_all, 0)])
    # A matrix product: XLA would copy any other sum into each of its consumers, which are then too long to
    # be vectorized.
    return jnp.ones(counts.shape[0]) @ counts
