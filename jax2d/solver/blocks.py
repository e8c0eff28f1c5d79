"""Reading bodies into blocks of contacts and summing contacts back onto bodies. Arrays are batch-last.

`tables` are the free bodies' quantities: a pair of arrays, `[polygons, B]` and `[circles, B]`.
A side has `E` ends: one in an outer product, both members in a triangular list.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import jax
import numpy as np

from jax2d.pairs import Block, Side, incidence, triangle

Tables = tuple[jax.Array, jax.Array]


def signs(block: Block, side: Side) -> np.ndarray:
    """The side's signs, shaped to broadcast with `[E, *block.shape, B]`."""
    return np.asarray(side.signs, np.float32).reshape(-1, *[1] * (len(block.shape) + 1))


def read(side: Side, tables: Tables) -> jax.Array:
    """The bodies at a side's ends: broadcasts to `[E, *block.shape, B]`."""
    values = tables[side.table]
    if side.axis == "columns":
        return values[None, None]
    if side.axis == "rows":
        return values[None, :, None]
    return values[triangle(values.shape[0]).T]


def total(values: Sequence[jax.Array]) -> jax.Array:
    """Sum of a few arrays, unrolled: XLA's CPU reduction of a short axis is a slow library call."""
    return reduce(add, values)


def over_ends(values: jax.Array) -> jax.Array:
    """Sum over a side's ends: `[E, ...] -> [...]`."""
    return total([values[i] for i in range(values.shape[0])])


def onto_bodies(side: Side, terms: Sequence[tuple[jax.Array, jax.Array]]) -> jax.Array | None:
    """Sums products of two factors over the contacts of each body.

    Args:
      side: where the contacts find their bodies.
      terms: factors `impulse [*block.shape, B]` and `lever [E, *block.shape, B]` (broadcastable).

    Returns:
      `[bodies, B]`, or None if no contact has an end here.
    """
    if side.axis == "pairs":
        return _onto_listed(terms)
    value = total([impulse * lever[0] for impulse, lever in terms])
    axis = 0 if side.axis == "columns" else 1
    slices = [value[i] if axis == 0 else value[:, i] for i in range(value.shape[axis])]
    return total(slices) if slices else None


def _onto_listed(terms: Sequence[tuple[jax.Array, jax.Array]]) -> jax.Array | None:
    size = terms[0][0].shape[0]
    count = round((1 + (1 + 8 * size) ** 0.5) / 2)  # size = count (count - 1) / 2
    pair, end = incidence(count)
    products = []
    for impulse, lever in terms:
        flat = lever.reshape(2 * size, -1)
        products += [impulse[p] * flat[e * size + p] for p, e in zip(pair, end, strict=True)]
    return total(products) if products else None
