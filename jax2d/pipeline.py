"""One step of the physics: gravity, contacts, motors, thrusters, solver, motion."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.detect import Geometry, components, find_contacts
from jax2d.pairs import Block, Kind, kinds
from jax2d.params import SimParams, SimSpec
from jax2d.solver.actuators import apply_motors, apply_thrusters
from jax2d.solver.blocks import Tables, onto_bodies, over_ends, read, signs, total
from jax2d.solver.contacts import Bodies, ContactBlock, Impulses
from jax2d.solver.joints import JointImpulses, joint_rows, nonzero
from jax2d.solver.loop import Contacts as SolverContacts
from jax2d.solver.loop import solve
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


def _shares(
    kind: Kind, solved: list[jax.Array], bodies: Bodies, spec: SimSpec
) -> tuple[Tables, ...]:
    """How often each body's mass is divided among its contacts of a kind: tables `[S, bodies, B]`.

    Contacts that are solved from the same velocities, each as if it were alone, overshoot together: three
    supports of one box push three times too much, and the sweeps diverge. Splitting a body's mass among
    its contacts (Tonge et al., "Mass splitting for jitter-free parallel rigid body simulation", 2012)
    makes them converge; half the split is enough for that, and leaves one or two contacts alone.
    """

    def one_slot(flags):
        counts = [jnp.ones_like(table) for table in bodies.inverse_mass]
        if spec.contact_order == "kinetix":
            return tuple(counts)
        sums = [[], []]
        for block, on in zip(kind.blocks, flags, strict=True):
            for side in block.sides:
                one = jnp.ones((len(side.signs), *on.shape[:-1], 1))
                sums[side.table].append(onto_bodies(side, [(on.astype(jnp.float32), one)]))
        for table in range(2):
            parts = [part for part in sums[table] if part is not None]
            if parts:
                # A quotient of arrays, so that XLA computes it once and not in each of its consumers.
                halves = jnp.where(bodies.inverse_mass[table] > 0, 2, 1)
                counts[table] = jnp.maximum(total(parts), 2) / halves
        return tuple(counts)

    return jax.vmap(one_slot)(solved)


def _contact_block(
    state, block: Block, geometry: Geometry, solved, shares, params, spec
) -> ContactBlock:
    """Prepares the contact points of a block for the solver; `solved [S, *shape, B]`."""
    bodies = _free_bodies(state, spec)
    x, y = (_tables(state.position[:, i], spec) for i in range(2))
    a, b = np.moveaxis(block.bodies, -1, 0)
    restitution = jnp.minimum(state.restitution[a], state.restitution[b])
    overlap = jnp.maximum(geometry.penetration - params.slop, 0)
    correction = params.contact_bias / params.dt * overlap
    friction = params.base_friction * jnp.sqrt(state.friction[a] ** 2 + state.friction[b] ** 2)

    def one_point(point_x, point_y, on, shares):
        nx, ny = jnp.where(on, geometry.normal_x, 0), jnp.where(on, geometry.normal_y, 0)
        split = tuple(m * s for m, s in zip(bodies.inverse_mass, shares, strict=True))
        levers_n, levers_t, speeds, masses = [], [], [], []
        for side in block.sides:
            sign = signs(block, side)
            arm_x, arm_y = point_x - read(side, x), point_y - read(side, y)
            lever_n, lever_t = sign * (arm_x * ny - arm_y * nx), -sign * (arm_x * nx + arm_y * ny)
            vx, vy = read(side, bodies.velocity_x), read(side, bodies.velocity_y)
            turning = read(side, bodies.angular_velocity) * lever_n
            speeds.append(over_ends(sign * (vx * nx + vy * ny) + turning))
            masses.append(over_ends(jnp.abs(sign) * read(side, split)))
            levers_n.append(lever_n)
            levers_t.append(lever_t)
        push = jnp.where(on, correction, 0) - restitution * total(speeds)
        inverse_mass = jnp.broadcast_to(nonzero(total(masses)), nx.shape)
        return ContactBlock(nx, ny, tuple(levers_n), tuple(levers_t), push, inverse_mass, friction)

    return jax.vmap(one_point)(geometry.point_x, geometry.point_y, solved, shares)


def _split_impulses(state: SimState, spec: SimSpec) -> list[list[Impulses]]:
    """The carried contact impulses by kind and block, `[S, *shape, B]`."""
    batch, start, kinds_ = state.rotation.shape[-1], 0, []
    for kind in kinds(spec):
        blocks = []
        for block in kind.blocks:
            end = start + kind.num_slots * block.size
            part = state.contact_impulse[start:end]
            shape = (kind.num_slots, *block.shape, batch)
            blocks.append(Impulses(part[:, 0].reshape(shape), part[:, 1].reshape(shape)))
            start = end
        kinds_.append(blocks)
    return kinds_


def _join(blocks: list[jax.Array], batch: int) -> jax.Array:
    """Blocks `[S, *shape, B]` in contact slot order: `[K, B]`."""
    flat = [block.reshape(-1, batch) for block in blocks]
    return jnp.concatenate(flat) if flat else jnp.zeros((0, batch))


def _report(found: list[list[Geometry]], active, solved, batch: int) -> Contacts:
    flat = [geometry for blocks in found for geometry in blocks]
    spread = lambda name: _join(
        [jnp.broadcast_to(getattr(g, name), g.active.shape) for g in flat], batch
    )
    return Contacts(
        active=_join(active, batch).astype(bool),
        solved=_join(solved, batch).astype(bool),
        normal=jnp.stack([spread("normal_x"), spread("normal_y")], axis=1),
        point=jnp.stack([spread("point_x"), spread("point_y")], axis=1),
        penetration=spread("penetration"),
    )


def step_batch_last(
    state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec
) -> tuple[SimState, Contacts]:
    """One step of a batch of scenes whose arrays have the batch as their last axis."""
    state = _apply_gravity(state, params)
    cos, sin = jnp.cos(state.rotation), jnp.sin(state.rotation)
    found = find_contacts(state, cos, sin, spec)
    labels = components(state.joints, spec.num_bodies)
    start, contacts, active, solved = _split_impulses(state, spec), [], [], []
    for kind, geometries, impulses in zip(kinds(spec), found, start, strict=True):
        touching, pushing = [], []
        for i, (block, geometry) in enumerate(zip(kind.blocks, geometries, strict=True)):
            touch, push = _pair_masks(state, block, labels)
            touching.append(touch & geometry.active)
            pushing.append(push & geometry.active)
            impulses[i] = jax.tree.map(lambda v, on=pushing[i]: jnp.where(on, v, 0), impulses[i])
        shares = _shares(kind, pushing, _free_bodies(state, spec), spec)
        points = [
            _contact_block(state, block, geometry, on, shares, params, spec)
            for block, geometry, on in zip(kind.blocks, geometries, pushing, strict=True)
        ]
        inertia = tuple(
            table * share
            for table, share in zip(_free_bodies(state, spec).inverse_inertia, shares, strict=True)
        )
        groups = None
        if spec.contact_order == "kinetix" and num_groups(kind) > 1:
            groups = group_of_pairs(kind, [flags[0] for flags in touching])
        contacts.append(SolverContacts(kind, points, inertia, groups))
        active += touching
        solved += pushing
    report = _report(found, active, solved, state.rotation.shape[-1])
    state = apply_motors(state, actions[: spec.num_joints], params, spec)
    state = apply_thrusters(state, actions[spec.num_joints :], cos, sin, params, spec)
    rows = joint_rows(state, cos, sin, params, spec)
    linked = state.joints.active
    joint_start = JointImpulses(
        *(jnp.where(linked, state.joint_impulse[:, i], 0) for i in range(3))
    )
    if not spec.warm_start:
        start, joint_start = jax.tree.map(jnp.zeros_like, (start, joint_start))
    bodies = _free_bodies(state, spec)
    solution = solve(contacts, rows, start, joint_start, bodies, params, spec)
    return _move(state, *solution, params, spec), report


def _move(state, impulses, joint_impulses, bodies: Bodies, params, spec: SimSpec) -> SimState:
    """Integrates positions, clips, and stores what the next step starts from."""
    bound = lambda value, limit: jnp.clip(value, -limit, limit)
    walls = spec.walls
    batch = state.rotation.shape[-1]
    flat = [block for blocks in impulses for block in blocks]
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
        angular_velocity=whole(state.angular_velocity, bound(turning, params.max_angular_velocity)),
        contact_impulse=jnp.stack(
            [_join([b.normal for b in flat], batch), _join([b.tangent for b in flat], batch)],
            axis=1,
        ),
        joint_impulse=jnp.stack(joint_impulses, axis=1),
    )
