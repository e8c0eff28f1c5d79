"""Candidates for a shape: sizes and rotations, drawn for all at once, and their place in a scene so far.

Batch-last: `[N, K, B]` for the `K` candidates of `N` shapes, `[B]` for one of them.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator import rows
from kinetix_py.generator.draws import CandidateDraws
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.scene import Body, FreeSlots, PartialScene
from kinetix_py.generator.shapes import (
    CIRCUMRADIUS,
    Outline,
    circle_overlaps_polygon,
    circles_overlap,
    corners,
    inner_box,
    outline,
    polygon_area,
    polygon_contacts,
)
from kinetix_py.roles import BLUE, GREEN, NONE, RED
from kinetix_py.sizes import FLOOR, ROOM

EMPTY, FREE, JOINED = range(3)  # placements: no shape, one on its own, one joined to another
Point = tuple[jax.Array, jax.Array]  # x and y [m]


class ScheduledShape(NamedTuple):
    """A shape to be added `[B]`, or those of all slots `[N, B]`, before it is known what it looks like."""

    placement: jax.Array  # int, EMPTY, FREE or JOINED
    role: jax.Array  # int, GREEN or BLUE, else NONE
    may_be_red: jax.Array  # bool, as far as the floor and the role allow
    must_move: jax.Array  # bool
    num_candidates: jax.Array  # float, those among which the best is taken


class Candidate(NamedTuple):
    """A shape that may be added, both as a polygon and as a circle."""

    num_vertices: jax.Array  # int, of the polygon
    half_width: jax.Array  # m, of the polygon
    half_height: jax.Array  # m, of the polygon
    radius: jax.Array  # m, of the circle
    rotation: jax.Array  # rad
    outline: Outline  # m, [..., V, B] each, the turned polygon about its center
    extent: jax.Array  # m, how far from the center the polygon may have corners
    anchor_x: jax.Array  # m, of a joint, in the polygon's frame
    anchor_y: jax.Array  # m
    arm_x: jax.Array  # m, the same in the world, from the center
    arm_y: jax.Array  # m
    static_polygon: jax.Array  # bool, static if it is a free polygon
    static_circle: jax.Array  # bool, static if it is a free circle
    draws: CandidateDraws  # those that depend on the shapes so far are still to be used


class Placement(NamedTuple):
    """Where, and as what, a candidate would be added: `[B]`."""

    x: jax.Array  # m
    y: jax.Array  # m
    is_circle: jax.Array  # bool
    role: jax.Array  # int
    movable: jax.Array  # bool
    target: jax.Array  # int, the body that it is joined to, -1 if none
    target_anchor_x: jax.Array  # m, in that body's frame
    target_anchor_y: jax.Array  # m


def sample_candidates(draws: CandidateDraws, params: GeneratorParams, slots: FreeSlots) -> Candidate:
    """Draws sizes, rotations and anchors of all candidates."""
    params, vertices = params.broadcast_to_rank(draws.width.ndim), slots.vertices
    num_vertices = sample_num_vertices(draws.num_vertices, params, vertices)
    width, height = sample_half_sizes(draws, params)
    radius = rows.lerp(draws.width, params.min_radius, params.max_radius)
    rotation = 2 * jnp.pi * draws.rotation
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    turned = outline(*rows.rotate(cos[None], sin[None], *corners(num_vertices, width, height, vertices)))
    inner = inner_box(num_vertices, vertices)
    anchor_x, anchor_y = (2 * draws.anchor_x - 1) * inner * width, (2 * draws.anchor_y - 1) * inner * height
    arm_x, arm_y = rows.rotate(cos, sin, anchor_x, anchor_y)
    static = lambda area: draws.static < static_chance(params.density * area, params)
    return Candidate(
        num_vertices=num_vertices,
        half_width=width,
        half_height=height,
        radius=radius,
        rotation=rotation,
        outline=Outline(*(jnp.moveaxis(part, 0, -2) for part in turned)),
        extent=CIRCUMRADIUS * jnp.maximum(width, height),
        anchor_x=anchor_x,
        anchor_y=anchor_y,
        arm_x=arm_x,
        arm_y=arm_y,
        static_polygon=static(polygon_area(num_vertices, width, height, vertices)),
        static_circle=static(jnp.pi * radius**2),
        draws=draws,
    )


def sample_num_vertices(draw: jax.Array, params: GeneratorParams, max_vertices: int) -> jax.Array:
    """Vertices of a polygon: 4, or by chance 3, or 5 to `max_vertices`; int, as the draw."""
    if max_vertices == 3:
        return jnp.full(draw.shape, 3, jnp.int32)
    many = max_vertices - 4
    count = jnp.full(draw.shape, 4, jnp.int32)
    if many:
        # What lies beyond the first threshold is again uniform.
        share = (draw - params.triangle_chance) / jnp.maximum(params.many_vertices_chance, 1e-9)
        more = 5 + jnp.clip(jnp.int32(share * many), 0, many - 1)
        count = jnp.where(share < 1, more, count)
    return jnp.where(draw < params.triangle_chance, 3, count)


def sample_half_sizes(draws: CandidateDraws, params: GeneratorParams) -> tuple[jax.Array, jax.Array]:
    """Half width and half height [m] of a polygon, one of the two lengthened by chance."""
    longer = draws.elongation < params.elongation_chance
    wider = draws.elongation < params.elongation_chance / 2
    width = rows.lerp(draws.width, params.min_half_size, params.max_half_size)
    height = rows.lerp(draws.height, params.min_half_size, params.max_half_size)
    width = width * jnp.where(wider, params.elongation, 1.0)
    return width, height * jnp.where(longer & ~wider, params.elongation, 1.0)


def static_chance(mass: jax.Array, params: GeneratorParams) -> jax.Array:
    """Chance that a free shape of a mass [kg] is static."""
    chance = params.static_chance + params.static_chance_per_mass * mass
    return jnp.minimum(chance, params.max_static_chance)


def place(
    candidate: Candidate,
    shape: ScheduledShape,
    scene: PartialScene,
    present: Outline,
    params: GeneratorParams,
    slots: FreeSlots,
) -> tuple[Placement, jax.Array]:
    """Places one candidate in the scene so far, and counts what speaks against it.

    Args:
      candidate, shape: `[B]`.
      present: outlines of the scene's polygons, `[V, P, B]`.

    Returns:
      the placement, and its cost in contacts, float `[B]`.
    """
    joined = shape.placement == JOINED
    is_circle, on = choose_kind_and_target(candidate.draws, joined, scene, params, slots)
    red = may_be_red(shape, on, scene) & (candidate.draws.red * (1 + params.red_weight) < params.red_weight)
    role = jnp.where(red, RED, shape.role)
    static = jnp.where(is_circle, candidate.static_circle, candidate.static_polygon)
    movable = ~static | shape.must_move | joined
    x, y = free_place(candidate, is_circle, role, movable, params)
    anchor = jnp.zeros_like(x), jnp.zeros_like(y)
    cost = jnp.zeros((1, *x.shape))
    if slots.joints:
        target = _target(on, scene, slots)
        anchor = target_anchor(candidate, target)
        joined_x, joined_y = joined_place(candidate, is_circle, target, anchor)
        x, y = jnp.where(joined, joined_x, x), jnp.where(joined, joined_y, y)
        enclosed = joined & is_enclosed(candidate, is_circle, target, anchor, slots, params)
        cost = jnp.where(enclosed, params.enclosed_cost, 0.0)[None]
    placement = Placement(x, y, is_circle, role, movable, rows.index(on), *anchor)
    in_room, *others = contact_counts(placement, candidate, scene, present)
    counts = [jnp.concatenate([in_room, cost]), *others]
    return placement, sum((rows.total_once(part) for part in counts), jnp.float32(0))


def choose_kind_and_target(
    draws: CandidateDraws, joined: jax.Array, scene: PartialScene, params: GeneratorParams, slots: FreeSlots
) -> tuple[jax.Array, jax.Array]:
    """Whether a candidate is a circle `[B]`, and the body that it is joined to, one-hot `[N, B]`.

    Two circles are never joined: at their centers, one would hide the other.
    """
    room_polygon = scene.num_polygons < slots.polygons
    room_circle = scene.num_circles < slots.circles
    wants_circle = room_circle & (~room_polygon | (draws.circle < params.circle_chance))
    if not slots.joints:
        return wants_circle, jnp.zeros(scene.active.shape, bool)
    weight, polygon = _target_weights(scene, params), jnp.arange(slots.bodies)[:, None] < slots.polygons
    of_polygons, of_circles = (rows.total(jnp.where(kind, weight, 0)) > 0 for kind in (polygon, ~polygon))
    to_circle = ~of_polygons | (draws.target_circle < params.circle_target_chance)
    to_circle &= room_polygon & of_circles
    target = rows.sample(jnp.where(polygon != to_circle[None], weight, 0.0), draws.target)
    possible = joined & (room_polygon | room_circle) & (scene.num_joints < slots.joints)
    return wants_circle & ~(joined & to_circle), target & possible[None]


def _target_weights(scene: PartialScene, params: GeneratorParams) -> jax.Array:
    """Weights of joining a shape to the bodies, falling with the joints that they have: `[N, B]`."""
    params = params.broadcast_to_rank(2)
    polygon = jnp.arange(scene.active.shape[0])[:, None] < scene.corner_x.shape[0]
    limit = jnp.where(polygon, params.max_polygon_joints, params.max_circle_joints)
    weight = jnp.where(scene.body.movable, 1.0, params.static_target_weight)
    weight *= 1 - scene.joints_on / jnp.maximum(limit, 1e-6)
    return jnp.where(scene.active & (scene.joints_on < limit), weight, 0)


def may_be_red(shape: ScheduledShape, target: jax.Array, scene: PartialScene) -> jax.Array:
    """Whether a shape can be the scene's one red shape: it is not joined to one with a role. bool `[B]`."""
    plain_target = rows.select(target, scene.body.role) == NONE
    return shape.may_be_red & plain_target & ~rows.any_of(scene.body.role == RED)


