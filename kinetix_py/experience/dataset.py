"""Reading recorded episodes: segments by index, whose observations are computed by replay."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import jax2d
from kinetix_py.experience.recorder import shard_paths
from kinetix_py.experience.replay import Frame, Played, play_segments
from kinetix_py.experience.shard import Shard, ShardError, header_env, read_shard
from kinetix_py.levels.level import Level
from kinetix_py.observations.registry import ObservationFn

DESCRIPTION = ("size", "env", "params", "key_every")  # fields of headers that all files must share
TOLERANCE = 1e-3  # m or rad, of a replay that is off


@dataclasses.dataclass
class Drift:
    """Distances of replays from the key frames that followed them.

    Attributes:
      segments: replays that were compared.
      exact: those among them that met every bit of the positions and rotations.
      worst: greatest difference of a position [m] or rotation [rad] of a body in use.
      wrong_ends: replays in which green touches blue or red where it did not, or the other way round.
    """

    segments: int = 0
    exact: int = 0
    worst: float = 0.0
    wrong_ends: int = 0

    def add(self, apart: np.ndarray) -> None:
        """Adds the greatest difference of each of some replays, `[B]`."""
        self.segments += len(apart)
        self.exact += int((apart == 0).sum())
        if len(apart):
            self.worst = max(self.worst, float(apart.max()))


class Experience:
    """The episodes of a folder as segments; a source for loaders, of `len(...)` and `[index]`.

    A segment is up to `key_every` steps from one key frame to the next, or to the end of the episode; its
    arrays have `key_every` rows, of which `valid` tells those in use. Every segment starts from its own key
    frame, so that an error of rounding on another machine never grows beyond one segment.

    Attributes:
      env, params: environment of the episodes, and its numbers of the game.
      key_every: rows of a segment.
      damaged: reason for each file that was refused, by its name.
      drift: how far replays were off so far.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        observation_type: str | ObservationFn = "entity",
        rules: bool | None = None,
        strict: bool = False,
    ):
        """Reads all files of a folder.

        Args:
          folder: folder of files, as of `Recorder`.
          observation_type: observation to compute, whichever was seen when the episodes were played.
          rules: whether observations tell the rules of levels; None: if the recorded levels have rules.
          strict: refuse the whole folder if a file is damaged; otherwise a warning names it and the others
            are used.

        Raises:
          ShardError: no file can be read, files of different environments, a damaged file if `strict`, or
            levels without the rules that are asked for.
        """
        self.folder = pathlib.Path(folder)
        self.damaged: dict[str, str] = {}
        self._shards: list[Shard] = []
        for path in shard_paths(folder):
            try:
                self._shards.append(read_shard(path))
            except ShardError as error:
                if strict:
                    raise
                self.damaged[path.name] = str(error)
                warnings.warn(f"left out: {error}", stacklevel=2)
        if not self._shards:
            raise ShardError(f"{self.folder}: holds no whole file of episodes")
        self.header = self._shards[0].header
        for name in DESCRIPTION:
            if any(shard.header[name] != self.header[name] for shard in self._shards):
                raise ShardError(f"{self.folder}: its files are of different environments: {name} differs")
        have_rules = self._shards[0].levels.rules is not None
        if any((shard.levels.rules is not None) != have_rules for shard in self._shards):
            raise ShardError(f"{self.folder}: some of its files are of levels with rules, others are not")
        if rules and not have_rules:
            raise ShardError(f"{self.folder}: the levels that were recorded have no rules to be observed")
        rules = have_rules if rules is None else rules
        self.env, self.params = header_env(self.header, observation_type, rules)
        self.key_every, self.drift = self._shards[0].key_every, Drift()
        engines = {str(shard.header["engine"]) for shard in self._shards} - {jax2d.__version__}
        if engines:
            warnings.warn(
                f"{self.folder}: recorded with jax2d {', '.join(sorted(engines))}, this is "
                f"{jax2d.__version__}: `drift` tells how far replays are off",
                stacklevel=2,
            )
        self._index()

    def _index(self) -> None:
        """Numbers the segments of all files: shard, episode, segment, first row of actions, key frame."""
        rows = []
        for number, shard in enumerate(self._shards):
            counts = shard.segments
            episode = np.repeat(np.arange(len(counts)), counts)
            segment = np.arange(len(episode)) - np.repeat(np.cumsum(counts) - counts, counts)
            start = (np.cumsum(shard.length) - shard.length)[episode] + segment * self.key_every
            frame = (np.cumsum(counts - 1) - (counts - 1))[episode] + segment  # the one after this segment
            rows.append(np.stack([np.full(len(episode), number), episode, segment, start, frame], axis=1))
        self._rows = np.concatenate(rows)
        self._episodes_before = np.cumsum([0, *(len(shard.length) for shard in self._shards)])
        self._lengths = np.concatenate([shard.length for shard in self._shards])
        self._levels = jax.tree.map(
            lambda *leaves: np.concatenate(leaves), *(shard.levels for shard in self._shards)
        )
        before = np.cumsum([0, *(shard.levels.batch_shape[0] for shard in self._shards)])
        index = [shard.level_index + shift for shard, shift in zip(self._shards, before, strict=False)]
        self._level_index = np.concatenate(index)[self._episodes_before[self._rows[:, 0]] + self._rows[:, 1]]

    @property
    def num_episodes(self) -> int:
        """Number of episodes."""
        return int(self._episodes_before[-1])

    @property
    def num_steps(self) -> int:
        """Environment steps of all episodes."""
        return sum(int(shard.length.sum()) for shard in self._shards)

    @property
    def outcomes(self) -> np.ndarray:
        """Outcome of each episode, 1 solved, -1 failed, 0 neither: int8 `[num_episodes]`."""
        return np.concatenate([shard.outcome for shard in self._shards])

    def segments_of(self, outcome: int) -> np.ndarray:
        """Returns the indices of the segments of all episodes of an outcome."""
        episodes = self._episodes_before[self._rows[:, 0]] + self._rows[:, 1]
        return np.flatnonzero(self.outcomes[episodes] == outcome)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Returns a segment, as `batch` does, without its leading axis; on the host.

        Raises:
          IndexError: an index out of range.
        """
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Returns several segments, replayed at once; torch's loaders ask for a batch by this name."""
        found = jax.device_get(self.batch(np.asarray(indices)))
        return [jax.tree.map(lambda leaf, i=i: leaf[i], found) for i in range(len(indices))]

    def batch(self, indices: np.ndarray | Sequence[int]) -> dict[str, Any]:
        """Replays segments.

        Args:
          indices: int `[B]`, each in `0 .. len(self) - 1`, or from the end below 0.

        Returns:
          arrays on the device, with leading axes `[B, T]`: `observation` (a pytree; before each step),
          `action`, `reward`, `terminated`, `truncated`, `solved`, `failed` (the ends as they were recorded;
          an episode that neither solved nor failed its level is truncated, whatever ended it), `valid`; and
          with the leading axis `[B]`:
          `last_observation` (after the last step), `action_mask`, `episode` and `first_step`.

        Raises:
          IndexError: an index out of range.
        """
        index = np.asarray(indices, np.int64)
        if index.size and not (-len(self) <= index.min() and index.max() < len(self)):
            raise IndexError(f"index must be in 0 .. {len(self) - 1}, got {index.min()} .. {index.max()}")
        index = index % len(self)
        wide = np.resize(index, 1 << (len(index) - 1).bit_length())  # few shapes to compile
        levels, level_index = self.levels()
        chosen = jax.tree.map(lambda leaf: leaf[level_index[wide]], levels)
        frames, first_step, actions, length = self.inputs(wide)
        played = play_segments(self.env, self.params, chosen, frames, first_step, actions, length)
        rows, count = self._rows[index], len(index)
        self._compare(rows, played)
        steps = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1)[:count], played.steps._asdict())
        steps["observation"] = steps.pop("obs")
        steps |= self._ends(rows, steps)
        return steps | {
            "action": actions[:count],
            "last_observation": jax.tree.map(lambda leaf: leaf[:count], played.last_obs),
            "action_mask": played.action_mask[:count],
            "episode": self._episodes_before[rows[:, 0]] + rows[:, 1],
            "first_step": first_step[:count],
        }

    def _ends(self, rows: np.ndarray, steps: dict[str, Any]) -> dict[str, np.ndarray]:
        """Returns the flags of episodes' last steps as recorded, and counts replays that end otherwise."""
        number = self._episodes_before[rows[:, 0]] + rows[:, 1]
        outcome, length = self.outcomes[number], self._lengths[number]
        place = rows[:, 2, None] * self.key_every + np.arange(self.key_every)[None]
        last = (place == length[:, None] - 1) & np.asarray(steps["valid"])
        flags = {
            "solved": last & (outcome == 1)[:, None],
            "failed": last & (outcome == -1)[:, None],
            "truncated": last & (outcome == 0)[:, None],
        }
        wrong = np.zeros(len(rows), bool)
        for name in ("solved", "failed"):
            wrong |= (np.asarray(steps[name]) != flags[name]).any(axis=1)
        self.drift.wrong_ends += int(wrong.sum())
        return flags | {"terminated": flags["solved"] | flags["failed"]}

    def levels(self) -> tuple[Level, np.ndarray]:
        """Returns the levels of all files `[L]`, and the level of each segment, int32 `[len(self)]`."""
        return self._levels, self._level_index

    def inputs(self, indices: np.ndarray) -> tuple[Frame, np.ndarray, np.ndarray, np.ndarray]:
        """Reads what `play_segments` needs of segments beside their levels.

        Args:
          indices: int `[B]`, each in `0 .. len(self) - 1`.

        Returns:
          key frames `[B]`, steps of the episodes before them `[B]`, actions `[B, T, ...]`, lengths `[B]`.
        """
        rows, every, count = self._rows[indices], self.key_every, len(indices)
        model = self._shards[0]
        frames = {
            name: np.zeros((count, *model.frames[name].shape[1:]), model.frames[name].dtype)
            for name in model.frames
        }
        actions = np.zeros((count, every, *model.actions.shape[1:]), model.actions.dtype)
        length = np.zeros(count, np.int32)
        for i, (number, episode, segment, start, frame) in enumerate(rows.tolist()):
            shard = self._shards[number]
            length[i] = min(int(shard.length[episode]) - segment * every, every)
            actions[i, : length[i]] = shard.actions[start : start + length[i]]
            if segment:  # another one begins at the level
                for name in model.frames:
                    frames[name][i] = shard.frames[name][frame - 1]
        return frames, (rows[:, 2] * every).astype(np.int32), actions, length

    def _compare(self, rows: np.ndarray, played: Played) -> None:
        """Compares replays to the key frames that follow them."""
        followed = [i for i, row in enumerate(rows) if row[2] + 1 < self._shards[row[0]].segments[row[1]]]
        if not followed:
            return
        ended = {name: np.asarray(played.frame[name]) for name in ("position", "rotation")}
        apart = np.zeros(len(followed))
        for k, i in enumerate(followed):
            shard, frame = self._shards[rows[i][0]], int(rows[i][4])
            active = np.asarray(shard.levels.sim.active[shard.level_index[rows[i][1]]])
            apart[k] = max(
                float(np.abs(ended[name][i] - shard.frames[name][frame])[active].max(initial=0))
                for name in ended
            )
        before = self.drift.worst
        self.drift.add(apart)
        if before <= TOLERANCE < self.drift.worst:
            warnings.warn(
                f"{self.folder}: replays are off by up to {self.drift.worst:.2g} m or rad at a key frame",
                stacklevel=3,
            )
