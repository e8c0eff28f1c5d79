"""Named sets of levels: those of the library, and any folder of level files."""

from __future__ import annotations

import difflib
import os
import pathlib
from collections.abc import Sequence

from kinetix_py.levels.files import LIBRARY, load_level
from kinetix_py.levels.json_node import LevelError, listed
from kinetix_py.levels.level import Level
from kinetix_py.levels.library.index import read_index

PREFIX = "library/"  # starts the names of the library's sets
HELD_OUT = f"{PREFIX}held-out"


def list_level_sets() -> list[str]:
    """Lists the names of the library's sets, such as `library/m` and `library/locomotion`."""
    return sorted({PREFIX + name for row in read_index().values() for name in row.sets})


def list_levels(level_set: str | os.PathLike = f"{PREFIX}all") -> list[str]:
    """Lists the levels of a set: names or paths that `kx.load_level` takes.

    Args:
      level_set: a set of the library such as `"library/s"`, one of `kx.list_level_sets()`; or a folder, which
        is the set of the level files below it that are not hidden (`"./library/s"` if it is called so).

    Returns:
      the names of the library's levels in the order of its index, or the sorted paths of a folder's files.

    Raises:
      LevelError: neither a set of the library nor a folder, or a folder without level files.
    """
    name = os.fspath(level_set)
    folder = pathlib.Path(name)
    if not name.startswith(PREFIX) and folder.is_dir():
        # What is hidden is no level of its own, such as an editor's draft of one.
        hidden = lambda file: any(part.startswith(".") for part in file.relative_to(folder).parts)
        found = sorted(str(file) for file in folder.glob("**/*.json") if not hidden(file))
        if not found:
            raise LevelError(f"{name}: a folder without level files (*.json)")
        return found
    members = [row.name for row in read_index().values() if name in {PREFIX + part for part in row.sets}]
    if not members:
        sets = list_level_sets()
        near = difflib.get_close_matches(name, sets, 3)
        hint = f"did you mean {listed(near)}?" if near else f"the library has {listed(sets)}"
        raise LevelError(f"{name}: no such set of levels, and no such folder; {hint}")
    return members


def find_level_files(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Lists the levels of several sets, folders, files and names, in this order: what `kx.load_level` takes.

    Raises:
      LevelError: no set of that name, or a folder without level files.
    """
    found: list[str] = []
    for path in [os.fspath(path) for path in paths]:
        is_set = path.startswith(PREFIX) or pathlib.Path(path).is_dir()
        found += list_levels(path) if is_set else [path]
    return found


def is_held_out(name_or_path: str | os.PathLike) -> bool:
    """Checks whether a name or path is that of a held-out level of the library, which no training may use."""
    path = pathlib.Path(name_or_path)
    of_library = not path.is_file() or LIBRARY.resolve() in path.resolve().parents
    row = read_index().get(path.stem)
    return of_library and row is not None and row.split == "held-out"


class Library:
    """Levels as attributes, for tab completion: `kx.library.swing_up` is `kx.load_level("swing_up")`."""

    def __dir__(self) -> list[str]:
        return sorted(read_index())

    def __getattr__(self, name: str) -> Level:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return load_level(name)
        except LevelError as error:
            raise AttributeError(str(error)) from None

    def __repr__(self) -> str:
        return f"<library of {len(read_index())} levels; dir(kx.library) names them>"


library = Library()
