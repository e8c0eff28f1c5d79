"""One step of the physics, in the order of docs/physics.md. Arrays are batch-last."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.detect import components, find_manifolds
from jax2d.collision.manifold import Manifold
from jax2d.pairs import PairBlock, contact_layout
from jax2d.params import SimParams, SimSpec
from jax2d.solver.actuators import apply_motors, apply_thrusters
from jax2d.solver.contacts import Bodies, Impulses
from jax2d.solver.joints import JointImpulses, prepare_joints
from jax2d.solver.loop import ContactConstraints, solve
from jax2d.solver.order import group_of_pairs, num_groups
from jax2d.solver.prepare import (
    free_bodies,
    impulses_by_block,
    prepare_contacts,
    split_mass,
    to_slots,
)
from jax2d.types import Contacts, SimState


class BlockManifolds(NamedTuple):
    """The contacts of one block, and which of them count."""

    manifold: Manifold
    active: jax.Array  # bool [S, *shape, B], the bodies may collide and overlap
    pushing: jax.Array  # bool [S, *shape, B], active, and the two push each other


def step_batch_last(
    state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec
) -> tuple[SimState, Contacts]:
    """Advances a batch of scenes whose arrays have the batch as their last axis; arguments as for `step`."""
    state = apply_gravity(state, params)
    cos, sin = jnp.cos(state.rotation), jnp.sin(state.rotation)
    manifolds = _find_manifolds(state, cos, sin, spec)
    contacts = _contact_constraints(state, manifolds, params, spec)
    state = apply_motors(state, actions[: spec.num_joints], params, spec)
    state = apply_thrusters(state, actions[spec.num_joints :], params, spec)
    joints = prepare_joints(state, params, spec)
    contact_impulses, joint_impulses = _warm_start_impulses(state, manifolds, spec)
    bodies = free_bodies(state, spec)
    contact_impulses, joint_impulses, bodies = solve(
        contacts, joints, contact_impulses, joint_impulses, bodies, params, spec
    )
    after = _integrate(state, contact_impulses, joint_impulses, bodies, params, spec)
    return after, _public_contacts(manifolds, state.rotation.shape[-1])


def apply_gravity(state: SimState, params: SimParams) -> SimState:
    """Accelerates all movable bodies."""
    change = state.gravity[None] * params.broadcast_to_rank(3).dt
    movable = (state.inverse_mass != 0)[:, None]
    return dataclasses.replace(state, velocity=state.velocity + jnp.where(movable, change, 0))


def _find_manifolds(state: SimState, cos, sin, spec: SimSpec) -> list[list[BlockManifolds]]:
    """Finds all contacts, by kind and block."""
    labels = components(state.joints, spec.num_bodies)
    found: list[list[BlockManifolds]] = []
    for kind, manifolds in zip(contact_layout(spec), find_manifolds(state, cos, sin, spec), strict=True):
        found.append([])
        for block, manifold in zip(kind.blocks, manifolds, strict=True):
            collide, push = (mask[None] for mask in _pair_masks(state, block, labels))
            active = collide & manifold.active
            found[-1].append(BlockManifolds(manifold, active, active & push))
    return found


def _pair_masks(state: SimState, block: PairBlock, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Tells which pairs of a block may collide, and which may push each other: bool `[*shape, B]`."""
    a, b = np.moveaxis(block.bodies, -1, 0)
    mode_a, mode_b = state.collision_mode[a], state.collision_mode[b]
    collide = (mode_a == 2) | (mode_b == 2) | ((mode_a == 1) & (mode_b == 1))
    movable = state.inverse_mass[a] + state.inverse_mass[b] > 0
    return collide & state.active[a] & state.active[b], movable & (labels[a] != labels[b])


def _contact_constraints(
    state: SimState, manifolds: list[list[BlockManifolds]], params: SimParams, spec: SimSpec
) -> list[ContactConstraints]:
    """Prepares the contacts for the solver, by kind."""
    bodies, constraints = free_bodies(state, spec), []
    for kind, found in zip(contact_layout(spec), manifolds, strict=True):
        mass, inertia = split_mass(kind, [block.pushing for block in found], bodies, spec)
        points = [
            prepare_contacts(state, block, here.manifold, here.pushing, mass, inertia, params, spec)
            for block, here in zip(kind.blocks, found, strict=True)
        ]
        groups = None
        if spec.contact_order == "kinetix" and num_groups(kind) > 1:
            groups = group_of_pairs(kind, [block.active[0] for block in found])
        constraints.append(ContactConstraints(kind, points, inertia, groups))
    return constraints


