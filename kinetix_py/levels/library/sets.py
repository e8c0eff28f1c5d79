"""Named sets of the library's levels, and those that no training may use."""

from __future__ import annotations

import difflib
import functools
import os
import pathlib
from collections.abc import Sequence

from kinetix_py.levels.checks import LevelError, listed
from kinetix_py.levels.files import LIBRARY, load_level
from kinetix_py.levels.level import Level
from kinetix_py.levels.library.registry import entries

PREFIX = "library/"
HELD_OUT = f"{PREFIX}held-out"
# One or two of a family, of every grade, so that its other members may be trained on.
HELD_OUT_NAMES = frozenset(
    {
        "swing_up",
        "thrust_landing",
        "unicycle_left",
        "bat_up",
        "lunar_lander",
        "thrust_the_needle",
        "car_ramp",
        "arm_right",
        "angry_birds",
        "flappy",
        "cart_pole_thrust_easy",
        "beam_balance",
        "walker_easy",
        "half_cheetah_easy",
        "swimmer_easy",
        "car_stairs",
        "bridge",
        "arm_reach",
        "maze_easy",
        "clock_easy",
        "throw_easy",
        "stack",
        "gears",
        "lock_easy",
        "angry_birds_tower",
    }
)


@functools.cache
def _sets() -> dict[str, tuple[str, ...]]:
    """Every set's levels, in the library's order; only those that have a file."""
    there = [entry for entry in entries().values() if (LIBRARY / f"{entry.path}.json").is_file()]
    found: dict[str, list[str]] = {name: [] for name in ("all", "train", "held-out")}
    for entry in there:
        part = "held-out" if entry.name in HELD_OUT_NAMES else "train"
        for name in ("all", part, entry.size, entry.grade, *entry.tags):
            found.setdefault(name, []).append(entry.name)
    return {PREFIX + name: tuple(names) for name, names in found.items()}


def list_sets() -> list[str]:
    """Names of all sets, such as `library/m` and `library/locomotion`."""
    return sorted(_sets())


def level_set(name: str) -> list[str]:
    """Names of a set's levels, which `load_level` takes.

    Raises:
      LevelError: no set of that name; with those near it.
    """
    sets = _sets()
    if name not in sets:
        near = difflib.get_close_matches(name, sets, 3)
        hint = f"did you mean {listed(near)}?" if near else f"there are {listed(sets)}"
        raise LevelError(f"{name}: no such set of levels; {hint}")
    return list(sets[name])


def find_level_files(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Level files, folders of them and sets of the library, as files (or names, which the library knows).

    Raises:
      LevelError: a folder without level files, or no set of that name.
    """
    files: list[str] = []
    for path in [str(os.fspath(path)) for path in paths]:
        if path.startswith(PREFIX) and not pathlib.Path(path).exists():
            files += level_set(path)
            continue
        if not pathlib.Path(path).is_dir():
            files.append(path)
            continue
        found = sorted(str(file) for file in pathlib.Path(path).glob("**/*.json"))
        if not found:
            raise LevelError(f"{path}: a folder without level files (*.json)")
        files += found
    return files


def held_out(name_or_path: str) -> bool:
    """Whether a name or file is of a level that the library keeps from training; other files never are."""
    path = pathlib.Path(name_or_path)
    ours = not path.is_file() or LIBRARY.resolve() in path.resolve().parents
    return ours and path.stem in HELD_OUT_NAMES


def list_levels(size: str | None = None) -> list[str]:
    """Names of the library's levels, sorted, with their folders: what `load_level` takes.

    Args:
      size: `"s"`, `"m"` or `"l"`; all if None.

    Raises:
      LevelError: another size.
    """
    if size is None:
        folders = ["s", "m", "l"]
    elif size in ("s", "m", "l"):
        folders = [size]
    else:
        raise LevelError(f"size must be 's', 'm' or 'l', got {size!r}")
    return [
        f"{folder}/{path.stem}" for folder in folders for path in sorted((LIBRARY / folder).glob("*.json"))
    ]


class Library:
    """Levels as attributes, for tab completion: `kx.library.swing_up` is `kx.load_level("swing_up")`."""

    def __dir__(self) -> list[str]:
        return [name.split("/")[1] for name in list_levels()]

    def __getattr__(self, name: str) -> Level:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return load_level(name)
        except LevelError as error:
            raise AttributeError(str(error)) from None

    def __repr__(self) -> str:
        return f"<library of {len(list_levels())} levels; kx.list_levels() names them>"


library = Library()
