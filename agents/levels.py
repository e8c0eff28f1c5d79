"""Sets of levels to train or to be evaluated on, by one naming."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import jax

import kinetix_py as kx
from agents.config import ConfigError
from kinetix_py.levels.files import LIBRARY
from kinetix_py.levels.library.sets import HELD_OUT, PREFIX, find_level_files, is_held_out

# Name of the set of levels that were given one by one.
FILES = "files"


@dataclasses.dataclass(frozen=True)
class LevelSet:
    """Named levels of one size.

    Attributes:
      name: `library/...` for a set of the library, `random/SIZE` for random levels, the folder's name for a
        folder of files, `files` for levels named one by one.
      level_names: one for each level.
      levels: batch of levels, leading axis `[L]`.
      trained_on: one for each level, True if the evaluated agent was trained on it.
    """

    name: str
    level_names: tuple[str, ...]
    levels: kx.Level
    trained_on: tuple[bool, ...]


def level_files(paths: Sequence[str]) -> list[str]:
    """Lists the level files that paths name: files, folders of them, or names of the library or its sets.

    Raises:
      ConfigError: a folder without level files, or an unknown set.
    """
    try:
        return find_level_files(paths)
    except kx.LevelError as error:
        raise ConfigError(str(error)) from None


def training_files(paths: Sequence[str]) -> list[str]:
    """Lists level files as `level_files` does, for training.

    Raises:
      ConfigError: a level that the library holds out, or as `level_files`.
    """
    files = level_files(paths)
    kept = sorted({pathlib.Path(file).stem for file in files if is_held_out(file)})
    if kept:
        raise ConfigError(f"{', '.join(kept)}: held out by the library ({HELD_OUT}), so not to be trained on")
    return files


def read_levels(files: Sequence[str], size: kx.LevelSize) -> kx.Level:
    """Reads level files and pads them to a size.

    Args:
      files: level files, or names of the library's levels.
      size: size of the levels.

    Returns:
      levels with a leading axis.

    Raises:
      ConfigError: a file that cannot be read or does not fit, or no file.
    """
    if not files:
        raise ConfigError("no level files were named")
    levels = []
    for file in files:
        try:
            levels.append(kx.pad_level(kx.load_level(file), size))
        except ValueError as error:
            text = str(error)
            raise ConfigError(text if file in text else f"{file}: {text}") from None
    return kx.stack_levels(levels)


def _identity(file: str) -> str:
    """A text that is the same for all ways to name one level."""
    path = pathlib.Path(file)
    if path.is_file() and LIBRARY.resolve() not in path.resolve().parents:
        return str(path.resolve())
    return f"{PREFIX}{path.stem}"


def _grouped(paths: Sequence[str]) -> dict[str, list[str]]:
    """Paths by the name of their set, in order, each path once."""
    groups: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        folder = pathlib.Path(path)
        if folder.is_dir():
            name = folder.resolve().name
            if name in groups:
                name = "/".join(folder.resolve().parts[-2:])
        else:
            name = path if path.startswith(PREFIX) else FILES
        groups.setdefault(name, []).append(path)
    return groups


def load_level_sets(
    paths: Sequence[str], size: kx.LevelSize, trained_on: Sequence[str] = ()
) -> list[LevelSet]:
    """Reads sets of levels: each set of the library and each folder by itself, all other levels together.

    Args:
      paths: level files, folders, or names of the library or its sets.
      size: size to which levels are padded.
      trained_on: paths, likewise, of levels that the agent was trained on.

    Raises:
      ConfigError: as `level_files` and `read_levels`.
    """
    known = {_identity(file) for file in level_files(trained_on)}
    sets = []
    for name, group in _grouped(paths).items():
        files = level_files(group)
        names = tuple(pathlib.Path(file).stem for file in files)
        marks = tuple(_identity(file) in known for file in files)
        sets.append(LevelSet(name, names, read_levels(files, size), marks))
    return sets


def random_level_set(
    key: jax.Array, count: int, env: kx.Environment, env_params: kx.EnvParams, size_name: str
) -> LevelSet:
    """Draws levels of the random distribution that the no-op policy does not solve.

    Args:
      key: random key of the levels.
      count: number of levels.
      env, env_params: environment and numbers of the game, by which the no-op policy plays.
      size_name: name of the environment's size.

    Raises:
      ConfigError: too few such levels were found.
    """
    levels, found = kx.sample_filtered_levels(key, count, env.size, env=env, env_params=env_params)
    if not bool(found.all()):
        raise ConfigError(f"found only {int(found.sum())} of {count} random levels that no-op does not solve")
    names = tuple(f"random_{i}" for i in range(count))
    return LevelSet(f"random/{size_name}", names, levels, (False,) * count)
