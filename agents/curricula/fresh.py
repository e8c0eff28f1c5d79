"""Fresh levels of a curriculum, drawn and filtered for several updates at once."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import kinetix_py as kx
from kinetix_py.chunks import filter_round

UPDATES_AHEAD = 8  # usual updates whose levels are drawn at once, if as many suit the device
MOST_AHEAD = 65_536  # levels that wait for later updates


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FreshPool:
    """Levels that were drawn for later updates."""

    levels: kx.Level  # leading axis [capacity]
    count: jax.Array  # int32 [], levels from the first on that the no-op policy does not solve


@dataclasses.dataclass(frozen=True)
class FreshLevels:
    """Levels that the no-op policy does not solve, from a pool that is filled when it has too few.

    A round of drawing and filtering takes about as long on a GPU for many levels as for few, and leaves more
    than an update needs: as many as fit are kept for the next ones.

    Attributes:
      env, env_params: environment and numbers of the game, by which the no-op policy plays.
      rows: levels that an update takes at most.
      usual: levels that it usually takes.
      generator: distribution of the levels.
      max_rounds: bound on the rounds of drawing and filtering of an update.
    """

    env: kx.Environment
    env_params: kx.EnvParams
    rows: int
    usual: int
    generator: kx.LevelDistribution
    max_rounds: int = 256

    @property
    def round_size(self) -> int:
        """Levels of a round."""
        return filter_round(UPDATES_AHEAD * max(self.usual, 1))

    @property
    def capacity(self) -> int:
        """Levels that the pool holds: those of an update, and of later ones; the same on every device.

        So a run goes on on another kind of device. What a round leaves beyond it is dropped.
        """
        return self.rows + min(UPDATES_AHEAD * max(self.usual, 1), MOST_AHEAD)

    def empty(self) -> FreshPool:
        """Returns a pool without levels."""
        shapes = jax.eval_shape(
            lambda key: kx.sample_levels(key, self.capacity, self.env.size, self.generator), jax.random.key(0)
        )
        levels = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
        return FreshPool(levels, jnp.int32(0))

    def empty_pools(self, num_devices: int) -> FreshPool:
        """Returns pools without levels, leading axis `[num_devices]`."""
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * num_devices), self.empty())

    def take(
        self, key: jax.Array, pool: FreshPool, wanted: jax.Array | int
    ) -> tuple[FreshPool, kx.Level, jax.Array]:
        """Takes levels out of the pool, which is filled first if it holds too few.

        Args:
          key: random key of new levels.
          pool: pool of this object.
          wanted: levels to take, at most `rows`; traced.

        Returns:
          the pool without them; levels `[rows]`, of which the first `wanted` are taken; and how many of those
          were not filtered, because `max_rounds` was reached: int32 `[]`.
        """

        def fill():
            levels, passed = kx.sample_filtered_levels(
                key,
                self.capacity,
                self.env.size,
                self.generator,
                env=self.env,
                env_params=self.env_params,
                round_size=self.round_size,
                max_rounds=self.max_rounds,
                wanted=wanted,
                kept=(pool.levels, pool.count),
            )
            return FreshPool(levels, passed.sum(dtype=jnp.int32))

        full = jax.lax.cond(pool.count < wanted, fill, lambda: pool)
        taken = jnp.minimum(wanted, full.count)
        index = (jnp.arange(self.capacity) + taken) % self.capacity
        rest = FreshPool(jax.tree.map(lambda leaf: leaf[index], full.levels), full.count - taken)
        levels = jax.tree.map(lambda leaf: leaf[: self.rows], full.levels)
        return rest, levels, jnp.int32(wanted - taken)
