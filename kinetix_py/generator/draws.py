"""The random numbers of a level: one row of uniforms, every one with a name.

Batch-last: `[rows, B]`. `N` free body slots with `K` candidates each, `J` joints, `T` thrusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator.scene import FreeSlots

MAX_CANDIDATES = 8


class LevelDraws(NamedTuple):
    """Draws that a level has once."""

    floor: jax.Array  # [B], the floor's role
    control: jax.Array  # [B], a motor, a thruster, or both
    first_movable: jax.Array  # [B], of green and blue, the one that must be movable
    swap: jax.Array  # [B], green and blue change places
    slot: jax.Array  # [N, B], order of the body slots
    placement: jax.Array  # [N, B], a shape is joined or free, or there is none


class CandidateDraws(NamedTuple):
    """Draws of every candidate: `[N, K, B]`."""

    circle: jax.Array  # a circle or a polygon
    red: jax.Array  # red or no role
    num_vertices: jax.Array
    width: jax.Array  # radius of a circle, half width of a polygon
    height: jax.Array  # half height of a polygon
    elongation: jax.Array  # the half side that is lengthened, if any
    rotation: jax.Array
    u: jax.Array  # place along x: in the room if free, on its target if joined
    v: jax.Array  # place along y, likewise
    static: jax.Array
    lower_half: jax.Array  # a static shape with a role is moved there
    own_half: jax.Array  # green is kept to the left, blue to the right
    target_circle: jax.Array  # joined to a circle or a polygon
    target: jax.Array  # the body of that kind that it is joined to
    anchor_x: jax.Array  # of the joint, on the candidate itself
    anchor_y: jax.Array


class JointDraws(NamedTuple):
    """Draws of every joint: `[J, B]`."""

    slot: jax.Array  # order of the joint slots
    revolute: jax.Array
    motor: jax.Array
    auto: jax.Array
    speed: jax.Array
    power: jax.Array
    limits: jax.Array
    min_rotation: jax.Array
    max_rotation: jax.Array
    binding: jax.Array


class ThrusterDraws(NamedTuple):
    """Draws of every thruster: `[T, B]`."""

    slot: jax.Array  # order of the thruster slots
    exists: jax.Array
    body: jax.Array
    u: jax.Array  # place on the body: along a polygon's x, along a circle's radius
    v: jax.Array  # along a polygon's y, around a circle
    radial: jax.Array  # to or from the center of mass, or anywhere
    direction: jax.Array
    factor: jax.Array  # of its power
    binding: jax.Array


class Draws(NamedTuple):
    """All draws of a batch of levels: uniforms in 0 .. 1."""

    level: LevelDraws
    candidates: CandidateDraws
    joints: JointDraws
    thrusters: ThrusterDraws


def _name(slots: FreeSlots, take: Callable[..., jax.Array]) -> Draws:
    """Takes the rows of every draw, of the leading axes that it has, in their order."""
    repeat = lambda kind, *shape: kind(*(take(*shape) for _ in kind._fields))
    return Draws(
        LevelDraws(take(), take(), take(), take(), take(slots.bodies), take(slots.bodies)),
        repeat(CandidateDraws, slots.bodies, MAX_CANDIDATES),
        repeat(JointDraws, slots.joints),
        repeat(ThrusterDraws, slots.thrusters),
    )


def num_uniforms(slots: FreeSlots) -> int:
    """Random numbers of a level."""
    draws = jax.eval_shape(lambda: _name(slots, lambda *shape: jnp.zeros(shape)))
    return sum(part.size for part in jax.tree.leaves(draws))


def name_uniforms(uniforms: jax.Array, slots: FreeSlots) -> Draws:
    """Names the rows of a table of uniforms `[num_uniforms(slots), B]`."""
    end = 0

    def take(*shape: int) -> jax.Array:
        nonlocal end
        start, end = end, end + math.prod(shape)
        return uniforms[start:end].reshape(*shape, uniforms.shape[-1])

    return _name(slots, take)