def _warm_start_impulses(
    state: SimState, manifolds: list[list[BlockManifolds]], spec: SimSpec
) -> tuple[list[list[Impulses]], JointImpulses]:
    """Takes last step's impulses where the contact or joint is still there; zeros without warm starting."""
    keep = lambda flags, value: jnp.where(flags & spec.warm_start, value, 0)
    contacts = [
        [
            Impulses(keep(block.pushing, impulses.normal), keep(block.pushing, impulses.tangent))
            for block, impulses in zip(found, carried, strict=True)
        ]
        for found, carried in zip(manifolds, impulses_by_block(state, spec), strict=True)
    ]
    x, y, angular = (keep(state.joints.active, state.joint_impulse[:, i]) for i in range(3))
    return contacts, JointImpulses(x, y, angular)


def _integrate(
    state: SimState,
    contact_impulses: list[list[Impulses]],
    joint_impulses: JointImpulses,
    bodies: Bodies,
    params: SimParams,
    spec: SimSpec,
) -> SimState:
    """Moves bodies, and stores the impulses by slot."""
    batch = state.rotation.shape[-1]
    flat = [block for blocks in contact_impulses for block in blocks]
    motion = [
        jnp.concatenate(quantity)
        for quantity in (
            bodies.velocity_x,
            bodies.velocity_y,
            bodies.angular_velocity,
        )
    ]
    after = move_bodies(state, [*motion, *bodies.displacement], params, spec)
    return dataclasses.replace(
        after,
        contact_impulse=jnp.stack(
            [to_slots([b.normal for b in flat], batch), to_slots([b.tangent for b in flat], batch)], axis=1
        ),
        joint_impulse=jnp.stack([joint_impulses.x, joint_impulses.y, joint_impulses.angular], axis=1),
    )


def move_bodies(state: SimState, motion: Sequence[jax.Array], params: SimParams, spec: SimSpec) -> SimState:
    """Integrates positions and clips.

    Args:
      state: bodies before.
      motion: velocities along x and y [m/s], angular velocities [rad/s] and displacements by joints [m]
        after the last sweep, each `[free bodies, B]`.
      params: numbers of the physics.
      spec: sizes.
    """
    bound = lambda value, limit: jnp.clip(value, -limit, limit)
    walls, params = spec.num_walls, params.broadcast_to_rank(2)
    vx, vy, w, dx, dy = motion
    x = state.position[walls:, 0] + dx + vx * params.dt
    y = state.position[walls:, 1] + dy + vy * params.dt
    rotation = state.rotation[walls:] + w * params.dt
    pair = lambda x, y, limit: jnp.stack([bound(x, limit), bound(y, limit)], axis=1)
    whole = lambda static, moving: jnp.concatenate([static[:walls], moving])
    return dataclasses.replace(
        state,
        position=whole(state.position, pair(x, y, params.max_position)),
        rotation=whole(state.rotation, rotation),
        velocity=whole(state.velocity, pair(vx, vy, params.max_velocity)),
        angular_velocity=whole(state.angular_velocity, bound(w, params.max_angular_velocity)),
    )


def _public_contacts(manifolds: list[list[BlockManifolds]], batch: int) -> Contacts:
    """Converts the contacts to the arrays that users see, in contact slot order."""
    flat = [block for blocks in manifolds for block in blocks]
    active = to_slots([block.active for block in flat], batch).astype(bool)
    only_active = lambda values: jnp.where(active, to_slots(values, batch), 0)

    def of_points(name: str) -> jax.Array:
        return only_active([getattr(block.manifold, name) for block in flat])

    def of_pairs(name: str) -> jax.Array:
        values = [(getattr(block.manifold, name)[None], block.active.shape) for block in flat]
        return only_active([jnp.broadcast_to(value, shape) for value, shape in values])

    return Contacts(
        active=active,
        pushing=to_slots([block.pushing for block in flat], batch).astype(bool),
        normal=jnp.stack([of_pairs("normal_x"), of_pairs("normal_y")], axis=1),
        point=jnp.stack([of_points("point_x"), of_points("point_y")], axis=1),
        penetration=of_pairs("penetration"),
    )
