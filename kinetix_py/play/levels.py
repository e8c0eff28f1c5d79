"""What is played: level files in their order, or random levels without end."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax

from kinetix_py.generator.filters import sample_filtered_levels
from kinetix_py.levels.checks import LevelError
from kinetix_py.levels.content import LevelFile
from kinetix_py.levels.files import load_level_file
from kinetix_py.levels.level import Level, pad_level
from kinetix_py.levels.library.sets import find_level_files
from kinetix_py.spec import SIZES, EnvSpec

DRAWN_AT_ONCE = 16
COUNTS = (
    "num_polygons",
    "num_circles",
    "num_joints",
    "num_thrusters",
    "num_motor_bindings",
    "num_thruster_bindings",
    "max_vertices",
)


class NamedLevel(NamedTuple):
    """A level, and what to call it."""

    name: str
    level: Level


def smallest_spec(files: Sequence[LevelFile]) -> EnvSpec:
    """The smallest named size that all levels fit; if none does, one with as many slots as they need.

    Raises:
      LevelError: the levels do not have the same number of walls.
    """
    walls = sorted({file.spec.num_walls for file in files})
    if len(walls) > 1:
        raise LevelError(f"levels with {walls} walls cannot be played together: give them one at a time")
    need = {name: max(getattr(file.spec, name) for file in files) for name in COUNTS}
    for spec in SIZES.values():
        if spec.num_walls == walls[0] and all(getattr(spec, name) >= need[name] for name in COUNTS):
            return spec
    return dataclasses.replace(SIZES["s"], num_walls=walls[0], **need)


def read_levels(
    paths: Sequence[str | os.PathLike], spec: EnvSpec | None = None
) -> tuple[list[NamedLevel], EnvSpec]:
    """Reads level files, all padded to one size.

    Args:
      paths: files, folders of them, or names of the library; at least one.
      spec: the size; the smallest that fits if None.

    Returns:
      the levels in the order of the paths, and their size.

    Raises:
      LevelError: a file that cannot be read, or a level that does not fit the size.
    """
    named = find_level_files(paths)
    files = [load_level_file(file) for file in named]
    spec = smallest_spec(files) if spec is None else spec
    levels = []
    for path, file in zip(named, files, strict=True):
        if file.spec.num_walls != spec.num_walls:
            raise LevelError(f"{path}: has {file.spec.num_walls} walls, but this size {spec.num_walls}")
        try:
            level = pad_level(file.level, spec)
        except ValueError as error:
            raise LevelError(f"{path}: {error}") from None
        levels.append(NamedLevel(file.name or pathlib.Path(path).stem, level))
    return levels, spec


def in_turn(levels: Sequence[NamedLevel]) -> Iterator[NamedLevel]:
    """Levels in their order, again and again, each with its number where there are several."""
    count = len(levels)
    names = [f"{one.name} ({i + 1} of {count})" if count > 1 else one.name for i, one in enumerate(levels)]
    return itertools.cycle(NamedLevel(name, one.level) for name, one in zip(names, levels, strict=True))


def random_levels(seed: int, spec: EnvSpec) -> Iterator[NamedLevel]:
    """Random levels that doing nothing does not solve, without end; a seed always gives the same ones."""
    key = jax.random.key(seed)
    for batch in itertools.count():
        levels, kept = sample_filtered_levels(jax.random.fold_in(key, batch), DRAWN_AT_ONCE, spec)
        levels, kept = jax.device_get((levels, kept))
        for row in kept.nonzero()[0].tolist():
            number = batch * DRAWN_AT_ONCE + row + 1
            one = jax.tree.map(lambda value, row=row: value[row], levels)
            yield NamedLevel(f"random level {number} of seed {seed}", one)
