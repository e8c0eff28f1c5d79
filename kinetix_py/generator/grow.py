"""One step of the generator: adds one shape, free or joined, to the table."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.generator import placement
from kinetix_py.generator.arrays import any_of, choose, pick, scan_ahead, sum_as_product, total
from kinetix_py.generator.overlap import Outline, outline, shifted
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.plan import FREE, JOINED, Orders, Plan
from kinetix_py.generator.proposals import Proposals
from kinetix_py.generator.table import Anchor, Counts, Place, Shape, Table, insert, join
from kinetix_py.roles import NONE, RED

UNUSED = 1e6  # cost of a proposal that is not looked at, in contacts: more than a scene can have


class Option(NamedTuple):
    """What becomes of a proposal: `[B]`, or `[K, B]` of all of them."""

    x: jax.Array  # m
    y: jax.Array  # m
    is_circle: jax.Array  # bool
    role: jax.Array  # int
    movable: jax.Array  # bool
    target: jax.Array  # int, the body that it is joined to, -1 if none
    target_anchor_x: jax.Array  # m, in that body's frame
    target_anchor_y: jax.Array  # m


def add_shape(
    table: Table, plan: Plan, proposals: Proposals, orders: Orders, params: GeneratorParams, counts: Counts
) -> Table:
    """The table with the shape that a step asks for, if there is a slot for it and a body to join it to.

    Args:
      plan: of the step, `[B]` each.
      proposals: of the step, `[K, B]`.
    """
    corners = jnp.swapaxes(table.corner_x, 0, 1), jnp.swapaxes(table.corner_y, 0, 1)
    old = outline(*corners)  # once for all proposals

    def weigh(_, proposal):
        option, against = _weigh(table, old, plan, proposal, params, counts)
        return None, (option, sum((sum_as_product(rows) for rows in against), jnp.float32(0)))

    options, cost = scan_ahead(weigh, None, proposals)[1]
    unused = jnp.arange(cost.shape[0])[:, None] >= plan.tries[None]
    chosen = placement.first_best(cost + jnp.where(unused, UNUSED, 0))[1]
    option: Option = jax.tree.map(lambda value: pick(chosen, value), options)
    proposal: Proposals = jax.tree.map(lambda value: pick(chosen, value), proposals)
    mask = jnp.arange(counts.bodies)[:, None] == option.target[None]
    number = jnp.where(option.is_circle, table.num_circles, table.num_polygons)[None]
    as_polygon = (orders.polygons == number) & ~option.is_circle[None]
    slot = jnp.concatenate([as_polygon, (orders.circles == number) & option.is_circle[None]])
    slot &= ((plan.mode == FREE) | ((plan.mode == JOINED) & any_of(mask)))[None]
    shape, place = _shape(proposal, option), _place(proposal, option)
    moved = shifted(proposal.shape, option.x, option.y)
    new = insert(table, slot, shape, place, (moved.x, moved.y))
    if not counts.joints:
        return new
    # Body a of a wheel is what it is on, whichever came first: motors of one binding then turn alike.
    to_circle = mask[counts.polygons :].any(axis=0)
    at_target = Anchor(mask, option.target_anchor_x, option.target_anchor_y)
    at_shape = Anchor(slot, place.anchor_x, place.anchor_y)
    first = jax.tree.map(lambda old, new: jnp.where(to_circle, new, old), at_target, at_shape)
    second = jax.tree.map(lambda old, new: jnp.where(to_circle, old, new), at_target, at_shape)
    return join(new, (orders.joints == table.num_joints[None]) & any_of(mask)[None], first, second)


def _weigh(
    table: Table, old: Outline, plan: Plan, proposal: Proposals, params: GeneratorParams, counts: Counts
) -> tuple[Option, list[jax.Array]]:
    """A proposal's shape and place, and rows of what speaks against it, `[R, B]` each, in contacts.

    Args:
      old: of the polygons of the table, `[V, P, B]`.
    """
    is_circle, mask = _kind_and_target(table, plan, proposal, params, counts)
    may_be_red = plan.may_be_red & (pick(mask, table.role) == NONE) & ~any_of(table.role == RED)
    red = may_be_red & (proposal.role * (1 + params.red_weight) < params.red_weight)
    role = jnp.where(red, RED, plan.role)
    joined = plan.mode == JOINED
    fixed = jnp.where(is_circle, proposal.fixed_circle, proposal.fixed_polygon)
    movable = ~fixed | plan.must_move | joined
    x, y = placement.free_place(proposal, is_circle, role, movable, params)
    anchor_x, anchor_y = jnp.zeros_like(x), jnp.zeros_like(y)
    if counts.joints:
        target = placement.read_target(mask, table, counts.vertices)
        anchor_x, anchor_y = placement.target_anchor(proposal, target)
        meet = placement.meeting_point(proposal, target)
        x = jnp.where(joined, meet[0] - jnp.where(is_circle, 0, proposal.joint_arm_x), x)
        y = jnp.where(joined, meet[1] - jnp.where(is_circle, 0, proposal.joint_arm_y), y)
    shape = shifted(proposal.shape, x, y)
    against = placement.contacts((x, y), shape, proposal.radius, is_circle, table, old)
    if counts.joints:
        hidden = placement.is_hidden(proposal, is_circle, target, counts.vertices, params)
        against[0] = jnp.concatenate([against[0], jnp.where(joined & hidden, params.hidden_cost, 0.0)[None]])
    index = jnp.arange(counts.bodies)[:, None]
    number = total(jnp.where(mask, index + 1, 0)) - 1
    return Option(x, y, is_circle, role, movable, number, anchor_x, anchor_y), against


def _kind_and_target(
    table: Table, plan: Plan, proposal: Proposals, params: GeneratorParams, counts: Counts
) -> tuple[jax.Array, jax.Array]:
    """Whether a proposed shape is a circle `[B]`, and the body that it is joined to `[N, B]`.

    Two circles are never joined: at their centers, one would hide the other.
    """
    room_polygon = table.num_polygons < counts.polygons
    room_circle = table.num_circles < counts.circles
    wants_circle = proposal.kind < params.circle_chance
    if not counts.joints:
        return room_circle & (~room_polygon | wants_circle), jnp.zeros(table.active.shape, bool)
    polygon = np.arange(counts.bodies)[:, None] < counts.polygons
    limit = jnp.where(polygon, params.max_polygon_joints, params.max_circle_joints)
    weight = jnp.where(table.movable, 1.0, params.static_target_weight)
    weight *= 1 - table.joints_on / jnp.maximum(limit, 1e-6)
    weight = jnp.where(table.active & (table.joints_on < limit), weight, 0)
    of_polygons, of_circles = (total(jnp.where(kind, weight, 0)) > 0 for kind in (polygon, ~polygon))
    to_circle = room_polygon & of_circles & (proposal.target_kind < params.circle_target_chance)
    to_circle |= room_polygon & of_circles & ~of_polygons
    target = choose(jnp.where(polygon != to_circle[None], weight, 0.0), proposal.target)
    joined = plan.mode == JOINED
    is_circle = room_circle & (~room_polygon | wants_circle) & ~(joined & to_circle)
    possible = joined & (room_polygon | room_circle) & (table.num_joints < counts.joints)
    return is_circle, target & possible[None]


def _shape(proposal: Proposals, option: Option) -> Shape:
    circle = option.is_circle
    polygon = lambda value: jnp.where(circle, 0, value)
    return Shape(
        is_circle=circle,
        num_vertices=proposal.num_vertices,
        half_width=polygon(proposal.half_width),
        half_height=polygon(proposal.half_height),
        radius=jnp.where(circle, proposal.radius, 0),
        role=option.role,
        movable=option.movable,
    )


def _place(proposal: Proposals, option: Option) -> Place:
    polygon = lambda value: jnp.where(option.is_circle, 0, value)
    return Place(
        x=option.x,
        y=option.y,
        rotation=proposal.rotation,
        anchor_x=polygon(proposal.anchor_x),
        anchor_y=polygon(proposal.anchor_y),
    )
