"""Helpers for batch-last arrays `[rows, B]`: sums, selections and random choices over a few rows.

A sum over a handful of rows is faster written out, fused into what surrounds it, than as a reduction, and a
one-hot sum is faster than a data-dependent index.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")


def total(rows: jax.Array) -> jax.Array:
    """Sums over the leading axis; booleans are counted as int32."""
    rows = rows.astype(jnp.int32) if rows.dtype == bool else rows
    return functools.reduce(operator.add, list(rows), jnp.zeros(rows.shape[1:], rows.dtype))


def total_once(rows: jax.Array) -> jax.Array:
    """Sums rows of small whole numbers `[R, B] -> [B]` in a loop of their own.

    A matrix product: XLA would copy any other sum into each of its consumers, which are then too long to be
    vectorized.
    """
    return jnp.ones(rows.shape[:1]) @ rows


def any_of(rows: jax.Array | Sequence[jax.Array]) -> jax.Array:
    """Logical or over the leading axis, of at least one row."""
    return functools.reduce(operator.or_, list(rows))


def least(rows: jax.Array | Sequence[jax.Array]) -> jax.Array:
    """Minimum over the leading axis, of at least one row."""
    return functools.reduce(jnp.minimum, list(rows))


def _mask_like(one_hot: jax.Array, rows: jax.Array) -> jax.Array:
    middle = (1,) * (rows.ndim - one_hot.ndim)
    return one_hot.reshape(one_hot.shape[0], *middle, *one_hot.shape[1:])


def select(one_hot: jax.Array, tree: Tree) -> Tree:
    """Returns the row that a mask marks, 0 if it marks none, of every array: `[N, ..., B] -> [..., B]`.

    Args:
      one_hot: bool `[N, B]`.
    """

    def of_array(rows: jax.Array) -> jax.Array:
        mask = _mask_like(one_hot, rows)
        return any_of(mask & rows) if rows.dtype == bool else total(jnp.where(mask, rows, rows.dtype.type(0)))

    return jax.tree.map(of_array, tree)


def put(one_hot: jax.Array, tree: Tree, row: Tree) -> Tree:
    """Writes a row where a mask marks it, in every array: `[N, B], [N, ..., B], [..., B] -> [N, ..., B]`."""
    of_array = lambda rows, row: jnp.where(_mask_like(one_hot, rows), row[None].astype(rows.dtype), rows)
    return jax.tree.map(of_array, tree, row)


def index(one_hot: jax.Array) -> jax.Array:
    """Index of the row that a mask marks, -1 if it marks none: `[N, B] -> int [B]`."""
    return total(jnp.where(one_hot, jnp.arange(1, one_hot.shape[0] + 1)[:, None], 0)) - 1


def sample(weights: jax.Array, draw: jax.Array) -> jax.Array:
    """One-hot of a row drawn by weight, nowhere if all are 0: `[N, ...], uniform [...] -> bool [N, ...]`."""
    upper, below = [], jnp.zeros(weights.shape[1:], weights.dtype)
    for weight in weights:
        below = below + weight
        upper.append(below)
    # Rounding must not push the threshold past the last row that has any weight.
    threshold = jnp.minimum(draw, 1 - 1e-6) * below
    chosen = sum((jnp.where(threshold < bound, 0, 1) for bound in upper), jnp.zeros(below.shape, jnp.int32))
    row = jnp.arange(weights.shape[0]).reshape(-1, *[1] * chosen.ndim)
    return (row == chosen[None]) & (below > 0)[None]


def first_least(costs: jax.Array) -> jax.Array:
    """One-hot of the first row with the least cost: `[K, B] -> bool [K, B]`."""
    lowest, choice = costs[0], jnp.zeros(costs.shape[1:], jnp.int32)
    for k in range(1, costs.shape[0]):
        better = costs[k] < lowest
        lowest, choice = jnp.where(better, costs[k], lowest), jnp.where(better, k, choice)
    return choice[None] == jnp.arange(costs.shape[0])[:, None]


def random_ranks(draws: jax.Array) -> jax.Array:
    """A random permutation of 0 .. N - 1 from one uniform a row: `[N, B] -> int [N, B]`.

    Equal draws are told apart by their row.
    """
    count = range(draws.shape[0])
    before = lambda i, j: draws[j] <= draws[i] if j < i else draws[j] < draws[i]
    ranks = [total(jnp.stack([before(i, j) for j in count])) for i in count]
    return jnp.stack(ranks) if ranks else jnp.zeros(draws.shape, jnp.int32)


def scan_prefetched(step, carry, rows):
    """`jax.lax.scan` of `step(carry, row) -> (carry, output)`, every row being fetched a step ahead.

    A row that is cut out where it is used has an address that hangs on the counter, and XLA does not
    vectorize a loop over it. Here it is part of what the loop carries.
    """

    def ahead(carried, following):
        carry, output = step(*carried)
        return (carry, following), output

    first = jax.tree.map(lambda value: value[0], rows)
    following = jax.tree.map(lambda value: jnp.roll(value, -1, axis=0), rows)
    (carry, _), outputs = jax.lax.scan(ahead, (carry, first), following)
    return carry, outputs


def lerp(draw: jax.Array, low, high) -> jax.Array:
    """Moves a uniform draw in 0 .. 1 to `low .. high`."""
    return low + draw * (high - low)


def rotate(cos: jax.Array, sin: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Turns a vector counter-clockwise by the angle whose cosine and sine are given."""
    return cos * x - sin * y, sin * x + cos * y
