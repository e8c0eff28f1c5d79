"""Curricula without a memory: fresh random levels, or a given list."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.fresh import FreshLevels, FreshPool
from agents.curricula.outcome import Outcome, episode_metrics
from agents.curricula.protocol import LevelBatch, Metrics
from agents.policy import Params, Policy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RandomState:
    """State of domain randomization."""

    pool: FreshPool  # levels of later updates
    unfiltered: jax.Array  # int32 [], levels of the last update that the no-op policy may solve


@dataclasses.dataclass(frozen=True)
class DomainRandomization:
    """Fresh random levels that the no-op policy does not solve, for every update.

    Attributes:
      env, env_params: environment and numbers of the game, by which the no-op policy plays.
      num_envs: levels of an update.
      generator: distribution: its parameters, or another distribution.
      max_rounds: bound on the rounds of drawing and filtering; where it is reached, unfiltered levels fill
        the batch, and the metric `unfiltered_levels` counts them.
    """

    env: kx.Environment
    env_params: kx.EnvParams
    num_envs: int
    generator: kx.LevelDistribution = dataclasses.field(default_factory=kx.GeneratorParams)
    max_rounds: int = 256

    @property
    def fresh(self) -> FreshLevels:
        """Source of the levels."""
        count = self.num_envs
        return FreshLevels(self.env, self.env_params, count, count, self.generator, self.max_rounds)

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> RandomState:
        """Returns the state without levels."""
        return RandomState(self.fresh.empty(), jnp.int32(0))

    def redistribute(self, states: RandomState, num_devices: int) -> RandomState:
        """Begins anew: all levels are as good as those that wait to be played."""
        return RandomState(self.fresh.empty_pools(num_devices), jnp.zeros(num_devices, jnp.int32))

    def propose(
        self, key: jax.Array, policy: Policy, params: Params, state: RandomState, num_updates: jax.Array | int
    ) -> tuple[RandomState, LevelBatch]:
        """Takes fresh levels."""
        pool, levels, unfiltered = self.fresh.take(key, state.pool, self.num_envs)
        return RandomState(pool, unfiltered), LevelBatch(levels, jnp.full(self.num_envs, -1, jnp.int32))

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: RandomState,
        batch: LevelBatch,
        outcome: Outcome,
        num_updates: jax.Array | int,
    ) -> tuple[RandomState, Metrics]:
        """Averages over all episodes."""
        return state, episode_metrics(outcome) | {"unfiltered_levels": state.unfiltered}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FixedLevelsState:
    """State of a curriculum of given levels."""

    levels: kx.Level  # leading axis, all levels
    first: jax.Array  # int32 [], number of the first environment, counted over all devices


@dataclasses.dataclass(frozen=True)
class FixedLevels:
    """Given levels, shared out evenly among the environments; one level makes a specialist.

    The levels are the curriculum's state, so that trainers of other levels share one compiled program: two
    of these curricula are equal if they have the same number of environments. Environments of all devices are
    counted together, so that the number of devices changes nothing in what is played.

    Attributes:
      levels: batch of levels (`kinetix_py.stack_levels`), of the environment's size.
      num_envs: number of environments of one device.
      num_devices: number of devices, which together have at least as many environments as there are levels.

    Raises:
      ValueError: more levels than environments.
    """

    levels: kx.Level = dataclasses.field(compare=False)
    num_envs: int
    num_devices: int = 1

    def __post_init__(self) -> None:
        count, total = self.levels.batch_shape[0], self.num_envs * self.num_devices
        if count > total:
            raise ValueError(f"{count} levels need at least as many environments, got {total}")

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> FixedLevelsState:
        """Returns the state: the levels, and which environments are this device's."""
        return FixedLevelsState(self.levels, jnp.int32(device * self.num_envs))

    def redistribute(self, states: FixedLevelsState, num_devices: int) -> FixedLevelsState:
        """Gives all levels, of which each device knows all, to each device."""
        levels = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], num_devices, axis=0), states.levels)
        return FixedLevelsState(levels, self.num_envs * jnp.arange(num_devices, dtype=jnp.int32))

    def propose(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: FixedLevelsState,
        num_updates: jax.Array | int,
    ) -> tuple[FixedLevelsState, LevelBatch]:
        """Proposes the same levels every time."""
        index = (state.first + jnp.arange(self.num_envs, dtype=jnp.int32)) % state.levels.batch_shape[0]
        return state, LevelBatch(jax.tree.map(lambda value: value[index], state.levels), index)

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: FixedLevelsState,
        batch: LevelBatch,
        outcome: Outcome,
        num_updates: jax.Array | int,
    ) -> tuple[FixedLevelsState, Metrics]:
        """Averages over all episodes."""
        return state, episode_metrics(outcome)
