"""Reading and changing entries of flattened arrays at places that depend on data (README.md, lists)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

COUNT_CHUNK = 64
ALWAYS = "always"  # scope of conditionals that are true, but not to the compiler
Tree = TypeVar("Tree")


def take(values: jax.Array, index: jax.Array) -> jax.Array:
    """Reads flattened `values` at places that exist; the shape is that of the index.

    The index is flat for the compiler: with more axes it copies index and result to other layouts.
    """
    read = jax.lax.gather(
        values.reshape(-1),
        index.reshape(-1, 1),
        jax.lax.GatherDimensionNumbers((), collapsed_slice_dims=(0,), start_index_map=(0,)),
        slice_sizes=(1,),
        mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )
    return read.reshape(index.shape)


def columns(index: jax.Array, size: int, rows: Sequence[int]) -> jax.Array:
    """Places of columns `index` of a table `[.., size]` in some of its rows, flat: `[rows, *index.shape]`."""
    offsets = size * np.array(rows, np.int32).reshape(-1, *[1] * index.ndim)
    return jnp.asarray(offsets) + index[None]


def take_columns(table: jax.Array, index: jax.Array) -> jax.Array:
    """Reads whole columns of a table `[rows, n]` at places that exist: `[rows, *index.shape]`."""
    return take(table, columns(index, table.shape[1], range(table.shape[0])))


@dataclasses.dataclass(frozen=True)
class SlotLayout:
    """Places in flat arrays `[slots, rows, batch]`, or `[batch, slots, rows]`.

    Attributes:
      slots: contact slots of a scene.
      batch: number of scenes.
      axis: of the scenes, -1 or 0.
    """

    slots: int
    batch: int
    axis: int

    def places(self, slot: jax.Array, scene: jax.Array, rows: int) -> jax.Array:
        """Places of all rows of some slots in some scenes, `[n]` each: int32 `[rows, n]`."""
        row = np.arange(rows, dtype=np.int32)[:, None]
        if self.axis == 0:
            return (rows * (self.slots * scene + slot))[None] + row
        return (rows * self.batch * slot + scene)[None] + self.batch * row

    def shape(self, *rows: int) -> tuple[int, ...]:
        """The shape of an array with such places."""
        return (self.batch, self.slots, *rows) if self.axis == 0 else (self.slots, *rows, self.batch)


def in_arrays(always: jax.Array, fn: Callable[[], Tree]) -> Tree:
    """Computes `fn()` into arrays of their own.

    The compiler would compute cheap producers anew for every element that a gather reads (README.md, XLA).

    Args:
      always: true, but not to the compiler.
      fn: function to a pytree of arrays.
    """
    shapes = jax.eval_shape(fn)
    with jax.named_scope(ALWAYS):
        return jax.lax.cond(always, fn, lambda: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))


# Each update is a window of one entry, the form that the compiler would otherwise copy updates into.
_PLACES = jax.lax.ScatterDimensionNumbers((1,), inserted_window_dims=(), scatter_dims_to_operand_dims=(0,))


def add_at(values: jax.Array, index: jax.Array, terms: jax.Array) -> jax.Array:
    """Adds terms to a list at places that exist, one after another where a place occurs more than once."""
    mode = jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return jax.lax.scatter_add(values, index.reshape(-1, 1), terms.reshape(-1, 1), _PLACES, mode=mode)


def put_at(values: jax.Array, index: jax.Array, new: jax.Array) -> jax.Array:
    """Sets entries of a list; those beyond its end are dropped."""
    mode = jax.lax.GatherScatterMode.FILL_OR_DROP
    return jax.lax.scatter(values, index.reshape(-1, 1), new.reshape(-1, 1), _PLACES, mode=mode)


def running_count(flags: jax.Array) -> jax.Array:
    """Computes the inclusive running count along the leading axis: bool `[n, m]` to int32 `[n, m]`.

    A product with a triangle of ones, in chunks: the compiler's own running sums take many passes.
    """
    size, width = flags.shape
    chunk = min(size, COUNT_CHUNK)
    flags = flags.astype(jnp.float32)
    if size <= chunk:
        return (jnp.tri(size) @ flags).astype(jnp.int32)
    chunks = -(-size // chunk)
    rows = jnp.pad(flags, ((0, chunks * chunk - size), (0, 0))).reshape(chunks, chunk, width)
    within = jnp.einsum("ij,cjm->cim", jnp.tri(chunk), rows)
    before = jnp.tri(chunks, k=-1) @ within[:, -1]
    return (within + before[:, None]).reshape(-1, width)[:size].astype(jnp.int32)


def running_count_of_list(flags: jax.Array) -> jax.Array:
    """Computes the inclusive running count of lists: bool `[..., n]` to int32 `[..., n]`."""
    *lists, size = flags.shape
    chunks = -(-size // COUNT_CHUNK)
    padding = [(0, 0)] * len(lists) + [(0, chunks * COUNT_CHUNK - size)]
    rows = jnp.pad(flags.astype(jnp.float32), padding).reshape(*lists, chunks, COUNT_CHUNK)
    within = rows @ jnp.tri(COUNT_CHUNK).T
    before = within[..., -1] @ jnp.tri(chunks, k=-1).T
    return (within + before[..., None]).reshape(*lists, -1)[..., :size].astype(jnp.int32)
