"""Recording: episodes of any loop, given by their levels and actions, as files."""

from __future__ import annotations

import os
import pathlib
import re
from typing import Any

import jax
import numpy as np

from kinetix_py.env.environment import Environment
from kinetix_py.env.types import EnvParams
from kinetix_py.experience.replay import FRAME_FIELDS, frame_of, play_segments
from kinetix_py.experience.shard import Shard, header_env, make_header, write_shard
from kinetix_py.levels.level import Level

KEY_EVERY = 128  # environment steps
BATCH = 256  # episodes that are played at once
NAME = re.compile(r"shard_(\d{5,})\.npz")


def shard_path(folder: str | os.PathLike, number: int) -> pathlib.Path:
    """Returns the path of a file of a folder, by its number."""
    return pathlib.Path(folder) / f"shard_{number:05d}.npz"


def shard_paths(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Lists the files of episodes of a folder, by their numbers."""
    found = [(NAME.fullmatch(path.name), path) for path in pathlib.Path(folder).glob("shard_*.npz")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def _take(tree: Any, index: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], tree)


def make_shard(
    header: dict[str, Any], levels: Level, level_index: np.ndarray, actions: np.ndarray, length: np.ndarray
) -> Shard:
    """Plays episodes again for their outcomes and key frames.

    Args:
      header: description, as of `make_header`.
      levels: levels `[L]`.
      level_index: int `[E]`, level of each episode.
      actions: `[E, T, ...]`, actions of each episode, of which the first `length` count.
      length: int `[E]`, environment steps of each episode, 1 .. T.

    Raises:
      ValueError: an episode whose length is out of its bounds, that ends before its last action, or arrays
        that do not fit.
    """
    env, params = header_env(header)
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
    every = int(header["key_every"])
    actions = np.pad(actions, [(0, 0), (0, -actions.shape[1] % every), *[(0, 0)] * len(shape)])
    parts = [
        _play(
            env,
            params,
            levels,
            level_index[i : i + BATCH],
            actions[i : i + BATCH],
            length[i : i + BATCH],
            every,
        )
        for i in range(0, count, BATCH)
    ]
    outcome, distance, ended = (
        np.concatenate([part[name] for part in parts]) for name in ("outcome", "distance", "ended")
    )
    early = np.flatnonzero((ended > 0) & (ended < length))
    if len(early):
        first = early[0]
        raise ValueError(f"episode {first} ends after {ended[first]} of its {length[first]} actions")
    kept = np.concatenate([actions[i, : length[i]] for i in range(count)])
    frames = {name: np.concatenate([part["frames"][name] for part in parts]) for name in FRAME_FIELDS}
    return Shard(header, levels, level_index, length, outcome, distance, kept, frames)


def _play(
    env: Environment,
    params: EnvParams,
    levels: Level,
    level_index: np.ndarray,
    actions: np.ndarray,
    length: np.ndarray,
    every: int,
) -> dict[str, Any]:
    """Plays up to `BATCH` episodes, segment by segment, as they will be read: with the same program."""
    count, rows = len(length), np.resize(np.arange(len(length)), BATCH)
    chosen, actions, left = _take(levels, level_index[rows]), actions[rows], length[rows]
    frame = frame_of(jax.vmap(lambda level: env.reset_to_level(level, params)[1])(chosen))
    outcome, ended, kept = np.zeros(BATCH, np.int8), np.zeros(BATCH, np.int32), []
    distance = np.zeros(BATCH, np.float32)
    for first in range(0, actions.shape[1], every):
        part = actions[:, first : first + every]
        now = np.clip(left - first, 0, every)
        played = play_segments(env, params, chosen, frame, np.full(BATCH, first), part, now)
        frame = played.frame
        steps = jax.device_get(played.steps)
        outcome += (steps.solved.any(0).astype(np.int8) - steps.failed.any(0)).astype(np.int8)
        done = steps.terminated | steps.truncated
        ended = np.where((ended == 0) & done.any(0), first + done.argmax(0) + 1, ended)
        distance = np.asarray(frame["distance"])
        kept.append(jax.device_get(frame))
    # Frames of one episode after another, without those of its end.
    index = [(k, i) for i in range(count) for k in range(-(-int(length[i]) // every) - 1)]
    frames = {
        name: np.stack([kept[k][name][i] for k, i in index])
        if index
        else np.zeros((0, *np.shape(kept[0][name])[1:]), kept[0][name].dtype)
        for name in FRAME_FIELDS
    }
    return {
        "outcome": outcome[:count],
        "distance": distance[:count],
        "ended": ended[:count],
        "frames": frames,
    }


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
    ) -> np.ndarray:
        """Adds episodes, which are played again.

        Args:
          levels: levels `[L]`.
          actions: actions `[E, T, ...]`, of which the first `length` count.
          length: int `[E]`, environment steps of each episode.
          level_index: int `[E]`, level of each episode; one for each level in their order if None.

        Returns:
          int8 `[E]`, outcome of each: 1 solved, -1 failed, 0 neither.

        Raises:
          ValueError: as of `make_shard`.
        """
        index = np.arange(len(length)) if level_index is None else level_index
        shard = make_shard(self._header, levels, index, actions, length)
        self._waiting.append(shard)
        if sum(len(one.actions) for one in self._waiting) >= self._shard_steps:
            self.close()
        return shard.outcome

    def close(self) -> None:
        """Writes what has not been written yet."""
        if not self._waiting:
            return
        existing = shard_paths(self._folder)
        number = int(NAME.fullmatch(existing[-1].name)[1]) + 1 if existing else 0  # type: ignore[index]
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
        frames={name: join(one.frames[name] for one in shards) for name in FRAME_FIELDS},
        **{
            name: join(getattr(one, name) for one in shards)
            for name in ("length", "outcome", "distance", "actions")
        },
    )
