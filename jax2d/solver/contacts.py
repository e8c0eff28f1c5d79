"""Sequential impulses with accumulated clamping for contacts (docs/physics.md, sweeps).

Arrays are batch-last. A contact's moment arm about a body is signed: minus for body a, plus for body b, so
that relative velocity, effective mass and torque are plain sums over ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.pairs import PairBlock
from jax2d.solver.blocks import (
    FreeBodyArrays,
    gather_ends,
    scatter_to_bodies,
    signs,
    sum_ends,
    unrolled_sum,
)


class MomentArms(NamedTuple):
    """Moment arms of contact points, signed by the end; one array for each side of a block."""

    normal: tuple[jax.Array, ...]  # [E, *shape, B] m, sign * cross(point - body, normal)
    tangent: tuple[jax.Array, ...]  # likewise, about the tangent (normal_y, -normal_x)


class EffectiveMasses(NamedTuple):
    """Velocities at contact points per unit of impulse there."""

    normal: jax.Array  # [*shape, B] 1/kg, normal velocity per normal impulse
    tangent: jax.Array  # [*shape, B] 1/kg, tangential velocity per tangential impulse
    coupling: jax.Array  # [*shape, B] 1/kg, tangential velocity per normal impulse


class ContactBlock(NamedTuple):
    """One contact point for each pair of a block; a pair that does not push has a zero normal."""

    normal_x: jax.Array  # [*shape, B] 1, from a to b
    normal_y: jax.Array
    arms: MomentArms  # as the step begins
    masses: EffectiveMasses | None  # None: joints move the bodies, computed anew in every sweep
    target_velocity: jax.Array  # [*shape, B] m/s, separating velocity along the normal
    inverse_mass: jax.Array  # [*shape, B] 1/kg, of both bodies' shares; 1 where it would be 0
    friction: jax.Array  # [*shape, B] 1


class Impulses(NamedTuple):
    """Impulses of one contact point for each pair of a block."""

    normal: jax.Array  # [*shape, B] N s
    tangent: jax.Array  # [*shape, B] N s


class Bodies(NamedTuple):
    """The free bodies while constraints are solved."""

    velocity_x: FreeBodyArrays  # m/s
    velocity_y: FreeBodyArrays
    angular_velocity: FreeBodyArrays  # rad/s
    displacement: jax.Array  # [2, bodies, B] m, along x and y, by joints since the step began
    inverse_mass: FreeBodyArrays  # 1/kg
    inverse_inertia: FreeBodyArrays  # 1/(kg m^2)

    def displacements(self) -> tuple[FreeBodyArrays, FreeBodyArrays]:
        """Displacements along x and y [m], each as arrays `[polygons, B]` and `[circles, B]`."""
        size = self.angular_velocity[0].shape[0]
        x, y = ((row[:size], row[size:]) for row in self.displacement)
        return x, y


def effective_masses(
    block: PairBlock, arms: MomentArms, inertia: FreeBodyArrays, inverse_mass: jax.Array
) -> EffectiveMasses:
    """Computes effective inverse masses (Catto 2006) of the contact points of a block.

    Args:
      block: pairs.
      arms: moment arms of the points.
      inertia: inverse inertia of each body's share in one contact.
      inverse_mass: `[*shape, B]` 1/kg, of both bodies' shares.
    """
    normal, tangent, coupling = [], [], []
    for side, arm_n, arm_t in zip(block.sides, arms.normal, arms.tangent, strict=True):
        share = gather_ends(side, inertia)
        normal.append(sum_ends(share * arm_n**2))
        tangent.append(sum_ends(share * arm_t**2))
        coupling.append(sum_ends(share * arm_n * arm_t))
    return EffectiveMasses(
        normal=inverse_mass + unrolled_sum(normal),
        tangent=inverse_mass + unrolled_sum(tangent),
        coupling=unrolled_sum(coupling),
    )


def _shifted_arms(block: PairBlock, contact: ContactBlock, bodies: Bodies) -> MomentArms:
    """Computes the arms about the places to which joints have moved the bodies meanwhile."""
    normal, tangent = [], []
    nx, ny = contact.normal_x[None], contact.normal_y[None]
    displacements = bodies.displacements()
    for side, arm_n, arm_t in zip(block.sides, contact.arms.normal, contact.arms.tangent, strict=True):
        sign = signs(block, side)
        dx, dy = (gather_ends(side, along) for along in displacements)
        normal.append(arm_n - sign * (dx * ny - dy * nx))
        tangent.append(arm_t + sign * (dx * nx + dy * ny))
    return MomentArms(tuple(normal), tuple(tangent))


def _relative_velocities(
    block: PairBlock, contact: ContactBlock, arms: MomentArms, bodies: Bodies
) -> tuple[jax.Array, jax.Array]:
    """Computes the velocity of b relative to a along normal and tangent: `[*shape, B]` m/s each."""
    normal, tangent = [], []
    nx, ny = contact.normal_x[None], contact.normal_y[None]
    for side, arm_n, arm_t in zip(block.sides, arms.normal, arms.tangent, strict=True):
        sign = signs(block, side)
        vx, vy = gather_ends(side, bodies.velocity_x), gather_ends(side, bodies.velocity_y)
        w = gather_ends(side, bodies.angular_velocity)
        normal.append(sum_ends(w * arm_n + sign * (vx * nx + vy * ny)))
        tangent.append(sum_ends(w * arm_t + sign * (vx * ny - vy * nx)))
    return unrolled_sum(normal), unrolled_sum(tangent)


def solve_block(
    block: PairBlock,
    contact: ContactBlock,
    accumulated: Impulses,
    inertia: FreeBodyArrays,
    bodies: Bodies,
    mask: jax.Array | None,
) -> Impulses:
    """Computes the impulses that one sweep adds at the contacts of a block.

    The accumulated normal impulse stays non-negative and the accumulated tangential one within the friction
    cone (accumulated clamping, Catto 2006).

    Args:
      block: pairs.
      contact: their contact points.
      accumulated: impulses since the step began, the warm start included.
      inertia: inverse inertia of each body's share in one contact.
      bodies: present velocities.
      mask: bool `[*shape, B]`, the contacts to solve now; None for all.
    """
    arms, masses = contact.arms, contact.masses
    if masses is None:
        arms = _shifted_arms(block, contact, bodies)
        masses = effective_masses(block, arms, inertia, contact.inverse_mass)
    speed_normal, speed_tangent = _relative_velocities(block, contact, arms, bodies)
    keep = lambda value: value if mask is None else jnp.where(mask, value, 0)
    # Clamped before the division by the effective mass (README.md, XLA: quotients).
    wanted = contact.target_velocity - speed_normal
    lowest = -accumulated.normal * masses.normal
    normal = keep(jnp.maximum(wanted, lowest)) / masses.normal
    speed = speed_tangent + normal * masses.coupling
    limit = contact.friction * (accumulated.normal + normal)
    low = (-limit - accumulated.tangent) * masses.tangent
    high = (limit - accumulated.tangent) * masses.tangent
    tangent = keep(jnp.clip(-speed, low, high)) / masses.tangent
    return Impulses(normal, tangent)


def add_impulses(accumulated: Impulses, impulses: Impulses) -> Impulses:
    """Adds impulses to the accumulated ones; rounding must not make a normal impulse negative."""
    normal = jnp.maximum(accumulated.normal + impulses.normal, 0)
    return Impulses(normal, accumulated.tangent + impulses.tangent)


def apply_impulses(
    blocks: Sequence[PairBlock],
    contacts: Sequence[ContactBlock],
    impulses: Sequence[Impulses],
    bodies: Bodies,
) -> Bodies:
    """Changes the velocities of all bodies by the summed impulses of some blocks."""
    sums: tuple[tuple[list, list, list], ...] = (([], [], []), ([], [], []))  # by table: x, y, angular
    for block, contact, impulse in zip(blocks, contacts, impulses, strict=True):
        nx, ny, normal, tangent = contact.normal_x, contact.normal_y, impulse.normal, impulse.tangent
        jx, jy = normal * nx + tangent * ny, normal * ny - tangent * nx
        for side, arm_n, arm_t in zip(block.sides, contact.arms.normal, contact.arms.tangent, strict=True):
            sign = jnp.broadcast_to(signs(block, side), (len(side.signs), *nx.shape[:-1], 1))
            terms = ([(jx, sign)], [(jy, sign)], [(normal, arm_n), (tangent, arm_t)])
            for parts, term in zip(sums[side.table], terms, strict=True):
                parts.append(scatter_to_bodies(side, term))
    moved = any(contact.masses is None for contact in contacts)
    changed = [_apply_to_bodies(table, sums[table], bodies, moved) for table in range(2)]
    vx, vy, w = zip(*changed, strict=True)
    return bodies._replace(velocity_x=vx, velocity_y=vy, angular_velocity=w)


def _apply_to_bodies(table: int, sums: tuple[list, list, list], bodies: Bodies, moved: bool):
    """Computes the velocities of one array of bodies after linear and angular impulses.

    Args:
      table: `POLYGON` or `CIRCLE`.
      sums: parts of the impulses along x and y and of the angular one; None for a part without contacts.
      bodies: bodies before.
      moved: turn about the places to which joints have moved the bodies since the step began.
    """
    vx, vy = bodies.velocity_x[table], bodies.velocity_y[table]
    w = bodies.angular_velocity[table]
    parts = [[part for part in kind if part is not None] for kind in sums]
    if not parts[0]:
        return vx, vy, w
    jx, jy, angular = (unrolled_sum(part) for part in parts)
    if moved:  # arms in `sums` are about the places of the bodies when the step began
        dx, dy = (along[table] for along in bodies.displacements())
        angular = angular - (dx * jy - dy * jx)
    mass, inertia = bodies.inverse_mass[table], bodies.inverse_inertia[table]
    return vx + mass * jx, vy + mass * jy, w + inertia * angular
