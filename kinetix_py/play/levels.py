"""Levels to play: level files in their order, or endless random levels."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax

from kinetix_py.generator.sample import sample_filtered_levels
from kinetix_py.levels.files import load_level_file
from kinetix_py.levels.json_node import LevelError
from kinetix_py.levels.level import Level, pad_level, with_rules
from kinetix_py.levels.library.sets import find_level_files
from kinetix_py.sizes import SIZES, LevelSize, largest

DRAWN_AT_ONCE = 16


class NamedLevel(NamedTuple):
    """A level and the name that the page shows."""

    name: str
    level: Level


def smallest_size(levels: Sequence[Level]) -> LevelSize:
    """Returns the smallest named size that all levels fit, or one of just the slots that they need.

    Raises:
      LevelError: the levels do not have the same number of walls.
    """
    walls = sorted({level.size.num_walls for level in levels})
    if len(walls) > 1:
        raise LevelError(f"levels with {walls} walls cannot be played together: give them one at a time")
    needed = largest([level.size for level in levels])
    fits = lambda size: size.num_walls == walls[0] and largest([needed, size]) == size
    return next((size for size in SIZES.values() if fits(size)), needed)


def read_levels(
    paths: Sequence[str | os.PathLike], size: LevelSize | None = None
) -> tuple[list[NamedLevel], LevelSize]:
    """Reads level files, all padded to one size.

    Args:
      paths: files, folders of them, or names of the library; at least one.
      size: size to pad to; the smallest that fits if None.

    Returns:
      the levels in the order of the paths, all with rules if one has some, and their size.

    Raises:
      LevelError: a file that cannot be read, or a level that does not fit the size.
    """
    named = find_level_files(paths)
    files = [load_level_file(file) for file in named]
    size = smallest_size([file.level for file in files]) if size is None else size
    # One program plays them all.
    lift = with_rules if any(file.level.rules is not None for file in files) else lambda level: level
    levels = []
    for path, file in zip(named, files, strict=True):
        try:
            level = lift(pad_level(file.level, size))
        except ValueError as error:
            raise LevelError(f"{path}: {error}") from None
        levels.append(NamedLevel(file.name or pathlib.Path(path).stem, level))
    return levels, size


def in_turn(levels: Sequence[NamedLevel]) -> Iterator[NamedLevel]:
    """Repeats levels in their order without end; several ones are numbered."""
    count = len(levels)
    names = [f"{one.name} ({i + 1} of {count})" if count > 1 else one.name for i, one in enumerate(levels)]
    return itertools.cycle(NamedLevel(name, one.level) for name, one in zip(names, levels, strict=True))


def random_levels(seed: int, size: LevelSize) -> Iterator[NamedLevel]:
    """Draws random levels without end that the no-op does not solve; a seed always gives the same ones."""
    key = jax.random.key(seed)
    for batch in itertools.count():
        levels, kept = sample_filtered_levels(jax.random.fold_in(key, batch), DRAWN_AT_ONCE, size)
        levels, kept = jax.device_get((levels, kept))
        for row in kept.nonzero()[0].tolist():
            number = batch * DRAWN_AT_ONCE + row + 1
            one = jax.tree.map(lambda value, row=row: value[row], levels)
            yield NamedLevel(f"random level {number} of seed {seed}", one)
