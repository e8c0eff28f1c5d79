"""Where a proposal goes, and what speaks against it: contacts, and joined shapes that hide each other.

Batch-last; what concerns one proposal is `[B]`, its corners `[V, B]`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator import overlap
from kinetix_py.generator.arrays import any_of, lerp, pick, turn
from kinetix_py.generator.overlap import Outline
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.proposals import Proposals
from kinetix_py.generator.shapes import inner_box
from kinetix_py.generator.table import Table
from kinetix_py.roles import BLUE, GREEN, NONE
from kinetix_py.sizes import FLOOR, ROOM

Point = tuple[jax.Array, jax.Array]


class Target(NamedTuple):
    """The body that a shape is joined to: `[B]`; all 0 if there is none."""

    is_circle: jax.Array  # bool
    x: jax.Array  # m
    y: jax.Array  # m
    cos: jax.Array
    sin: jax.Array
    radius: jax.Array  # m
    half_width: jax.Array  # m, of the box that anchors are drawn from
    half_height: jax.Array  # m


def read_target(mask: jax.Array, table: Table, max_vertices: int) -> Target:
    """What is to be known of the body that a mask `[N, B]` marks."""
    of_target = lambda name: pick(mask, getattr(table, name))
    polygons = table.corner_x.shape[0]
    inner = inner_box(of_target("num_vertices"), max_vertices)
    rotation = of_target("rotation")
    return Target(
        is_circle=~any_of(mask[:polygons]),
        x=of_target("x"),
        y=of_target("y"),
        cos=jnp.cos(rotation),
        sin=jnp.sin(rotation),
        radius=of_target("radius"),
        half_width=of_target("half_width") * inner,
        half_height=of_target("half_height") * inner,
    )


def free_place(
    proposal: Proposals, is_circle: jax.Array, role: jax.Array, movable: jax.Array, params: GeneratorParams
) -> Point:
    """Center of a free shape: anywhere in the room, or in its role's half, as far inside as it reaches.

    An static shape with a role may be moved down by half the room, where it may then overlap the floor.
    """
    reach = jnp.where(is_circle, proposal.radius, proposal.reach)
    own_half = proposal.side < params.own_half_chance
    left = jnp.where(own_half & (role == BLUE), ROOM / 2, 0) + reach
    right = jnp.where(own_half & (role == GREEN), ROOM / 2, ROOM) - reach
    y = lerp(proposal.y, reach + params.bottom_margin, ROOM - reach)
    low = ~movable & (role != NONE) & (proposal.low < params.low_static_chance)
    return lerp(proposal.x, left, right), jnp.where(low & (y >= ROOM / 2), y - ROOM / 2, y)


def target_anchor(proposal: Proposals, target: Target) -> Point:
    """Anchor in the target's frame: anywhere in a polygon, the center of a circle."""
    return (2 * proposal.x - 1) * target.half_width, (2 * proposal.y - 1) * target.half_height


def meeting_point(proposal: Proposals, target: Target) -> Point:
    """The target's anchor in the world."""
    x, y = turn(target.cos, target.sin, *target_anchor(proposal, target))
    return target.x + x, target.y + y


def contacts(
    center: Point, shape: Outline, radius: jax.Array, is_circle: jax.Array, table: Table, old: Outline
) -> list[jax.Array]:
    """Contact points of a shape with the room `[1, B]`, every polygon `[P, B]` and every circle `[C, B]`.

    Args:
      shape: in the world, `[V, B]`.
      old: of the polygons of the table, `[V, P, B]`.
    """
    rows = [_wall_contacts(center, shape, radius, is_circle)[None]]
    polygons = table.corner_x.shape[0]
    (x, y), new = (part[None] for part in center), Outline(*(part[:, None] for part in shape))
    if polygons:
        as_circle = jnp.where(overlap.circle_overlaps_polygon(x, y, radius[None], old), 1.0, 0.0)
        points = jnp.where(is_circle[None], as_circle, overlap.polygon_contacts(old, new))
        rows.append(jnp.where(table.active[:polygons], points, 0))
    if table.x.shape[0] > polygons:
        old_x, old_y, old_radius = (getattr(table, name)[polygons:] for name in ("x", "y", "radius"))
        as_circle = overlap.circles_overlap(x - old_x, y - old_y, radius[None] + old_radius)
        as_polygon = overlap.circle_overlaps_polygon(old_x, old_y, old_radius, new)
        hit = jnp.where(is_circle[None], as_circle, as_polygon) & table.active[polygons:]
        rows.append(jnp.where(hit, 1.0, 0.0))
    return rows


def _wall_contacts(center: Point, shape: Outline, radius: jax.Array, is_circle: jax.Array) -> jax.Array:
    """Contact points of a shape with the edges of the room: float `[B]`."""
    (x, y), hits, real = center, jnp.zeros(radius.shape), list(shape.inverse > 0)
    # Every edge of the room as a depth inside it: of the circle's center, and of the corners.
    for low, depth, depths in (
        (0, x, shape.x),
        (0, ROOM - x, ROOM - shape.x),
        (FLOOR, y, shape.y),
        (0, ROOM - y, ROOM - shape.y),
    ):
        behind = sum(jnp.where((d < low) & mark, 1.0, 0.0) for d, mark in zip(depths, real, strict=True))
        hits += jnp.where(
            is_circle, jnp.where(depth < low + radius, 1.0, 0.0), jnp.where(behind < 2, behind, 2.0)
        )
    return hits


def is_hidden(
    proposal: Proposals, is_circle: jax.Array, target: Target, max_vertices: int, params: GeneratorParams
) -> jax.Array:
    """Whether of two joined shapes one stays within the other however they turn: bool `[B]`.

    A polygon is judged by the box that anchors are drawn from: all of a rectangle. A circle is judged as if
    it were joined to the target's center: it should stick out wherever it is.
    """

    def span(anchor: Point, width: jax.Array, height: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Distance of an anchor from the farthest corner, and from the nearest side [m]."""
        x, y = (jnp.abs(part) for part in anchor)
        reach = jnp.sqrt((width + x) ** 2 + (height + y) ** 2)
        return reach, jnp.where(width - x < height - y, width - x, height - y)

    inner = inner_box(proposal.num_vertices, max_vertices)
    anchor = proposal.anchor_x, proposal.anchor_y
    reach, depth = span(anchor, proposal.half_width * inner, proposal.half_height * inner)
    reach, depth = (jnp.where(is_circle, proposal.radius, value) for value in (reach, depth))
    x, y = (jnp.where(is_circle, 0, part) for part in target_anchor(proposal, target))
    target_reach, target_depth = span((x, y), target.half_width, target.half_height)
    target_reach, target_depth = (
        jnp.where(target.is_circle, target.radius, value) for value in (target_reach, target_depth)
    )
    least = params.min_protrusion
    return (reach <= target_depth + least) | (target_reach <= depth + least)


def first_best(costs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The first of K proposals with the least cost `[K, B]`: its cost `[B]` and a one-hot `[K, B]`."""
    lowest, choice = costs[0], jnp.zeros(costs.shape[1:], jnp.int32)
    for k in range(1, costs.shape[0]):
        better = costs[k] < lowest
        lowest, choice = jnp.where(better, costs[k], lowest), jnp.where(better, k, choice)
    return lowest, choice[None] == jnp.arange(costs.shape[0])[:, None]