def free_place(
    candidate: Candidate, is_circle: jax.Array, role: jax.Array, movable: jax.Array, params: GeneratorParams
) -> Point:
    """Center of a free shape: anywhere in the room, or in its role's half, as far inside as it reaches.

    A static shape with a role may be moved down by half the room, where it may then overlap the floor.
    """
    draws, extent = candidate.draws, jnp.where(is_circle, candidate.radius, candidate.extent)
    own_half = draws.own_half < params.own_half_chance
    left = jnp.where(own_half & (role == BLUE), ROOM / 2, 0) + extent
    right = jnp.where(own_half & (role == GREEN), ROOM / 2, ROOM) - extent
    y = rows.lerp(draws.v, extent + params.bottom_margin, ROOM - extent)
    lower = ~movable & (role != NONE) & (draws.lower_half < params.low_static_chance) & (y >= ROOM / 2)
    return rows.lerp(draws.u, left, right), jnp.where(lower, y - ROOM / 2, y)


def _target(one_hot: jax.Array, scene: PartialScene, slots: FreeSlots) -> Body:
    """The body that a candidate is joined to `[B]`, its half sizes those of the box that anchors lie in."""
    body = rows.select(one_hot, scene.body)
    inner = inner_box(body.num_vertices, slots.vertices)
    return body._replace(half_width=body.half_width * inner, half_height=body.half_height * inner)


