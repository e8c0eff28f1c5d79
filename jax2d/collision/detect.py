"""All contacts of a scene, found from positions (docs/physics.md, contacts). Arrays are batch-last."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jax2d.batching import short_scan
from jax2d.collision.circles import circle_manifolds, circle_polygon_manifolds
from jax2d.collision.manifold import Manifold
from jax2d.collision.polygons import WorldPolygons, polygon_manifolds, to_world
from jax2d.pairs import unordered_pairs
from jax2d.params import SimSpec
from jax2d.types import Joints, SimState


def components(joints: Joints, num_bodies: int) -> jax.Array:
    """Labels the connected components of the graph of active joints: int `[N, B]`, one label per body.

    Joints are visited in turn, and each gives the bodies of its second body's component the label of its
    first body's: union-find without ranks (Galler and Fischer 1964), as a relabeling of all bodies at once.
    """
    batch = joints.active.shape[-1]
    labels = jnp.broadcast_to(jnp.arange(num_bodies)[:, None], (num_bodies, batch))

    def merge(labels, joint):
        body_a, body_b, active = joint
        index = jnp.arange(num_bodies)[:, None]
        label = lambda body: jnp.max(jnp.where(index == body[None], labels, -1), axis=0, keepdims=True)
        return jnp.where(active[None] & (labels == label(body_b)), label(body_a), labels), None

    if joints.active.shape[0] == 0:
        return labels
    return short_scan(merge, labels, (joints.body_a, joints.body_b, joints.active))[0]


def world_polygons(state: SimState, cos: jax.Array, sin: jax.Array, spec: SimSpec) -> WorldPolygons:
    """Places all polygons of scenes in the world; `cos, sin [N, B]` are of the bodies' rotations."""
    slots = slice(spec.num_polygons)
    x, y = state.position[slots, 0], state.position[slots, 1]
    return to_world(state.vertices, state.num_vertices, x, y, cos[slots], sin[slots])


def _polygon_blocks(polygons: WorldPolygons, walls: int) -> list[Manifold]:
    """Finds contacts of walls with free polygons, and of free polygons with each other."""
    wall = polygons.pick(lambda field: field[:, :walls])
    free = polygons.pick(lambda field: field[:, walls:])
    first, second = unordered_pairs(free.x.shape[1]).T
    return [
        polygon_manifolds(wall.pick(lambda f: f[:, :, None]), free.pick(lambda f: f[:, None])),
        polygon_manifolds(free.pick(lambda f: f[:, first]), free.pick(lambda f: f[:, second])),
    ]


def _circle_blocks(state: SimState, spec: SimSpec) -> list[Manifold]:
    """Finds contacts of circles with each other."""
    x, y = state.position[spec.num_polygons :, 0], state.position[spec.num_polygons :, 1]
    first, second = unordered_pairs(spec.num_circles).T
    radius = state.radius
    return [circle_manifolds(x[first], y[first], radius[first], x[second], y[second], radius[second])]


def _mixed_blocks(polygons: WorldPolygons, state: SimState, spec: SimSpec) -> list[Manifold]:
    """Finds contacts of circles with walls, and with free polygons."""
    x, y = state.position[spec.num_polygons :, 0], state.position[spec.num_polygons :, 1]
    rows = polygons.pick(lambda field: field[:, :, None])
    mixed = circle_polygon_manifolds(x[None], y[None], state.radius[None], rows)
    return [mixed.rows(slice(spec.num_walls)), mixed.rows(slice(spec.num_walls, None))]


def find_manifolds(state: SimState, cos: jax.Array, sin: jax.Array, spec: SimSpec) -> list[list[Manifold]]:
    """Finds contacts by kind and block of `contact_layout`, whether or not the bodies are in use.

    Args:
      state: scenes, batch-last.
      cos, sin: `[N, B]`, of the bodies' rotations.
      spec: sizes.
    """
    polygons = world_polygons(state, cos, sin, spec)
    kinds = [
        _polygon_blocks(polygons, spec.num_walls),
        _mixed_blocks(polygons, state, spec),
        _circle_blocks(state, spec),
    ]
    filled = [[manifold for manifold in blocks if manifold.active.size] for blocks in kinds]
    return [blocks for blocks in filled if blocks]
