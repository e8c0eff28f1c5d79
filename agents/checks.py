"""Checks that configs share."""

from __future__ import annotations

from typing import Any


def at_least(config: Any, least: float, *names: str) -> None:
    """Checks fields of a config against a lower bound.

    Args:
      config: dataclass.
      least: lower bound, inclusive.
      names: names of the fields.

    Raises:
      ValueError: naming the field, its value and the bound.
    """
    for name in names:
        value = getattr(config, name)
        if not value >= least:
            raise ValueError(f"{type(config).__name__}.{name} must be at least {least}, got {value!r}")
