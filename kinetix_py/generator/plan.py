"""The random numbers of a level, and what they decide before any shape has a place.

One table of uniforms holds all that a level needs. Everything is batch-last: `[rows, B]`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator.arrays import random_order
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.table import MAX_PROPOSALS, Counts
from kinetix_py.roles import BLUE, GREEN, NONE, RED
from kinetix_py.sizes import LevelSize

Draws = dict[str, jax.Array]

LEVEL_DRAWS = ("floor", "control", "movable", "swap")
SHAPE_DRAWS = ("kind", "role", "num_vertices", "width", "height", "elongation", "rotation", "x", "y")
FREE_DRAWS = ("static", "low", "side")
JOINED_DRAWS = ("target_kind", "target", "anchor_x", "anchor_y")
PROPOSAL_DRAWS = SHAPE_DRAWS + FREE_DRAWS + JOINED_DRAWS
JOINT_DRAWS = ("order", "revolute", "motor", "auto", "speed", "power", "limits", "low", "high", "binding")
THRUSTER_DRAWS = ("order", "exists", "body", "x", "y", "radial", "direction", "factor", "binding")

# What a step of the generator adds.
NOTHING, FREE, JOINED = range(3)


class Plan(NamedTuple):
    """What each of S steps adds: `[S, B]`."""

    mode: jax.Array  # int, NOTHING, FREE or JOINED
    role: jax.Array  # int, GREEN or BLUE, else NONE
    may_be_red: jax.Array  # bool, as far as the floor and the planned role allow
    must_move: jax.Array  # bool
    tries: jax.Array  # float, proposals that are compared by their contacts


class Orders(NamedTuple):
    """For every slot, which shape of its kind (joint, thruster) comes there: int `[slots, B]`."""

    polygons: jax.Array
    circles: jax.Array
    joints: jax.Array
    thrusters: jax.Array


def num_uniforms(counts: Counts) -> int:
    """Random numbers of a level."""
    per_shape = 2 + MAX_PROPOSALS * len(PROPOSAL_DRAWS)  # a place in the slots' order and a mode, once each
    rows = len(LEVEL_DRAWS) + counts.bodies * per_shape
    return rows + counts.joints * len(JOINT_DRAWS) + counts.thrusters * len(THRUSTER_DRAWS)


def cut_uniforms(table: jax.Array, counts: Counts) -> tuple[Draws, Draws, Draws, Draws]:
    """Names the rows of a table of uniforms `[num_uniforms(counts), B]`.

    Returns:
      of the level `[B]` (and `order` `[N, B]`), of the shapes `[N, K, B]` (`mode` `[N, B]`), of the joints
      `[J, B]` and of the thrusters `[T, B]`.
    """
    batch = table.shape[-1]
    start = 0

    def take(*shape: int) -> jax.Array:
        nonlocal start
        size = 1
        for count in shape:
            size *= count
        rows = table[start : start + size].reshape(*shape, batch)
        start += size
        return rows

    level = {name: take() for name in LEVEL_DRAWS}
    level["order"] = take(counts.bodies)
    shapes = {"mode": take(counts.bodies)}
    shapes |= {name: take(counts.bodies, MAX_PROPOSALS) for name in PROPOSAL_DRAWS}
    joints = {name: take(counts.joints) for name in JOINT_DRAWS}
    thrusters = {name: take(counts.thrusters) for name in THRUSTER_DRAWS}
    return level, shapes, joints, thrusters


def slot_orders(level: Draws, joints: Draws, thrusters: Draws, counts: Counts) -> Orders:
    """Random slots, so that nothing can be told from a slot's number."""
    return Orders(
        random_order(level["order"][: counts.polygons]),
        random_order(level["order"][counts.polygons :]),
        random_order(joints["order"]),
        random_order(thrusters["order"]),
    )


def floor_role(level: Draws, params: GeneratorParams, size: LevelSize) -> jax.Array:
    """Role of the floor: int `[B]`."""
    draw = level["floor"]
    red = draw < params.red_floor_chance
    blue = draw < params.red_floor_chance + params.blue_floor_chance
    role = jnp.where(red, RED, jnp.where(blue, BLUE, NONE))
    return role if size.num_walls else jnp.zeros_like(role)


def control(level: Draws, params: GeneratorParams, counts: Counts) -> tuple[jax.Array, jax.Array]:
    """Whether a level is forced to have a joint, and a thruster: bool `[B]` each."""
    possible = counts.joints > 0 and counts.bodies > 2
    everywhere = jnp.ones(level["control"].shape, bool)
    if not possible or not counts.thrusters:
        return everywhere & possible, everywhere & bool(counts.thrusters)
    motor, both = params.motor_only_weight, params.motor_and_thruster_weight
    threshold = level["control"] * (motor + both + params.thruster_only_weight)
    return threshold < motor + both, threshold >= motor


def plan_shapes(
    level: Draws,
    shapes: Draws,
    floor: jax.Array,
    motor: jax.Array,
    small: jax.Array,
    params: GeneratorParams,
) -> Plan:
    """What every step adds: green, blue, the control's shape, and then by chance.

    Args:
      floor: role of the floor, int `[B]`.
      motor: a joint is forced, bool `[B]`.
      small: bool scalar, whether the rules for small scenes hold.
    """
    steps = shapes["mode"].shape[0]
    blue_floor = floor == BLUE
    free = jnp.full(floor.shape, FREE)
    joined, either = params.joined_shape_weight, params.joined_shape_weight + params.free_shape_weight
    threshold = shapes["mode"] * (either + params.no_shape_weight)
    rest = jnp.where(threshold < joined, JOINED, jnp.where(threshold < either, FREE, NOTHING))
    mode = jnp.concatenate([jnp.stack([free, free, jnp.where(motor, JOINED, FREE)])[:steps], rest[3:]])
    first_moves = blue_floor | (level["movable"] < 0.5)
    pad = lambda first, second: jnp.concatenate(
        [jnp.stack([first, second]), jnp.zeros((steps - 2, *first.shape), first.dtype)]
    )
    role = pad(jnp.full(floor.shape, GREEN), jnp.where(blue_floor, NONE, BLUE))
    return Plan(
        mode=mode,
        role=role,
        may_be_red=(role == NONE) & (floor != RED)[None],
        must_move=pad(first_moves, ~first_moves) | small,
        tries=jnp.full(mode.shape, 1.0) * jnp.where(small, 1.0, params.num_proposals),
    )
