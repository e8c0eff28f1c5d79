"""One step of the physics: gravity, contacts, motors, thrusters, solver, motion."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.detect import components, find_contacts
from jax2d.pairs import kinds
from jax2d.params import SimParams, SimSpec
from jax2d.solver.actuators import apply_motors, apply_thrusters
from jax2d.solver.blocks import over_ends, read, signs, total
from jax2d.solver.contacts import Bodies, ContactBlock, Impulses
from jax2d.solver.joints import JointImpulses, joint_rows, nonzero
from jax2d.solver.loop import Phase, solve
from jax2d.solver.order import group_of_pairs, num_groups
from jax2d.types import Contacts, SimState


def _apply_gravity(state: SimState, params: SimParams) -> SimState:
    movable = (state.inverse_mass != 0)[:, None]
    change = jnp.where(movable, state.gravity[None] * params.dt, 0)
    return dataclasses.replace(state, velocity=state.velocity + change)


def _tables(values: jax.Array, spec: SimSpec):
    return values[spec.walls : spec.num_polygons], values[spec.num_polygons :]


def _free_bodies(state: SimState, spec: SimSpec) -> Bodies:
    shift = jax.tree.map(jnp.zeros_like, _tables(state.rotation, spec))
    fields = (state.velocity[:, 0], state.velocity[:, 1], state.angular_velocity)
    vx, vy, w = (_tables(field, spec) for field in fields)
    masses = (_tables(field, spec) for field in (state.inverse_mass, state.inverse_inertia))
    return Bodies(vx, vy, w, shift, shift, *masses)


def _pair_masks(state: SimState, block, labels: jax.Array):
    """Which pairs of a block may touch, and which of these push each other: bool `[*shape, B]`."""
    a, b = np.moveaxis(block.bodies, -1, 0)
    mode_a, mode_b = state.collision_mode[a], state.collision_mode[b]
    collide = (mode_a == 2) | (mode_b == 2) | ((mode_a == 1) & (mode_b == 1))
    touch = collide & state.active[a] & state.active[b]
    movable = state.inverse_mass[a] + state.inverse_mass[b] > 0
    return touch, touch & movable & (labels[a] != labels[b])


def _contact_block(state, block, geometry, active, bodies, places, params) -> ContactBlock:
    """Prepares the contacts of a block for the solver."""
    keep = lambda value: jnp.where(active, value, 0)
    nx, ny = keep(geometry.normal_x), keep(geometry.normal_y)
    levers_n, levers_t, speeds, masses = [], [], [], []
    for side in block.sides:
        sign = signs(block, side)
        arm_x = geometry.point_x - read(side, places[0])
        arm_y = geometry.point_y - read(side, places[1])
        lever_n, lever_t = sign * (arm_x * ny - arm_y * nx), -sign * (arm_x * nx + arm_y * ny)
        vx, vy = read(side, bodies.velocity_x), read(side, bodies.velocity_y)
        w = read(side, bodies.angular_velocity)
        speeds.append(over_ends(sign * (vx * nx + vy * ny) + w * lever_n))
        mass = read(side, bodies.inverse_mass)
        masses.append(over_ends(jnp.broadcast_to(mass, (len(side.signs), *nx.shape))))
        levers_n.append(lever_n)
        levers_t.append(lever_t)
    a, b = np.moveaxis(block.bodies, -1, 0)
    bounce = jnp.minimum(state.restitution[a], state.restitution[b]) * total(speeds)
    overlap = jnp.maximum(geometry.penetration - params.slop, 0)
    friction = params.base_friction * jnp.sqrt(state.friction[a] ** 2 + state.friction[b] ** 2)
    return ContactBlock(
        nx,
        ny,
        tuple(levers_n),
        tuple(levers_t),
        nonzero(total(masses)),
        keep(params.contact_bias / params.dt * overlap) - bounce,
        friction,
    )


def _split_impulses(state: SimState, spec: SimSpec) -> list[list[Impulses]]:
    """The carried contact impulses by phase and block."""
    batch, start, phases = state.rotation.shape[-1], 0, []
    for kind in kinds(spec):
        for _ in range(kind.num_slots):
            blocks = []
            for block in kind.blocks:
                part = state.contact_impulse[start : start + block.size]
                fields = (part[:, i].reshape(*block.shape, batch) for i in range(2))
                blocks.append(Impulses(*fields))
                start += block.size
            phases.append(blocks)
    return phases


def _join(blocks: list[jax.Array]) -> jax.Array:
    """Blocks `[*shape, B]` in contact slot order: `[K, B]`."""
    return jnp.concatenate([block.reshape(-1, block.shape[-1]) for block in blocks])


def step_batch_last(
    state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec
) -> tuple[SimState, Contacts]:
    """One step of a batch of scenes whose arrays have the batch as their last axis."""
    state = _apply_gravity(state, params)
    cos, sin = jnp.cos(state.rotation), jnp.sin(state.rotation)
    found = find_contacts(state, cos, sin, spec)
    labels = components(state.joints, spec.num_bodies)
    before = _free_bodies(state, spec)
    places = tuple(_tables(state.position[:, i], spec) for i in range(2))
    carried = _split_impulses(state, spec)
    phases, start, active, solved = [], [], [], []
    for kind, slots in zip(kinds(spec), found, strict=True):
        masks = [_pair_masks(state, block, labels) for block in kind.blocks]
        touching = [m[0] & g.active for m, g in zip(masks, slots[0], strict=True)]
        groups = None
        if spec.contact_order == "kinetix" and num_groups(kind) > 1:
            groups = group_of_pairs(kind, touching)
        for geometry in slots:
            contacts, impulses = [], carried[len(phases)]
            for i, block in enumerate(kind.blocks):
                on = masks[i][1] & geometry[i].active
                active.append(masks[i][0] & geometry[i].active)
                solved.append(on)
                contacts.append(_contact_block(state, block, geometry[i], on, before, places, params))
                impulses[i] = jax.tree.map(lambda v, on=on: jnp.where(on, v, 0), impulses[i])
            start.append(impulses)
            phases.append(Phase(kind, contacts, groups))
    flat = [g for slots in found for geometry in slots for g in geometry]
    contacts = Contacts(
        active=_join(active),
        solved=_join(solved),
        normal=jnp.stack([_join([g.normal_x for g in flat]), _join([g.normal_y for g in flat])], 1),
        point=jnp.stack([_join([g.point_x for g in flat]), _join([g.point_y for g in flat])], 1),
        penetration=_join([g.penetration for g in flat]),
    )
    state = apply_motors(state, actions[: spec.num_joints], params, spec)
    state = apply_thrusters(state, actions[spec.num_joints :], cos, sin, params, spec)
    rows = joint_rows(state, cos, sin, params, spec)
    linked = state.joints.active
    joint_impulses = JointImpulses(
        *(jnp.where(linked, state.joint_impulse[:, i], 0) for i in range(3))
    )
    if not spec.warm_start:
        start, joint_impulses = jax.tree.map(jnp.zeros_like, (start, joint_impulses))
    impulses, joint_impulses, bodies = solve(
        phases, rows, start, joint_impulses, _free_bodies(state, spec), params, spec
    )
    return _move(state, bodies, impulses, joint_impulses, params, spec), contacts


def _move(state, bodies: Bodies, impulses, joint_impulses, params, spec: SimSpec) -> SimState:
    """Integrates positions, clips, and stores what the next step starts from."""
    bound = lambda value, limit: jnp.clip(value, -limit, limit)
    walls = spec.walls
    flat = [block for phase in impulses for block in phase]
    velocity_x, velocity_y, turning = (
        jnp.concatenate(tables)
        for tables in (bodies.velocity_x, bodies.velocity_y, bodies.angular_velocity)
    )
    shift_x, shift_y = jnp.concatenate(bodies.shift_x), jnp.concatenate(bodies.shift_y)
    x = state.position[walls:, 0] + shift_x + velocity_x * params.dt
    y = state.position[walls:, 1] + shift_y + velocity_y * params.dt
    place = jnp.stack([bound(x, params.max_position), bound(y, params.max_position)], axis=1)
    speed = jnp.stack([velocity_x, velocity_y], axis=1)
    turn = state.rotation[walls:] + turning * params.dt
    whole = lambda fixed, moving: jnp.concatenate([fixed[:walls], moving])
    return dataclasses.replace(
        state,
        position=whole(state.position, place),
        rotation=whole(state.rotation, turn),
        velocity=whole(state.velocity, bound(speed, params.max_velocity)),
        angular_velocity=whole(
            state.angular_velocity, bound(turning, params.max_angular_velocity)
        ),
        contact_impulse=jnp.stack(
            [_join([b.normal for b in flat]), _join([b.tangent for b in flat])], axis=1
        ),
        joint_impulse=jnp.stack(joint_impulses, axis=1),
    )
