"""Small helpers for batch-last arrays: sums and selections over a short leading axis, written out.

A reduction over a handful of rows is slower, as a library call, than the same additions fused into what
surrounds them; and a data-dependent index is slower than a one-hot sum.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp

Rows = jax.Array | Sequence[jax.Array]


def total(rows: jax.Array) -> jax.Array:
    """Sum over the leading axis; booleans are counted as int32."""
    rows = rows.astype(jnp.int32) if rows.dtype == bool else rows
    return functools.reduce(operator.add, list(rows), jnp.zeros(rows.shape[1:], rows.dtype))


def sum_as_product(rows: jax.Array) -> jax.Array:
    """Sum of rows of small whole numbers: `[R, B] -> [B]`.

    As a product, so that XLA works the rows out in a loop of their own, once. It would spell a sum out for
    each row and each use, which is then too long to be vectorized.
    """
    return jnp.ones(rows.shape[:1]) @ rows


def any_of(rows: Rows) -> jax.Array:
    """Logical or of some rows, at least one."""
    return functools.reduce(operator.or_, list(rows))


def greatest(rows: Rows) -> jax.Array:
    """Maximum of some rows, at least one."""
    return functools.reduce(jnp.maximum, list(rows))


def least(rows: Rows) -> jax.Array:
    """Minimum of some rows, at least one."""
    return functools.reduce(jnp.minimum, list(rows))


def pick(which: jax.Array, rows: jax.Array) -> jax.Array:
    """The row that a one-hot mask marks (0 if it marks none): `[N, B], [N, ..., B] -> [..., B]`."""
    middle = (1,) * (rows.ndim - which.ndim)
    mask = which.reshape(which.shape[0], *middle, *which.shape[1:])
    if rows.dtype == bool:
        return any_of(mask & rows)
    return total(jnp.where(mask, rows, jnp.zeros((), rows.dtype)))


def put(which: jax.Array, rows: jax.Array, row: jax.Array) -> jax.Array:
    """Writes a row where a mask marks it: `[N, B], [N, ..., B], [..., B] -> [N, ..., B]`."""
    middle = (1,) * (rows.ndim - which.ndim)
    mask = which.reshape(which.shape[0], *middle, *which.shape[1:])
    return jnp.where(mask, row[None].astype(rows.dtype), rows)


def choose(weights: jax.Array, draw: jax.Array) -> jax.Array:
    """One-hot of a row drawn by weight, nowhere if all are 0: `[N, B], uniform [B] -> bool [N, B]`."""
    upper, below = [], jnp.zeros(weights.shape[1:], weights.dtype)
    for weight in weights:
        below = below + weight
        upper.append(below)
    # Rounding must not push the threshold past the last row that has any weight.
    threshold = jnp.minimum(draw, 1 - 1e-6) * below
    index = sum((jnp.where(threshold < bound, 0, 1) for bound in upper), jnp.zeros(below.shape, jnp.int32))
    rows = jnp.arange(weights.shape[0]).reshape(-1, *[1] * index.ndim)
    return (rows == index[None]) & (below > 0)[None]


def scan_ahead(step, carry, rows):
    """`jax.lax.scan` of `step(carry, row) -> (carry, output)`, every row being fetched a step ahead.

    A row that is cut out where it is used has an address that hangs on the counter, and a loop over it is
    not vectorized. Here it is part of what the loop carries.
    """

    def ahead(carried, following):
        carry, row = carried
        carry, output = step(carry, row)
        return (carry, following), output

    first = jax.tree.map(lambda value: value[0], rows)
    (carry, _), outputs = jax.lax.scan(
        ahead, (carry, first), jax.tree.map(lambda value: jnp.roll(value, -1, axis=0), rows)
    )
    return carry, outputs


def random_order(draws: jax.Array) -> jax.Array:
    """A random permutation as ranks, from one uniform a row: `[N, B] -> int [N, B]`.

    Equal draws are told apart by their row.
    """
    rows = range(draws.shape[0])
    rank = lambda i: total(jnp.stack([draws[j] <= draws[i] if j < i else draws[j] < draws[i] for j in rows]))
    ranks = [rank(i) for i in rows]
    return jnp.stack(ranks) if ranks else jnp.zeros(draws.shape, jnp.int32)


def lerp(draw: jax.Array, low, high) -> jax.Array:
    """A uniform draw in 0 .. 1, moved to `low .. high`."""
    return low + draw * (high - low)


def turn(cos: jax.Array, sin: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A vector in another frame, turned counter-clockwise by the angle whose cosine and sine are given."""
    return cos * x - sin * y, sin * x + cos * y