def target_anchor(candidate: Candidate, target: Body) -> Point:
    """Anchor in the target's frame [m]: anywhere in a polygon, the center of a circle."""
    draws = candidate.draws
    return (2 * draws.u - 1) * target.half_width, (2 * draws.v - 1) * target.half_height


def joined_place(candidate: Candidate, is_circle: jax.Array, target: Body, anchor: Point) -> Point:
    """Center of a shape whose anchor meets the target's."""
    arm_x, arm_y = rows.rotate(jnp.cos(target.rotation), jnp.sin(target.rotation), *anchor)
    own_x, own_y = (jnp.where(is_circle, 0, arm) for arm in (candidate.arm_x, candidate.arm_y))
    return target.x + arm_x - own_x, target.y + arm_y - own_y


def is_enclosed(
    candidate: Candidate,
    is_circle: jax.Array,
    target: Body,
    anchor: Point,
    slots: FreeSlots,
    params: GeneratorParams,
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

    inner = inner_box(candidate.num_vertices, slots.vertices)
    own = span(
        (candidate.anchor_x, candidate.anchor_y), candidate.half_width * inner, candidate.half_height * inner
    )
    reach, depth = (jnp.where(is_circle, candidate.radius, value) for value in own)
    x, y = (jnp.where(is_circle, 0, part) for part in anchor)
    others = span((x, y), target.half_width, target.half_height)
    target_reach, target_depth = (jnp.where(target.radius > 0, target.radius, value) for value in others)
    least = params.min_protrusion
    return (reach <= target_depth + least) | (target_reach <= depth + least)


def contact_counts(
    placement: Placement, candidate: Candidate, scene: PartialScene, present: Outline
) -> list[jax.Array]:
    """Contact points of a candidate with the room `[1, B]`, polygons `[P, B]` and circles `[C, B]`."""
    is_circle, radius, polygons = placement.is_circle, candidate.radius, scene.corner_x.shape[0]
    moved = candidate.outline.shifted(placement.x, placement.y)
    counts = [_room_contacts(placement, radius, moved)[None]]
    x, y, new = placement.x[None], placement.y[None], Outline(*(part[:, None] for part in moved))
    if polygons:
        as_circle = jnp.where(circle_overlaps_polygon(x, y, radius[None], present), 1.0, 0.0)
        points = jnp.where(is_circle[None], as_circle, polygon_contacts(present, new))
        counts.append(jnp.where(scene.active[:polygons], points, 0))
    if scene.active.shape[0] > polygons:
        circles: Body = jax.tree.map(lambda value: value[polygons:], scene.body)
        as_circle = circles_overlap(x - circles.x, y - circles.y, radius[None] + circles.radius)
        as_polygon = circle_overlaps_polygon(circles.x, circles.y, circles.radius, new)
        hit = jnp.where(is_circle[None], as_circle, as_polygon) & scene.active[polygons:]
        counts.append(jnp.where(hit, 1.0, 0.0))
    return counts


def _room_contacts(placement: Placement, radius: jax.Array, shape: Outline) -> jax.Array:
    """Contact points of a shape with the four sides of the room: float `[B]`."""
    hits, real = jnp.zeros(radius.shape), list(shape.inverse > 0)
    # Every side by its position and the depths behind it: of the circle's center, and of the corners.
    for side, depth, depths in (
        (0, placement.x, shape.x),
        (0, ROOM - placement.x, ROOM - shape.x),
        (FLOOR, placement.y, shape.y),
        (0, ROOM - placement.y, ROOM - shape.y),
    ):
        behind = sum(jnp.where((d < side) & mark, 1.0, 0.0) for d, mark in zip(depths, real, strict=True))
        of_polygon = jnp.where(behind < 2, behind, 2.0)
        hits += jnp.where(placement.is_circle, jnp.where(depth < side + radius, 1.0, 0.0), of_polygon)
    return hits
