"""Conversion between a state and the solver's records: free bodies, contact points, carried impulses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.manifold import Manifold
from jax2d.pairs import PairBlock, PairKind, contact_layout
from jax2d.params import SimParams, SimSpec
from jax2d.solver.blocks import (
    FreeBodyArrays,
    gather_ends,
    scatter_to_bodies,
    signs,
    sum_ends,
    unrolled_sum,
)
from jax2d.solver.contacts import Bodies, ContactBlock, Impulses, MomentArms, effective_masses
from jax2d.solver.joints import nonzero
from jax2d.types import SimState


def split_free_bodies(values: jax.Array, spec: SimSpec) -> FreeBodyArrays:
    """Splits rows `[N, B]` into those of free polygons and of circles; walls are left out."""
    return values[spec.num_walls : spec.num_polygons], values[spec.num_polygons :]


def free_bodies(state: SimState, spec: SimSpec) -> Bodies:
    """Collects the bodies that are no walls, before the first sweep."""
    return Bodies(
        velocity_x=split_free_bodies(state.velocity[:, 0], spec),
        velocity_y=split_free_bodies(state.velocity[:, 1], spec),
        angular_velocity=split_free_bodies(state.angular_velocity, spec),
        displacement=jnp.zeros_like(state.position[spec.num_walls :].swapaxes(0, 1)),
        inverse_mass=split_free_bodies(state.inverse_mass, spec),
        inverse_inertia=split_free_bodies(state.inverse_inertia, spec),
    )


def split_mass(
    kind: PairKind, pushing: list[jax.Array], bodies: Bodies, spec: SimSpec
) -> tuple[FreeBodyArrays, FreeBodyArrays]:
    """Computes each body's inverse mass and inertia as one of its contacts of a kind sees them.

    Contacts that are solved from the same velocities, each as if it were alone, overshoot together: three
    supports of one box push three times too much, and the sweeps diverge. Splitting a body's mass among
    its contacts makes them converge (Tonge, Benevolenski and Voroshilov, "Mass splitting for jitter-free
    parallel rigid body simulation", 2012). Splitting it among half as many does too, is less stiff, and
    leaves a body with one or two contacts alone.

    Args:
      kind: pairs.
      pushing: by block, bool `[S, *shape, B]`, whether the contact is solved.
      bodies: free bodies.
      spec: sizes and order of contacts.

    Returns:
      Arrays `[S, bodies, B]`: 1/kg and 1/(kg m^2).
    """

    def one_point(flags: list[jax.Array]) -> tuple[FreeBodyArrays, FreeBodyArrays]:
        counts: tuple[list[jax.Array], list[jax.Array]] = ([], [])
        for block, on in zip(kind.blocks, flags, strict=True):
            for side in block.sides:
                one = jnp.ones((len(side.signs), *on.shape[:-1], 1))
                count = scatter_to_bodies(side, [(on.astype(jnp.float32), one)])
                if count is not None:
                    counts[side.table].append(count)
        split: tuple[list[jax.Array], list[jax.Array]] = ([], [])
        for table, parts in enumerate(counts):
            mass, inertia = bodies.inverse_mass[table], bodies.inverse_inertia[table]
            share = jnp.ones_like(mass)
            if parts and spec.contact_order == "parallel":
                # A quotient of arrays (README.md, XLA: quotients).
                share = jnp.maximum(unrolled_sum(parts), 2) / jnp.where((mass > 0) | (inertia > 0), 2, 1)
            split[0].append(mass * share)
            split[1].append(inertia * share)
        return (split[0][0], split[0][1]), (split[1][0], split[1][1])

    return jax.vmap(one_point)(pushing)


def prepare_contacts(
    state: SimState,
    block: PairBlock,
    manifold: Manifold,
    pushing: jax.Array,
    mass: FreeBodyArrays,
    inertia: FreeBodyArrays,
    params: SimParams,
    spec: SimSpec,
) -> ContactBlock:
    """Prepares the contact points of a block for the solver.

    Args:
      state: bodies after gravity.
      block: pairs.
      manifold: their contacts.
      pushing: bool `[S, *shape, B]`, whether the contact is solved.
      mass, inertia: inverses of each body's share in one contact, `[S, bodies, B]`.
      params: numbers of the physics.
      spec: sizes and order of contacts.
    """
    params = params.broadcast_to_rank(len(block.shape) + 1)
    bodies = free_bodies(state, spec)
    x, y = (split_free_bodies(state.position[:, i], spec) for i in range(2))
    a, b = np.moveaxis(block.bodies, -1, 0)
    restitution = jnp.minimum(state.restitution[a], state.restitution[b])
    overlap = jnp.maximum(manifold.penetration - params.slop, 0)
    correction = params.contact_bias / params.dt * overlap
    friction = params.base_friction * jnp.sqrt(state.friction[a] ** 2 + state.friction[b] ** 2)

    def one_point(point_x, point_y, on, mass, inertia):
        nx, ny = jnp.where(on, manifold.normal_x, 0), jnp.where(on, manifold.normal_y, 0)
        arms_n, arms_t, speeds, masses = [], [], [], []
        for side in block.sides:
            sign = signs(block, side)
            arm_x, arm_y = point_x[None] - gather_ends(side, x), point_y[None] - gather_ends(side, y)
            arm_n = sign * (arm_x * ny[None] - arm_y * nx[None])
            arm_t = -sign * (arm_x * nx[None] + arm_y * ny[None])
            vx, vy = gather_ends(side, bodies.velocity_x), gather_ends(side, bodies.velocity_y)
            spin = gather_ends(side, bodies.angular_velocity) * arm_n
            speeds.append(sum_ends(spin + sign * (vx * nx[None] + vy * ny[None])))
            masses.append(sum_ends(jnp.abs(sign) * gather_ends(side, mass)))
            arms_n.append(arm_n)
            arms_t.append(arm_t)
        target = jnp.where(on, correction, 0) - restitution * unrolled_sum(speeds)
        inverse_mass = jnp.broadcast_to(nonzero(unrolled_sum(masses)), nx.shape)
        arms, effective = MomentArms(tuple(arms_n), tuple(arms_t)), None
        if spec.contact_order == "parallel":
            effective = effective_masses(block, arms, inertia, inverse_mass)
        return ContactBlock(nx, ny, arms, effective, target, inverse_mass, friction)

    return jax.vmap(one_point)(manifold.point_x, manifold.point_y, pushing, mass, inertia)


def impulses_by_block(state: SimState, spec: SimSpec) -> list[list[Impulses]]:
    """Splits the carried contact impulses by kind and block, `[S, *shape, B]`."""
    batch, start, by_kind = state.rotation.shape[-1], 0, []
    for kind in contact_layout(spec):
        blocks = []
        for block in kind.blocks:
            end = start + kind.points_per_pair * block.size
            part = state.contact_impulse[start:end]
            shape = (kind.points_per_pair, *block.shape, batch)
            blocks.append(Impulses(part[:, 0].reshape(shape), part[:, 1].reshape(shape)))
            start = end
        by_kind.append(blocks)
    return by_kind


def to_slots(blocks: list[jax.Array], batch: int) -> jax.Array:
    """Joins blocks `[S, *shape, B]` in contact slot order: `[K, B]`."""
    flat = [block.reshape(-1, batch) for block in blocks]
    return jnp.concatenate(flat) if flat else jnp.zeros((0, batch))
