"""Sequential impulses with accumulated clamping for contacts (PHYSICS: step 6, contact).

Velocities are tables of free bodies, batch-last. A contact's lever about a body is signed: minus for body
a, plus for body b, so that relative velocity, effective mass and torque are plain sums over ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d.pairs import Block
from jax2d.solver.blocks import Tables, onto_bodies, over_ends, read, signs, total


class Levers(NamedTuple):
    """Arms of contact points, signed by the end; for each side of a block."""

    normal: tuple[jax.Array, ...]  # [E, *shape, B] m, sign * cross(point - body, normal)
    tangent: tuple[jax.Array, ...]  # likewise, about the tangent (normal_y, -normal_x)


class EffectiveMasses(NamedTuple):
    """How the velocities at contact points answer impulses there."""

    normal: jax.Array  # [*shape, B] 1/kg, normal velocity per normal impulse
    tangent: jax.Array  # [*shape, B] 1/kg, tangential velocity per tangential impulse
    coupling: jax.Array  # [*shape, B] 1/kg, tangential velocity per normal impulse


class ContactBlock(NamedTuple):
    """One contact point for each pair of a block; a pair that is not solved has a zero normal."""

    normal_x: jax.Array  # [*shape, B] 1, from a to b
    normal_y: jax.Array
    levers: Levers  # as the step begins
    masses: EffectiveMasses | None  # None: joints move the bodies, found anew in every sweep
    push: jax.Array  # [*shape, B] m/s, separating velocity asked for
    inverse_mass: jax.Array  # [*shape, B] 1/kg, of both bodies' shares; 1 where it would be 0
    friction: jax.Array  # [*shape, B] 1


class Impulses(NamedTuple):
    """Impulses of one contact point for each pair of a block."""

    normal: jax.Array  # [*shape, B] N s
    tangent: jax.Array  # [*shape, B] N s


class Bodies(NamedTuple):
    """The free bodies while constraints are solved."""

    velocity_x: Tables  # m/s
    velocity_y: Tables
    angular_velocity: Tables  # rad/s
    shift_x: Tables  # m, moved by joints since the step began
    shift_y: Tables
    inverse_mass: Tables  # 1/kg
    inverse_inertia: Tables  # 1/(kg m^2)


def effective_masses(block: Block, levers: Levers, inertia: Tables, inverse_mass) -> EffectiveMasses:
    """Effective inverse masses from the levers, the bodies' inverse inertia and both inverse masses."""
    normal, tangent, coupling = [], [], []
    for side, lever_n, lever_t in zip(block.sides, *levers, strict=True):
        share = read(side, inertia)
        normal.append(over_ends(share * lever_n**2))
        tangent.append(over_ends(share * lever_t**2))
        coupling.append(over_ends(share * lever_n * lever_t))
    return EffectiveMasses(inverse_mass + total(normal), inverse_mass + total(tangent), total(coupling))


def _moved_levers(block: Block, contact: ContactBlock, bodies: Bodies) -> Levers:
    """The levers about where joints have moved the bodies meanwhile."""
    normal, tangent = [], []
    nx, ny = contact.normal_x[None], contact.normal_y[None]
    for side, lever_n, lever_t in zip(block.sides, *contact.levers, strict=True):
        sign = signs(block, side)
        shift_x, shift_y = read(side, bodies.shift_x), read(side, bodies.shift_y)
        normal.append(lever_n - sign * (shift_x * ny - shift_y * nx))
        tangent.append(lever_t + sign * (shift_x * nx + shift_y * ny))
    return Levers(tuple(normal), tuple(tangent))


def _speeds(block: Block, contact: ContactBlock, levers: Levers, bodies: Bodies):
    """Velocity of b relative to a along normal and tangent: `[*shape, B]` m/s each."""
    normal, tangent = [], []
    nx, ny = contact.normal_x[None], contact.normal_y[None]
    for side, lever_n, lever_t in zip(block.sides, *levers, strict=True):
        sign = signs(block, side)
        vx, vy = read(side, bodies.velocity_x), read(side, bodies.velocity_y)
        w = read(side, bodies.angular_velocity)
        normal.append(over_ends(w * lever_n + sign * (vx * nx + vy * ny)))
        tangent.append(over_ends(w * lever_t + sign * (vx * ny - vy * nx)))
    return total(normal), total(tangent)


