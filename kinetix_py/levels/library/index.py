"""The index of the library: a table with one row for each level file, so that no file need be opened."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from kinetix_py.levels.files import LIBRARY

RULES = "rules"  # tag of levels with rules beyond the plain game
INDEX = LIBRARY / "index.csv"


class IndexRow(NamedTuple):
    """A level of the library; the fields are the columns of `index.csv`."""

    name: str
    size: str  # "s", "m" or "l": the folder of the file
    label: str  # "easy", "normal" or "hard"
    split: str  # "train" or "held-out"
    tags: tuple[str, ...]  # separated by spaces in the file

    @property
    def path(self) -> pathlib.Path:
        """The level's file."""
        return LIBRARY / self.size / f"{self.name}.json"

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets that it belongs to; of a level with rules its tags alone.

        All other sets hold levels of the plain game, in one batch of which no level needs rules.
        """
        if RULES in self.tags:
            return self.tags
        return ("all", self.split, self.size, self.label, *self.tags)


@functools.cache
def read_index() -> dict[str, IndexRow]:
    """Returns all rows of the index by the name of the level, in the order of the file."""
    lines = INDEX.read_text(encoding="utf-8").splitlines()[1:]
    cells = [line.split(",") for line in lines]
    return {
        name: IndexRow(name, size, label, split, tuple(tags.split()))
        for name, size, label, split, tags in cells
    }


def index_text(rows: Iterable[IndexRow]) -> str:
    """Makes the text of `index.csv`."""
    lines = [",".join((*row[:-1], " ".join(row.tags))) for row in rows]
    return "\n".join([",".join(IndexRow._fields), *lines]) + "\n"
