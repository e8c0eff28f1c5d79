"""All levels of the library, in the order of their families."""

from __future__ import annotations

import functools

from kinetix_py.levels.library.entry import Entry
from kinetix_py.levels.library.families import (
    large_hands,
    large_machines,
    large_vehicles,
    large_walkers,
    medium_flight,
    medium_motors,
    small_flight,
    small_motors,
)

LEVELS: tuple[Entry, ...] = (
    *small_flight.LEVELS,
    *small_motors.LEVELS,
    *medium_flight.LEVELS,
    *medium_motors.LEVELS,
    *large_vehicles.LEVELS,
    *large_walkers.LEVELS,
    *large_hands.LEVELS,
    *large_machines.LEVELS,
)


@functools.cache
def entries() -> dict[str, Entry]:
    """Every level by its name.

    Raises:
      ValueError: two of one name.
    """
    found: dict[str, Entry] = {}
    for entry in LEVELS:
        if entry.name in found:
            raise ValueError(f"library: two levels have the name {entry.name!r}")
        found[entry.name] = entry
    return found
