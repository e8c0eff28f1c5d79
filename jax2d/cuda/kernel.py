"""The kernel as a custom call of XLA: the same results as `pipeline.step_batch_last`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.cuda.compiler import compile_ptx
from jax2d.cuda.sources import (
    BLOCK,
    ENTRY,
    MOST_BODIES,
    MOST_CONTACTS,
    arguments_of,
    fields_of_state,
    kernel_source,
    results_of,
)
from jax2d.pairs import num_contacts
from jax2d.params import SimParams, SimSpec
from jax2d.types import DYNAMIC_FIELDS, Contacts, SimState

TARGET = "__gpu$xla.gpu.ptx"  # XLA's custom call that launches a kernel given as PTX


def check_size(spec: SimSpec) -> None:
    """Checks that a scene fits a thread.

    Raises:
      ValueError: it has too many bodies or contact slots.
    """
    bodies, contacts = spec.num_bodies, num_contacts(spec)
    if bodies > MOST_BODIES or contacts > MOST_CONTACTS:
        raise ValueError(
            f'backend="cuda" steps scenes of at most {MOST_BODIES} bodies and {MOST_CONTACTS} contact slots, '
            f'this one has {bodies} and {contacts}: choose backend="xla"'
        )


def _numbers(params: SimParams, batch: int) -> tuple[jax.Array, bool]:
    """Joins the numbers of the physics to one array: `[numbers]`, or `[numbers, batch]`; and tells which."""
    values = [jnp.asarray(value, jnp.float32) for value in jax.tree.leaves(params)]
    each = any(value.ndim for value in values)
    return jnp.stack([jnp.broadcast_to(value, (batch,)) if each else value for value in values]), each


def _launch(
    values: dict[str, jax.Array], params: SimParams, spec: SimSpec, batch: int, axis: int, report: bool
) -> dict[str, jax.Array]:
    """Launches the kernel on arrays by name; its results by name."""
    whole = lambda shape: (batch, *shape) if axis == 0 else (*shape, batch)
    numbers, each = _numbers(params, batch)
    values = values | {"params": numbers, "sizes": jnp.array([batch, each], jnp.int32)}
    arguments = arguments_of(spec, report)
    operands = [argument.name for argument in arguments if not argument.is_result]
    results = [argument for argument in arguments if argument.is_result]
    # What a step changes is changed in place, so that a loop of steps copies nothing.
    changed = {f"out_{name}": name for name in DYNAMIC_FIELDS}
    aliases = {
        operands.index(changed[result.name]): place
        for place, result in enumerate(results)
        if result.name in changed
    }
    source = kernel_source(spec, batch_first=axis == 0, report=report)
    grid, one = np.int32(-(-batch // BLOCK)), np.int32(1)
    call = jax.ffi.ffi_call(
        TARGET,
        [jax.ShapeDtypeStruct(whole(result.shape), result.dtype) for result in results],
        vmap_method="sequential",
        input_output_aliases=aliases,
    )
    written = call(
        *(values[name] for name in operands),
        name=ENTRY,
        kernel_type="ptx",
        kernel_data=compile_ptx(source),
        grid_x=grid,
        grid_y=one,
        grid_z=one,
        block_x=np.int32(BLOCK),
        block_y=one,
        block_z=one,
        shared_mem_bytes=np.int32(0),
    )
    found = {result.name: value for result, value in zip(results, written, strict=True)}
    empty = {
        result.name: jnp.zeros(whole(result.shape), result.dtype)
        for result in results_of(spec, report)
        if not result.size
    }
    return {name.removeprefix("out_"): value for name, value in (found | empty).items()}


def step_by_kernel(
    states: SimState, actions: jax.Array, params: SimParams, spec: SimSpec, axis: int
) -> tuple[dict[str, Any], Contacts]:
    """Computes what a step of a batch along `axis`, 0 or -1, changes, and its contacts.

    Flags of contacts come with the step. Their numbers are found by a second kernel, which the compiler
    leaves out where nobody reads them.
    """
    names = [argument.name for argument in fields_of_state(spec)]
    values = dict(zip(names, map(jnp.asarray, jax.tree.leaves(states)), strict=True)) | {"actions": actions}
    batch = actions.shape[axis]
    step = _launch(values, params, spec, batch, axis, report=False)
    report = _launch(values, params, spec, batch, axis, report=True)
    changed = {name: step[name] for name in DYNAMIC_FIELDS}
    flags = {name: step[name] for name in ("active", "pushing")}
    return changed, Contacts(**flags, **report)
