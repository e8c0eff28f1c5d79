"""Recorded episodes as arrays that a compiled program draws segments from."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.config import ConfigError, TrainConfig
from kinetix_py.experience import Experience, ShardError
from kinetix_py.experience.replay import Frame

# Properties of an environment that recorded actions are of.
SAME = ("size", "action_type", "frame_skip", "solver_iterations", "warm_start", "contact_order")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Segments:
    """Segments of episodes, leading axis `[G]`; `T` steps each, of which `length` count."""

    levels: kx.Level  # [L], levels of all segments
    level_index: jax.Array  # int32 [G]
    frames: Frame  # key frames that the segments begin with
    first_step: jax.Array  # int32 [G], steps of the episode before the segment
    actions: jax.Array  # [G, T, ...], as of the action space but perhaps of a smaller type
    length: jax.Array  # int32 [G]

    def take(self, index: jax.Array) -> tuple[kx.Level, Frame, jax.Array, jax.Array, jax.Array]:
        """Returns levels, key frames, first steps, actions and lengths of some segments."""
        levels = jax.tree.map(lambda leaf: leaf[self.level_index[index]], self.levels)
        frames = jax.tree.map(lambda leaf: leaf[index], self.frames)
        return levels, frames, self.first_step[index], self.actions[index], self.length[index]


def open_experience(config: TrainConfig) -> Experience:
    """Opens the recorded episodes of a config.

    Raises:
      ConfigError: there are none, or they are of another environment than the config's; naming what differs.
    """
    assert config.data is not None
    try:
        data = Experience(config.data, rules=config.env.rules)
    except ShardError as error:
        raise ConfigError(f"data={config.data}: {error}") from None
    env = config.env.make()
    for name in SAME:
        mine, theirs = getattr(env, name), getattr(data.env, name)
        if mine != theirs:
            raise ConfigError(
                f"data={config.data}: was recorded with {name} {theirs}, this run's is {mine} (env.{name})"
            )
    recorded, limit = int(data.params.max_timesteps), config.env.max_timesteps
    if recorded != limit:
        raise ConfigError(f"data={config.data}: env.max_timesteps was {recorded}, this run's is {limit}")
    return data


def trained_levels(path: str) -> list[str]:
    """Lists the paths of the levels that recorded episodes are of; a folder that is gone adds none.

    A warning tells if the folder cannot be read.
    """
    try:
        return list(Experience(path).header.get("paths", []))
    except ShardError as error:
        warnings.warn(f"levels of its data are not marked: {error}", stacklevel=2)
        return []


def read_segments(data: Experience) -> Segments:
    """Puts all segments of recorded episodes into arrays, on the host.

    They need the memory of their actions, padded to whole segments, of their levels and of their key frames.
    """
    parts = [
        data.inputs(np.arange(start, min(start + 1024, len(data)))) for start in range(0, len(data), 1024)
    ]
    frames, first_step, actions, length = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    if np.issubdtype(actions.dtype, np.integer):
        actions = actions.astype(np.uint8 if actions.max(initial=0) < 256 else np.int32)
    levels, level_index = data.levels()
    arrays: tuple[Any, ...] = (levels, level_index, frames, first_step, actions, length)  # numpy's, for now
    return Segments(*arrays)


def draw_steps(key: jax.Array, valid: jax.Array, count: int) -> jax.Array:
    """Draws steps of segments, each that counts equally likely, with repetition.

    Args:
      key: random key.
      valid: bool `[T, B]`, at least one of them True.
      count: number of steps to draw; static.

    Returns:
      int32 `[count]`, indices of the steps in the flattened axes.
    """
    total = jnp.cumsum(valid.reshape(-1).astype(jnp.int32))
    rank = jax.random.randint(key, (count,), 1, total[-1] + 1)
    return jnp.searchsorted(total, rank).astype(jnp.int32)


def returns_to_go(reward: Any, terminated: Any, valid: Any, last_value: Any, gamma: float) -> jax.Array:
    """Computes the discounted return from each step to the end of its segment, and a value from there on.

    Args:
      reward, terminated, valid: `[T, B]`, as of `kinetix_py.experience.replay.Steps`.
      last_value: float `[B]`, value of the observation after each segment, which counts unless the segment
        ends its episode by itself; a truncated episode would have gone on.
      gamma: discount.

    Returns:
      float `[T, B]`.
    """

    def step(after: jax.Array, now: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        reward, terminated, valid = now
        total = jnp.where(valid, reward + gamma * jnp.where(terminated, 0, after), after)
        return total, total

    return jax.lax.scan(step, last_value, (reward, terminated, valid), reverse=True)[1]
