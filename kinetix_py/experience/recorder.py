"""Recording: episodes of any loop, given by their levels and actions, as files."""

from __future__ import annotations

import os
import pathlib
import re
from typing import Any, NamedTuple

import jax
import numpy as np

from kinetix_py.chunks import suited_chunks
from kinetix_py.env.environment import Environment
from kinetix_py.env.types import EnvParams
from kinetix_py.experience.replay import PROGRESS_FIELDS, Frame, frame_fields, frame_of, play_segments
from kinetix_py.experience.shard import RULES_VERSION, Shard, header_env, make_header, write_shard
from kinetix_py.levels.level import Level, with_rules

KEY_EVERY = 16  # environment steps: rounding makes physics differ visibly after a second or two
NAME = re.compile(r"shard_(\d{5,})\.npz")


def shard_path(folder: str | os.PathLike, number: int) -> pathlib.Path:
    """Returns the path of a file of a folder, by its number."""
    return pathlib.Path(folder) / f"shard_{number:05d}.npz"


def _numbered_shards(folder: str | os.PathLike) -> list[tuple[int, pathlib.Path]]:
    found = [(NAME.fullmatch(path.name), path) for path in pathlib.Path(folder).glob("shard_*.npz")]
    return sorted((int(match[1]), path) for match, path in found if match)


