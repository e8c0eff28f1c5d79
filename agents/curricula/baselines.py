"""Curricula without a memory: fresh random levels, or a given list."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.outcome import Outcome, episode_metrics
from agents.curricula.protocol import LevelBatch, Metrics
from agents.policy import Params, Policy


@dataclasses.dataclass(frozen=True)
class DomainRandomization:
    """Fresh random levels that the no-op policy does not solve, for every update.

    Attributes:
      env, env_params: environment and numbers of the game, by which the no-op policy plays.
      num_envs: levels of an update.
      generator: parameters of the distribution.
      max_rounds: bound on the rounds of drawing and filtering; where it is reached, unfiltered levels fill
        the batch, and the metric `unfiltered_levels` counts them.
    """

    env: kx.Environment
    env_params: kx.EnvParams
    num_envs: int
    generator: kx.GeneratorParams = dataclasses.field(default_factory=kx.GeneratorParams)
    max_rounds: int = 256

    def init(self, key: jax.Array) -> jax.Array:
        """Returns the state, the number of unfiltered levels in the last batch: int32 `[]`."""
        return jnp.int32(0)

    def propose(
        self, key: jax.Array, policy: Policy, params: Params, state: jax.Array
    ) -> tuple[jax.Array, LevelBatch]:
        """Draws fresh levels."""
        levels, passed = kx.sample_filtered_levels(
            key,
            self.num_envs,
            self.env.size,
            self.generator,
            env=self.env,
            env_params=self.env_params,
            max_rounds=self.max_rounds,
        )
        unfiltered = (~passed).sum(dtype=jnp.int32)
        return unfiltered, LevelBatch(levels, jnp.full(self.num_envs, -1, jnp.int32))

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: jax.Array,
        batch: LevelBatch,
        outcome: Outcome,
    ) -> tuple[jax.Array, Metrics]:
        """Averages over all episodes."""
        return state, episode_metrics(outcome) | {"unfiltered_levels": state}


@dataclasses.dataclass(frozen=True)
class FixedLevels:
    """Given levels, shared out evenly among the environments; one level makes a specialist.

    The levels are the curriculum's state, so that trainers of other levels share one compiled program: two
    of these curricula are equal if they have the same number of environments.

    Attributes:
      levels: batch of levels (`kinetix_py.stack_levels`), of the environment's size.
      num_envs: number of environments, at least as many as there are levels.

    Raises:
      ValueError: more levels than environments.
    """

    levels: kx.Level = dataclasses.field(compare=False)
    num_envs: int

    def __post_init__(self) -> None:
        count = self.levels.batch_shape[0]
        if count > self.num_envs:
            raise ValueError(f"{count} levels need at least as many environments, got {self.num_envs}")

    def init(self, key: jax.Array) -> kx.Level:
        """Returns the state: the levels, with a leading axis."""
        return self.levels

    def propose(
        self, key: jax.Array, policy: Policy, params: Params, state: kx.Level
    ) -> tuple[kx.Level, LevelBatch]:
        """Proposes the same levels every time."""
        index = jnp.arange(self.num_envs, dtype=jnp.int32) % state.batch_shape[0]
        return state, LevelBatch(jax.tree.map(lambda value: value[index], state), index)

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: kx.Level,
        batch: LevelBatch,
        outcome: Outcome,
    ) -> tuple[kx.Level, Metrics]:
        """Averages over all episodes."""
        return state, episode_metrics(outcome)
