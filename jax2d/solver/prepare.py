"""From a state to the solver's terms and back: tables of bodies, contact points, carried impulses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.detect import Geometry
from jax2d.pairs import Block, Kind, kinds
from jax2d.params import SimSpec
from jax2d.solver.blocks import Tables, onto_bodies, over_ends, read, signs, total
from jax2d.solver.contacts import Bodies, ContactBlock, Impulses, Levers, effective_masses
from jax2d.solver.joints import nonzero
from jax2d.types import SimState


def tables(values: jax.Array, spec: SimSpec) -> Tables:
    """The rows `[N, B]` of free polygons and of circles."""
    return values[spec.num_walls : spec.num_polygons], values[spec.num_polygons :]


def free_bodies(state: SimState, spec: SimSpec) -> Bodies:
    """The bodies that are no walls, as the solver sees them before it begins."""
    shift = jax.tree.map(jnp.zeros_like, tables(state.rotation, spec))
    fields = (state.velocity[:, 0], state.velocity[:, 1], state.angular_velocity)
    vx, vy, w = (tables(field, spec) for field in fields)
    masses = (tables(field, spec) for field in (state.inverse_mass, state.inverse_inertia))
    return Bodies(vx, vy, w, shift, shift, *masses)


def split_mass(kind: Kind, solved: list[jax.Array], bodies: Bodies, spec: SimSpec) -> tuple[Tables, Tables]:
    """Each body's inverse mass and inertia as one of its contacts of a kind sees them.

    Contacts that are solved from the same velocities, each as if it were alone, overshoot together: three
    supports of one box push three times too much, and the sweeps diverge. Splitting a body's mass among
    its contacts makes them converge (Tonge, Benevolenski and Voroshilov, "Mass splitting for jitter-free
    parallel rigid body simulation", 2012). Splitting it among half as many does too, is less stiff, and
    leaves a body with one or two contacts alone.

    Args:
      solved: by block, bool `[S, *shape, B]`.

    Returns:
      Tables of `[S, bodies, B]`: 1/kg and 1/(kg m^2).
    """

    def one_slot(flags: list[jax.Array]) -> tuple[Tables, Tables]:
        counts: tuple[list[jax.Array], list[jax.Array]] = ([], [])
        for block, on in zip(kind.blocks, flags, strict=True):
            for side in block.sides:
                one = jnp.ones((len(side.signs), *on.shape[:-1], 1))
                count = onto_bodies(side, [(on.astype(jnp.float32), one)])
                if count is not None:
                    counts[side.table].append(count)
        split: tuple[list[jax.Array], list[jax.Array]] = ([], [])
        for table, parts in enumerate(counts):
            mass, inertia = bodies.inverse_mass[table], bodies.inverse_inertia[table]
            share = jnp.ones_like(mass)
            if parts and spec.contact_order == "parallel":
                # A quotient of arrays, which XLA computes once and not in each of its consumers.
                share = jnp.maximum(total(parts), 2) / jnp.where(mass > 0, 2, 1)
            split[0].append(mass * share)
            split[1].append(inertia * share)
        return (split[0][0], split[0][1]), (split[1][0], split[1][1])

    return jax.vmap(one_slot)(solved)


def contact_block(
    state, block: Block, geometry: Geometry, solved, mass: Tables, inertia: Tables, params, spec
) -> ContactBlock:
    """Prepares the contact points of a block for the solver; `solved [S, *shape, B]`."""
    params = params.at_rank(len(block.shape) + 1)
    bodies = free_bodies(state, spec)
    x, y = (tables(state.position[:, i], spec) for i in range(2))
    a, b = np.moveaxis(block.bodies, -1, 0)
    restitution = jnp.minimum(state.restitution[a], state.restitution[b])
    overlap = jnp.maximum(geometry.penetration - params.slop, 0)
    correction = params.contact_bias / params.dt * overlap
    friction = params.base_friction * jnp.sqrt(state.friction[a] ** 2 + state.friction[b] ** 2)

    def one_point(point_x, point_y, on, mass, inertia):
        nx, ny = jnp.where(on, geometry.normal_x, 0), jnp.where(on, geometry.normal_y, 0)
        levers_n, levers_t, speeds, masses = [], [], [], []
        for side in block.sides:
            sign = signs(block, side)
            arm_x, arm_y = point_x[None] - read(side, x), point_y[None] - read(side, y)
            lever_n = sign * (arm_x * ny[None] - arm_y * nx[None])
            lever_t = -sign * (arm_x * nx[None] + arm_y * ny[None])
            vx, vy = read(side, bodies.velocity_x), read(side, bodies.velocity_y)
            turning = read(side, bodies.angular_velocity) * lever_n
            speeds.append(over_ends(turning + sign * (vx * nx[None] + vy * ny[None])))
            masses.append(over_ends(jnp.abs(sign) * read(side, mass)))
            levers_n.append(lever_n)
            levers_t.append(lever_t)
        push = jnp.where(on, correction, 0) - restitution * total(speeds)
        inverse_mass = jnp.broadcast_to(nonzero(total(masses)), nx.shape)
        levers, effective = Levers(tuple(levers_n), tuple(levers_t)), None
        if spec.contact_order == "parallel":
            effective = effective_masses(block, levers, inertia, inverse_mass)
        return ContactBlock(nx, ny, levers, effective, push, inverse_mass, friction)

    return jax.vmap(one_point)(geometry.point_x, geometry.point_y, solved, mass, inertia)


def split_impulses(state: SimState, spec: SimSpec) -> list[list[Impulses]]:
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


def join(blocks: list[jax.Array], batch: int) -> jax.Array:
    """Blocks `[S, *shape, B]` in contact slot order: `[K, B]`."""
    flat = [block.reshape(-1, batch) for block in blocks]
    return jnp.concatenate(flat) if flat else jnp.zeros((0, batch))
