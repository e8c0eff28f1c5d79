"""Episodes as host arrays: poses, controls, rewards and values along time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kinetix_py.env.types import EnvState
from kinetix_py.rendering.contacts import contact_history
from kinetix_py.rendering.host import controls, row, to_host


@dataclasses.dataclass(frozen=True)
class Episode:
    """One episode on the host; `F` frames, the first of them the episode's start."""

    scene: Any  # the first frame's EnvState, of numpy arrays
    position: np.ndarray  # float [F, N, 2] m
    rotation: np.ndarray  # float [F, N] rad
    contacts: list[np.ndarray]  # for each frame float [m, 2] m, points where shapes touch
    controls: np.ndarray | None  # float [F, J + T] that led to each frame; the first may be zeros
    reward: np.ndarray | None  # float [F], earned on the way to each frame
    value: np.ndarray | None  # float [F] of each frame; NaN where unknown
    solved: bool | None  # None if unknown
    # None without rules:
    goal: np.ndarray | None = None  # int [F], number of the goal to touch in each frame
    on: np.ndarray | None = None  # bool [F, NUM_SWITCHES], switches that are on

    @property
    def length(self) -> int:
        """Number of environment steps."""
        return len(self.position) - 1


def check_states(states: Any) -> Any:
    """Returns states on the host with axes for time and episodes: `[T, L, ...]`.

    Raises:
      ValueError: no `EnvState`, no time axis, more than two axes, or an empty one.
    """
    if not isinstance(states, EnvState):
        raise ValueError(f"states must be an EnvState with a leading time axis, got {type(states).__name__}")
    host = to_host(states)
    axes = host.batch_shape
    if len(axes) not in (1, 2) or not all(axes):
        raise ValueError(f"states must have axes [T] or [T, L], each at least 1, got {axes}")
    return host if len(axes) == 2 else row(host, (slice(None), None))


def per_episode(name: str, values: Any, episodes: int, default: Any) -> list[Any]:
    """Returns one number for each episode from an array `[L]` or a number.

    Raises:
      ValueError: not as many as episodes.
    """
    if values is None:
        return [default] * episodes
    array = np.asarray(values).reshape(-1)
    if len(array) != episodes:
        raise ValueError(f"{name} must have one entry for each of {episodes} episodes, got {len(array)}")
    return array.tolist()


def lengths(length: Any, frames: int, episodes: int) -> list[int]:
    """Returns the environment steps of every episode; up to the last state if None.

    Raises:
      ValueError: not as many as episodes, or one that is not in 0 .. frames - 1.
    """
    found = per_episode("length", length, episodes, frames - 1)
    for value in found:
        if not 0 <= value < frames:
            raise ValueError(f"length must be in 0 .. {frames - 1} with {frames} states, got {value}")
    return [int(value) for value in found]


def _along_time(name: str, values: Any, frames: int, grouped: bool) -> np.ndarray | None:
    """Returns data of a rollout as `[T or T - 1, L, ...]`."""
    if values is None:
        return None
    array = np.asarray(values)
    array = array if grouped else array[:, None]
    if len(array) not in (frames, frames - 1):
        raise ValueError(
            f"{name} must have as many entries as there are states, {frames}, or one less, got {len(array)}"
        )
    return array


def _at_frames(values: np.ndarray, frames: int) -> np.ndarray:
    """Aligns data with the frames they led to; with one entry less, the first frame has zeros."""
    return values if len(values) == frames else np.concatenate([np.zeros_like(values[:1]), values])


def _check_one_level(states: Any, index: int) -> None:
    sim = states.sim
    same = {
        "role": states.labels.role,
        "active": sim.active,
        "vertices": sim.vertices,
        "radius": sim.radius,
        "joints": sim.joints.active,
        "thrusters": sim.thrusters.active,
    }
    for name, values in same.items():
        changed = np.flatnonzero((values != values[:1]).reshape(len(values), -1).any(1))
        if len(changed):
            raise ValueError(f"episode {index}: {name} changes at frame {changed[0]}: it is of two levels")
    for name in ("position", "rotation"):
        wrong = np.flatnonzero(~np.isfinite(getattr(sim, name)).reshape(len(sim.position), -1).all(1))
        if len(wrong):
            raise ValueError(f"episode {index}: {name} at frame {wrong[0]} is not finite")


def collect(
    states: EnvState,
    *,
    actions: Any = None,
    rewards: Any = None,
    values: Any = None,
    solved: Any = None,
    length: Any = None,
    action_type: str = "multi_discrete",
) -> list[Episode]:
    """Splits a rollout into episodes.

    Args: as for `kinetix_py.save_video`.

    Raises:
      ValueError: data that do not fit the states, states of more than one level in an episode,
        or a position that is not finite.
    """
    host = check_states(states)
    grouped = len(states.batch_shape) == 2
    frames, count = host.batch_shape
    ends = lengths(length, frames, count)
    outcome = per_episode("solved", solved, count, None)
    done, reward, value = (
        _along_time(name, data, frames, grouped)
        for name, data in (("actions", actions), ("rewards", rewards), ("values", values))
    )
    for name, data in (("actions", done), ("rewards", reward), ("values", value)):
        if data is not None and (data.ndim < 2 or data.shape[1] != count):
            raise ValueError(f"{name} must be of {count} episodes, got an array {data.shape}")
    return [
        _episode(row(host, (slice(end + 1), i)), i, done, reward, value, outcome[i], frames, action_type)
        for i, end in enumerate(ends)
    ]


def _episode(states: Any, i: int, actions, rewards, values, solved, frames: int, action_type: str) -> Episode:
    _check_one_level(states, i)
    sim, scene, count = states.sim, row(states, 0), states.batch_shape[0]
    control = None
    if actions is not None:
        # An action finds the switches as they were before it.
        before = np.clip(np.arange(len(actions)) - (len(actions) == frames), 0, count - 1)
        on = None if states.progress is None else states.progress.on[before]
        control = _at_frames(controls(scene, actions[:, i], action_type, axes=1, on=on), frames)[:count]
    value = None
    if values is not None:
        known = values[:, i].astype(float)
        value = np.concatenate([known, np.full(frames - len(known), np.nan)])[:count]
    reward = None if rewards is None else _at_frames(rewards[:, i].astype(float), frames)[:count]
    return Episode(
        scene=scene,
        position=sim.position,
        rotation=sim.rotation,
        contacts=contact_history(scene, sim.position, sim.rotation, states.touching_slots),
        controls=control,
        reward=reward,
        value=value,
        solved=None if solved is None else bool(solved),
        goal=None if states.progress is None else states.progress.goal,
        on=None if states.progress is None else states.progress.on,
    )
