"""Checks of dtypes and shapes, made while tracing: before anything is compiled."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.params import SimParams, SimSpec
from jax2d.types import SimState

KINDS = {"f": np.floating, "i": np.integer, "b": np.bool_}


def check_arrays(
    state: SimState,
    actions: jax.Array,
    spec: SimSpec,
    batch: int | None = None,
    batch_axis: int = 0,
) -> None:
    """Compares a state and its actions with the dtypes and shapes that the spec asks for.

    Any precision of a kind of dtype is accepted: floating-point, integer or bool.

    Args:
      state: one scene, or a batch of them.
      actions: its actions.
      spec: sizes.
      batch: length of the batch axis; None for one scene.
      batch_axis: place of the batch axis, 0 or -1.

    Raises:
      ValueError: naming the array, what it is and what it must be.
    """

    def expect(name: str, value: jax.Array, expected: jax.ShapeDtypeStruct) -> None:
        shape, dtype = expected.shape, jnp.result_type(value)
        if batch is not None:
            shape = (batch, *shape) if batch_axis == 0 else (*shape, batch)
        if jnp.shape(value) != shape:
            raise ValueError(f"{name} has shape {jnp.shape(value)}; {spec} needs {shape}")
        if not jnp.issubdtype(dtype, KINDS[expected.dtype.kind]):
            raise ValueError(f"{name} has dtype {dtype}; it must be {expected.dtype}")

    expect("actions", actions, jax.ShapeDtypeStruct((spec.num_actions,), np.dtype(np.float32)))
    leaves = jax.tree_util.tree_leaves_with_path(state)
    for (path, value), expected in zip(leaves, jax.tree.leaves(SimState.shapes(spec)), strict=True):
        expect(f"state{jax.tree_util.keystr(path)}", value, expected)


def has_usual_precision(state: SimState, actions: jax.Array, params: SimParams, spec: SimSpec) -> bool:
    """Tells whether a state has the dtypes of `SimState.shapes`, its actions and params 32 bits."""
    expected = [shape.dtype for shape in jax.tree.leaves(SimState.shapes(spec))]
    given = [jnp.result_type(leaf) for leaf in jax.tree.leaves(state)]
    numbers = [jnp.result_type(leaf, jnp.float32) for leaf in jax.tree.leaves((actions, params))]
    return given == expected and all(dtype == jnp.float32 for dtype in numbers)
