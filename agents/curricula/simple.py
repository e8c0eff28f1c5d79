"""Curricula without a memory: fresh random levels, or a given list."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.protocol import LevelBatch, all_ended
from agents.ppo.rollout import Policy, Transitions
from kinetix_py.generator.filters import sample_filtered_levels
from kinetix_py.generator.params import GeneratorParams


@dataclasses.dataclass(frozen=True)
class DomainRandomization:
    """Fresh random levels that doing nothing does not solve, for every rollout.

    Attributes:
      size: sizes of the levels.
      num_envs: levels of a rollout.
      generator: numbers of the distribution.
    """

    size: kx.LevelSize
    num_envs: int
    generator: GeneratorParams = dataclasses.field(default_factory=GeneratorParams)

    def init(self, key: jax.Array) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def propose(
        self, key: jax.Array, policy: Policy, params: Any, state: tuple[()]
    ) -> tuple[tuple[()], LevelBatch]:
        """Fresh levels."""
        levels, _ = sample_filtered_levels(key, self.num_envs, self.size, self.generator)
        return state, LevelBatch(levels, jnp.full(self.num_envs, -1, jnp.int32))

    def observe(
        self, state: tuple[()], batch: LevelBatch, seen: Transitions
    ) -> tuple[tuple[()], dict[str, jax.Array]]:
        """Means over all episodes."""
        return state, all_ended(seen)


@dataclasses.dataclass(frozen=True, eq=False)
class FixedLevels:
    """Given levels, shared out evenly among the environments; one level makes a specialist.

    Attributes:
      levels: a batch (`kinetix_py.stack_levels`), of the environment's size.
      num_envs: at least as many as there are levels.

    Raises:
      ValueError: more levels than environments.
    """

    levels: kx.Level
    num_envs: int

    def __post_init__(self) -> None:
        count = self.levels.batch_shape[0]
        if count > self.num_envs:
            raise ValueError(f"{count} levels need at least as many environments, got {self.num_envs}")

    def init(self, key: jax.Array) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def propose(
        self, key: jax.Array, policy: Policy, params: Any, state: tuple[()]
    ) -> tuple[tuple[()], LevelBatch]:
        """The same levels every time."""
        index = jnp.arange(self.num_envs, dtype=jnp.int32) % self.levels.batch_shape[0]
        return state, LevelBatch(jax.tree.map(lambda value: value[index], self.levels), index)

    def observe(
        self, state: tuple[()], batch: LevelBatch, seen: Transitions
    ) -> tuple[tuple[()], dict[str, jax.Array]]:
        """Means over all episodes."""
        return state, all_ended(seen)
