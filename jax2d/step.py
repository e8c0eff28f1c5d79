"""The engine's entry points: `step` for one scene (and any `vmap` of it), `step_batch` for a batch."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from jax2d.checks import check_shapes
from jax2d.pairs import num_contacts
from jax2d.params import SimParams, SimSpec
from jax2d.pipeline import step_batch_last
from jax2d.types import Contacts, SimState

# Rows (a contact slot is one, a body four) that a CPU steps at a time: more do not fit its cache
# (measured, see README.md).
CPU_BLOCK = 23_000
LANES = 32  # a block is a multiple of this, so that vector instructions leave no remainder

# What a step changes; everything else in a state is passed on untouched.
MOVING = (
    "position",
    "rotation",
    "velocity",
    "angular_velocity",
    "contact_impulse",
    "joint_impulse",
)


def step(state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec) -> tuple[SimState, Contacts]:
    """Advances one scene by `params.dt`.

    `jax.vmap` of this function, nested or not, runs the natively batched engine.

    Args:
      state: the scene; shapes as in `SimState`.
      actions: float `[num_joints + num_thrusters]`: motors, usually in -1 .. 1, then thrusters, usually
        in 0 .. 1. A body's motor and thruster impulses are proportional to them (see `SimParams`).
      params: numbers of the physics.
      spec: sizes and solver; static.

    Returns:
      The state after the step, and the contacts that were found before it was solved.

    Raises:
      ValueError: a shape of `state` or `actions` does not fit `spec`.
    """
    actions = jnp.asarray(actions, jnp.float32)
    check_shapes(state, actions, spec)
    return _step_one(spec)(state, actions, params)


def step_batch(
    states: SimState,
    actions: jax.Array,
    params: SimParams,
    spec: SimSpec,
    *,
    batch_axis: int = 0,
) -> tuple[SimState, Contacts]:
    """Advances a batch of scenes by `params.dt`; the same numbers as `jax.vmap(step)`.

    Args:
      states: every array of `SimState` with a batch axis.
      actions: float `[batch, num_actions]`, or `[num_actions, batch]` for `batch_axis=-1`.
      params: numbers of the physics; each a scalar or `[batch]`.
      spec: sizes and solver; static.
      batch_axis: 0: the batch is the leading axis of every array. -1: it is the last one, which is how
        the engine computes: nothing is transposed, and the step is differentiable in reverse mode.

    Raises:
      ValueError: `batch_axis` is neither 0 nor -1, or a shape does not fit `spec`.
    """
    if batch_axis not in (0, -1):
        raise ValueError(f"batch_axis must be 0 or -1, got {batch_axis!r}")
    actions = jnp.asarray(actions, jnp.float32)
    batch = actions.shape[batch_axis] if actions.ndim == 2 else None
    check_shapes(states, actions, spec, batch, batch_axis)
    return _step_batch(states, actions, params, spec, batch_axis)


def _step_batch(states, actions, params, spec, axis: int = 0):
    """The native step of a batch along `axis`, in blocks that fit the processor's cache."""
    batch = actions.shape[axis]
    blocks, size = _blocks(batch, spec)
    if blocks == 1:
        return _step_whole(states, actions, params, spec, axis)
    cut = lambda value, start, at: jax.lax.dynamic_slice_in_dim(value, start, size, at)

    def step_part(block):
        states, actions, params = block
        state, contacts = _step_whole(states, actions, params, spec, axis)
        return {name: getattr(state, name) for name in MOVING}, contacts

    def nothing(block):
        return jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), jax.eval_shape(step_part, block))

    def one_block(index):
        """The block's first scene, and what a step changes in it."""
        start = jnp.minimum(index * size, batch - size)  # the last one may overlap the one before
        block = jax.tree.map(lambda value: cut(value, start, axis), (states, actions))
        numbers = jax.tree.map(lambda v: cut(v, start, 0) if jnp.ndim(v) else v, params)
        # Always true, but not to the compiler: it hands a block to a branch as arrays of its own, where it
        # would otherwise cut the batch anew in every kernel that reads it.
        return start, jax.lax.cond(start >= 0, step_part, nothing, (*block, numbers))

    def visit(index, filled):
        start, parts = one_block(index)
        put = functools.partial(jax.lax.dynamic_update_slice_in_dim, start_index=start, axis=axis)
        return jax.tree.map(put, filled, parts)

    def empty(part):
        shape = list(part.shape)
        shape[axis] = batch
        return jnp.empty(shape, part.dtype)

    filled = jax.tree.map(empty, jax.eval_shape(one_block, 0)[1])
    moved, contacts = jax.lax.fori_loop(0, blocks, visit, filled)
    return dataclasses.replace(states, **moved), contacts


def _blocks(batch: int, spec: SimSpec) -> tuple[int, int]:
    """How many blocks a batch is cut into, and how many scenes each has."""
    rows = num_contacts(spec) + 4 * spec.num_bodies
    wanted = round(batch * rows / CPU_BLOCK)
    if jax.default_backend() != "cpu" or wanted <= 1:
        return 1, batch
    size = min(-(-batch // wanted // LANES) * LANES, batch)
    return -(-batch // size), size


def _step_whole(states, actions, params, spec, axis):
    first_to_last = functools.partial(jnp.moveaxis, source=axis, destination=-1)
    last_to_first = functools.partial(jnp.moveaxis, source=-1, destination=axis)
    states, actions = jax.tree.map(first_to_last, (states, actions))
    out = step_batch_last(states, actions, params, spec)
    return jax.tree.map(last_to_first, out)


def _add_axis(size: int, batched, values):
    """Gives every value the leading axis that only the batched ones have."""
    widen = lambda value, has: value if has else jnp.broadcast_to(value, (size, *jnp.shape(value)))
    return jax.tree.map(widen, values, batched)


def _merge_params(outer: int, inner: int, batched, params: SimParams) -> SimParams:
    """Parameters of `outer * inner` scenes; what is one number for all of them stays one number."""

    def merge(value, has):
        if not has and jnp.ndim(value) == 0:
            return value
        value = value if has else value[None]
        value = value.reshape(value.shape[0], -1)
        return jnp.broadcast_to(value, (outer, inner)).reshape(outer * inner)

    return jax.tree.map(merge, params, batched)


@functools.cache
def _step_one(spec: SimSpec):
    """The step of one scene, with batching rules that hand whole batches to the engine."""

    @custom_vmap
    def one(state, actions, params):
        state, actions = jax.tree.map(lambda value: value[None], (state, actions))
        return jax.tree.map(lambda value: value[0], _step_whole(state, actions, params, spec, 0))

    @custom_vmap
    def many(states, actions, params):
        return _step_batch(states, actions, params, spec)

    @one.def_vmap
    def _(size, batched, state, actions, params):
        states, actions = _add_axis(size, tuple(batched[:2]), (state, actions))
        out = many(states, actions, params)
        return out, jax.tree.map(lambda _: True, out)

    @many.def_vmap
    def _(size, batched, states, actions, params):
        inner = actions.shape[-2]
        arrays = _add_axis(size, tuple(batched[:2]), (states, actions))
        arrays = jax.tree.map(lambda value: value.reshape(-1, *value.shape[2:]), arrays)
        out = many(*arrays, _merge_params(size, inner, batched[2], params))
        out = jax.tree.map(lambda value: value.reshape(size, inner, *value.shape[1:]), out)
        return out, jax.tree.map(lambda _: True, out)

    return one
