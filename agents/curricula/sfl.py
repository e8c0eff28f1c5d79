"""Sampling for learnability: training on the random levels that are neither too easy nor too hard."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.buffer import checksums, first_equal
from agents.curricula.outcome import Outcome, masked_average
from agents.curricula.protocol import Metrics
from agents.curricula.replay import PLR, ReplayState
from agents.curricula.scores import History, expected_learnability
from agents.evaluation.episodes import attempt_levels
from agents.policy import Params, Policy
from kinetix_py.chunks import suited_chunks


@dataclasses.dataclass(frozen=True)
class SFL(PLR):
    """Rutherford et al., "No regrets" (2024), with solve rates from the training rollouts.

    A buffer of the most learnable levels makes up a share `buffer_share` (the paper's rho) of each update;
    fresh levels are the others. The first episode of each environment counts as an attempt at its level, so
    that scores follow the policy, mastered levels leave the buffer, and fresh ones take their places.

    With candidates, the paper's algorithm 1 supplies the buffer as well: every `refresh_every` updates, the
    current policy attempts each of `num_candidates` fresh levels `attempts` times, for at most `num_steps`
    steps, and the most learnable of them and of the buffer remain.

    Other fields are those of `PLR`: levels are replayed in proportion to their expected learnability.

    Attributes:
      num_candidates: candidates of a refresh; 0 for none.
      attempts: episodes of each candidate; at least 2, because one attempt tells nothing of how learnable a
        level is.
      num_steps: largest length of these episodes; the time limit lets no solution be missed.
      episodes_at_once: bound on the episodes that are played side by side, which bounds memory; None: what
        suits the device (`kinetix_py.chunks`).
      refresh_every: updates between two refreshes.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    buffer_size: int = 128
    score: str = "learnability"
    prioritization: str = "proportional"
    staleness: float = 0.0
    num_candidates: int = 512
    attempts: int = 8
    num_steps: int = 256
    episodes_at_once: int | None = None
    refresh_every: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("num_candidates", self.num_candidates >= 0, "at least 0")
        self._check("attempts", self.attempts >= 2, "at least 2")
        for name in ("num_steps", "episodes_at_once", "refresh_every"):
            value = getattr(self, name)
            self._check(name, value is None or value >= 1, "at least 1")

    @property
    def num_attempted(self) -> int:
        """Candidates that an update which refreshes attempts."""
        return self.num_candidates

    @property
    def candidates_at_once(self) -> int:
        """Candidates attempted side by side: the largest divisor of their number within the bound."""
        bound = suited_chunks().attempted if self.episodes_at_once is None else self.episodes_at_once
        most = max(bound // self.attempts, 1)
        return max(n for n in range(1, min(most, self.num_candidates) + 1) if self.num_candidates % n == 0)

    def is_due(self, num_updates: jax.Array | int) -> jax.Array:
        """Tells whether the next update attempts candidates: bool `[]`."""
        return jnp.asarray(num_updates % self.refresh_every == 0) & (self.num_candidates > 0)

    def num_wanted(self, state: ReplayState, num_updates: jax.Array | int) -> jax.Array:
        """Fresh levels that the next update needs, candidates included: int32 `[]`."""
        candidates = jnp.where(self.is_due(num_updates), self.num_fresh + self.num_candidates, 0)
        return jnp.maximum(super().num_wanted(state, num_updates), candidates)

    def refresh(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: ReplayState,
        candidates: kx.Level,
        num_updates: jax.Array | int,
    ) -> ReplayState:
        """Attempts candidates `[num_candidates]`; the most learnable of them and of the buffer remain."""
        env = dataclasses.replace(self.env, auto_reset=False)

        def count_solved(candidate):
            key, levels = candidate
            results = attempt_levels(
                key,
                policy,
                params,
                env,
                levels,
                self.env_params,
                attempts=self.attempts,
                max_steps=self.num_steps,
            )
            return results.solved.sum(axis=1, dtype=jnp.float32)

        rows, count = self.candidates_at_once, self.num_candidates
        groups = jax.tree.map(lambda leaf: leaf.reshape(-1, rows, *leaf.shape[1:]), candidates)
        solved = jax.lax.map(count_solved, (jax.random.split(key, count // rows), groups)).reshape(-1)
        attempts = jnp.full(count, float(self.attempts))
        history = dataclasses.replace(History.empty(count), attempts=attempts, solved=solved)
        score, checksum = expected_learnability(solved, attempts), checksums(candidates)
        capacity = self.buffer_size
        first = first_equal(jnp.concatenate([state.buffer.checksum, checksum]))[capacity:]
        new = first == capacity + jnp.arange(count)
        buffer = state.buffer.insert(candidates, checksum, score, history, new, jnp.int32(num_updates))
        return dataclasses.replace(state, buffer=buffer)

    def prepare(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: ReplayState,
        drawn: kx.Level,
        num_updates: jax.Array | int,
    ) -> tuple[ReplayState, jax.Array | int]:
        """Refreshes the buffer if that is due."""
        if not self.num_candidates:
            return state, 0
        due = self.is_due(num_updates)
        stop = self.num_fresh + self.num_candidates
        candidates = jax.tree.map(lambda leaf: leaf[self.num_fresh : stop], drawn)
        refreshed = lambda: self.refresh(key, policy, params, state, candidates, num_updates)
        state = jax.lax.cond(due, refreshed, lambda: state)
        return state, jnp.where(due, self.num_candidates * self.attempts * self.num_steps, 0)

    def own_metrics(self, state: ReplayState, outcome: Outcome) -> Metrics:
        """Share of the buffer that was always or never solved, and attempts at its levels."""
        history, filled = state.buffer.history, state.buffer.filled
        one_sided = (history.solved < 0.5) | (history.attempts - history.solved < 0.5)
        return {
            "buffer_unlearnable": masked_average(one_sided.astype(jnp.float32), filled, outcome.axis),
            "buffer_attempts": masked_average(history.attempts, filled, outcome.axis),
        }
