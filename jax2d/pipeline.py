"""One step of the physics: gravity, contacts, motors, thrusters, solver, motion. Arrays are batch-last."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.detect import Geometry, components, find_contacts
from jax2d.pairs import Block, kinds
from jax2d.params import SimParams, SimSpec
from jax2d.solver.actuators import apply_motors, apply_thrusters
from jax2d.solver.contacts import Bodies, Impulses
from jax2d.solver.joints import JointImpulses, joint_rows
from jax2d.solver.loop import Contacts as SolverContacts
from jax2d.solver.loop import solve
from jax2d.solver.order import group_of_pairs, num_groups
from jax2d.solver.prepare import (
    contact_block,
    free_bodies,
    join,
    split_impulses,
    split_mass,
)
from jax2d.types import Contacts, SimState


class _Found(NamedTuple):
    """The contacts of one block: where they are, and which of them count."""

    geometry: Geometry
    active: jax.Array  # bool [S, *shape, B], the pair may touch and does
    pushing: jax.Array  # bool [S, *shape, B], and the two push each other


def step_batch_last(
    state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec
) -> tuple[SimState, Contacts]:
    """One step of a batch of scenes whose arrays have the batch as their last axis."""
    state = _apply_gravity(state, params)
    cos, sin = jnp.cos(state.rotation), jnp.sin(state.rotation)
    found = _find(state, cos, sin, spec)
    contacts = _solver_contacts(state, found, params, spec)
    state = apply_motors(state, actions[: spec.num_joints], params, spec)
    state = apply_thrusters(state, actions[spec.num_joints :], cos, sin, params, spec)
    rows = joint_rows(state, cos, sin, params, spec)
    start = _start_impulses(state, found, spec)
    solution = solve(contacts, rows, *start, free_bodies(state, spec), params, spec)
    return _move(state, *solution, params, spec), _report(found, state.rotation.shape[-1])


def _apply_gravity(state: SimState, params: SimParams) -> SimState:
    change = state.gravity[None] * params.at_rank(3).dt
    movable = (state.inverse_mass != 0)[:, None]
    return dataclasses.replace(state, velocity=state.velocity + jnp.where(movable, change, 0))


def _find(state: SimState, cos, sin, spec: SimSpec) -> list[list[_Found]]:
    """All contacts, by kind and block."""
    labels = components(state.joints, spec.num_bodies)
    geometries = find_contacts(state, cos, sin, spec)
    found: list[list[_Found]] = []
    for kind, blocks in zip(kinds(spec), geometries, strict=True):
        found.append([])
        for block, geometry in zip(kind.blocks, blocks, strict=True):
            touch, push = (mask[None] for mask in _pair_masks(state, block, labels))
            active = touch & geometry.active
            found[-1].append(_Found(geometry, active, active & push))
    return found


def _pair_masks(state: SimState, block: Block, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which pairs of a block may touch, and which may push each other: bool `[*shape, B]`."""
    a, b = np.moveaxis(block.bodies, -1, 0)
    mode_a, mode_b = state.collision_mode[a], state.collision_mode[b]
    collide = (mode_a == 2) | (mode_b == 2) | ((mode_a == 1) & (mode_b == 1))
    movable = state.inverse_mass[a] + state.inverse_mass[b] > 0
    return collide & state.active[a] & state.active[b], movable & (labels[a] != labels[b])


def _solver_contacts(
    state: SimState, found: list[list[_Found]], params: SimParams, spec: SimSpec
) -> list[SolverContacts]:
    """What the solver needs to know of the contacts, by kind."""
    bodies, contacts = free_bodies(state, spec), []
    for kind, blocks in zip(kinds(spec), found, strict=True):
        mass, inertia = split_mass(kind, [block.pushing for block in blocks], bodies, spec)
        points = [
            contact_block(state, block, here.geometry, here.pushing, mass, inertia, params, spec)
            for block, here in zip(kind.blocks, blocks, strict=True)
        ]
        groups = None
        if spec.contact_order == "kinetix" and num_groups(kind) > 1:
            groups = group_of_pairs(kind, [block.active[0] for block in blocks])
        contacts.append(SolverContacts(kind, points, inertia, groups))
    return contacts


def _start_impulses(
    state: SimState, found: list[list[_Found]], spec: SimSpec
) -> tuple[list[list[Impulses]], JointImpulses]:
    """Last step's impulses where the contact or joint is still there; zeros without warm starting."""
    keep = lambda flags, value: jnp.where(flags & spec.warm_start, value, 0)
    contacts = [
        [
            Impulses(*(keep(block.pushing, value) for value in impulses))
            for block, impulses in zip(blocks, carried, strict=True)
        ]
        for blocks, carried in zip(found, split_impulses(state, spec), strict=True)
    ]
    linked = state.joints.active
    joints = JointImpulses(*(keep(linked, state.joint_impulse[:, i]) for i in range(3)))
    return contacts, joints


def _move(
    state: SimState,
    contact_impulses: list[list[Impulses]],
    joint_impulses: JointImpulses,
    bodies: Bodies,
    params: SimParams,
    spec: SimSpec,
) -> SimState:
    """Integrates positions, clips, and stores what the next step starts from."""
    bound = lambda value, limit: jnp.clip(value, -limit, limit)
    walls, params = spec.num_walls, params.at_rank(2)
    batch = state.rotation.shape[-1]
    vx, vy, turning, shift_x, shift_y = (jnp.concatenate(tables) for tables in bodies[:5])
    x = state.position[walls:, 0] + shift_x + vx * params.dt
    y = state.position[walls:, 1] + shift_y + vy * params.dt
    rotation = state.rotation[walls:] + turning * params.dt
    pair = lambda x, y, limit: jnp.stack([bound(x, limit), bound(y, limit)], axis=1)
    whole = lambda fixed, moving: jnp.concatenate([fixed[:walls], moving])
    flat = [block for blocks in contact_impulses for block in blocks]
    return dataclasses.replace(
        state,
        position=whole(state.position, pair(x, y, params.max_position)),
        rotation=whole(state.rotation, rotation),
        velocity=whole(state.velocity, pair(vx, vy, params.max_velocity)),
        angular_velocity=whole(state.angular_velocity, bound(turning, params.max_angular_velocity)),
        contact_impulse=jnp.stack(
            [join([b.normal for b in flat], batch), join([b.tangent for b in flat], batch)], axis=1
        ),
        joint_impulse=jnp.stack(joint_impulses, axis=1),
    )


def _report(found: list[list[_Found]], batch: int) -> Contacts:
    """The contacts as users see them, in contact slot order."""
    flat = [block for blocks in found for block in blocks]

    def spread(name: str) -> jax.Array:
        shared = ("normal_x", "normal_y", "penetration")  # by the points of a pair
        values = []
        for block in flat:
            value = getattr(block.geometry, name)
            value = value[None] if name in shared else value
            values.append(jnp.broadcast_to(value, block.active.shape))
        return join(values, batch)

    return Contacts(
        active=join([block.active for block in flat], batch).astype(bool),
        pushing=join([block.pushing for block in flat], batch).astype(bool),
        normal=jnp.stack([spread("normal_x"), spread("normal_y")], axis=1),
        point=jnp.stack([spread("point_x"), spread("point_y")], axis=1),
        penetration=spread("penetration"),
    )
