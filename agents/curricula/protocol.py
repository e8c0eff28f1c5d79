"""The interface of curricula, and measures of rollouts that they share."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.policy import Params, Policy
from agents.ppo.rollout import Transitions

Metrics = dict[str, jax.Array]  # scalars by name


class LevelBatch(NamedTuple):
    """Levels of one rollout: every episode of environment i starts at `start[i]`."""

    start: kx.Level  # leading axis [B]
    source: jax.Array  # int32 [B], index in the curriculum's own buffer; -1 for a fresh level


class Curriculum(Protocol):
    """Pure functions, so that proposing, playing and learning are one compiled program."""

    def init(self, key: jax.Array) -> Any:
        """State before the first update: a pytree of arrays."""
        ...

    def propose(self, key: jax.Array, policy: Policy, params: Params, state: Any) -> tuple[Any, LevelBatch]:
        """Chooses the levels of the next rollout.

        Args:
          key: random key of the choice.
          policy, params: current policy, which may attempt candidates.
          state: the curriculum's state.

        Returns:
          the state, and the levels.
        """
        ...

    def observe(self, state: Any, batch: LevelBatch, transitions: Transitions) -> tuple[Any, Metrics]:
        """Records the outcome of a rollout.

        Args:
          state: the curriculum's state, from `propose`.
          batch: levels of the rollout.
          transitions: the rollout.

        Returns:
          the state, and metrics by name.
        """
        ...


def solve_rates(transitions: Transitions) -> tuple[jax.Array, jax.Array]:
    """Computes how often each environment's level was solved in a rollout.

    Returns:
      float `[B]`, solved episodes over ended ones, 0 where no episode ended; and int32 `[B]`, how many ended.
    """
    ended = transitions.done.sum(0)
    return transitions.info["solved"].sum(0) / jnp.maximum(ended, 1), ended


def learnability(rate: jax.Array) -> jax.Array:
    """Variance of an outcome, `p (1 - p)`: largest where success and failure are equally likely.

    Rutherford et al., "No regrets: investigating and improving regret approximations for curriculum
    discovery" (2024), section 5.
    """
    return rate * (1 - rate)


def episode_metrics(transitions: Transitions) -> Metrics:
    """Averages solve rate, return and length over the episodes that ended in a rollout, and counts them."""
    ended = jnp.maximum(transitions.done.sum(), 1)
    mean = lambda value: jnp.where(transitions.done, value, 0).sum() / ended
    return {
        "solve_rate": mean(transitions.info["solved"]),
        "episode_return": mean(transitions.info["episode_return"]),
        "episode_length": mean(transitions.info["episode_length"]),
        "episodes": transitions.done.sum(),
    }
