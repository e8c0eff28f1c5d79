"""Memory of the latest episodes, in arrays of a fixed shape."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Memory:
    """The latest rows of numbers, the oldest of which are overwritten."""

    rows: jax.Array  # float [M, W]
    count: jax.Array  # int32 [], rows that were ever written

    @classmethod
    def empty(cls, size: int, width: int) -> Memory:
        """Returns a memory for `size` rows of `width` numbers, with none in it."""
        return cls(jnp.zeros((size, width)), jnp.int32(0))

    @property
    def size(self) -> int:
        """Number of rows that it can hold."""
        return self.rows.shape[0]

    @property
    def filled(self) -> jax.Array:
        """Rows that hold something: bool `[M]`."""
        return jnp.arange(self.size) < self.count

    @property
    def order(self) -> jax.Array:
        """Rank of each row by age, of a full memory: int32 `[M]`, 0 for the oldest, M - 1 for the newest."""
        return (jnp.arange(self.size) - self.count) % self.size

    def append(self, rows: jax.Array) -> Memory:
        """Writes rows `[n, W]`, the last of them where there are more than it can hold."""
        n = rows.shape[0]
        kept = rows[max(n - self.size, 0) :]
        first = self.count + n - kept.shape[0]
        slots = (first + jnp.arange(kept.shape[0])) % self.size
        return Memory(self.rows.at[slots].set(kept), self.count + n)

    def passed(self, n: int) -> jax.Array:
        """Tells whether the last `n` rows completed another `size` rows: bool `[]`."""
        return self.count // self.size > (self.count - n) // self.size

    def nearest(self, points: jax.Array) -> jax.Array:
        """Rows nearest to points by their first columns; the newest of those that are as near.

        Args:
          points: `[n, D]`, D at most W.

        Returns:
          index of a row for each: int32 `[n]`; of no meaning while the memory is empty.
        """
        columns = self.rows[:, : points.shape[1]]
        distance = ((points[:, None] - columns[None]) ** 2).sum(-1)
        distance = jnp.where(self.filled[None], distance, jnp.inf)
        near = distance <= distance.min(1, keepdims=True)
        return jnp.argmax(jnp.where(near, self.order[None], -1), axis=1)


def keep_latest(own: Any, filled: jax.Array, new: Any, chosen: jax.Array) -> tuple[Any, jax.Array]:
    """Adds the chosen of some new rows to others, oldest first, and keeps the latest.

    Args:
      own: pytree of arrays `[M, ...]`.
      filled: bool `[M]`, rows of `own` that hold something.
      new: the same tree, of arrays `[n, ...]`.
      chosen: bool `[n]`, rows of `new` to add.

    Returns:
      the same as `own` and `filled`.
    """
    whole = jnp.concatenate([filled, chosen])
    latest = jnp.argsort(whole, stable=True)[-filled.shape[0] :]
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b])[latest], own, new), whole[latest]
