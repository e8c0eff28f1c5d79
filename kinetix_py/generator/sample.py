"""Random levels: draw the uniforms, plan, grow shape by shape, build."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from kinetix_py.generator.arrays import scan_ahead
from kinetix_py.generator.build import (
    build_joints,
    build_sim,
    build_thrusters,
    masses,
    pad_rows,
    swap_roles,
)
from kinetix_py.generator.grow import add_shape
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.plan import (
    PROPOSAL_DRAWS,
    Orders,
    control,
    cut_uniforms,
    floor_role,
    num_uniforms,
    plan_shapes,
    slot_orders,
)
from kinetix_py.generator.proposals import propose
from kinetix_py.generator.table import Counts, Table, empty_table, free_slots
from kinetix_py.levels.level import Level, LevelLabels
from kinetix_py.roles import NONE
from kinetix_py.sizes import LevelSize, as_size

# Levels that are grown together on a CPU: their table and proposals should fit its cache.
BLOCK = 128


@functools.partial(jax.jit, static_argnames="size")
def sample_level(key: jax.Array, size: str | LevelSize, params: GeneratorParams | None = None) -> Level:
    """Draws a level; pure, so that it runs inside jit, and natively batched under `vmap`.

    Args:
      key: of `jax.random`; the same key gives the same level, alone or in a batch.
      size: `"s"`, `"m"`, `"l"`, or any `LevelSize`; at least 2 body slots that are not walls.
      params: numbers of the distribution; `GeneratorParams()` if None.

    Raises:
      ValueError: the size has no place for a green and a blue shape.
    """
    size = as_size(size)
    counts = free_slots(size)
    uniforms = jax.random.uniform(key, (num_uniforms(counts),))
    levels = _grow(size)(uniforms[None], GeneratorParams() if params is None else params)
    return jax.tree.map(lambda value: value[0], levels)


@functools.partial(jax.jit, static_argnames=("n", "size"))
def sample_levels(
    key: jax.Array, n: int, size: str | LevelSize, params: GeneratorParams | None = None
) -> Level:
    """Draws a batch of levels; level i is `sample_level(jax.random.split(key, n)[i], size, params)`.

    Args:
      key: of `jax.random`.
      n: how many; static.
      size, params: as for `sample_level`.

    Returns:
      A level with a leading axis `[n]` on every array.

    Raises:
      ValueError: the size has no place for a green and a blue shape.
    """
    size = as_size(size)
    draw = lambda key: jax.random.uniform(key, (num_uniforms(free_slots(size)),))
    uniforms = jax.vmap(draw)(jax.random.split(key, n))
    return _grow(size)(uniforms, GeneratorParams() if params is None else params)


@functools.cache
def _grow(size: LevelSize):
    """Levels of uniforms `[B, num_uniforms]`; a `vmap` of it becomes one larger batch."""

    @custom_vmap
    def grow(uniforms, params):
        return grow_levels(uniforms, params, size)

    @grow.def_vmap
    def _(batch, batched, uniforms, params):
        if any(jax.tree.leaves(batched[1])) or not batched[0]:
            axes = jax.tree.map(lambda has: 0 if has else None, tuple(batched))
            one = functools.partial(grow_levels, size=size)
            levels = jax.vmap(one, in_axes=axes, axis_size=batch)(uniforms, params)
        else:
            levels = grow(uniforms.reshape(-1, uniforms.shape[-1]), params)
            unflatten = lambda value: value.reshape(*uniforms.shape[:2], *value.shape[1:])
            levels = jax.tree.map(unflatten, levels)
        return levels, jax.tree.map(lambda _: True, levels)

    return grow


def grow_levels(uniforms: jax.Array, params: GeneratorParams, size: LevelSize) -> Level:
    """Levels of a table of uniforms: `[B, num_uniforms(free_slots(size))]`, in 0 .. 1."""
    batch, rows = uniforms.shape
    blocks = -(-batch // BLOCK) if jax.default_backend() == "cpu" else 1
    if blocks == 1:
        return _grow_block(uniforms, params, size)
    # The last block may be short: rows of zeros fill it up, and are dropped again.
    rows_each = -(-batch // blocks)
    filled = jnp.pad(uniforms, [(0, blocks * rows_each - batch), (0, 0)]).reshape(blocks, rows_each, rows)
    levels = jax.lax.map(lambda block: _grow_block(block, params, size), filled)
    return jax.tree.map(lambda value: value.reshape(-1, *value.shape[2:])[:batch], levels)


def _grow_block(uniforms: jax.Array, params: GeneratorParams, size: LevelSize) -> Level:
    level = _grow_last(uniforms.T, params, size, free_slots(size))
    return jax.tree.map(lambda value: jnp.moveaxis(value, -1, 0), level)


def _grow_last(uniforms: jax.Array, params: GeneratorParams, size: LevelSize, counts: Counts) -> Level:
    """The same batch-last, in and out."""
    level, shapes, joints, thrusters = cut_uniforms(uniforms, counts)
    floor = floor_role(level, params, size)
    motor, thruster = control(level, params, counts)
    small = size.num_bodies <= jnp.asarray(params.small_scene_bodies)
    plan = plan_shapes(level, shapes, floor, motor, small, params)
    orders = slot_orders(level, joints, thrusters, counts)
    proposals = propose({name: shapes[name] for name in PROPOSAL_DRAWS}, params, counts.vertices)

    def step(table, inputs):
        plan, proposals = inputs
        return add_shape(table, plan, proposals, orders, params, counts), None

    table = scan_ahead(step, empty_table(counts, uniforms.shape[-1]), (plan, proposals))[0]
    swap = (level["swap"] < params.swap_chance) & (floor == NONE)
    role = jnp.concatenate([_wall_roles(floor, size), swap_roles(table.role, swap)])
    # A joint that found no place leaves its level to a thruster.
    thruster |= (table.num_joints == 0) & bool(counts.thrusters)
    return _build(table, role, joints, thrusters, thruster, orders, params, size, counts)


def _wall_roles(floor: jax.Array, size: LevelSize) -> jax.Array:
    others = jnp.zeros((max(size.num_walls - 1, 0), *floor.shape), floor.dtype)
    return jnp.concatenate([floor[None][: size.num_walls], others])


def _build(
    table: Table,
    role: jax.Array,
    joints,
    thrusters,
    forced: jax.Array,
    orders: Orders,
    params: GeneratorParams,
    size: LevelSize,
    counts: Counts,
) -> Level:
    """The levels of a finished table, batch-last."""
    mass, inertia = masses(table, params, counts)
    moving = table.active & table.movable
    inverse = lambda value: jnp.where(moving, 1 / jnp.where(moving, value, 1), 0)
    made_joints = build_joints(table, joints, orders, params, size, counts)
    made_thrusters = build_thrusters(table, mass, thrusters, orders, forced, params, size, counts)
    all_joints, binding, auto = pad_rows(made_joints, size.num_joints)
    all_thrusters, thruster_binding = pad_rows(made_thrusters, size.num_thrusters)
    inverses = inverse(mass), inverse(inertia)
    sim = build_sim(table, inverses, all_joints, all_thrusters, params, size, counts)
    density = jnp.where(moving, jnp.full_like(mass, 1.0) * params.density, 1.0)
    walls = jnp.ones((size.num_walls, mass.shape[-1]))
    labels = LevelLabels(
        role=role,
        density=jnp.concatenate([walls, density]),
        motor_binding=binding,
        motor_auto=auto,
        thruster_binding=thruster_binding,
    )
    return Level(sim=sim, labels=labels, size=size)
