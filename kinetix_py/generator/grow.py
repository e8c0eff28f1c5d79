"""One step of the generator: adds one shape, free or joined, to the table."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.generator import placement
from kinetix_py.generator.arrays import choose, pick, total
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.placement import Request, Target
from kinetix_py.generator.plan import FREE, JOINED, Draws, Orders, Plan
from kinetix_py.generator.proposals import Proposals
from kinetix_py.generator.table import SIZE_OF_PROPOSAL, Counts, Place, Shape, Table, insert, join
from kinetix_py.spec import NONE, RED

# Cost of each further size of a joined shape, in overlaps: more than a scene can have. Otherwise small
# shapes, which overlap less, would be preferred.
LATER_SIZE = 100.0


def add_shape(
    table: Table,
    draws: Draws,
    plan: Plan,
    proposals: Proposals,
    orders: Orders,
    params: GeneratorParams,
    counts: Counts,
) -> Table:
    """The table with the shape that a step asks for, if there is a slot and a place for it.

    Args:
      draws: uniforms of the step, `[B]`.
      plan: of the step, `[B]` each.
      proposals: of the step, `[K, B]`.
    """
    is_circle, mask, possible = _kind_and_target(table, draws, plan, params, counts)
    role = _role(table, draws, plan, mask, params)
    low = draws["low"] < params.low_immovable_chance
    request = Request(plan.mode, is_circle, role, plan.must_move, plan.side, low)
    target = placement.read_target(mask, table, counts.vertices) if counts.joints else None
    cost, shape, place, corners = _best_of(table, proposals, request, target, plan.tries, params)
    possible &= cost < placement.INVALID
    number = jnp.where(is_circle, table.num_circles, table.num_polygons)[None]
    as_polygon = (orders.polygons == number) & ~is_circle[None]
    slot = jnp.concatenate([as_polygon, (orders.circles == number) & is_circle[None]]) & possible[None]
    new = insert(table, slot, shape, place, corners)
    if not counts.joints:
        return new
    joint = (orders.joints == table.num_joints[None]) & (possible & (plan.mode == JOINED))[None]
    return join(new, joint, mask, slot, place)


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


def _role(table: Table, draws: Draws, plan: Plan, target: jax.Array, params: GeneratorParams) -> jax.Array:
    """The planned role, or red by chance where that is allowed: int `[B]`."""
    may_be_red = (plan.role == NONE) & (pick(target, table.role) == NONE)
    may_be_red &= ~(total(table.role == RED) > 0)
    red = may_be_red & (draws["role"] * (1 + params.red_weight) < params.red_weight)
    return jnp.where(red, RED, plan.role)


def _best_of(
    table: Table,
    proposals: Proposals,
    request: Request,
    target: Target | None,
    tries: jax.Array,
    params: GeneratorParams,
) -> tuple[jax.Array, Shape, Place, tuple[jax.Array, jax.Array]]:
    """The cheapest proposal: its cost `[B]`, shape, place, and corners in the world `[V, B]`."""

    # Only costs and centres leave the loop: whatever has one consumer is computed once.
    def weigh(_, proposal):
        return None, _weigh(table, proposal, request, target, params)

    cost, x, y = jax.lax.scan(weigh, None, proposals)[1]
    unused = jnp.arange(cost.shape[0])[:, None] >= tries[None]
    later = LATER_SIZE * np.array(SIZE_OF_PROPOSAL, np.float32)[:, None]
    cost += jnp.where(unused, placement.UNUSED, 0) + jnp.where((request.mode == JOINED)[None], later, 0)
    lowest, chosen = placement.first_best(cost)
    best = jax.tree.map(lambda value: pick(chosen, value), proposals)
    x, y = pick(chosen, x), pick(chosen, y)
    corners = x[None] + best.arm_x, y[None] + best.arm_y
    return lowest, _shape(best, request), _place(best, request, target, x, y), corners


def _weigh(
    table: Table, proposal: Proposals, request: Request, target: Target | None, params: GeneratorParams
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Cost and centre of one proposal: `[B]` each."""
    x, y = placement.free_place(proposal, request, params)
    counted = table.active
    if target is not None:
        joined = request.mode == JOINED
        joined_x, joined_y = placement.joined_place(proposal, request, target)
        x, y = jnp.where(joined, joined_x, x), jnp.where(joined, joined_y, y)
        counted = counted & ~target.mask
    corners = x[None] + proposal.arm_x, y[None] + proposal.arm_y
    arguments = (x, y), corners, proposal.radius, request.is_circle
    cost = placement.num_overlaps(*arguments, table, counted).astype(jnp.float32)
    if target is not None:
        hidden = joined & (placement.protrusion(*arguments, target) < params.min_protrusion)
        cost = jnp.where(hidden, placement.INVALID, cost)
    return cost, x, y


def _shape(best: Proposals, request: Request) -> Shape:
    circle = request.is_circle
    polygon = lambda value: jnp.where(circle, 0, value)
    return Shape(
        is_circle=circle,
        num_vertices=best.num_vertices,
        half_width=polygon(best.half_width),
        half_height=polygon(best.half_height),
        radius=jnp.where(circle, best.radius, 0),
        role=request.role,
        movable=placement.is_movable(best, request),
    )


def _place(best: Proposals, request: Request, target: Target | None, x: jax.Array, y: jax.Array) -> Place:
    polygon = lambda value: jnp.where(request.is_circle, 0, value)
    nowhere = jnp.zeros_like(x), jnp.zeros_like(x)
    target_x, target_y = nowhere if target is None else placement.target_anchor(best, target)
    anchor_x, anchor_y = polygon(best.anchor_x), polygon(best.anchor_y)
    return Place(x, y, best.rotation, anchor_x, anchor_y, target_x, target_y)
