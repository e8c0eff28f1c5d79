"""Segments of episodes, played again from key frames."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.env.environment import Environment
from kinetix_py.env.progress import Progress
from kinetix_py.env.start import initial_state
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.levels.level import Level

# Fields of a key frame: all of a state that a step changes, but for the count of steps.
STATE_FIELDS = ("touching_slots", "distance", "episode_return")
PROGRESS_FIELDS = tuple(field.name for field in dataclasses.fields(Progress))
Frame = dict[str, Any]  # by the names of `frame_fields`


class Steps(NamedTuple):
    """Steps of a batch of segments, `[T, B]`; those behind a segment's end repeat its last state."""

    obs: Any  # before the step
    reward: jax.Array  # float
    solved: jax.Array  # bool
    failed: jax.Array  # bool
    terminated: jax.Array  # bool
    truncated: jax.Array  # bool
    valid: jax.Array  # bool, within the segment


class Played(NamedTuple):
    """Segments that were played."""

    steps: Steps
    last_obs: Any  # [B], after the last step
    action_mask: jax.Array  # bool [B, ...], as of `Environment.action_mask`, the same in all steps
    frame: Frame  # [B], after the last step


def frame_fields(levels: Level) -> tuple[str, ...]:
    """Returns the names of what is in the key frames of levels; with rules also how far they are met."""
    progress = () if levels.rules is None else PROGRESS_FIELDS
    return (*jax2d.DYNAMIC_FIELDS, *STATE_FIELDS, *progress)


def frame_of(state: EnvState) -> Frame:
    """Returns the key frame of a state, or of a batch of them."""
    frame = {name: getattr(state.sim, name) for name in jax2d.DYNAMIC_FIELDS}
    frame |= {name: getattr(state, name) for name in STATE_FIELDS}
    progress = {} if state.progress is None else vars(state.progress)
    return frame | progress


def state_at(level: Level, frame: Frame, step: jax.Array) -> EnvState:
    """Returns the state of a key frame.

    Args:
      level: level of the episode.
      frame: key frame, not read where `step` is 0.
      step: int `[]`, environment steps since the episode began.
    """
    start = initial_state(level)
    read = {name: jnp.where(step == 0, value, frame[name]) for name, value in frame_of(start).items()}

    def part(names: tuple[str, ...]) -> dict[str, Any]:
        return {name: read[name] for name in names}

    sim = dataclasses.replace(start.sim, **part(jax2d.DYNAMIC_FIELDS))
    progress = None if start.progress is None else Progress(**part(PROGRESS_FIELDS))
    rest = part(STATE_FIELDS)
    return dataclasses.replace(start, sim=sim, step_count=step.astype(jnp.int32), progress=progress, **rest)


@functools.partial(jax.jit, static_argnames="env")
def play_segments(
    env: Environment,
    params: EnvParams,
    levels: Level,
    frames: Frame,
    first_step: jax.Array,
    actions: jax.Array,
    length: jax.Array,
) -> Played:
    """Plays given actions from key frames.

    Args:
      env: environment without auto-reset; static.
      params: numbers of the game.
      levels: levels `[B]`.
      frames: key frames `[B]` to begin with.
      first_step: int `[B]`, environment steps of the episode before the segment; 0 begins at the level.
      actions: actions `[B, T, ...]`.
      length: int `[B]`, steps to play, at most `T`.
    """
    states = jax.vmap(state_at)(levels, frames, first_step)
    observe = jax.vmap(env.observe, (0, None))
    step_env = jax.vmap(env.step, (None, 0, 0, None))

    def advance(carried: tuple[EnvState, Any], given: tuple[jax.Array, jax.Array]):
        state, obs = carried
        number, action = given
        valid = number < length
        # What observations need must not change how the physics is compiled, and so rounded.
        state, action = jax.lax.optimization_barrier((state, action))
        next_obs, after, reward, _, info = step_env(jax.random.key(0), state, action, params)
        after, next_obs = jax.tree.map(
            lambda new, old: jnp.where(valid.reshape(-1, *[1] * (new.ndim - 1)), new, old),
            (after, next_obs),
            (state, obs),
        )
        flags = {name: info[name] & valid for name in ("solved", "failed", "terminated", "truncated")}
        return (after, next_obs), Steps(obs, jnp.where(valid, reward, 0), valid=valid, **flags)

    count = actions.shape[1]
    begin = (states, observe(states, params))
    (states, obs), steps = jax.lax.scan(advance, begin, (jnp.arange(count), jnp.moveaxis(actions, 1, 0)))
    return Played(steps, obs, jax.vmap(env.action_mask)(states), frame_of(states))
