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
    memo: Any = None  # pytree that comes back to `observe`, of how the levels were chosen


class Curriculum(Protocol):
    """Pure functions, so that proposing, playing and learning are one compiled program.

    On several devices, each has a curriculum of its own for its share of the environments. What depends on
    the number of updates alone is decided alike for all devices and seeds, and remains a branch where seeds
    are trained side by side.
    """

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> Any:
        """State before the first update: a pytree of arrays.

        Args:
          key: random key.
          device: int32 `[]`, number of the device, from 0.
        """
        ...

    def redistribute(self, states: Any, num_devices: int) -> Any:
        """Shares the states of all devices out to another number of them, and forgets no level.

        Args:
          states: states of a run's devices, leading axis `[old number of devices]`.
          num_devices: number of devices from now on, whose share this curriculum is made for.

        Returns:
          states, leading axis `[num_devices]`.
        """
        ...

    def propose(
        self, key: jax.Array, policy: Policy, params: Params, state: Any, num_updates: jax.Array | int
    ) -> tuple[Any, LevelBatch]:
        """Chooses the levels of the next update.

        Args:
          key: random key of the choice.
          policy, params: current policy, which may attempt candidates.
          state: the curriculum's state.
          num_updates: int32 `[]`, updates of the run so far.

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
        num_updates: jax.Array | int,
    ) -> tuple[Any, Metrics]:
        """Records how the levels of an update were played.

        Args:
          key: random key.
          policy, params: policy after it has learnt from the update.
          state: the curriculum's state, from `propose`.
          batch: levels of the update.
          outcome: how they were played, rows `[B]`.
          num_updates: int32 `[]`, updates of the run before this one.

        Returns:
          the state, and metrics by name.
        """
        ...
