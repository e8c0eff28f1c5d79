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


class ContactBlock(NamedTuple):
    """One contact point for each pair of a block; a pair that is not solved has a zero normal."""

    normal_x: jax.Array  # [*shape, B] 1, from a to b
    normal_y: jax.Array
    lever_normal: tuple[jax.Array, ...]  # a side: [E, *shape, B] m, sign * cross(point - body, normal)
    lever_tangent: tuple[jax.Array, ...]  # likewise, about the tangent (normal_y, -normal_x)
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


class _Arms(NamedTuple):
    """What a block needs of its bodies' present places and velocities."""

    inverse_mass_normal: jax.Array  # [*shape, B] 1/kg, effective
    inverse_mass_tangent: jax.Array
    coupling: jax.Array  # [*shape, B] 1/kg, tangential velocity per normal impulse
    speed_normal: jax.Array  # [*shape, B] m/s, of b relative to a
    speed_tangent: jax.Array


def _arms(block: Block, contact: ContactBlock, inertia: Tables, bodies: Bodies) -> _Arms:
    mass_n, mass_t, coupling, speed_n, speed_t = [], [], [], [], []
    nx, ny = contact.normal_x[None], contact.normal_y[None]
    for side, lever_n, lever_t in zip(block.sides, contact.lever_normal, contact.lever_tangent, strict=True):
        sign = signs(block, side)
        shift_x, shift_y = read(side, bodies.shift_x), read(side, bodies.shift_y)
        lever_n = lever_n - sign * (shift_x * ny - shift_y * nx)
        lever_t = lever_t + sign * (shift_x * nx + shift_y * ny)
        share = read(side, inertia)
        vx, vy = read(side, bodies.velocity_x), read(side, bodies.velocity_y)
        w = read(side, bodies.angular_velocity)
        mass_n.append(over_ends(share * lever_n**2))
        mass_t.append(over_ends(share * lever_t**2))
        coupling.append(over_ends(share * lever_n * lever_t))
        speed_n.append(over_ends(w * lever_n + sign * (vx * nx + vy * ny)))
        speed_t.append(over_ends(w * lever_t + sign * (vx * ny - vy * nx)))
    return _Arms(
        contact.inverse_mass + total(mass_n),
        contact.inverse_mass + total(mass_t),
        total(coupling),
        total(speed_n),
        total(speed_t),
    )


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
    arms = _arms(block, contact, inertia, bodies)
    keep = lambda value: value if mask is None else jnp.where(mask, value, 0)
    # Each impulse is a quotient by the effective mass of its last step: one division materialises it.
    wanted = contact.push - arms.speed_normal
    lowest = -sum_so_far.normal * arms.inverse_mass_normal
    normal = keep(jnp.maximum(wanted, lowest)) / arms.inverse_mass_normal
    speed = arms.speed_tangent + normal * arms.coupling
    limit = contact.friction * (sum_so_far.normal + normal)
    low = (-limit - sum_so_far.tangent) * arms.inverse_mass_tangent
    high = (limit - sum_so_far.tangent) * arms.inverse_mass_tangent
    tangent = keep(jnp.clip(-speed, low, high)) / arms.inverse_mass_tangent
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
        for side, lever_n, lever_t in zip(
            block.sides, contact.lever_normal, contact.lever_tangent, strict=True
        ):
            sign = jnp.broadcast_to(signs(block, side), (len(side.signs), *nx.shape[:-1], 1))
            terms = ([(jx, sign)], [(jy, sign)], [(normal, lever_n), (tangent, lever_t)])
            for parts, term in zip(sums[side.table], terms, strict=True):
                parts.append(onto_bodies(side, term))
    changed = [_push_table(table, sums[table], bodies) for table in range(2)]
    vx, vy, w = zip(*changed, strict=True)
    return bodies._replace(velocity_x=vx, velocity_y=vy, angular_velocity=w)


def _push_table(table: int, sums: tuple[list, list, list], bodies: Bodies):
    """Velocities of one table of bodies after impulses and turning impulses; those may be none."""
    vx, vy, w = (field[table] for field in bodies[:3])
    parts = [[part for part in kind if part is not None] for kind in sums]
    if not parts[0]:
        return vx, vy, w
    jx, jy, turn = (total(part) for part in parts)
    # Levers are about where the bodies were; joints have moved them since.
    turn = turn - (bodies.shift_x[table] * jy - bodies.shift_y[table] * jx)
    mass, inertia = bodies.inverse_mass[table], bodies.inverse_inertia[table]
    return vx + mass * jx, vy + mass * jy, w + inertia * turn
