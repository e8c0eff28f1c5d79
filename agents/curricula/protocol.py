"""The interface of curricula, and measures of rollouts that they share."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.policy import Params, Policy
from agents.ppo.rollout import Outcome

Metrics = dict[str, jax.Array]  # scalars by name


class LevelBatch(NamedTuple):
    """Levels of one update: every episode of environment i starts at `start[i]`."""

    start: kx.Level  # leading axis [B]
    source: jax.Array  # int32 [B], index in the curriculum's own buffer; -1 for a fresh level
    attempt_steps: jax.Array | int = 0  # int32 [], steps that the policy took to choose the levels


class Curriculum(Protocol):
    """Pure functions, so that proposing, playing and learning are one compiled program."""

    def init(self, key: jax.Array) -> Any:
        """State before the first update: a pytree of arrays."""
        ...

    def propose(self, key: jax.Array, policy: Policy, params: Params, state: Any) -> tuple[Any, LevelBatch]:
        """Chooses the levels of the next update.

        Args:
          key: random key of the choice.
          policy, params: current policy, which may attempt candidates.
          state: the curriculum's state.

        Returns:
          the state, and the levels.
        """
        ...

    def observe(self, state: Any, batch: LevelBatch, outcome: Outcome) -> tuple[Any, Metrics]:
        """Records how the levels of an update were played.

        Args:
          state: the curriculum's state, from `propose`.
          batch: levels of the update.
          outcome: all its steps in order, `[T, B]`.

        Returns:
          the state, and metrics by name.
        """
        ...


def first_episodes(outcome: Outcome) -> tuple[jax.Array, jax.Array]:
    """Tells how the first episode of each environment went.

    Only first episodes are an unbiased sample: of later ones, those that end soon are seen more often.

    Returns:
      bool `[B]`, whether it was solved; and bool `[B]`, whether it ended.
    """
    ended_before = jnp.cumsum(outcome.done, axis=0) - outcome.done
    first = outcome.done & (ended_before == 0)
    return (first & outcome.info["solved"]).any(0), first.any(0)


def learnability(rate: jax.Array) -> jax.Array:
    """Variance of an outcome, `p (1 - p)`: largest where success and failure are equally likely.

    Rutherford et al., "No regrets: investigating and improving regret approximations for curriculum
    discovery" (2024), section 5.
    """
    return rate * (1 - rate)


def masked_average(values: jax.Array, chosen: jax.Array) -> jax.Array:
    """Average of the chosen values; 0 where none is chosen."""
    return jnp.where(chosen, values, 0).sum() / jnp.maximum(chosen.sum(), 1)


def episode_metrics(outcome: Outcome) -> Metrics:
    """Averages over the episodes of an update.

    Returns:
      `solve_rate`, share of the environments that solved their level in their first episode, unfinished ones
      included; `solve_rate_ended`, share of the episodes that ended with a solution, in which quick episodes
      count more often; means of `episode_return` and `episode_length` over the episodes that ended; and
      `episodes`, their number.
    """
    solved, _ = first_episodes(outcome)
    mean = lambda name: masked_average(outcome.info[name], outcome.done)
    return {
        "solve_rate": solved.mean(),
        "solve_rate_ended": mean("solved"),
        "episode_return": mean("episode_return"),
        "episode_length": mean("episode_length"),
        "episodes": outcome.done.sum(),
    }
