"""What a curriculum is: it proposes the levels of the next rollout, and sees what became of them."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.ppo.rollout import Policy, Transitions


class LevelBatch(NamedTuple):
    """The levels of one rollout: every episode of environment i starts at `start[i]`."""

    start: kx.Level  # leading axis [B]
    source: jax.Array  # int32 [B], place in the curriculum's buffer; -1 for a fresh level


class Curriculum(Protocol):
    """Pure functions, so that proposing, playing and learning are one compiled program."""

    def init(self, key: jax.Array) -> Any:
        """The state of a curriculum before the first update."""
        ...

    def propose(self, key: jax.Array, policy: Policy, params: Any, state: Any) -> tuple[Any, LevelBatch]:
        """The levels of the next rollout."""
        ...

    def observe(self, state: Any, batch: LevelBatch, seen: Transitions) -> tuple[Any, dict[str, jax.Array]]:
        """The state after a rollout, and metrics by name (scalars)."""
        ...


def solve_rates(seen: Transitions) -> tuple[jax.Array, jax.Array]:
    """How often each environment's level was solved in a rollout.

    Returns:
      float `[B]`, solved episodes over ended ones; 0 where no episode ended, which counts as unsolved; and
      int32 `[B]`, how many ended.
    """
    ended = seen.done.sum(0)
    return seen.info["solved"].sum(0) / jnp.maximum(ended, 1), ended


def learnability(rate: jax.Array) -> jax.Array:
    """Variance of an outcome, `p (1 - p)`: largest where success and failure are equally likely.

    Rutherford et al., "No regrets: investigating and improving regret approximations for curriculum
    discovery" (2024), section 5.
    """
    return rate * (1 - rate)


def all_ended(seen: Transitions) -> dict[str, jax.Array]:
    """Means over the episodes that ended in a rollout, as metrics."""
    ended = jnp.maximum(seen.done.sum(), 1)
    mean = lambda value: jnp.where(seen.done, value, 0).sum() / ended
    return {
        "solve_rate": mean(seen.info["solved"]),
        "episode_return": mean(seen.info["episode_return"]),
        "episode_length": mean(seen.info["episode_length"]),
        "episodes": seen.done.sum(),
    }
