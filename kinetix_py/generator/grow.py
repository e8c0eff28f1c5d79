"""One step of the generator: adds one shape, free or joined, to the table."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.generator import placement
from kinetix_py.generator.arrays import choose, lerp, pick, total
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.placement import Points, Region
from kinetix_py.generator.plan import FREE, JOINED, Draws, Orders, Plan
from kinetix_py.generator.shapes import corners, polygon_area, sample_half_sizes, sample_num_vertices
from kinetix_py.generator.table import Counts, Place, Shape, Table, insert, join
from kinetix_py.spec import NONE, RED, ROOM

LOTS = 10 * ROOM  # m, no bound on a position


def add_shape(
    table: Table,
    draws: Draws,
    plan: Plan,
    orders: Orders,
    small: jax.Array,
    params: GeneratorParams,
    counts: Counts,
) -> Table:
    """The table with the shape that a step asks for, if there is a slot and a place for it.

    Args:
      draws: uniforms of the step, `[B]` or `[rows, B]`.
      plan: of the step, `[B]` each.
      small: bool scalar, whether the rules for small scenes hold.
    """
    is_circle, target, possible = _kind_and_target(table, draws, plan, params, counts)
    shape = _sample_shape(table, draws, plan, is_circle, target, small, params, counts)
    local = corners(shape.num_vertices, shape.half_width, shape.half_height, counts.vertices)
    cost, place, points = _best_place(table, draws, plan, shape, target, local, small, params, counts)
    possible &= cost < placement.INVALID
    number = jnp.where(is_circle, table.num_circles, table.num_polygons)[None]
    slot = jnp.concatenate(
        [
            (orders.polygons == number) & ~is_circle[None],
            (orders.circles == number) & is_circle[None],
        ]
    )
    slot &= possible[None]
    table = insert(table, slot, shape, place, points)
    if not counts.joints:
        return table
    joint = (orders.joints == table.num_joints[None]) & (possible & (plan.mode == JOINED))[None]
    return join(table, joint, target, slot, place)


def _kind_and_target(
    table: Table, draws: Draws, plan: Plan, params: GeneratorParams, counts: Counts
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Whether the shape is a circle `[B]`, the body it is joined to `[N, B]`, whether it can be `[B]`.

    A joined shape's kind and target are drawn together, by weight, so that one is found if there is any:
    two circles, joined at their centres, would hide each other.
    """
    room_polygon = table.num_polygons < counts.polygons
    room_circle = table.num_circles < counts.circles
    free_circle = room_circle & (~room_polygon | (draws["kind"] < params.circle_chance))
    free, joined = plan.mode == FREE, plan.mode == JOINED
    can_be_free = free & (room_polygon | room_circle)
    if not counts.joints:
        return free_circle, jnp.zeros(table.active.shape, bool), can_be_free
    kinds = np.arange(counts.bodies)[:, None] < counts.polygons
    limit = jnp.where(kinds, params.max_polygon_joints, params.max_circle_joints)
    weight = jnp.where(table.movable, 1.0, params.immovable_target_weight)
    weight = jnp.where(table.active & (table.joints_on < limit), weight, 0.0)
    of_circle = jnp.where(kinds & room_circle[None], weight, 0.0) * params.joined_circle_chance
    of_polygon = jnp.where(room_polygon[None], weight, 0.0) * (1 - params.joined_circle_chance)
    for_circle, for_polygon = total(of_circle), total(of_polygon)
    joined_circle = draws["kind"] * (for_circle + for_polygon) < for_circle
    target = choose(jnp.where(joined_circle[None], of_circle, of_polygon), draws["target"])
    joined &= (for_circle + for_polygon > 0) & (table.num_joints < counts.joints)
    return jnp.where(free, free_circle, joined_circle), target & joined[None], can_be_free | joined


def _sample_shape(
    table: Table,
    draws: Draws,
    plan: Plan,
    is_circle: jax.Array,
    target: jax.Array,
    small: jax.Array,
    params: GeneratorParams,
    counts: Counts,
) -> Shape:
    """Size, role and mobility of the step's shape."""
    num_vertices = sample_num_vertices(draws["num_vertices"], params, counts.vertices)
    width, height = (
        jnp.where(is_circle, 0.0, half) for half in sample_half_sizes(draws["half_sizes"], params)
    )
    radius = jnp.where(is_circle, lerp(draws["radius"], params.min_radius, params.max_radius), 0.0)
    area = polygon_area(num_vertices, width, height, counts.vertices) + jnp.pi * radius**2
    chance = params.immovable_chance + params.immovable_chance_per_mass * params.density * area
    fixed = draws["immovable"] < jnp.minimum(chance, params.max_immovable_chance)
    movable = ~fixed | plan.must_move | (plan.mode == JOINED) | small
    may_be_red = (plan.role == NONE) & (pick(target, table.role) == NONE)
    may_be_red &= ~(table.role == RED).any(axis=0)
    red = may_be_red & (draws["role"] * (1 + params.red_weight) < params.red_weight)
    role = jnp.where(red, RED, plan.role)
    return Shape(is_circle, num_vertices, width, height, radius, role, movable)


def _region(draws: Draws, plan: Plan, shape: Shape, params: GeneratorParams) -> Region:
    low = ~shape.movable & (shape.role != NONE) & (draws["low"] < params.low_immovable_chance)
    return Region(
        left=jnp.where(plan.side > 0, ROOM / 2, -LOTS),
        right=jnp.where(plan.side < 0, ROOM / 2, LOTS),
        top=jnp.where(low, ROOM / 2, LOTS),
    )


def _best_place(
    table: Table,
    draws: Draws,
    plan: Plan,
    shape: Shape,
    target: jax.Array,
    local: Points,
    small: jax.Array,
    params: GeneratorParams,
    counts: Counts,
) -> tuple[jax.Array, Place, Points]:
    """The cheapest proposal: its cost, itself, and its corners in the world `[V, B]`."""
    rotation = 2 * jnp.pi * draws["rotation"]
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    arms = placement.turned(cos, sin, local)
    place = placement.free_places(draws, rotation, arms, shape, _region(draws, plan, shape, params), params)
    if counts.joints:
        other = placement.joined_places(draws, rotation, (cos, sin), shape, table, target, counts.vertices)
        joined = (plan.mode == JOINED)[None]
        place = jax.tree.map(lambda a, b: jnp.where(joined, b, a), place, other)
    points = place.x[None] + arms[0], place.y[None] + arms[1]
    overlaps = placement.num_overlaps(shape, place, points, table, table.active & ~target)
    used = jnp.where(small, 1.0, params.num_proposals)
    tried = jnp.arange(rotation.shape[0]) < used
    cost = jnp.where(tried[:, None], overlaps.astype(jnp.float32), placement.UNUSED)
    if counts.joints:
        hidden = placement.protrusion(shape, place, points, table, target) < params.min_protrusion
        cost += jnp.where(joined & hidden, placement.INVALID, 0.0)
    lowest, (place, points) = placement.best(cost, (place, points))
    return lowest, place, points