def shard_paths(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Lists the files of episodes of a folder, by their numbers."""
    return [path for _, path in _numbered_shards(folder)]


def _take(tree: Any, index: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], tree)


class Told(NamedTuple):
    """Facts that a loop tells of episodes that it has played, in place of a replay."""

    outcome: np.ndarray  # int [E], 1 solved, -1 failed, 0 neither
    distance: np.ndarray  # float [E], green-blue distance after the last step [m]
    frames: Frame  # key frames [slots, E, ...], those after key_every, 2 key_every, ... steps


def make_shard(
    header: dict[str, Any],
    levels: Level,
    level_index: np.ndarray,
    actions: np.ndarray,
    length: np.ndarray,
    told: Told | None = None,
) -> Shard:
    """Puts episodes into the form of a file.

    Args:
      header: description, as of `make_header`.
      levels: levels `[L]`.
      level_index: int `[E]`, level of each episode.
      actions: `[E, T, ...]`, actions of each episode, of which the first `length` count.
      length: int `[E]`, environment steps of each episode, 1 .. T.
      told: outcomes and key frames of the loop that has played them; None plays them again.

    Raises:
      ValueError: an episode whose length is out of its bounds, that ends before its last action when it is
        played again, or arrays that do not fit.
    """
    env, _ = header_env(header)
    levels, actions, length = jax.device_get(levels), np.asarray(actions), np.asarray(length, np.int32)
    level_index = np.asarray(level_index, np.int32)
    count, shape = len(length), env.action_space.shape
    if actions.shape[:1] != (count,) or actions.shape[2:] != shape or level_index.shape != (count,):
        raise ValueError(
            f"{count} episodes need as many levels and actions [{count}, steps, *{shape}], "
            f"got {level_index.shape} and {actions.shape}"
        )
    if count and not (length.min() >= 1 and length.max() <= actions.shape[1]):
        raise ValueError(f"length must be in 1 .. {actions.shape[1]}, got {length.min()} .. {length.max()}")
    if told is None:
        told = replayed(header, levels, level_index, actions, length)
    elif set(PROGRESS_FIELDS) <= told.frames.keys():  # an environment of rules gave them to plain levels
        levels = with_rules(levels)
    if levels.rules is not None:
        header = header | {"version": RULES_VERSION}
    kept = np.concatenate([actions[i, : length[i]] for i in range(count)])
    # Key frames of one episode after another, without those of its end.
    every = int(header["key_every"])
    index = [(k, i) for i in range(count) for k in range(-(-int(length[i]) // every) - 1)]
    slots, episodes = np.array(index, int).reshape(-1, 2).T
    frames = {name: np.asarray(told.frames[name])[slots, episodes] for name in frame_fields(levels)}
    return Shard(
        header, levels, level_index, length, np.asarray(told.outcome), np.asarray(told.distance), kept, frames
    )


def replayed(
    header: dict[str, Any], levels: Level, level_index: np.ndarray, actions: np.ndarray, length: np.ndarray
) -> Told:
    """Plays episodes again for their outcomes and key frames; arguments and errors as of `make_shard`."""
    env, params = header_env(header)
    every, shape = int(header["key_every"]), env.action_space.shape
    actions = np.pad(actions, [(0, 0), (0, -actions.shape[1] % every), *[(0, 0)] * len(shape)])
    parts = []
    at_once = suited_chunks().replayed
    for start in range(0, len(length), at_once):
        rows = slice(start, start + at_once)
        parts.append(_play(env, params, levels, level_index[rows], actions[rows], length[rows], every))
    ended = np.concatenate([part[1] for part in parts])
    early = np.flatnonzero((ended > 0) & (ended < length))
    if len(early):
        first = early[0]
        raise ValueError(f"episode {first} ends after {ended[first]} of its {length[first]} actions")
    outcome, distance = (np.concatenate([part[0][i] for part in parts]) for i in (0, 1))
    join = lambda name: np.concatenate([part[0].frames[name] for part in parts], axis=1)
    return Told(outcome, distance, {name: join(name) for name in frame_fields(levels)})


def _play(
    env: Environment,
    params: EnvParams,
    levels: Level,
    level_index: np.ndarray,
    actions: np.ndarray,
    length: np.ndarray,
    every: int,
) -> tuple[Told, np.ndarray]:
    """Plays a chunk of episodes at most, by segments; also returns when each ended, `[E]`, 0 if not."""
    count, at_once = len(length), suited_chunks().replayed
    rows = np.resize(np.arange(count), at_once)
    chosen, actions, left = _take(levels, level_index[rows]), actions[rows], length[rows]
    frame = frame_of(jax.vmap(lambda level: env.reset_to_level(level, params)[1])(chosen))
    outcome, ended, kept = np.zeros(at_once, np.int8), np.zeros(at_once, np.int32), []
    for first in range(0, actions.shape[1], every):
        part = actions[:, first : first + every]
        now = np.clip(left - first, 0, every)
        played = play_segments(env, params, chosen, frame, np.full(at_once, first), part, now)
        frame, steps = played.frame, jax.device_get(played.steps)
        outcome += (steps.solved.any(0).astype(np.int8) - steps.failed.any(0)).astype(np.int8)
        done = steps.terminated | steps.truncated
        ended = np.where((ended == 0) & done.any(0), first + done.argmax(0) + 1, ended)
        kept.append(jax.device_get(frame))
    frames = {name: np.stack([one[name][:count] for one in kept]) for name in frame_fields(levels)}
    return Told(outcome[:count], frames["distance"][-1], frames), ended[:count]


class Recorder:
    """Writes episodes of an own loop to the files of a folder, behind those that are there."""

    def __init__(
        self,
        folder: str | os.PathLike,
        env: Environment,
        params: EnvParams | None = None,
        *,
        key_every: int = KEY_EVERY,
        shard_steps: int = 500_000,
        **notes: Any,
    ):
        """Begins; nothing is written before enough steps have come, or `close`.

        Args:
          folder: folder of the files, which is made if there is none.
          env: environment that the episodes are of.
          params: numbers of the game; the environment's defaults if None.
          key_every: environment steps from one key frame to the next.
          shard_steps: environment steps after which a file is full.
          notes: what else each file's header is to tell, such as `policy="mine"`; plain values.

        Raises:
          ValueError: a reward that is a function, or numbers below 1.
        """
        if min(key_every, shard_steps) < 1:
            raise ValueError(f"key_every and shard_steps must be at least 1, got {key_every}, {shard_steps}")
        params = env.default_params if params is None else params
        self._folder, self._header = pathlib.Path(folder), make_header(env, params, key_every, **notes)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._shard_steps = shard_steps
        self._waiting: list[Shard] = []

    def add(
        self,
        levels: Level,
        actions: np.ndarray,
        length: np.ndarray,
        level_index: np.ndarray | None = None,
        told: Told | None = None,
    ) -> np.ndarray:
        """Adds episodes.

        Args:
          levels: levels `[L]`.
          actions: actions `[E, T, ...]`, of which the first `length` count.
          length: int `[E]`, environment steps of each episode.
          level_index: int `[E]`, level of each episode; one for each level in their order if None.
          told: outcomes and key frames as the loop saw them; None plays the episodes again for them.

        Returns:
          int8 `[E]`, outcome of each: 1 solved, -1 failed, 0 neither.

        Raises:
          ValueError: as of `make_shard`; or some levels have rules and those before had none, or the reverse.
        """
        index = np.arange(len(length)) if level_index is None else level_index
        shard = make_shard(self._header, levels, index, actions, length, told)
        if self._waiting and shard.frames.keys() != self._waiting[0].frames.keys():
            raise ValueError("levels with rules and plain ones go to folders of their own; see `with_rules`")
        self._waiting.append(shard)
        if sum(len(one.actions) for one in self._waiting) >= self._shard_steps:
            self.close()
        return shard.outcome

    def close(self) -> None:
        """Writes what has not been written yet."""
        if not self._waiting:
            return
        existing = _numbered_shards(self._folder)
        number = existing[-1][0] + 1 if existing else 0
        write_shard(shard_path(self._folder, number), joined(self._waiting))
        self._waiting = []

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.close()


def joined(shards: list[Shard]) -> Shard:
    """Puts the episodes of shards of one header behind each other."""
    before = np.cumsum([0, *(one.levels.batch_shape[0] for one in shards)])
    join = lambda values: np.concatenate(list(values))
    return Shard(
        header=shards[0].header,
        levels=jax.tree.map(lambda *leaves: join(leaves), *(one.levels for one in shards)),
        level_index=join(one.level_index + shift for one, shift in zip(shards, before, strict=False)),
        frames={name: join(one.frames[name] for one in shards) for name in shards[0].frames},
        **{
            name: join(getattr(one, name) for one in shards)
            for name in ("length", "outcome", "distance", "actions")
        },
    )
