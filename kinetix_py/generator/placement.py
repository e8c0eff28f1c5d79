"""Where one proposal goes, and what speaks against it: overlaps, and joined shapes that hide each other.

Batch-last; what concerns one proposal is `[B]`, its corners `[V, B]`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator import overlap
from kinetix_py.generator.arrays import any_of, greatest, least, lerp, pick, total, turn
from kinetix_py.generator.overlap import Points
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.plan import JOINED
from kinetix_py.generator.proposals import Proposals
from kinetix_py.generator.shapes import inner_box
from kinetix_py.generator.table import Table
from kinetix_py.spec import FLOOR, NONE, ROOM

# Costs of a proposal, in overlaps: more than a scene can have.
UNUSED = 1e3
INVALID = 1e6


class Target(NamedTuple):
    """The body that a shape is joined to: `[B]`, corners `[V, B]`; all 0 if there is none."""

    mask: jax.Array  # bool [N, B]
    is_circle: jax.Array  # bool
    x: jax.Array  # m
    y: jax.Array  # m
    cos: jax.Array
    sin: jax.Array
    radius: jax.Array  # m
    half_width: jax.Array  # m, of the box that anchors are drawn from
    half_height: jax.Array  # m
    corners: Points  # m, in the world


class Request(NamedTuple):
    """What a step asks for: `[B]`."""

    mode: jax.Array  # int, as in `Plan`
    is_circle: jax.Array  # bool
    role: jax.Array  # int
    must_move: jax.Array  # bool
    side: jax.Array  # int, as in `Plan`
    low: jax.Array  # bool, goes to the lower half if it is immovable and has a role


def read_target(mask: jax.Array, table: Table, max_vertices: int) -> Target:
    """What is to be known of the body that a mask `[N, B]` marks."""
    of_target = lambda name: pick(mask, getattr(table, name))
    polygons = table.corner_x.shape[0]
    inner = inner_box(of_target("num_vertices"), max_vertices)
    rotation = of_target("rotation")
    corner_x, corner_y = (pick(mask[:polygons], value) for value in (table.corner_x, table.corner_y))
    return Target(
        mask=mask,
        is_circle=~any_of(mask[:polygons]),
        x=of_target("x"),
        y=of_target("y"),
        cos=jnp.cos(rotation),
        sin=jnp.sin(rotation),
        radius=of_target("radius"),
        half_width=of_target("half_width") * inner,
        half_height=of_target("half_height") * inner,
        corners=(corner_x, corner_y),
    )


def is_movable(proposal: Proposals, request: Request) -> jax.Array:
    """Whether a shape moves if the proposal is taken: joined ones always do."""
    fixed = jnp.where(request.is_circle, proposal.fixed_circle, proposal.fixed_polygon)
    return ~fixed | request.must_move | (request.mode == JOINED)


def free_place(proposal: Proposals, request: Request, params: GeneratorParams) -> Points:
    """Centre of a free shape: anywhere in the scene, as far inside as its extent asks for."""
    extent_x = jnp.where(request.is_circle, proposal.radius, proposal.extent_x)
    extent_y = jnp.where(request.is_circle, proposal.radius, proposal.extent_y)
    low = request.low & ~is_movable(proposal, request) & (request.role != NONE)
    left = jnp.where(request.side > 0, ROOM / 2, 0) + extent_x
    right = jnp.where(request.side < 0, ROOM / 2, ROOM) - extent_x
    bottom = extent_y + params.bottom_margin
    top = jnp.maximum(jnp.where(low, ROOM / 2, ROOM - extent_y), bottom)
    return lerp(proposal.x, left, right), lerp(proposal.y, bottom, top)


def target_anchor(proposal: Proposals, target: Target) -> Points:
    """Anchor in the target's frame: anywhere in a polygon, the centre of a circle."""
    return (2 * proposal.x - 1) * target.half_width, (2 * proposal.y - 1) * target.half_height


