"""Sets of levels to train or to be evaluated on, by one naming."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import jax
import numpy as np

import kinetix_py as kx
from agents.config import ConfigError
from agents.evaluation.seeds import SEED, random_set_name
from kinetix_py.levels.files import LIBRARY
from kinetix_py.levels.library.index import read_index
from kinetix_py.levels.library.sets import HELD_OUT, PREFIX, find_level_files, is_held_out

# Name of the set of levels that were given one by one.
FILES = "files"
# Random levels that are drawn and filtered at once, and the most such rounds. One number whatever the set's
# length, so that a shorter set is the beginning of a longer one.
ROUND_SIZE, MAX_ROUNDS = 128, 256
# Golden section, whose multiples are spread evenly modulo 1.
GOLDEN = 0.6180339887498949


@dataclasses.dataclass(frozen=True)
class LevelSetInfo:
    """Description of a set of levels: all that a record of an evaluation keeps of it.

    Attributes:
      name: `library/...` for a set of the library, `random/SIZE` for random levels, the folder's name for a
        folder of files, `files` for levels named one by one.
      level_names: one for each level, unique in the set.
      checksums: one for each level, as `level_checksums` computes them.
      trained_on: one for each level, True if the evaluated agent was trained on it.
      siblings: one for each level, True if the agent was not trained on it, but on levels of the same family.
      seed: seed of random levels; None if they were not drawn.
    """

    name: str
    level_names: tuple[str, ...]
    checksums: tuple[float, ...]
    trained_on: tuple[bool, ...]
    siblings: tuple[bool, ...]
    seed: int | None = None

    @property
    def is_random(self) -> bool:
        """Tells whether the levels are a sample of a distribution, which they stand for."""
        return self.seed is not None

    def same_levels(self, other: LevelSetInfo) -> bool:
        """Tells whether two sets hold the same levels in the same order, up to rounding."""
        return self.level_names == other.level_names and np.allclose(
            self.checksums, other.checksums, rtol=1e-5, atol=1e-4
        )


@dataclasses.dataclass(frozen=True)
class LevelSet:
    """A set of levels of one size: its description, and the levels with a leading axis `[L]`."""

    info: LevelSetInfo
    levels: kx.Level

    @property
    def name(self) -> str:
        """Name of the set."""
        return self.info.name

    def __len__(self) -> int:
        return len(self.info.level_names)


def make_level_set(
    name: str,
    levels: kx.Level,
    level_names: Sequence[str] = (),
    *,
    trained_on: Sequence[bool] = (),
    siblings: Sequence[bool] = (),
    seed: int | None = None,
) -> LevelSet:
    """Describes a batch of levels.

    Args:
      name: name of the set.
      levels: batch of levels `[L]`.
      level_names: names of the levels; `level_0` and so on if empty.
      trained_on, siblings: marks of the levels; all False if empty.
      seed: seed of random levels.

    Raises:
      ValueError: another number of names or marks than of levels, or a name twice.
    """
    count = levels.batch_shape[0]
    names = tuple(level_names) or tuple(f"level_{i}" for i in range(count))
    marks = [tuple(given) or (False,) * count for given in (trained_on, siblings)]
    if any(len(column) != count for column in (names, *marks)) or len(set(names)) != count:
        raise ValueError(f"{count} levels need as many names and marks, each name once, got names {names}")
    return LevelSet(LevelSetInfo(name, names, level_checksums(levels), marks[0], marks[1], seed), levels)


def level_checksums(levels: kx.Level) -> tuple[float, ...]:
    """Computes a number for each level of a batch that tells it from others.

    It is a weighted sum of all of the level's numbers, large ones on a logarithmic scale, so that rounding on
    another machine changes it little, and a small edit more.
    """
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(jax.device_get(levels))]
    rows = np.concatenate([np.nan_to_num(leaf.reshape(len(leaf), -1)) for leaf in leaves], axis=1)
    weights = np.arange(1, rows.shape[1] + 1) * GOLDEN % 1  # all different, none 0
    return tuple(float(f"{value:.8g}") for value in np.arcsinh(rows) @ weights)


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


def _in_library(file: str) -> bool:
    """Tells whether a name or path is that of a level of the library."""
    path = pathlib.Path(file)
    return not path.is_file() or LIBRARY.resolve() in path.resolve().parents


def _identity(file: str) -> str:
    """A text that is the same for all ways to name one level."""
    path = pathlib.Path(file)
    return f"{PREFIX}{path.stem}" if _in_library(file) else str(path.resolve())


def _is_kinetix_file(file: str) -> bool:
    """Tells whether a file that can be read is in Kinetix's format."""
    return "env_state" in json.loads(pathlib.Path(file).read_bytes())


