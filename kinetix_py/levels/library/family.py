"""Families of levels: one function that builds a level, with the arguments of each member."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kinetix_py.levels.builder import LevelBuilder
from kinetix_py.levels.level import Level
from kinetix_py.sizes import SIZES


@dataclasses.dataclass(frozen=True)
class LibraryLevel:
    """A level of the library as its family defines it.

    Attributes:
      name: file name without ending, unique in the library.
      size: `"s"`, `"m"` or `"l"`.
      tags: sets that it belongs to, such as `"locomotion"`.
      label: `"easy"`, `"normal"` or `"hard"`.
      description: the task in one sentence.
      build: function that builds it.
      held_out: whether no training may use it.
    """

    name: str
    size: str
    tags: tuple[str, ...]
    label: str
    description: str
    build: Callable[[], LevelBuilder]
    held_out: bool

    @property
    def path(self) -> str:
        """Its name with its folder, such as `s/swing_up`."""
        return f"{self.size}/{self.name}"

    @property
    def split(self) -> str:
        """`"held-out"` or `"train"`."""
        return "held-out" if self.held_out else "train"

    def level(self) -> Level:
        """Builds the level.

        Raises:
          ValueError: it is of another size.
        """
        builder = self.build()
        if builder.size != SIZES[self.size]:
            raise ValueError(
                f"library: {self.name!r} is declared with size {self.size!r} and built with another"
            )
        return builder.level()


def label_of(name: str) -> str:
    """Returns the difficulty label in a level's name: `_easy` or `_hard` at its end, otherwise `"normal"`."""
    return next((label for label in ("easy", "hard") if name.endswith(f"_{label}")), "normal")


def family(
    build: Callable[..., LevelBuilder],
    size: str,
    tags: str,
    description: str,
    members: Mapping[str, Mapping[str, Any]],
    *,
    held_out: Iterable[str] = (),
) -> list[LibraryLevel]:
    """Defines the members of a family; nothing is built yet.

    Args:
      build: function that builds any member.
      size: size of all members, `"s"`, `"m"` or `"l"`.
      tags: sets they belong to, separated by spaces.
      description: description of all members.
      members: arguments of `build` by name; a name that ends in `_easy` or `_hard` says the label.
      held_out: names of the members that no training may use.

    Raises:
      ValueError: a name to hold out that is no member's.
    """
    kept = set(held_out)
    if kept - members.keys():
        raise ValueError(f"library: {sorted(kept - members.keys())} are no members of the family")
    return [
        LibraryLevel(
            name=name,
            size=size,
            tags=tuple(tags.split()),
            label=label_of(name),
            description=description,
            build=functools.partial(build, **arguments),
            held_out=name in kept,
        )
        for name, arguments in members.items()
    ]
