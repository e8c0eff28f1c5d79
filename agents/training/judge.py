"""How good policies are on sets of levels: rates, intervals, a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import distrax
import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.networks.heads import Choices
from agents.ppo.rollout import Policy
from agents.training.evaluate import attempt, mean_with_interval

NEVER = -1e9
# Episodes played at once: memory is planned for so many.
CHUNK = 16_384


@dataclasses.dataclass(frozen=True)
class UniformPolicy:
    """Acts uniformly at random among what the level lets it do; hashable, a `Policy` without parameters."""

    env: kx.Environment

    def __call__(self, params, carry, obs, reset, action_mask):
        value = jnp.zeros(reset.shape)
        if self.env.action_type == "continuous":
            space: Any = self.env.action_space
            low, high = (jnp.broadcast_to(jnp.asarray(b), action_mask.shape) for b in (space.low, space.high))
            return carry, distrax.Uniform(low, high), value
        logits = jnp.where(action_mask, 0.0, NEVER)
        return carry, Choices(logits, self.env.action_type == "multi_discrete"), value


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a policy achieved on a set of levels."""

    policy: str
    level_set: str
    names: tuple[str, ...]  # of the levels
    solved: np.ndarray  # bool [L, attempts]
    length: np.ndarray  # int [L, attempts], environment steps until the end

    @property
    def level_rates(self) -> np.ndarray:
        """Share of attempts that solved each level: `[L]`."""
        return self.solved.mean(axis=1)

    @property
    def solve_rate(self) -> float:
        """Mean over the levels."""
        return float(self.solved.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % stratified bootstrap interval of the solve rate."""
        return mean_with_interval(self.solved)[1:]

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.interval[0]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.interval[1]

    def as_dict(self) -> dict[str, Any]:
        """Numbers for JSON."""
        low, high = self.interval
        levels = [
            {"level": name, "solve_rate": float(rate), "mean_length": float(steps)}
            for name, rate, steps in zip(self.names, self.level_rates, self.length.mean(1), strict=True)
        ]
        return {
            "policy": self.policy,
            "level_set": self.level_set,
            "num_levels": len(self.names),
            "attempts": self.solved.shape[1],
            "solve_rate": self.solve_rate,
            "interval_95": [low, high],
            "levels": levels,
        }


@dataclasses.dataclass(frozen=True)
class LevelSet:
    """Named levels of one size."""

    name: str
    names: tuple[str, ...]
    levels: kx.Level  # leading axis [L]


def random_levels(key: jax.Array, count: int, size: kx.LevelSize) -> LevelSet:
    """Levels of the random distribution that doing nothing does not solve."""
    levels, kept = kx.sample_filtered_levels(key, count, size)
    if not bool(kept.all()):
        raise ValueError(f"only {int(kept.sum())} of {count} random levels need an agent")
    return LevelSet(f"{count} random levels", tuple(f"random_{i}" for i in range(count)), levels)


def judge(
    key: jax.Array,
    name: str,
    policy: Policy,
    params: Any,
    env: kx.Environment,
    env_params: kx.EnvParams,
    levels: LevelSet,
    attempts: int,
    num_steps: int,
    initial_carry=lambda batch: (),
) -> Judgement:
    """Attempts every level of a set; large sets in several calls of one compiled program.

    Args:
      env: without auto-reset.
      num_steps: the time limit; an episode that goes on then counts as unsolved.
    """
    count = levels.levels.batch_shape[0]
    size = min(max(CHUNK // attempts, 1), count)
    parts = []
    for first in range(0, count, size):
        index = jnp.arange(first, first + size) % count  # the last call is padded with levels seen before
        chunk = jax.tree.map(lambda value, index=index: value[index], levels.levels)
        part_key = jax.random.fold_in(key, first)
        numbers = (env_params, attempts, num_steps, initial_carry)
        parts.append(jax.device_get(attempt(part_key, policy, params, env, chunk, *numbers)))
    solved, length = (np.concatenate([part[i] for part in parts])[:count] for i in (0, 1))
    return Judgement(name, levels.name, levels.names, solved, length)


def table(judgements: Sequence[Judgement]) -> str:
    """Solve rates with their 95 % intervals, one line each."""
    wide = max(len(j.policy) for j in judgements)
    head = f"{'levels':<24}  {'policy':<{wide}}  solve rate  95 % interval   attempts"
    lines = [
        f"{j.level_set:<24}  {j.policy:<{wide}}  {j.solve_rate:10.3f}  {j.low:.3f} .. {j.high:.3f}  "
        f"{j.solved.shape[1]:8d}"
        for j in judgements
    ]
    return "\n".join([head, *lines])


def level_table(judgement: Judgement) -> str:
    """Solve rate of every level of a set, one line each."""
    wide = max(len(name) for name in judgement.names)
    rows = zip(judgement.names, judgement.level_rates, judgement.length.mean(1), strict=True)
    head = f"{'level':<{wide}}  solve rate  mean length"
    return "\n".join([head, *(f"{name:<{wide}}  {rate:10.2f}  {steps:11.1f}" for name, rate, steps in rows)])
