"""One member of a family: its name, what it is called, and how it is drawn."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from kinetix_py.levels.level import Level
from kinetix_py.levels.library.sketch import Sketch
from kinetix_py.spec import SIZES


@dataclasses.dataclass(frozen=True)
class Entry:
    """A level of the library.

    Attributes:
      name: of its file, unique in the library.
      size: `"s"`, `"m"` or `"l"`.
      tags: sets that it belongs to, such as `"locomotion"`.
      grade: `"easy"`, `"normal"` or `"hard"`.
      description: what is to be done, for people.
      draw: makes its sketch.
    """

    name: str
    size: str
    tags: tuple[str, ...]
    grade: str
    description: str
    draw: Callable[[], Sketch]

    @property
    def path(self) -> str:
        """Its name with its folder, such as `s/swing_up`."""
        return f"{self.size}/{self.name}"

    def level(self) -> Level:
        """Draws it."""
        return self.draw().level()


def grade_of(name: str) -> str:
    """What a level's name says of its difficulty."""
    return next((grade for grade in ("easy", "hard") if name.endswith(f"_{grade}")), "normal")


def members(
    draw: Callable[..., Sketch],
    tags: str,
    description: str,
    variants: Mapping[str, Mapping[str, Any]],
) -> list[Entry]:
    """The members of a family.

    Args:
      draw: the family's function.
      tags: sets they belong to, separated by spaces.
      description: of all members.
      variants: arguments of `draw` by name; a name that ends in `_easy` or `_hard` says the grade.
    """
    entries = []
    for name, arguments in variants.items():
        made = functools.partial(draw, **arguments)
        size = next(key for key, spec in SIZES.items() if spec == made().spec)
        entries.append(Entry(name, size, tuple(tags.split()), grade_of(name), description, made))
    return entries
