"""All levels of the library as their families define them, and the index made of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from kinetix_py.levels.library.families import (
    large_hands,
    large_machines,
    large_vehicles,
    large_walkers,
    medium_flight,
    medium_motors,
    rules,
    small_flight,
    small_motors,
)
from kinetix_py.levels.library.family import LibraryLevel
from kinetix_py.levels.library.index import IndexRow

LEVELS: tuple[LibraryLevel, ...] = (
    *small_flight.LEVELS,
    *small_motors.LEVELS,
    *medium_flight.LEVELS,
    *medium_motors.LEVELS,
    *large_vehicles.LEVELS,
    *large_walkers.LEVELS,
    *large_hands.LEVELS,
    *large_machines.LEVELS,
    *rules.LEVELS,
)


@functools.cache
def library_levels() -> dict[str, LibraryLevel]:
    """Returns every level by its name, in the order of the families.

    Raises:
      ValueError: two levels with one name.
    """
    found: dict[str, LibraryLevel] = {}
    for level in LEVELS:
        if level.name in found:
            raise ValueError(f"library: two levels have the name {level.name!r}")
        found[level.name] = level
    return found


def index_rows(levels: Iterable[LibraryLevel]) -> list[IndexRow]:
    """Makes the rows of the index from definitions of levels."""
    return [IndexRow(level.name, level.size, level.label, level.split, level.tags) for level in levels]
