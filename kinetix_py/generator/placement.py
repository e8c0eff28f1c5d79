"""Proposals of where a shape goes, and the best of them. `K` proposals: `[K, B]`."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator import overlap
from kinetix_py.generator.arrays import any_of, greatest, least, lerp, pick, total, turn
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.shapes import inner_box
from kinetix_py.generator.table import Place, Shape, Table
from kinetix_py.spec import FLOOR, ROOM

Points = tuple[jax.Array, jax.Array]
# Costs of a proposal, in overlaps: more than a scene can have.
UNUSED = 1e3
INVALID = 1e6


class Region(NamedTuple):
    """Where the centre of a free shape may be, beside its extent. All `[B]` m."""

    left: jax.Array
    right: jax.Array
    top: jax.Array


def turned(cos: jax.Array, sin: jax.Array, corners: Points) -> Points:
    """Corners `[V, B]` under K rotations `[K, B]`: x and y `[V, K, B]`."""
    x, y = (value[:, None] for value in corners)
    return turn(cos[None], sin[None], x, y)


def free_places(
    draws: dict[str, jax.Array],
    rotation: jax.Array,
    arms: Points,
    shape: Shape,
    region: Region,
    params: GeneratorParams,
) -> Place:
    """Proposals anywhere in a region of the scene, as far inside as the turned shape needs.

    Args:
      draws: uniforms `x` and `y`, `[K, B]`.
      arms: the shape's corners about its centre, turned, `[V, K, B]` m.
    """
    extent = lambda arm: jnp.where(shape.is_circle[None], shape.radius[None], greatest(arm))
    extent_x, extent_y = (extent(jnp.abs(arm)) for arm in arms)
    left = jnp.maximum(extent_x, region.left[None])
    right = jnp.minimum(ROOM - extent_x, region.right[None])
    bottom = extent_y + params.bottom_margin
    top = jnp.maximum(jnp.minimum(ROOM - extent_y, region.top[None]), bottom)
    none = jnp.zeros_like(rotation)
    x, y = lerp(draws["x"], left, right), lerp(draws["y"], bottom, top)
    return Place(x, y, rotation, none, none, none, none)


def joined_places(
    draws: dict[str, jax.Array],
    rotation: jax.Array,
    frame: Points,
    shape: Shape,
    table: Table,
    target: jax.Array,
    num_vertices: int,
) -> Place:
    """Proposals that share a point with the body that `target` `[N, B]` marks.

    Args:
      draws: uniforms `x`, `y` (of the target's anchor), `anchor_x`, `anchor_y`, `[K, B]`.
      frame: cosine and sine of `rotation`, `[K, B]`.
    """
    of_target = lambda name: pick(target, getattr(table, name))
    inner = inner_box(of_target("num_vertices"), num_vertices)
    inner_new = inner_box(shape.num_vertices, num_vertices)
    spread = lambda draw, half: (2 * draw - 1) * half[None]  # a circle's half sizes are 0
    target_x = spread(draws["x"], of_target("half_width") * inner)
    target_y = spread(draws["y"], of_target("half_height") * inner)
    anchor_x = spread(draws["anchor_x"], shape.half_width * inner_new)
    anchor_y = spread(draws["anchor_y"], shape.half_height * inner_new)
    angle = of_target("rotation")
    meet_x, meet_y = turn(jnp.cos(angle)[None], jnp.sin(angle)[None], target_x, target_y)
    arm_x, arm_y = turn(*frame, anchor_x, anchor_y)
    x, y = of_target("x")[None] + meet_x - arm_x, of_target("y")[None] + meet_y - arm_y
    return Place(x, y, rotation, anchor_x, anchor_y, target_x, target_y)


def num_overlaps(shape: Shape, place: Place, corners: Points, table: Table, counted: jax.Array) -> jax.Array:
    """Overlaps of every proposal with the counted bodies `[N, B]` and with the edges of the room: int `[K, B]`.

    Args:
      corners: of the proposals in the world, x and y `[V, K, B]` m.
    """
    hits = _wall_hits(shape, place, corners)
    polygons = table.corner_x.shape[0]
    new = tuple(value[:, :, None] for value in corners)
    centre = place.x[:, None], place.y[:, None]
    radius, is_circle = shape.radius[None, None], shape.is_circle[None, None]
    if polygons:
        old = tuple(jnp.swapaxes(value, 0, 1)[:, None] for value in (table.corner_x, table.corner_y))
        as_circle = overlap.circle_overlaps_polygon(*centre, radius, old)
        overlapping = jnp.where(is_circle, as_circle, overlap.polygons_overlap(new, old))
        hits += total(jnp.swapaxes(overlapping & counted[None, :polygons], 0, 1))
    if table.x.shape[0] > polygons:
        x, y, r = (getattr(table, name)[None, polygons:] for name in ("x", "y", "radius"))
        as_circle = overlap.circles_overlap(centre[0] - x, centre[1] - y, radius + r)
        overlapping = jnp.where(is_circle, as_circle, overlap.circle_overlaps_polygon(x, y, r, new))
        hits += total(jnp.swapaxes(overlapping & counted[None, polygons:], 0, 1))
    return hits


def _wall_hits(shape: Shape, place: Place, corners: Points) -> jax.Array:
    """How many edges of the room each proposal crosses: int `[K, B]`."""
    reach = lambda centre, points, extreme, radius: jnp.where(
        shape.is_circle[None], centre + radius[None], extreme(points)
    )
    (cx, cy), radius = corners, shape.radius
    crossed = [
        reach(place.y, cy, least, -radius) < FLOOR,
        reach(place.x, cx, least, -radius) < 0,
        reach(place.x, cx, greatest, radius) > ROOM,
        reach(place.y, cy, greatest, radius) > ROOM,
    ]
    return total(jnp.stack(crossed))


def protrusion(shape: Shape, place: Place, corners: Points, table: Table, target: jax.Array) -> jax.Array:
    """How far the new shape and its target stick out of each other, the lesser of the two: `[K, B]` m."""
    polygons = table.corner_x.shape[0]
    on_circle = ~any_of(target[:polygons])[None]
    of_target = lambda name: pick(target, getattr(table, name))[None]
    x, y, radius = of_target("x"), of_target("y"), of_target("radius")
    old = tuple(pick(target[:polygons], value)[:, None] for value in (table.corner_x, table.corner_y))
    is_circle, nothing = shape.is_circle[None], jnp.zeros_like(place.x)
    centre = place.x[None], place.y[None]
    beyond = jnp.where(
        is_circle,
        overlap.reach_beyond_polygon(centre, shape.radius[None], old),
        overlap.reach_beyond_polygon(corners, nothing, old),
    )
    beyond = jnp.where(on_circle, overlap.reach_beyond_circle(corners, x, y, radius), beyond)
    left_over = jnp.where(
        is_circle,
        overlap.reach_beyond_circle(old, place.x, place.y, shape.radius[None]),
        overlap.reach_beyond_polygon(old, nothing, corners),
    )
    round_left = overlap.reach_beyond_polygon((x[None], y[None]), radius, corners)
    return jnp.minimum(beyond, jnp.where(on_circle, round_left, left_over))


def best(costs: jax.Array, values) -> tuple[jax.Array, object]:
    """The first proposal of least cost.

    Args:
      costs: `[K, B]`.
      values: a pytree of arrays `[..., K, B]`.

    Returns:
      its cost `[B]` and its values `[..., B]`.
    """
    lowest, choice = costs[0], jnp.zeros(costs.shape[1:], jnp.int32)
    for k in range(1, costs.shape[0]):
        better = costs[k] < lowest
        lowest, choice = jnp.where(better, costs[k], lowest), jnp.where(better, k, choice)
    chosen = choice[None] == jnp.arange(costs.shape[0])[:, None]
    return lowest, jax.tree.map(lambda value: pick(chosen, jnp.moveaxis(value, -2, 0)), values)
