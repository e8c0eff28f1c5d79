"""The solver: all constraints, swept a fixed number of times. Arrays are batch-last."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jax2d.pairs import Kind
from jax2d.params import SimParams, SimSpec
from jax2d.solver.blocks import Tables
from jax2d.solver.contacts import (
    Bodies,
    ContactBlock,
    Impulses,
    add_impulses,
    apply_impulses,
    solve_block,
)
from jax2d.solver.joints import JointImpulses, JointRows, solve_joints, warm_start_joints
from jax2d.solver.order import drop_last_pair, num_groups

# Within a step velocities may exceed by this factor the bounds that hold between steps.
HEADROOM = 10


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Contacts:
    """The contacts of one kind, in the solver's terms; lists are by block."""

    kind: Kind = dataclasses.field(metadata={"static": True})
    points: list[ContactBlock]  # every field with a leading axis [S], the contact points of a pair
    inertia: Tables  # [S, bodies, B] 1/(kg m^2), inverse inertia of a body's share in one contact
    groups: list[jax.Array] | None  # int [*shape, B]: solve the groups one after another


def _solve_point(
    contacts: Contacts, slot: int, impulses: list[Impulses], bodies: Bodies
) -> tuple[list[Impulses], Bodies]:
    """One sweep over one contact point of every pair, group by group if there are groups."""
    blocks = contacts.kind.blocks
    points, inertia = jax.tree.map(lambda field: field[slot], (contacts.points, contacts.inertia))

    def solve_group(group, carry):
        impulses, bodies = carry
        added = []
        for i, block in enumerate(blocks):
            mask = None if contacts.groups is None else contacts.groups[i] == group
            added.append(solve_block(block, points[i], impulses[i], inertia, bodies, mask))
        bodies = apply_impulses(blocks, points, added, bodies)
        return [add_impulses(old, new) for old, new in zip(impulses, added, strict=True)], bodies

    groups = 1 if contacts.groups is None else num_groups(contacts.kind)
    return jax.lax.fori_loop(0, groups, solve_group, (impulses, bodies))


def _unstack(contacts: Contacts, impulses: list[Impulses]) -> list[list[Impulses]]:
    """By block with a leading axis `[S]` -> by contact point, then by block."""
    return [
        jax.tree.map(lambda field, slot=slot: field[slot], impulses)
        for slot in range(contacts.kind.num_slots)
    ]


def _stack(points: list[list[Impulses]]) -> list[Impulses]:
    return jax.tree.map(lambda *fields: jnp.stack(fields), *points)


def _warm_start(contacts: Contacts, impulses: list[Impulses], bodies: Bodies) -> Bodies:
    """Applies last step's impulses of one kind."""

    def visit(bodies, point):
        points, impulses = point
        return apply_impulses(contacts.kind.blocks, points, impulses, bodies), None

    return jax.lax.scan(visit, bodies, (contacts.points, impulses))[0]


def bound_velocities(bodies: Bodies, params: SimParams) -> Bodies:
    """Keeps velocities finite where motors, limits and contacts fight constraints that cannot give way."""
    params = params.at_rank(2)

    def bound(tables, limit):
        return tuple(jnp.clip(table, -HEADROOM * limit, HEADROOM * limit) for table in tables)

    return bodies._replace(
        velocity_x=bound(bodies.velocity_x, params.max_velocity),
        velocity_y=bound(bodies.velocity_y, params.max_velocity),
        angular_velocity=bound(bodies.angular_velocity, params.max_angular_velocity),
    )


def bound_joint_impulses(rows: JointRows, impulses: JointImpulses, params: SimParams) -> JointImpulses:
    """Keeps what is carried to the next step below what a change from bound to bound would take."""
    params = params.at_rank(2)
    linear = 2 * HEADROOM * params.max_velocity / rows.inverse_mass
    angular = 2 * HEADROOM * params.max_angular_velocity / rows.inverse_inertia
    return JointImpulses(
        jnp.clip(impulses.x, -linear, linear),
        jnp.clip(impulses.y, -linear, linear),
        jnp.clip(impulses.angular, -angular, angular),
    )


def solve(
    contacts: list[Contacts],
    rows: JointRows,
    contact_impulses: list[list[Impulses]],
    joint_impulses: JointImpulses,
    bodies: Bodies,
    params: SimParams,
    spec: SimSpec,
) -> tuple[list[list[Impulses]], JointImpulses, Bodies]:
    """Warm starts, then sweeps joints and all kinds of contacts `spec.solver_iterations` times.

    Args:
      contact_impulses: by kind and block, `[S, *shape, B]`, what to start from.
      joint_impulses: what to start from.
    """

    def sweep(_, carry):
        contact_impulses, joint_impulses, bodies = carry
        joint_impulses, bodies = solve_joints(rows, joint_impulses, bodies, params)
        bodies = bound_velocities(bodies, params)
        after: list[list[list[Impulses]]] = []
        for kind, points in zip(contacts, contact_impulses, strict=True):
            after.append([])
            for slot, impulses in enumerate(points):
                impulses, bodies = _solve_point(kind, slot, impulses, bodies)
                if spec.contact_order == "kinetix":
                    impulses = drop_last_pair(kind.kind, impulses)
                after[-1].append(impulses)
        return after, joint_impulses, bodies

    if spec.warm_start:
        for kind, impulses in zip(contacts, contact_impulses, strict=True):
            bodies = _warm_start(kind, impulses, bodies)
        bodies = warm_start_joints(rows, joint_impulses, bodies)
    split = [_unstack(*pair) for pair in zip(contacts, contact_impulses, strict=True)]
    carry = (split, joint_impulses, bodies)
    carry = jax.lax.fori_loop(0, spec.solver_iterations, sweep, carry)
    split, joint_impulses, bodies = carry
    contact_impulses = [_stack(points) for points in split]
    return contact_impulses, bound_joint_impulses(rows, joint_impulses, params), bodies
