"""The engine's entry points: `step` for one scene (and any `vmap` of it), `step_batch` for a batch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jax2d.batching import deferred, in_blocks, natively_batched, traced_platform
from jax2d.checks import check_arrays, has_usual_precision
from jax2d.cuda.kernel import check_size, step_by_kernel
from jax2d.pairs import num_contacts
from jax2d.params import SimParams, SimSpec
from jax2d.pipeline import step_batch_last
from jax2d.sparse import is_sparse, step_sparsely
from jax2d.types import DYNAMIC_FIELDS, Contacts, SimState

# Rows of arrays (a contact slot counts as one, a body as four) that fit a CPU's cache (README.md: blocks).
CPU_BLOCK_ROWS = 23_000
CPU_BLOCK_ROWS_OF_LISTS = 61_000  # of scenes stepped by lists, which touch few of them


def step(state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec) -> tuple[SimState, Contacts]:
    """Advances one scene by `params.dt`.

    `jax.vmap` of this function, nested or not, runs the natively batched engine. It has derivatives in
    forward and reverse mode, with and without `vmap`.

    Args:
      state: scene; dtypes and shapes as in `SimState`.
      actions: float `[num_joints + num_thrusters]`: motors, usually in -1 .. 1, then thrusters, usually
        in 0 .. 1. Target speeds of motors and impulses of thrusters are proportional to them.
      params: numbers of the physics.
      spec: sizes and solver; static.

    Returns:
      State after the step, and contacts found before it was solved.

    Raises:
      ValueError: a dtype or shape of `state` or `actions` does not fit `spec`, or `spec` asks for a kernel
        that is not made for scenes of its size.
      KernelError: `spec` asks for a kernel, and NVRTC is missing.
    """
    actions = jnp.asarray(actions, jnp.float32)
    check_arrays(state, actions, spec)
    return _step_scene(spec)(state, actions, params)


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
      states: scenes; every array of `SimState` has a batch axis.
      actions: float `[batch, num_actions]`, or `[num_actions, batch]` for `batch_axis=-1`.
      params: numbers of the physics; each a scalar or `[batch]`.
      spec: sizes and solver; static.
      batch_axis: 0 if the batch is the leading axis of every array. -1 if it is the last one, which is the
        engine's own layout: nothing is transposed, and derivatives are computed in that layout too.

    Returns:
      States after the step, and contacts found before it was solved.

    Raises:
      ValueError: `batch_axis` is neither 0 nor -1, a dtype or shape does not fit `spec`, or `spec` asks for
        a kernel that is not made for scenes of its size.
      KernelError: `spec` asks for a kernel, and NVRTC is missing.
    """
    if batch_axis not in (0, -1):
        raise ValueError(f"batch_axis must be 0 or -1, got {batch_axis!r}")
    actions = jnp.asarray(actions, jnp.float32)
    batch = actions.shape[batch_axis] if actions.ndim == 2 else None
    check_arrays(states, actions, spec, batch, batch_axis)
    if batch_axis == 0 and spec.backend == "cuda":  # one launch under a `vmap` of this function too
        axes = jax.tree.map(lambda value: 0 if jnp.ndim(value) else None, params)
        return jax.vmap(_step_scene(spec), in_axes=(0, 0, axes))(states, actions, params)
    return _advance(states, actions, params, spec=spec, axis=batch_axis)


def _advance(
    states: SimState, actions: jax.Array, params: SimParams, *, spec: SimSpec, axis: int = 0
) -> tuple[SimState, Contacts]:
    """The step of a batch along `axis`."""
    by_kernel = spec.backend == "cuda" and traced_platform() == "gpu"
    if by_kernel and has_usual_precision(states, actions, params, spec):
        return _advance_by_kernel(states, actions, params, spec, axis)
    return _advance_by_xla(states, actions, params, spec, axis)


def _advance_by_kernel(
    states: SimState, actions: jax.Array, params: SimParams, spec: SimSpec, axis: int
) -> tuple[SimState, Contacts]:
    """The step of a batch by one kernel, with the derivatives of the other way."""
    check_size(spec)

    def by_kernel(states, actions, params):
        changed, contacts = step_by_kernel(states, actions, params, spec, axis)
        return dataclasses.replace(states, **changed), contacts

    def by_xla(states, actions, params):
        return _advance_by_xla(states, actions, params, spec, axis)

    @jax.custom_jvp
    def advance(states, actions, params):
        # A GPU of another maker, or a program for a CPU made beside a GPU.
        others = deferred(by_xla, jax.eval_shape(by_kernel, states, actions, params))
        return jax.lax.platform_dependent(states, actions, params, cuda=by_kernel, default=others)

    advance.defjvp(lambda primals, tangents: jax.jvp(by_xla, primals, tangents))
    return advance(states, actions, params)


def _advance_by_xla(
    states: SimState, actions: jax.Array, params: SimParams, spec: SimSpec, axis: int
) -> tuple[SimState, Contacts]:
    """The step of a batch by the compiler's kernels, on a CPU in blocks that fit its cache."""
    rows = num_contacts(spec) + 4 * spec.num_bodies
    args = (states, actions, params)
    has_axis = jax.tree.map(lambda value: jnp.ndim(value) > 0, args)
    fitting = CPU_BLOCK_ROWS_OF_LISTS if is_sparse(spec, actions.shape[axis]) else CPU_BLOCK_ROWS
    changed, contacts = in_blocks(
        functools.partial(_changes, spec=spec, axis=axis), args, has_axis, fitting / max(rows, 1), axis
    )
    return dataclasses.replace(states, **changed), contacts


def _changes(states: SimState, actions: jax.Array, params: SimParams, *, spec: SimSpec, axis: int):
    """The fields that the step of a batch changes, and its contacts."""
    to_last = functools.partial(jnp.moveaxis, source=axis, destination=-1)
    from_last = functools.partial(jnp.moveaxis, source=-1, destination=axis)
    impulses = states.contact_impulse
    states, actions = jax.tree.map(to_last, (states, actions))
    if is_sparse(spec, actions.shape[-1]):
        # What is stored by contact slot is not transposed.
        states = dataclasses.replace(states, contact_impulse=impulses)
        states, contacts = step_sparsely(states, actions, params, spec, slots_axis=axis)
        impulses = states.contact_impulse
    else:
        states, contacts = step_batch_last(states, actions, params, spec)
        impulses, contacts = jax.tree.map(from_last, (states.contact_impulse, contacts))
    changed = {name: from_last(getattr(states, name)) for name in DYNAMIC_FIELDS}
    return changed | {"contact_impulse": impulses}, contacts


@functools.cache
def _step_scene(spec: SimSpec) -> Callable:
    """The step of one scene; `vmap` of it is the step of a batch."""
    results = SimState.shapes(spec), Contacts.shapes(spec)

    def outputs(state: SimState, actions: jax.Array, params: SimParams) -> tuple[SimState, Contacts] | None:
        """What a step returns, for arrays of the usual precision."""
        return results if has_usual_precision(state, actions, params, spec) else None

    smooth = dataclasses.replace(spec, backend="xla")
    return natively_batched(
        functools.partial(_advance, spec=spec),
        shared=(2,),
        outputs=outputs,
        derivative_of=functools.partial(_advance, spec=smooth),
    )
