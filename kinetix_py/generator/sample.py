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
from kinetix_py.levels.level import Level
from kinetix_py.spec import NONE, EnvSpec

# Levels that are grown together on a CPU: their table and proposals should fit its cache.
BLOCK = 128


@functools.partial(jax.jit, static_argnames="spec")
def sample_level(key: jax.Array, spec: EnvSpec, params: GeneratorParams | None = None) -> Level:
    """Draws a level; pure, so that it runs inside jit, and natively batched under `vmap`.

    Args:
      key: of `jax.random`; the same key gives the same level, alone or in a batch.
      spec: sizes; at least 2 body slots that are not walls.
      params: numbers of the distribution; `GeneratorParams()` if None.

    Raises:
      ValueError: the spec has no place for a green and a blue shape.
    """
    counts = free_slots(spec)
    uniforms = jax.random.uniform(key, (num_uniforms(counts),))
    levels = _grow(spec)(uniforms[None], GeneratorParams() if params is None else params)
    return jax.tree.map(lambda value: value[0], levels)


@functools.partial(jax.jit, static_argnames=("n", "spec"))
def sample_levels(key: jax.Array, n: int, spec: EnvSpec, params: GeneratorParams | None = None) -> Level:
    """Draws a batch of levels; level i is `sample_level(jax.random.split(key, n)[i], spec, params)`.

    Args:
      key: of `jax.random`.
      n: how many; static.
      spec, params: as for `sample_level`.

    Returns:
      A level with a leading axis `[n]` on every array.

    Raises:
      ValueError: the spec has no place for a green and a blue shape.
    """
    draw = lambda key: jax.random.uniform(key, (num_uniforms(free_slots(spec)),))
    uniforms = jax.vmap(draw)(jax.random.split(key, n))
    return _grow(spec)(uniforms, GeneratorParams() if params is None else params)


@functools.cache
def _grow(spec: EnvSpec):
    """Levels of uniforms `[B, num_uniforms]`; a `vmap` of it becomes one larger batch."""

    @custom_vmap
    def grow(uniforms, params):
        return grow_levels(uniforms, params, spec)

    @grow.def_vmap
    def _(size, batched, uniforms, params):
        if any(jax.tree.leaves(batched[1])) or not batched[0]:
            axes = jax.tree.map(lambda has: 0 if has else None, tuple(batched))
            one = functools.partial(grow_levels, spec=spec)
            levels = jax.vmap(one, in_axes=axes, axis_size=size)(uniforms, params)
        else:
            levels = grow(uniforms.reshape(-1, uniforms.shape[-1]), params)
            unflatten = lambda value: value.reshape(*uniforms.shape[:2], *value.shape[1:])
            levels = jax.tree.map(unflatten, levels)
        return levels, jax.tree.map(lambda _: True, levels)

    return grow


def grow_levels(uniforms: jax.Array, params: GeneratorParams, spec: EnvSpec) -> Level:
    """Levels of a table of uniforms: `[B, num_uniforms(free_slots(spec))]`, in 0 .. 1."""
    batch, rows = uniforms.shape
    blocks = -(-batch // BLOCK) if jax.default_backend() == "cpu" else 1
    if blocks == 1:
        return _grow_block(uniforms, params, spec)
    # The last block may be short: rows of zeros fill it up, and are dropped again.
    size = -(-batch // blocks)
    filled = jnp.pad(uniforms, [(0, blocks * size - batch), (0, 0)]).reshape(blocks, size, rows)
    levels = jax.lax.map(lambda block: _grow_block(block, params, spec), filled)
    return jax.tree.map(lambda value: value.reshape(-1, *value.shape[2:])[:batch], levels)


def _grow_block(uniforms: jax.Array, params: GeneratorParams, spec: EnvSpec) -> Level:
    level = _grow_last(uniforms.T, params, spec, free_slots(spec))
    return jax.tree.map(lambda value: jnp.moveaxis(value, -1, 0), level)


def _grow_last(uniforms: jax.Array, params: GeneratorParams, spec: EnvSpec, counts: Counts) -> Level:
    """The same batch-last, in and out."""
    level, shapes, joints, thrusters = cut_uniforms(uniforms, counts)
    floor = floor_role(level, params, spec)
    motor, thruster = control(level, params, counts)
    small = spec.num_bodies <= jnp.asarray(params.small_scene_bodies)
    plan = plan_shapes(level, shapes, floor, motor, small, params)
    orders = slot_orders(level, joints, thrusters, counts)
    proposals = propose({name: shapes[name] for name in PROPOSAL_DRAWS}, params, counts.vertices)

    def step(table, inputs):
        plan, proposals = inputs
        return add_shape(table, plan, proposals, orders, params, counts), None

    table = scan_ahead(step, empty_table(counts, uniforms.shape[-1]), (plan, proposals))[0]
    swap = (level["swap"] < params.swap_chance) & (floor == NONE)
    role = jnp.concatenate([_wall_roles(floor, spec), swap_roles(table.role, swap)])
    # A joint that found no place leaves its level to a thruster.
    thruster |= (table.num_joints == 0) & bool(counts.thrusters)
    return _build(table, role, joints, thrusters, thruster, orders, params, spec, counts)


def _wall_roles(floor: jax.Array, spec: EnvSpec) -> jax.Array:
    others = jnp.zeros((max(spec.walls - 1, 0), *floor.shape), floor.dtype)
    return jnp.concatenate([floor[None][: spec.walls], others])


def _build(
    table: Table,
    role: jax.Array,
    joints,
    thrusters,
    forced: jax.Array,
    orders: Orders,
    params: GeneratorParams,
    spec: EnvSpec,
    counts: Counts,
) -> Level:
    """The levels of a finished table, batch-last."""
    mass, inertia = masses(table, params, counts)
    moving = table.active & table.movable
    inverse = lambda value: jnp.where(moving, 1 / jnp.where(moving, value, 1), 0)
    made_joints = build_joints(table, joints, orders, params, spec, counts)
    made_thrusters = build_thrusters(table, mass, thrusters, orders, forced, params, spec, counts)
    all_joints, binding, auto = pad_rows(made_joints, spec.num_joints)
    all_thrusters, thruster_binding = pad_rows(made_thrusters, spec.num_thrusters)
    inverses = inverse(mass), inverse(inertia)
    sim = build_sim(table, inverses, all_joints, all_thrusters, params, spec, counts)
    density = jnp.where(moving, jnp.full_like(mass, 1.0) * params.density, 1.0)
    walls = jnp.ones((spec.walls, mass.shape[-1]))
    return Level(
        sim=sim,
        role=role,
        density=jnp.concatenate([walls, density]),
        motor_binding=binding,
        motor_auto=auto,
        thruster_binding=thruster_binding,
    )