def sibling_marks(files: Sequence[str], trained_on: Sequence[str]) -> tuple[bool, ...]:
    """Marks levels that are new to an agent while their family is not.

    They measure how far it generalizes within families, not to new tasks. Families of the library are the
    levels of one size with the same tags. The library re-creates the hand-made levels of Kinetix, so that
    files in Kinetix's format are siblings of any of its levels.

    Args:
      files: level files, or names of the library's levels.
      trained_on: those that the agent was trained on, likewise.

    Returns:
      bool for each of `files`; False for levels that were trained on.
    """
    index, known = read_index(), {_identity(file) for file in trained_on}
    trained_rows = [index.get(pathlib.Path(file).stem) for file in trained_on if _in_library(file)]
    families = {(row.size, row.tags) for row in trained_rows if row is not None}

    def is_sibling(file: str) -> bool:
        if not families or _identity(file) in known:
            return False
        if not _in_library(file):
            return _is_kinetix_file(file)
        row = index.get(pathlib.Path(file).stem)
        return row is not None and (row.size, row.tags) in families

    return tuple(is_sibling(file) for file in files)


def unique_names(files: Sequence[str]) -> tuple[str, ...]:
    """Names levels by their files' stems, with as many folders before them as tell equal stems apart."""
    parts = [pathlib.Path(file).with_suffix("").parts for file in files]
    depth = [1] * len(files)
    while True:
        names = ["/".join(part[-count:]) for part, count in zip(parts, depth, strict=True)]
        equal = [i for i, name in enumerate(names) if names.count(name) > 1 and depth[i] < len(parts[i])]
        if not equal:
            return tuple(names)
        for i in equal:
            depth[i] += 1


def distinct_files(files: Sequence[str]) -> list[str]:
    """Files in order, each level once, whatever ways it is named."""
    first: dict[str, str] = {}
    for file in files:
        first.setdefault(_identity(file), file)
    return list(first.values())


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
    trained_files = level_files(trained_on)
    known = {_identity(file) for file in trained_files}
    sets = []
    for name, group in _grouped(paths).items():
        files = distinct_files(level_files(group))
        levels, marks = read_levels(files, size), [_identity(file) in known for file in files]
        siblings = sibling_marks(files, trained_files)
        sets.append(make_level_set(name, levels, unique_names(files), trained_on=marks, siblings=siblings))
    return sets


def random_level_set(key: jax.Array, count: int, size_name: str, seed: int = SEED) -> LevelSet:
    """Draws levels of the random distribution that doing nothing does not solve.

    The filter plays in the default environment of the size, whatever a run's own physics is: all runs of a
    size are evaluated on the same levels, and `count` of them are the first of any greater number.

    Args:
      key: random key of the levels.
      count: number of levels.
      size_name: name of the size.
      seed: seed that the key was made from, for the record.

    Raises:
      ConfigError: too few such levels were found.
    """
    kept: list[kx.Level] = []
    found = 0
    for number in range(MAX_ROUNDS):
        levels = kx.sample_levels(jax.random.fold_in(key, number), ROUND_SIZE, size_name)
        passed = np.flatnonzero(~np.asarray(kx.noop_solves(levels)))
        kept.append(jax.tree.map(lambda value, passed=passed: value[passed], jax.device_get(levels)))
        found += len(passed)
        if found >= count:
            break
    else:
        raise ConfigError(f"found only {found} of {count} random levels that no-op does not solve")
    joined = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *kept)
    names = [f"random_{i}" for i in range(count)]
    return make_level_set(random_set_name(size_name, seed), joined, names, seed=seed)
