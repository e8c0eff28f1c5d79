"""Sampling for learnability: train on the random levels that are neither too easy nor too hard."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.protocol import LevelBatch, all_ended, learnability, solve_rates
from agents.ppo.rollout import Policy, Transitions
from agents.training.evaluate import attempt
from kinetix_py.generator.filters import sample_filtered_levels
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.sample import sample_levels


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SFLState:
    """The buffer of learnable levels."""

    levels: kx.Level  # leading axis [buffer_size]
    score: jax.Array  # float [buffer_size], learnability when they were chosen
    update: jax.Array  # int32 [], rollouts so far


@dataclasses.dataclass(frozen=True)
class SFL:
    """Rutherford et al., "No regrets" (2024), algorithm 1.

    Every `refresh_every` rollouts, the current policy attempts each of `num_candidates` fresh levels
    `attempts` times, for at most `num_steps` steps, and the `buffer_size` most learnable become the buffer.
    A rollout plays levels of the buffer in a share `buffer_share` (the paper's rho) of the environments, and
    fresh ones in the others.

    Attributes:
      env: with auto-reset.
      env_params: numbers of the game.
      num_envs: levels of a rollout.
      initial_carry: `batch size -> carry` of a policy that remembers nothing.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    env: kx.Environment
    env_params: kx.EnvParams
    num_envs: int
    initial_carry: Any = lambda batch: ()
    num_candidates: int = 512
    attempts: int = 8
    buffer_size: int = 128
    num_steps: int = 256
    refresh_every: int = 20
    buffer_share: float = 0.5
    generator: GeneratorParams = dataclasses.field(default_factory=GeneratorParams)

    def __post_init__(self) -> None:
        for name in ("num_envs", "num_candidates", "attempts", "buffer_size", "num_steps", "refresh_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"SFL.{name} must be at least 1, got {getattr(self, name)!r}")
        if self.buffer_size > self.num_candidates:
            most = self.num_candidates
            raise ValueError(f"SFL.buffer_size must be at most num_candidates {most}, got {self.buffer_size}")
        if not 0 <= self.buffer_share <= 1:
            raise ValueError(f"SFL.buffer_share must be in 0 .. 1, got {self.buffer_share!r}")

    @property
    def num_replayed(self) -> int:
        """Environments of a rollout whose levels come from the buffer."""
        return round(self.buffer_share * self.num_envs)

    def init(self, key: jax.Array) -> SFLState:
        """A buffer that the first proposal fills."""
        shapes = jax.eval_shape(lambda key: sample_levels(key, self.buffer_size, self.env.size), key)
        levels = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
        return SFLState(levels, jnp.zeros(self.buffer_size), jnp.int32(0))

    def draw(self, key: jax.Array, wanted: jax.Array | int) -> kx.Level:
        """Fresh levels in the first `wanted` rows of as many as a refresh needs: `[fresh + candidates]`.

        One program for both amounts, because compiling the generator and its filter takes long.
        """
        fresh = self.num_envs - self.num_replayed
        rows = fresh + self.num_candidates
        size = max(-(-fresh // 2), -(-rows // 8))
        levels, _ = sample_filtered_levels(
            key,
            rows,
            self.env.size,
            self.generator,
            env=self.env,
            env_params=self.env_params,
            round_size=size,
            wanted=wanted,
        )
        return levels

    def refresh(
        self, key: jax.Array, policy: Policy, params: Any, state: SFLState, candidates: kx.Level
    ) -> SFLState:
        """Attempts candidates `[num_candidates]` and keeps the most learnable."""
        env = dataclasses.replace(self.env, auto_reset=False)
        numbers = (self.env_params, self.attempts, self.num_steps, self.initial_carry)
        solved, _ = attempt(key, policy, params, env, candidates, *numbers)
        score, best = jax.lax.top_k(learnability(solved.mean(axis=1)), self.buffer_size)
        return SFLState(jax.tree.map(lambda value: value[best], candidates), score, state.update)

    def propose(
        self, key: jax.Array, policy: Policy, params: Any, state: SFLState
    ) -> tuple[SFLState, LevelBatch]:
        """Levels of the buffer, each equally likely, and fresh ones; refreshes the buffer when it is time."""
        draw_key, refresh_key, index_key = jax.random.split(key, 3)
        replayed, fresh = self.num_replayed, self.num_envs - self.num_replayed
        due = state.update % self.refresh_every == 0
        drawn = self.draw(draw_key, jnp.where(due, fresh + self.num_candidates, fresh))
        candidates = jax.tree.map(lambda value: value[fresh:], drawn)
        state = jax.lax.cond(
            due,
            lambda: self.refresh(refresh_key, policy, params, state, candidates),
            lambda: state,
        )
        index = jax.random.randint(index_key, (replayed,), 0, self.buffer_size)
        mix = lambda buffer, drawn: jnp.concatenate([buffer[index], drawn[:fresh]])
        levels = jax.tree.map(mix, state.levels, drawn)
        return state, LevelBatch(levels, jnp.concatenate([index, jnp.full(fresh, -1, index.dtype)]))

    def observe(
        self, state: SFLState, batch: LevelBatch, seen: Transitions
    ) -> tuple[SFLState, dict[str, jax.Array]]:
        """Solve rates of replayed and of fresh levels apart, and how learnable the buffer was."""
        rate, _ = solve_rates(seen)
        mean = lambda which: jnp.where(which, rate, 0).sum() / jnp.maximum(which.sum(), 1)
        fresh = batch.source < 0
        metrics = all_ended(seen) | {
            "solve_rate_fresh": mean(fresh),
            "solve_rate_replayed": mean(~fresh),
            "buffer_learnability": state.score.mean(),
        }
        return dataclasses.replace(state, update=state.update + 1), metrics
