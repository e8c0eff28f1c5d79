"""A buffer of the highest-scoring levels, of fixed capacity, for curricula that replay levels."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.curricula.outcome import Outcome
from agents.curricula.scores import History, Score

Tree = TypeVar("Tree")
PRIORITIZATIONS = ("rank", "proportional")


def checksums(levels: kx.Level) -> jax.Array:
    """Two sums of all the words of each level, in random odd multiples, modulo 2^32.

    Equal levels have equal checksums, and levels that differ in one number never have. Others do so by chance
    only, of 2^-63.

    Args:
      levels: batch of levels `[N]`.

    Returns:
      uint32 `[N, 2]`.
    """
    count = levels.batch_shape[0]

    def words(leaf: jax.Array) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            leaf = jax.lax.bitcast_convert_type(jnp.where(leaf == 0, 0, leaf), jnp.uint32)  # -0 equals 0
        return leaf.astype(jnp.uint32).reshape(count, -1)

    table = jnp.concatenate([words(leaf) for leaf in jax.tree.leaves(levels)], axis=1)
    factors = np.random.default_rng(0).integers(0, 2**31, (2, table.shape[1]), np.uint32) * 2 + 1
    return jnp.stack([(table * factor[None]).sum(1, dtype=jnp.uint32) for factor in factors], axis=1)


def first_equal(rows: jax.Array) -> jax.Array:
    """Index of the first row that equals each row: int32 `[N]`, of rows `[N, 2]`."""
    order = jnp.lexsort((rows[:, 1], rows[:, 0]))  # equal rows stay in their order
    ordered = rows[order]
    begins = jnp.concatenate([jnp.ones(1, bool), (ordered[1:] != ordered[:-1]).any(1)])
    first = jax.lax.cummax(jnp.where(begins, jnp.arange(rows.shape[0]), 0))
    return jnp.zeros_like(order).at[order].set(order[first])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LevelBuffer:
    """Levels with their scores; slots without a level have a score of -infinity."""

    levels: kx.Level  # leading axis [capacity]
    checksum: jax.Array  # uint32 [capacity, 2]
    score: jax.Array  # float [capacity], when the level was last played
    last_played: jax.Array  # int32 [capacity], time at which it was
    history: History  # rows [capacity]

    @classmethod
    def empty(cls, capacity: int, size: kx.LevelSize) -> LevelBuffer:
        """Returns a buffer without levels."""
        shapes = jax.eval_shape(lambda key: kx.sample_levels(key, capacity, size), jax.random.key(0))
        return cls(
            jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes),
            jnp.zeros((capacity, 2), jnp.uint32),
            jnp.full(capacity, -jnp.inf, jnp.float32),
            jnp.zeros(capacity, jnp.int32),
            History.empty(capacity),
        )

    @property
    def capacity(self) -> int:
        """Number of slots."""
        return self.score.shape[0]

    @property
    def filled(self) -> jax.Array:
        """Slots that hold a level: bool `[capacity]`."""
        return self.score > -jnp.inf

    def fade(self, factor: jax.Array | float) -> LevelBuffer:
        """Lets the attempts that were counted so far count less, by a factor in 0 .. 1."""
        return dataclasses.replace(self, history=self.history.fade(factor))

    def update(self, played: jax.Array, score: jax.Array, history: History, now: jax.Array) -> LevelBuffer:
        """Replaces what is known of levels that were played.

        Args:
          played: bool `[capacity]`, slots whose level was played.
          score, history: its new score and history, rows `[capacity]`.
          now: int32 `[]`, time.
        """
        choose = lambda new, old: jnp.where(played, new, old)
        return dataclasses.replace(
            self,
            score=choose(_finite_or_lowest(score), self.score),
            last_played=choose(now, self.last_played),
            history=jax.tree.map(choose, history, self.history),
        )

    def insert(
        self,
        levels: kx.Level,
        checksum: jax.Array,
        score: jax.Array,
        history: History,
        new: jax.Array,
        now: jax.Array,
    ) -> LevelBuffer:
        """Inserts a batch of levels; the highest scores of both, old and new, remain.

        Args:
          levels: batch of levels `[N]`.
          checksum: `checksums` of the levels.
          score, history: rows `[N]`.
          new: bool `[N]`, levels to insert; the caller leaves duplicates out.
          now: int32 `[]`, time.
        """
        score = jnp.where(new, _finite_or_lowest(score), -jnp.inf)
        count = min(self.capacity, score.shape[0])
        # The i-th best new level takes the place of the i-th worst old one, as long as it is better.
        row, slot = jnp.argsort(-score)[:count], jnp.argsort(self.score)[:count]
        slot = jnp.where(score[row] > self.score[slot], slot, self.capacity)
        put = lambda into, rows: into.at[slot].set(rows[row], mode="drop")
        times = jnp.full(score.shape, now, jnp.int32)
        inserted = LevelBuffer(levels, checksum, score, times, history)
        return jax.tree.map(put, self, inserted)

    def record(
        self,
        levels: kx.Level,
        source: jax.Array,
        outcome: Outcome,
        score: Score,
        now: jax.Array,
    ) -> LevelBuffer:
        """Scores levels that were played: those of the buffer anew, all others to be inserted.

        Rows of one level, be they from one slot or equal by chance, are merged before they are scored.

        Args:
          levels: batch of levels `[N]`.
          source: int32 `[N]`, slot of each level, -1 if it was not taken from the buffer.
          outcome: how they were played, rows `[N]`.
          score: score of a level, of `agents.curricula.scores`.
          now: int32 `[]`, time.
        """
        count, capacity = source.shape[0], self.capacity
        checksum = checksums(levels)
        first = first_equal(jnp.concatenate([self.checksum, checksum]))[capacity:]
        found = jnp.where(first < capacity, first, -1)
        slot = jnp.where(source >= 0, source, found)
        played = outcome.merge(slot, capacity)
        after = self.history.after(played)
        buffer = self.update(played.attempts > 0, score(played, self.history), after, now)
        group = jnp.where(slot < 0, first - capacity, -1)
        fresh, nothing = outcome.merge(group, count), History.empty(count)
        new = fresh.attempts > 0
        return buffer.insert(levels, checksum, score(fresh, nothing), nothing.after(fresh), new, now)

    def weights(
        self,
        prioritization: str,
        temperature: jax.Array | float,
        staleness: jax.Array | float,
        now: jax.Array,
    ) -> jax.Array:
        """Chances with which levels are replayed: `(1 - staleness) P_score + staleness P_time`.

        Jiang et al., "Prioritized level replay" (2021), section 3: with h the score, or 1 / rank of it (1
        plus the number of higher scores), `P_score` is proportional to `h^(1 / temperature)`, and `P_time` to
        the time since the level was last played. Where all scores or all times are 0, levels are
        equally likely.

        Args:
          prioritization: `"rank"` or `"proportional"`, by which negative scores count as 0; static.
          temperature: the higher, the more alike; above 0.
          staleness: weight of the time, in 0 .. 1.
          now: int32 `[]`, time.

        Returns:
          float `[capacity]`, of sum 1; 0 where there is no level. All 0 if there is none at all.

        Raises:
          ValueError: an unknown prioritization.
        """
        if prioritization not in PRIORITIZATIONS:
            raise ValueError(f"prioritization must be one of {PRIORITIZATIONS}, got {prioritization!r}")
        filled = self.filled
        if prioritization == "rank":
            not_above = jnp.searchsorted(jnp.sort(self.score), self.score, side="right")
            height = 1 / (1.0 + self.capacity - not_above)
        else:
            height = jnp.maximum(self.score, 0)
            height = height / jnp.maximum(height.max(), 1e-30)  # no overflow at low temperatures
        by_score = jnp.where(filled & (height > 0), jnp.maximum(height, 1e-30) ** (1 / temperature), 0)
        by_time = jnp.where(filled, now - self.last_played, 0).astype(jnp.float32)
        share = lambda weight: (
            jnp.where(weight.sum() > 0, weight, filled)
            / jnp.maximum(jnp.where(weight.sum() > 0, weight.sum(), filled.sum()), 1e-30)
        )
        return (1 - staleness) * share(by_score) + staleness * share(by_time)

    def sample(self, key: jax.Array, count: int, weights: jax.Array) -> jax.Array:
        """Draws slots with replacement, by their weights: int32 `[count]`."""
        return jax.random.choice(key, self.capacity, (count,), p=weights).astype(jnp.int32)


def _finite_or_lowest(score: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(score), score, -jnp.inf)


def deal_out(slots: Tree, score: jax.Array, num_buffers: int) -> Tree:
    """Deals the slots of several buffers out to others, one by one from the highest score to the lowest.

    So each gets as many levels, and as good ones, as any other; none is lost.

    Args:
      slots: pytree of arrays with leading axes `[old number, capacity]`, such as a `LevelBuffer`.
      score: float `[old number, capacity]`.
      num_buffers: number of buffers, which divides the number of all slots.

    Returns:
      leading axes `[num_buffers, new capacity]`, with as many slots together.
    """
    order = jnp.argsort(-score.reshape(-1), stable=True).reshape(-1, num_buffers).T
    dealt: Tree = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[order], slots)
    return dealt
