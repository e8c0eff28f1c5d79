"""All contacts of a scene, found from positions (PHYSICS: step 2). Arrays are batch-last."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.collision.circles import circle_contacts, circle_polygon_contacts
from jax2d.collision.polygons import Outlines, outlines, polygon_contacts
from jax2d.pairs import triangle
from jax2d.params import SimSpec
from jax2d.types import Joints, SimState


class Geometry(NamedTuple):
    """The contacts of a block, whatever the shapes; `S` contact points for each pair."""

    normal_x: jax.Array  # [*shape, B] 1, from a to b
    normal_y: jax.Array
    penetration: jax.Array  # [*shape, B] m
    point_x: jax.Array  # [S, *shape, B] m
    point_y: jax.Array
    active: jax.Array  # bool [S, *shape, B]


def components(joints: Joints, num_bodies: int) -> jax.Array:
    """A label for every body, equal for bodies that active joints link: int `[N, B]`."""
    batch = joints.active.shape[-1]
    labels = jnp.broadcast_to(jnp.arange(num_bodies)[:, None], (num_bodies, batch))

    def merge(labels, joint):
        body_a, body_b, active = joint
        index = jnp.arange(num_bodies)[:, None]
        label = lambda body: jnp.max(jnp.where(index == body[None], labels, -1), axis=0, keepdims=True)
        return jnp.where(active[None] & (labels == label(body_b)), label(body_a), labels), None

    if joints.active.shape[0] == 0:
        return labels
    return jax.lax.scan(merge, labels, (joints.body_a, joints.body_b, joints.active))[0]


def _polygon_blocks(outline: Outlines, walls: int) -> list[Geometry]:
    """Walls with free polygons, and free polygons with each other."""
    wall = outline.pick(lambda field: field[:, :walls])
    free = outline.pick(lambda field: field[:, walls:])
    first, second = triangle(free.x.shape[1]).T
    return [
        Geometry(*polygon_contacts(a, b))
        for a, b in (
            (wall.pick(lambda f: f[:, :, None]), free.pick(lambda f: f[:, None])),
            (free.pick(lambda f: f[:, first]), free.pick(lambda f: f[:, second])),
        )
    ]


def find_contacts(state: SimState, cos: jax.Array, sin: jax.Array, spec: SimSpec) -> list[list[Geometry]]:
    """Contacts by kind and block (`jax2d.pairs.kinds`); activity and modes of bodies not applied.

    Args:
      state: batch-last.
      cos, sin: `[N, B]`, of the bodies' rotations.
    """
    polygons, walls = spec.num_polygons, spec.num_walls
    x, y = state.position[:, 0], state.position[:, 1]
    outline = outlines(
        state.vertices,
        state.num_vertices,
        x[:polygons],
        y[:polygons],
        cos[:polygons],
        sin[:polygons],
    )
    round_x, round_y, radius = x[polygons:], y[polygons:], state.radius
    mixed = circle_polygon_contacts(
        round_x[None], round_y[None], radius[None], outline.pick(lambda field: field[:, :, None])
    )
    first, second = triangle(spec.num_circles).T
    pair = circle_contacts(
        round_x[first],
        round_y[first],
        radius[first],
        round_x[second],
        round_y[second],
        radius[second],
    )
    rows = lambda part: Geometry(*(f[part] for f in mixed[:3]), *(f[:, part] for f in mixed[3:]))
    found = [
        _polygon_blocks(outline, walls),
        [rows(slice(walls)), rows(slice(walls, None))],
        [Geometry(*pair)],
    ]
    filled = [[geometry for geometry in blocks if geometry.active.size] for blocks in found]
    return [blocks for blocks in filled if blocks]
