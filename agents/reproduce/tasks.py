"""Levels that an agent is put to, each in the smallest size that holds it."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import jax
import numpy as np

import kinetix_py as kx
from agents.config import ConfigError
from agents.levels import LevelSet, distinct_files, level_files, load_level_sets
from kinetix_py.levels.level_file import LevelFile
from kinetix_py.levels.library.index import read_index
from kinetix_py.levels.open_loop import padded_actions, play_sequences
from kinetix_py.play.levels import smallest_size


@dataclasses.dataclass(frozen=True)
class TaskGroup:
    """Levels of one size, which share compiled programs.

    Attributes:
      size: name of the size.
      levels: set of levels `[L]`.
      families: family of each: the first tag of a level of the library, the folder of any other file.
      solutions: multi-discrete actions that solve each, as its file tells; None where it tells of none.
    """

    size: str
    levels: LevelSet
    families: tuple[str, ...]
    solutions: tuple[list[list[int]] | None, ...]

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the levels."""
        return self.levels.info.level_names


def family_of(file: str) -> str:
    """Names the family of a level file or of a level of the library."""
    path = pathlib.Path(file)
    row = read_index().get(path.stem)
    if row is not None and (not path.is_file() or path.resolve() == row.path.resolve()):
        return row.tags[0]
    return path.resolve().parent.name


def _size_name(file: str, level: kx.Level) -> str:
    needed = smallest_size([level])
    for name, size in kx.SIZES.items():
        if size == needed:
            return name
    raise ConfigError(f"{file}: fits none of the sizes {', '.join(kx.SIZES)}: {needed}")


def _read(file: str) -> LevelFile:
    try:
        return kx.load_level_file(file)
    except kx.LevelError as error:
        raise ConfigError(str(error)) from None


def group_levels(
    paths: Sequence[str], size: str | None = None, trained_on: Sequence[str] = ()
) -> list[TaskGroup]:
    """Reads levels and groups them by size.

    Args:
      paths: level files, folders of them, or names of the library or its sets.
      size: name of the size that all are padded to; each level's own if None.
      trained_on: paths, likewise, of levels that the agent was trained on.

    Raises:
      ConfigError: a path without levels, a file that cannot be read, or a level that fits no size.
    """
    files = {file: _read(file) for file in distinct_files(level_files(paths))}
    sizes = {file: size or _size_name(file, content.level) for file, content in files.items()}
    groups = []
    for name in [name for name in kx.SIZES if name in sizes.values()]:
        chosen = [file for file in files if sizes[file] == name]
        (levels,) = load_level_sets(chosen, kx.SIZES[name], trained_on)
        solutions = tuple(files[file].solution for file in chosen)
        groups.append(TaskGroup(name, levels, tuple(family_of(file) for file in chosen), solutions))
    return groups


def solutions_solve(group: TaskGroup) -> list[bool | None]:
    """Plays the levels' own solutions, which prove that they can be solved.

    They are played as they were found, in the game of `kinetix_py.make` and within its time limit: an agent
    that acts more seldom, or under another order of contacts, plays another game.

    Args:
      group: levels.

    Returns:
      whether each solution solves its level; None for a level that has none.
    """
    found: list[bool | None] = [None] * len(group)
    solutions = {row: solution for row, solution in enumerate(group.solutions) if solution}
    if not solutions:
        return found
    env = kx.make(group.size, observation_type="blind", action_type="multi_discrete")
    limit = int(env.default_params.max_timesteps)
    steps = max(limit, *map(len, solutions.values()))
    actions = np.stack([padded_actions(solution, steps) for solution in solutions.values()])
    index = np.array(list(solutions))
    levels = jax.tree.map(lambda value: value[index], jax.device_get(group.levels.levels))
    results = play_sequences(env, levels, actions, limit)
    for row, solved in zip(solutions, np.asarray(results.solved).tolist(), strict=True):
        found[row] = solved
    return found
