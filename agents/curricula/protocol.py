"""The interface of curricula."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax

import kinetix_py as kx
from agents.curricula.outcome import Outcome
from agents.policy import Params, Policy

Metrics = dict[str, jax.Array]  # scalars by name


class LevelBatch(NamedTuple):
    """Levels of one update: every episode of environment i starts at `start[i]`."""

    start: kx.Level  # leading axis [B]
    source: jax.Array  # int32 [B], index in the curriculum's own buffer; -1 for a level that is not in it
    attempt_steps: jax.Array | int = 0  # int32 [], steps that the policy took to choose the levels
    learn: jax.Array | None = None  # bool [B], levels to learn from, others are only played; None: all


class Curriculum(Protocol):
    """Pure functions, so that proposing, playing and learning are one compiled program.

    On several devices, each has a curriculum of its own for its share of the environments.
    """

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

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: Any,
        batch: LevelBatch,
        outcome: Outcome,
    ) -> tuple[Any, Metrics]:
        """Records how the levels of an update were played.

        Args:
          key: random key.
          policy, params: policy after it has learnt from the update.
          state: the curriculum's state, from `propose`.
          batch: levels of the update.
          outcome: how they were played, rows `[B]`.

        Returns:
          the state, and metrics by name.
        """
        ...