def joined_place(proposal: Proposals, request: Request, target: Target) -> Points:
    """Centre of a shape that shares its anchor with the target's."""
    meet_x, meet_y = turn(target.cos, target.sin, *target_anchor(proposal, target))
    arm_x = jnp.where(request.is_circle, 0, proposal.joint_arm_x)
    arm_y = jnp.where(request.is_circle, 0, proposal.joint_arm_y)
    return target.x + meet_x - arm_x, target.y + meet_y - arm_y


def num_overlaps(
    centre: Points, corners: Points, radius: jax.Array, is_circle: jax.Array, table: Table, counted: jax.Array
) -> jax.Array:
    """Overlaps of a shape with the counted bodies `[N, B]` and the edges of the room: int `[B]`."""
    hits = _wall_hits(centre, corners, radius, is_circle)
    polygons = table.corner_x.shape[0]
    (x, y), new = (part[None] for part in centre), (corners[0][:, None], corners[1][:, None])
    if polygons:
        old = jnp.swapaxes(table.corner_x, 0, 1), jnp.swapaxes(table.corner_y, 0, 1)
        as_circle = overlap.circle_overlaps_polygon(x, y, radius[None], old)
        overlapping = jnp.where(is_circle[None], as_circle, overlap.polygons_overlap(new, old))
        hits += total(overlapping & counted[:polygons])
    if table.x.shape[0] > polygons:
        old_x, old_y, old_radius = (getattr(table, name)[polygons:] for name in ("x", "y", "radius"))
        as_circle = overlap.circles_overlap(x - old_x, y - old_y, radius[None] + old_radius)
        as_polygon = overlap.circle_overlaps_polygon(old_x, old_y, old_radius, new)
        hits += total(jnp.where(is_circle[None], as_circle, as_polygon) & counted[polygons:])
    return hits


def _wall_hits(centre: Points, corners: Points, radius: jax.Array, is_circle: jax.Array) -> jax.Array:
    """How many edges of the room a shape crosses: int `[B]`."""
    low = lambda i: jnp.where(is_circle, centre[i] - radius, least(corners[i]))
    high = lambda i: jnp.where(is_circle, centre[i] + radius, greatest(corners[i]))
    crossed = [low(0) < 0, high(0) > ROOM, low(1) < FLOOR, high(1) > ROOM]
    return total(jnp.stack(crossed))


def protrusion(
    centre: Points, corners: Points, radius: jax.Array, is_circle: jax.Array, target: Target
) -> jax.Array:
    """How far a new shape and its target stick out of each other, the lesser of the two: `[B]` m."""
    beyond_polygon, beyond_circle = overlap.reach_beyond_polygon, overlap.reach_beyond_circle
    old, old_centre = target.corners, (target.x, target.y)
    as_points = lambda point: (point[0][None], point[1][None])
    nothing = jnp.zeros_like(radius)
    new_beyond_old = jnp.where(
        target.is_circle,
        beyond_circle(corners, *old_centre, target.radius),
        jnp.where(
            is_circle,
            beyond_polygon(as_points(centre), radius, old),
            beyond_polygon(corners, nothing, old),
        ),
    )
    old_beyond_new = jnp.where(
        is_circle,
        beyond_circle(old, *centre, radius),
        jnp.where(
            target.is_circle,
            beyond_polygon(as_points(old_centre), target.radius, corners),
            beyond_polygon(old, nothing, corners),
        ),
    )
    return jnp.minimum(new_beyond_old, old_beyond_new)


def first_best(costs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The first of K proposals with the least cost `[K, B]`: its cost `[B]` and a one-hot `[K, B]`."""
    lowest, choice = costs[0], jnp.zeros(costs.shape[1:], jnp.int32)
    for k in range(1, costs.shape[0]):
        better = costs[k] < lowest
        lowest, choice = jnp.where(better, costs[k], lowest), jnp.where(better, k, choice)
    return lowest, choice[None] == jnp.arange(costs.shape[0])[:, None]
