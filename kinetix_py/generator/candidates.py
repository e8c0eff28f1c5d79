"""One candidate for a shape: its kind, size and place in the scene so far, and what speaks against it.

Batch-last: `[B]` for what a level has once, `[N, B]` for the shapes in its slots.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from jax2d.collision.polygons import WorldPolygons
from kinetix_py.generator.params import GeneratorParams, Number
from kinetix_py.generator.shapes import CIRCUMRADIUS, Body, area, count_contacts, empty_slots, inner_box
from kinetix_py.roles import BLUE, GREEN, NONE, RED
from kinetix_py.sizes import ROOM, LevelSize

Tree = TypeVar("Tree")
EMPTY, FREE, JOINED = range(3)  # placements: no shape, one on its own, one joined to another


class PlannedShape(NamedTuple):
    """A shape to be added `[B]`, or those of all slots `[N, B]`, before it is known what it looks like."""

    placement: jax.Array  # int, EMPTY, FREE or JOINED
    role: jax.Array  # int, GREEN or BLUE, else NONE
    may_be_red: jax.Array  # bool, as far as the floor and the role allow
    must_move: jax.Array  # bool


class CandidateDraws(NamedTuple):
    """Uniform draws in 0 .. 1 for a candidate `[B]`."""

    circle: jax.Array  # a circle or a polygon
    red: jax.Array  # red or no role
    num_vertices: jax.Array
    width: jax.Array  # radius of a circle, half width of a polygon
    height: jax.Array  # half height of a polygon
    elongation: jax.Array  # the half side that is lengthened, if any
    rotation: jax.Array
    u: jax.Array  # place along x: in the room if free, on its target if joined
    v: jax.Array  # place along y, likewise
    static: jax.Array
    lower_half: jax.Array  # a static shape with a role is moved there
    own_half: jax.Array  # green is kept to the left, blue to the right
    target_circle: jax.Array  # joined to a circle or a polygon
    target: jax.Array  # the body of that kind that it is joined to
    anchor_x: jax.Array  # of the joint, on the candidate itself
    anchor_y: jax.Array


def select(one_hot: jax.Array, rows: Tree) -> Tree:
    """The row that a mask marks, 0 if it marks none, of every array: `[N, ...]`, `[N, ...] -> [...]`."""

    def of_array(value: jax.Array) -> jax.Array:
        value = value.reshape(value.shape[0], *[1] * (one_hot.ndim - value.ndim), *value.shape[1:])
        return jnp.where(one_hot, value, 0).sum(axis=0).astype(value.dtype)

    return jax.tree.map(of_array, rows)


def sample_row(weights: jax.Array, draw: jax.Array) -> jax.Array:
    """One-hot of a row drawn by weight, nowhere if all are 0: `[N, ...], uniform [...] -> bool [N, ...]`."""
    bounds = list(itertools.accumulate(weights))
    # Rounding must not push the threshold past the last row that has any weight.
    threshold = jnp.minimum(draw, 1 - 1e-6) * bounds[-1]
    row = sum(jnp.where(threshold < bound, 0, 1) for bound in bounds)
    return (jnp.arange(len(bounds)).reshape(-1, *[1] * draw.ndim) == row) & (bounds[-1] > 0)


def lerp(draw: jax.Array, low: Number, high: Number) -> jax.Array:
    """Moves a uniform draw in 0 .. 1 to `low .. high`."""
    return low + draw * (high - low)


def propose(
    draws: CandidateDraws,
    plan: PlannedShape,
    bodies: Body,
    polygons: WorldPolygons,
    params: GeneratorParams,
    free: LevelSize,
) -> tuple[Body, jax.Array]:
    """Makes one candidate for a shape, placed among the bodies so far, and counts what speaks against it.

    Args:
      polygons: the polygons among the bodies in the world.

    Returns:
      the shape `[B]`, and its cost in contacts, float `[B]`.
    """
    joined = plan.placement == JOINED
    is_circle, on = choose_kind_and_target(draws, joined, bodies, params, free)
    target = select(on, bodies)
    body = sample_shape(draws, is_circle, params, free)
    may_be_red = plan.may_be_red & (target.role == NONE) & ~(bodies.role == RED).any(axis=0)
    red = may_be_red & (draws.red * (1 + params.red_weight) < params.red_weight)
    mass = params.density * area(body, free.max_vertices)
    static_chance = jnp.minimum(
        params.static_chance + params.static_chance_per_mass * mass, params.max_static_chance
    )
    movable = (draws.static >= static_chance) | plan.must_move | joined
    body = dataclasses.replace(body, role=jnp.where(red, RED, plan.role), movable=movable)
    choose = lambda joint, alone: jnp.where(joined, joint, alone)
    body = jax.tree.map(choose, join(body, target, draws, free), place_alone(body, draws, params))
    enclosed = joined & is_enclosed(body, target, params, free)
    row = jax.tree.map(lambda value: value[None], body)
    contacts = count_contacts(row, bodies, polygons, free.max_vertices)
    return body, contacts + jnp.where(enclosed, params.enclosed_cost, 0.0)


def choose_kind_and_target(
    draws: CandidateDraws, joined: jax.Array, bodies: Body, params: GeneratorParams, free: LevelSize
) -> tuple[jax.Array, jax.Array]:
    """Tells whether a candidate is a circle `[B]`, and the body that it is joined to, one-hot `[N, B]`.

    Two circles are never joined: at their centers, one would hide the other.
    """
    active, polygon = bodies.number > 0, jnp.arange(free.num_bodies)[:, None] < free.num_polygons
    room_polygon = (active & polygon).sum(axis=0) < free.num_polygons
    room_circle = (active & ~polygon).sum(axis=0) < free.num_circles
    wants_circle = room_circle & (~room_polygon | (draws.circle < params.circle_chance))
    weight = target_weights(bodies, polygon, params)
    of_polygons, of_circles = (jnp.where(kind, weight, 0).sum(axis=0) > 0 for kind in (polygon, ~polygon))
    to_circle = ~of_polygons | (draws.target_circle < params.circle_target_chance)
    to_circle &= room_polygon & of_circles
    target = sample_row(jnp.where(polygon != to_circle, weight, 0.0), draws.target)
    possible = joined & (room_polygon | room_circle) & ((bodies.joint > 0).sum(axis=0) < free.num_joints)
    return wants_circle & ~(joined & to_circle), target & possible


def target_weights(bodies: Body, polygon: jax.Array, params: GeneratorParams) -> jax.Array:
    """Weights of joining a shape to the bodies, falling with the joints that they have: `[N, B]`."""
    joints = (bodies.target[None] == bodies.number[:, None]).sum(axis=1) + (bodies.joint > 0)
    limit = jnp.where(polygon, params.max_polygon_joints, params.max_circle_joints)
    weight = jnp.where(bodies.movable, 1.0, params.static_target_weight)
    weight *= 1 - joints / jnp.maximum(limit, 1e-6)
    return jnp.where((bodies.number > 0) & (joints < limit), weight, 0)


def sample_shape(
    draws: CandidateDraws, is_circle: jax.Array, params: GeneratorParams, free: LevelSize
) -> Body:
    """Draws the size and rotation of a shape; all else is 0."""
    longer, wider = (draws.elongation < params.elongation_chance / divisor for divisor in (1, 2))
    width = lerp(draws.width, params.min_half_size, params.max_half_size)
    height = lerp(draws.height, params.min_half_size, params.max_half_size)
    return dataclasses.replace(
        empty_slots(*width.shape),
        rotation=2 * jnp.pi * draws.rotation,
        num_vertices=jnp.where(is_circle, 0, sample_num_vertices(draws.num_vertices, params, free)),
        half_width=jnp.where(is_circle, 0, width * jnp.where(wider, params.elongation, 1.0)),
        half_height=jnp.where(is_circle, 0, height * jnp.where(longer & ~wider, params.elongation, 1.0)),
        radius=jnp.where(is_circle, lerp(draws.width, params.min_radius, params.max_radius), 0),
    )


def sample_num_vertices(draw: jax.Array, params: GeneratorParams, free: LevelSize) -> jax.Array:
    """Vertices of a polygon: 4, or by chance 3, or 5 to `max_vertices`; int, as the draw."""
    count = jnp.full(draw.shape, min(free.max_vertices, 4), jnp.int32)
    if free.max_vertices > 4:
        # What lies beyond the first threshold is again uniform.
        share = (draw - params.triangle_chance) / jnp.maximum(params.many_vertices_chance, 1e-9)
        more = 5 + jnp.clip(jnp.int32(share * (free.max_vertices - 4)), 0, free.max_vertices - 5)
        count = jnp.where(share < 1, more, count)
    return jnp.where(draw < params.triangle_chance, 3, count)


def place_alone(body: Body, draws: CandidateDraws, params: GeneratorParams) -> Body:
    """Puts a free shape anywhere in the room, or in its role's half, as far inside as it reaches.

    A static shape with a role may be moved down by half the room, where it may then overlap the floor.
    """
    extent = jnp.maximum(body.radius, CIRCUMRADIUS * jnp.maximum(body.half_width, body.half_height))
    own_half = draws.own_half < params.own_half_chance
    left = jnp.where(own_half & (body.role == BLUE), ROOM / 2, 0) + extent
    right = jnp.where(own_half & (body.role == GREEN), ROOM / 2, ROOM) - extent
    y = lerp(draws.v, extent + params.bottom_margin, ROOM - extent)
    lower = ~body.movable & (body.role != NONE) & (draws.lower_half < params.low_static_chance)
    y = jnp.where(lower & (y >= ROOM / 2), y - ROOM / 2, y)
    return dataclasses.replace(body, x=lerp(draws.u, left, right), y=y)


def join(body: Body, target: Body, draws: CandidateDraws, free: LevelSize) -> Body:
    """Joins a shape to a target: each has its anchor anywhere in a polygon, at the center of a circle."""

    def arm(body: Body, u: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
        """The anchor in the body's frame, and from its center in the world [m]."""
        width, height = inner_box(body, free.max_vertices)
        x, y = (2 * u - 1) * width, (2 * v - 1) * height
        cos, sin = jnp.cos(body.rotation), jnp.sin(body.rotation)
        return x, y, cos * x - sin * y, sin * x + cos * y

    anchor_x, anchor_y, own_x, own_y = arm(body, draws.anchor_x, draws.anchor_y)
    target_x, target_y, arm_x, arm_y = arm(target, draws.u, draws.v)
    return dataclasses.replace(
        body,
        x=target.x + arm_x - own_x,
        y=target.y + arm_y - own_y,
        target=target.number,
        anchor_x=anchor_x,
        anchor_y=anchor_y,
        target_x=target_x,
        target_y=target_y,
    )


def is_enclosed(body: Body, target: Body, params: GeneratorParams, free: LevelSize) -> jax.Array:
    """Tells whether of two joined shapes one stays within the other however they turn: bool `[B]`.

    A polygon is judged by the box that anchors are drawn from: all of a rectangle. A circle is judged as if
    it were joined to the target's center: it should stick out wherever it is.
    """

    def span(body: Body, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Distance of an anchor from the farthest corner, and from the nearest side [m]."""
        width, height = inner_box(body, free.max_vertices)
        x, y = jnp.abs(x), jnp.abs(y)
        reach, depth = jnp.sqrt((width + x) ** 2 + (height + y) ** 2), jnp.minimum(width - x, height - y)
        return jnp.where(body.is_circle, body.radius, reach), jnp.where(body.is_circle, body.radius, depth)

    reach, depth = span(body, body.anchor_x, body.anchor_y)
    x, y = (jnp.where(body.is_circle, 0, anchor) for anchor in (body.target_x, body.target_y))
    target_reach, target_depth = span(target, x, y)
    least = params.min_protrusion
    return (reach <= target_depth + least) | (target_reach <= depth + least)
