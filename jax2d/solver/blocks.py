"""Reading bodies into blocks of contacts and summing contacts back onto bodies. Arrays are batch-last.

A quantity of the free bodies is a pair of arrays: `[polygons, B]` and `[circles, B]`. A side has `E` ends:
one in an outer product, both members in a triangular list.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import jax
import numpy as np

from jax2d.pairs import BlockSide, PairBlock, pair_incidence, unordered_pairs

FreeBodyArrays = tuple[jax.Array, jax.Array]


def signs(block: PairBlock, side: BlockSide) -> np.ndarray:
    """Shapes the side's signs so that they broadcast with `[E, *block.shape, B]`."""
    return np.asarray(side.signs, np.float32).reshape(-1, *[1] * (len(block.shape) + 1))


def gather_ends(side: BlockSide, quantity: FreeBodyArrays) -> jax.Array:
    """Reads a quantity of the bodies at a side's ends; the result broadcasts to `[E, *block.shape, B]`."""
    values = quantity[side.table]
    if side.axis == "columns":
        return values[None, None]
    if side.axis == "rows":
        return values[None, :, None]
    return values[unordered_pairs(values.shape[0]).T]


def unrolled_sum(values: Sequence[jax.Array]) -> jax.Array:
    """Adds a few arrays one after another (README.md, XLA: short reductions)."""
    return reduce(add, values)


def sum_ends(values: jax.Array) -> jax.Array:
    """Sums over a side's ends: `[E, ...] -> [...]`."""
    return unrolled_sum([values[i] for i in range(values.shape[0])])


def scatter_to_bodies(side: BlockSide, terms: Sequence[tuple[jax.Array, jax.Array]]) -> jax.Array | None:
    """Sums products of two factors over the contacts of each body.

    Args:
      side: ends that find their bodies.
      terms: factors `impulse [*block.shape, B]` and `arm [E, *block.shape, B]` (broadcastable).

    Returns:
      `[bodies, B]`, or None if no contact has an end here.
    """
    if side.axis == "pairs":
        return _scatter_pairs(terms)
    value = unrolled_sum([impulse * arm[0] for impulse, arm in terms])
    axis = 0 if side.axis == "columns" else 1
    slices = [value[i] if axis == 0 else value[:, i] for i in range(value.shape[axis])]
    return unrolled_sum(slices) if slices else None


def _scatter_pairs(terms: Sequence[tuple[jax.Array, jax.Array]]) -> jax.Array | None:
    size = terms[0][0].shape[0]
    count = round((1 + (1 + 8 * size) ** 0.5) / 2)  # size = count (count - 1) / 2
    pair, end = pair_incidence(count)
    products = []
    for impulse, arm in terms:
        flat = arm.reshape(2 * size, -1)
        products += [impulse[p] * flat[e * size + p] for p, e in zip(pair, end, strict=True)]
    return unrolled_sum(products) if products else None
