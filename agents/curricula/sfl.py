"""Sampling for learnability: training on the random levels that are neither too easy nor too hard."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.protocol import (
    LevelBatch,
    Metrics,
    episode_metrics,
    first_episodes,
    learnability,
    masked_average,
)
from agents.evaluation.episodes import attempt_levels
from agents.policy import Params, Policy
from agents.ppo.rollout import Outcome


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SFLState:
    """Buffer of learnable levels."""

    levels: kx.Level  # leading axis [buffer_size]
    score: jax.Array  # float [buffer_size], learnability when the levels were chosen
    num_updates: jax.Array  # int32 [], updates so far
    unfiltered: jax.Array  # int32 [], levels of the last draw that the no-op policy may solve


@dataclasses.dataclass(frozen=True)
class SFL:
    """Rutherford et al., "No regrets" (2024), algorithm 1.

    Every `refresh_every` updates, the current policy attempts each of `num_candidates` fresh levels
    `attempts` times, for at most `num_steps` steps, and the `buffer_size` most learnable become the buffer.
    An update plays levels of the buffer in a share `buffer_share` (the paper's rho) of the environments, and
    fresh ones in the others.

    Attributes:
      env: environment; its auto-reset does not matter.
      env_params: numbers of the game.
      num_envs: levels of an update.
      num_candidates: candidates of a refresh.
      attempts: episodes of each candidate; at least 2, because the learnability `p (1 - p)` of a rate that
        was measured in one episode is 0 for every level.
      num_steps: largest length of these episodes; the time limit lets no solution be missed.
      episodes_at_once: bound on the episodes that are played side by side, which bounds memory.
      buffer_size: levels that a refresh keeps.
      refresh_every: updates between two refreshes.
      buffer_share: share of levels from the buffer in an update, in 0 .. 1.
      generator: parameters of the distribution of fresh levels.
      max_rounds: bound on the rounds of drawing and filtering; where it is reached, unfiltered levels take
        the missing places, and the metric `unfiltered_levels` counts them.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    env: kx.Environment
    env_params: kx.EnvParams
    num_envs: int
    num_candidates: int = 512
    attempts: int = 8
    buffer_size: int = 128
    num_steps: int = 256
    episodes_at_once: int = 4096
    refresh_every: int = 20
    buffer_share: float = 0.5
    generator: kx.GeneratorParams = dataclasses.field(default_factory=kx.GeneratorParams)
    max_rounds: int = 256

    def __post_init__(self) -> None:
        counts = ("num_envs", "num_candidates", "buffer_size", "num_steps", "refresh_every", "max_rounds")
        for name, least in (*((name, 1) for name in counts), ("attempts", 2), ("episodes_at_once", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"SFL.{name} must be at least {least}, got {getattr(self, name)!r}")
        if self.buffer_size > self.num_candidates:
            most = self.num_candidates
            raise ValueError(f"SFL.buffer_size must be at most num_candidates {most}, got {self.buffer_size}")
        if not 0 <= self.buffer_share <= 1:
            raise ValueError(f"SFL.buffer_share must be in 0 .. 1, got {self.buffer_share!r}")

    @property
    def num_replayed(self) -> int:
        """Environments of an update whose levels come from the buffer."""
        return round(self.buffer_share * self.num_envs)

    @property
    def candidates_at_once(self) -> int:
        """Candidates attempted side by side: the largest divisor of their number within the bound."""
        most = max(self.episodes_at_once // self.attempts, 1)
        return max(n for n in range(1, min(most, self.num_candidates) + 1) if self.num_candidates % n == 0)

    def init(self, key: jax.Array) -> SFLState:
        """Returns an empty buffer, which the first proposal fills."""
        shapes = jax.eval_shape(lambda key: kx.sample_levels(key, self.buffer_size, self.env.size), key)
        levels = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
        return SFLState(levels, jnp.zeros(self.buffer_size), jnp.int32(0), jnp.int32(0))

    def draw(self, key: jax.Array, wanted: jax.Array | int) -> tuple[kx.Level, jax.Array]:
        """Draws fresh levels in the first `wanted` of the rows `[fresh + candidates]` that a refresh needs.

        One program for both amounts, because compiling the generator and its filter takes long.

        Returns:
          levels, and the number of unfiltered ones among the wanted: int32 `[]`.
        """
        fresh = self.num_envs - self.num_replayed
        rows = fresh + self.num_candidates
        levels, passed = kx.sample_filtered_levels(
            key,
            rows,
            self.env.size,
            self.generator,
            env=self.env,
            env_params=self.env_params,
            round_size=max(-(-fresh // 2), -(-rows // 8)),
            max_rounds=self.max_rounds,
            wanted=wanted,
        )
        return levels, (~passed & (jnp.arange(rows) < wanted)).sum(dtype=jnp.int32)

    def refresh(
        self, key: jax.Array, policy: Policy, params: Params, state: SFLState, candidates: kx.Level
    ) -> SFLState:
        """Attempts candidates `[num_candidates]` and keeps the most learnable."""
        env = dataclasses.replace(self.env, auto_reset=False)

        def solve_rate(candidate):
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
            return results.solved.mean(axis=1)

        rows = self.candidates_at_once
        groups = jax.tree.map(lambda leaf: leaf.reshape(-1, rows, *leaf.shape[1:]), candidates)
        keys = jax.random.split(key, self.num_candidates // rows)
        rate = jax.lax.map(solve_rate, (keys, groups)).reshape(-1)
        score, best = jax.lax.top_k(learnability(rate), self.buffer_size)
        levels = jax.tree.map(lambda value: value[best], candidates)
        return dataclasses.replace(state, levels=levels, score=score)

    def propose(
        self, key: jax.Array, policy: Policy, params: Params, state: SFLState
    ) -> tuple[SFLState, LevelBatch]:
        """Mixes levels of the buffer, each equally likely, with fresh ones; refreshes the buffer if due."""
        draw_key, refresh_key, index_key = jax.random.split(key, 3)
        replayed, fresh = self.num_replayed, self.num_envs - self.num_replayed
        due = state.num_updates % self.refresh_every == 0
        drawn, unfiltered = self.draw(draw_key, jnp.where(due, fresh + self.num_candidates, fresh))
        state = dataclasses.replace(state, unfiltered=unfiltered)
        candidates = jax.tree.map(lambda value: value[fresh:], drawn)
        state = jax.lax.cond(
            due,
            lambda: self.refresh(refresh_key, policy, params, state, candidates),
            lambda: state,
        )
        index = jax.random.randint(index_key, (replayed,), 0, self.buffer_size)
        mix = lambda buffer, drawn: jnp.concatenate([buffer[index], drawn[:fresh]])
        levels = jax.tree.map(mix, state.levels, drawn)
        source = jnp.concatenate([index, jnp.full(fresh, -1, index.dtype)])
        attempt_steps = jnp.where(due, self.num_candidates * self.attempts * self.num_steps, 0)
        return state, LevelBatch(levels, source, attempt_steps)

    def observe(self, state: SFLState, batch: LevelBatch, outcome: Outcome) -> tuple[SFLState, Metrics]:
        """Averages over replayed and over fresh levels apart, and over the buffer's learnability."""
        solved, _ = first_episodes(outcome)
        fresh = batch.source < 0
        metrics = episode_metrics(outcome) | {
            "solve_rate_fresh": masked_average(solved, fresh),
            "solve_rate_replayed": masked_average(solved, ~fresh),
            "buffer_learnability": state.score.mean(),
            "buffer_unlearnable": (state.score == 0).mean(),
            "unfiltered_levels": state.unfiltered,
        }
        return dataclasses.replace(state, num_updates=state.num_updates + 1), metrics
