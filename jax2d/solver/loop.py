"""The solver: sweeps over all constraints (docs/physics.md, sweeps). Arrays are batch-last."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jax2d.batching import WRITTEN_OUT, on_cpu, short_scan
from jax2d.pairs import PairKind
from jax2d.params import SOLVER_VELOCITY_MARGIN, SimParams, SimSpec
from jax2d.solver.blocks import FreeBodyArrays
from jax2d.solver.contacts import (
    Bodies,
    ContactBlock,
    Impulses,
    add_impulses,
    apply_impulses,
    solve_block,
)
from jax2d.solver.joints import JointConstraints, JointImpulses, solve_joints, warm_start_joints
from jax2d.solver.order import num_groups, zero_last_pair_like_kinetix


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ContactConstraints:
    """Contacts of one kind as constraints; lists are by block."""

    kind: PairKind = dataclasses.field(metadata={"static": True})
    points: list[ContactBlock]  # every field with a leading axis [S], the contact points of a pair
    inertia: FreeBodyArrays  # [S, bodies, B] 1/(kg m^2), inverse inertia of a body's share in one contact
    groups: list[jax.Array] | None  # int [*shape, B]: solve the groups one after another


def _solve_point(
    contacts: ContactConstraints, slot: int, impulses: list[Impulses], bodies: Bodies
) -> tuple[list[Impulses], Bodies]:
    """Solves one contact point of every pair once, group by group if there are groups."""
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
    unroll = 1 if on_cpu() else min(groups, WRITTEN_OUT)
    return jax.lax.fori_loop(0, groups, solve_group, (impulses, bodies), unroll=unroll)


def _unstack(contacts: ContactConstraints, impulses: list[Impulses]) -> list[list[Impulses]]:
    """Splits impulses by block with a leading axis `[S]` into lists by contact point, then by block."""
    return [
        jax.tree.map(lambda field, slot=slot: field[slot], impulses)
        for slot in range(contacts.kind.points_per_pair)
    ]


def _stack(points: list[list[Impulses]]) -> list[Impulses]:
    """Joins impulses by contact point to arrays with a leading axis `[S]`, by block."""
    return jax.tree.map(lambda *fields: jnp.stack(fields), *points)


def _warm_start(contacts: ContactConstraints, impulses: list[Impulses], bodies: Bodies) -> Bodies:
    """Applies last step's impulses of one kind."""

    def visit(bodies, point):
        points, impulses = point
        return apply_impulses(contacts.kind.blocks, points, impulses, bodies), None

    return short_scan(visit, bodies, (contacts.points, impulses))[0]


def bound_velocities(bodies: Bodies, params: SimParams) -> Bodies:
    """Keeps velocities finite where motors, limits and contacts fight constraints that cannot give way."""
    params = params.broadcast_to_rank(2)

    def bound(quantity, limit):
        limit = SOLVER_VELOCITY_MARGIN * limit
        return tuple(jnp.clip(values, -limit, limit) for values in quantity)

    return bodies._replace(
        velocity_x=bound(bodies.velocity_x, params.max_velocity),
        velocity_y=bound(bodies.velocity_y, params.max_velocity),
        angular_velocity=bound(bodies.angular_velocity, params.max_angular_velocity),
    )


def joint_impulse_bounds(
    inverse_mass: jax.Array, inverse_inertia: jax.Array, params: SimParams
) -> tuple[jax.Array, jax.Array]:
    """Computes the linear and angular impulses that change a velocity from one bound to the other.

    Args:
      inverse_mass, inverse_inertia: `[J, B]` 1/kg and 1/(kg m^2), of both bodies of a joint.
      params: numbers of the physics.
    """
    params = params.broadcast_to_rank(2)
    linear = 2 * SOLVER_VELOCITY_MARGIN * params.max_velocity / inverse_mass
    angular = 2 * SOLVER_VELOCITY_MARGIN * params.max_angular_velocity / inverse_inertia
    return linear, angular


def bound_joint_impulses(
    joints: JointConstraints, impulses: JointImpulses, params: SimParams
) -> JointImpulses:
    """Keeps the joints' carried impulses within `joint_impulse_bounds`."""
    linear, angular = joint_impulse_bounds(joints.inverse_mass, joints.inverse_inertia, params)
    return JointImpulses(
        jnp.clip(impulses.x, -linear, linear),
        jnp.clip(impulses.y, -linear, linear),
        jnp.clip(impulses.angular, -angular, angular),
    )


def solve(
    contacts: list[ContactConstraints],
    joints: JointConstraints,
    contact_impulses: list[list[Impulses]],
    joint_impulses: JointImpulses,
    bodies: Bodies,
    params: SimParams,
    spec: SimSpec,
) -> tuple[list[list[Impulses]], JointImpulses, Bodies]:
    """Warm starts, then sweeps joints and all kinds of contacts `spec.solver_iterations` times.

    Args:
      contacts: contacts by kind.
      joints: joints.
      contact_impulses: initial impulses by kind and block, `[S, *shape, B]`.
      joint_impulses: initial impulses of joints.
      bodies: free bodies after gravity and actuators.
      params: numbers of the physics.
      spec: sizes and solver.

    Returns:
      Accumulated impulses of contacts and joints, and the bodies after the last sweep.
    """

    def sweep(_, carry):
        contact_impulses, joint_impulses, bodies = carry
        joint_impulses, bodies = solve_joints(joints, joint_impulses, bodies, params)
        bodies = bound_velocities(bodies, params)
        after: list[list[list[Impulses]]] = []
        for kind, points in zip(contacts, contact_impulses, strict=True):
            after.append([])
            for slot, impulses in enumerate(points):
                impulses, bodies = _solve_point(kind, slot, impulses, bodies)
                if spec.contact_order == "kinetix":
                    impulses = zero_last_pair_like_kinetix(kind.kind, impulses)
                after[-1].append(impulses)
        return after, joint_impulses, bodies

    if spec.warm_start:
        for kind, impulses in zip(contacts, contact_impulses, strict=True):
            bodies = _warm_start(kind, impulses, bodies)
        bodies = warm_start_joints(joints, joint_impulses, bodies)
    split = [_unstack(kind, impulses) for kind, impulses in zip(contacts, contact_impulses, strict=True)]
    carry = (split, joint_impulses, bodies)
    carry = jax.lax.fori_loop(0, spec.solver_iterations, sweep, carry)
    split, joint_impulses, bodies = carry
    contact_impulses = [_stack(points) for points in split]
    return contact_impulses, bound_joint_impulses(joints, joint_impulses, params), bodies