def solve_block(
    block: Block,
    contact: ContactBlock,
    sum_so_far: Impulses,
    inertia: Tables,
    bodies: Bodies,
    mask: jax.Array | None,
) -> Impulses:
    """Impulses that one sweep adds at the contacts of a block.

    Args:
      inertia: inverse inertia of each body's share in one contact.
      mask: bool `[*shape, B]`, the contacts to solve now; None for all.
    """
    levers, masses = contact.levers, contact.masses
    if masses is None:
        levers = _moved_levers(block, contact, bodies)
        masses = effective_masses(block, levers, inertia, contact.inverse_mass)
    speed_normal, speed_tangent = _speeds(block, contact, levers, bodies)
    keep = lambda value: value if mask is None else jnp.where(mask, value, 0)
    # Each impulse is a quotient by the effective mass of its last step: one division materializes it.
    wanted = contact.push - speed_normal
    lowest = -sum_so_far.normal * masses.normal
    normal = keep(jnp.maximum(wanted, lowest)) / masses.normal
    speed = speed_tangent + normal * masses.coupling
    limit = contact.friction * (sum_so_far.normal + normal)
    low = (-limit - sum_so_far.tangent) * masses.tangent
    high = (limit - sum_so_far.tangent) * masses.tangent
    tangent = keep(jnp.clip(-speed, low, high)) / masses.tangent
    return Impulses(normal, tangent)


def add_impulses(sum_so_far: Impulses, impulses: Impulses) -> Impulses:
    """The accumulated impulses; rounding must not make a normal impulse negative."""
    normal = jnp.maximum(sum_so_far.normal + impulses.normal, 0)
    return Impulses(normal, sum_so_far.tangent + impulses.tangent)


def apply_impulses(
    blocks: Sequence[Block],
    contacts: Sequence[ContactBlock],
    impulses: Sequence[Impulses],
    bodies: Bodies,
) -> Bodies:
    """Changes the velocities of all bodies by the impulses of some blocks, summed."""
    sums: tuple[tuple[list, list, list], ...] = (([], [], []), ([], [], []))  # by table: x, y, turn
    for block, contact, (normal, tangent) in zip(blocks, contacts, impulses, strict=True):
        nx, ny = contact.normal_x, contact.normal_y
        jx, jy = normal * nx + tangent * ny, normal * ny - tangent * nx
        for side, lever_n, lever_t in zip(block.sides, *contact.levers, strict=True):
            sign = jnp.broadcast_to(signs(block, side), (len(side.signs), *nx.shape[:-1], 1))
            terms = ([(jx, sign)], [(jy, sign)], [(normal, lever_n), (tangent, lever_t)])
            for parts, term in zip(sums[side.table], terms, strict=True):
                parts.append(onto_bodies(side, term))
    moved = any(contact.masses is None for contact in contacts)
    changed = [_push_table(table, sums[table], bodies, moved) for table in range(2)]
    vx, vy, w = zip(*changed, strict=True)
    return bodies._replace(velocity_x=vx, velocity_y=vy, angular_velocity=w)


def _push_table(table: int, sums: tuple[list, list, list], bodies: Bodies, moved: bool):
    """Velocities of one table of bodies after impulses and turning impulses; those may be none.

    Args:
      moved: turn about where joints have moved the bodies since the step began.
    """
    vx, vy, w = (field[table] for field in bodies[:3])
    parts = [[part for part in kind if part is not None] for kind in sums]
    if not parts[0]:
        return vx, vy, w
    jx, jy, turn = (total(part) for part in parts)
    if moved:  # levers in `sums` are about where the bodies were
        turn = turn - (bodies.shift_x[table] * jy - bodies.shift_y[table] * jx)
    mass, inertia = bodies.inverse_mass[table], bodies.inverse_inertia[table]
    return vx + mass * jx, vy + mass * jy, w + inertia * turn
