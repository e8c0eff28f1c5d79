"""Wrappers of actions and observations: history, noise, sticky and delayed actions, episode statistics."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_py.env.types import EnvParams
from kinetix_py.levels.level import Level
from kinetix_py.validation import check_integer
from kinetix_py.wrappers.base import Wrapper, WrapperState


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in 0 .. 1, got {value!r}")


def _shift(queue, newest):
    """Drops the oldest row of every array, and appends the newest."""
    return jax.tree.map(lambda rows, row: jnp.concatenate([rows[1:], row[None]]), queue, newest)


def _repeat(value, length: int):
    """A queue full of one value."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x[None], (length, *x.shape)), value)


@dataclasses.dataclass(frozen=True)
class ObservationHistory(Wrapper):
    """Observations of the last `length` steps on a new leading axis, the newest last.

    An episode's first observation fills the whole history.

    Raises:
      ValueError: `length < 1`.
    """

    length: int = 4

    def __post_init__(self) -> None:
        check_integer("length", self.length, 1)

    def init_memory(self, obs):
        return _repeat(obs, self.length)

    def update_memory(self, memory, obs):
        return _shift(memory, obs)

    def transform_observation(self, memory, obs):
        return memory


@dataclasses.dataclass(frozen=True)
class ActionHistory(Wrapper):
    """Observations become `(observation, the last length actions [length, ...])`, the newest last.

    An episode begins as if nothing had been done before. Inside another wrapper, actions are those that
    reach this one.

    Raises:
      ValueError: `length < 1`.
    """

    length: int = 4

    def __post_init__(self) -> None:
        check_integer("length", self.length, 1)

    def init_memory(self, obs):
        return _repeat(self.noop_action, self.length)

    def transform_action(self, key, memory, action):
        return action, _shift(memory, action)

    def transform_observation(self, memory, obs):
        return obs, memory


@dataclasses.dataclass(frozen=True)
class ActionNoise(Wrapper):
    """Adds normal noise to continuous actions; the sum is clipped by the environment.

    Raises:
      ValueError: the actions are not continuous, or `scale` is negative.
    """

    scale: float = 0.1

    def __post_init__(self) -> None:
        if self.env.action_type != "continuous":
            raise ValueError(f"ActionNoise needs continuous actions, got {self.env.action_type!r}")
        if self.scale < 0:
            raise ValueError(f"scale must be at least 0, got {self.scale!r}")

    def transform_action(self, key, memory, action):
        return action + self.scale * jax.random.normal(key, action.shape), memory


@dataclasses.dataclass(frozen=True)
class StickyActions(Wrapper):
    """Repeats the last executed action instead of the one asked for, with some probability.

    Machado et al., "Revisiting the Arcade Learning Environment" (2018), section 4. An episode begins as
    if nothing had been done before.

    Raises:
      ValueError: `repeat_probability` is not in 0 .. 1.
    """

    repeat_probability: float = 0.25

    def __post_init__(self) -> None:
        _check_probability("repeat_probability", self.repeat_probability)

    def init_memory(self, obs):
        return self.noop_action

    def transform_action(self, key, memory, action):
        action = jnp.where(jax.random.bernoulli(key, self.repeat_probability), memory, action)
        return action, action


@dataclasses.dataclass(frozen=True)
class ActionDelay(Wrapper):
    """Actions are executed `delay` steps after they are chosen; until then nothing is done.

    Raises:
      ValueError: `delay < 1`.
    """

    delay: int = 1

    def __post_init__(self) -> None:
        check_integer("delay", self.delay, 1)

    def init_memory(self, obs):
        return _repeat(self.noop_action, self.delay)

    def transform_action(self, key, memory, action):
        return memory[0], _shift(memory, action)


@dataclasses.dataclass(frozen=True)
class EpisodeStatistics(Wrapper):
    """Adds statistics of the last finished episode to `info`, kept until the next one ends.

    `returned_episode_return`, `returned_episode_length`, `returned_episode_solved`, and `returned_episode`:
    one ended in this step. All are 0 until the first episode has ended.
    """

    def init_memory(self, obs):
        zero = jnp.float32(0)
        return {"return": zero, "length": jnp.int32(0), "solved": jnp.zeros((), bool)}

    def step(
        self,
        key: jax.Array,
        state: WrapperState,
        action: jax.Array,
        params: EnvParams | None = None,
        levels: Level | None = None,
    ) -> tuple[Any, WrapperState, jax.Array, jax.Array, dict[str, Any]]:
        """As `Environment.step`, with more in `info`."""
        obs, inner, reward, done, info = self.env.step(key, state.env_state, action, params, levels)
        ended = {
            "return": info["episode_return"],
            "length": info["episode_length"],
            "solved": info["solved"],
        }
        memory = jax.tree.map(lambda new, old: jnp.where(done, new, old), ended, state.memory)
        told = {f"returned_episode_{name}": value for name, value in memory.items()}
        return obs, WrapperState(inner, memory), reward, done, info | told | {"returned_episode": done}
