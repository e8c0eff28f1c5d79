"""Small positive definite matrices, by operations of XLA alone.

`jax.numpy.linalg` calls LAPACK on a CPU. For a batch it waits there for threads of the pool that it runs in,
so that two devices that share the pool can wait for each other for ever.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

EXACT = jax.lax.Precision.HIGHEST


def cholesky(matrix: jax.Array) -> jax.Array:
    """Factors a positive definite matrix `[D, D]`: the lower triangular L `[D, D]` whose `L L^T` it is."""
    size = matrix.shape[0]
    row = jnp.arange(size)

    def column(j, factor):
        rest = matrix[:, j] - jnp.dot(factor, factor[j], precision=EXACT)
        return factor.at[:, j].set(jnp.where(row >= j, rest / jnp.sqrt(rest[j]), 0.0))

    return jax.lax.fori_loop(0, size, column, jnp.zeros_like(matrix))


def invert_lower(factor: jax.Array) -> jax.Array:
    """Inverts a lower triangular matrix `[D, D]`, by forward substitution."""
    size = factor.shape[0]
    identity = jnp.eye(size)

    def line(i, inverse):
        rest = identity[i] - jnp.dot(factor[i], inverse, precision=EXACT)
        return inverse.at[i].set(rest / factor[i, i])

    return jax.lax.fori_loop(0, size, line, jnp.zeros_like(factor))


def solve_positive(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """Solves `A x = b` for a positive definite A `[D, D]` and b `[D]`: x `[D]`."""
    inverse = invert_lower(cholesky(matrix))
    return jnp.dot(inverse.T, jnp.dot(inverse, vector, precision=EXACT), precision=EXACT)
