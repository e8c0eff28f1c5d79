"""Checks of arguments that many functions share."""

from __future__ import annotations

from typing import Any


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Checks that an argument is an integer within bounds.

    Args:
      name: name of the argument, for the message.
      value: value to check; `True` and `False` are no integers.
      low, high: inclusive bounds; no upper bound if None.

    Raises:
      ValueError: another type, or a value out of bounds.
    """
    if (
        not isinstance(value, bool)
        and isinstance(value, int)
        and low <= value
        and (high is None or value <= high)
    ):
        return
    bound = f"of at least {low}" if high is None else f"in {low} .. {high}"
    raise ValueError(f"{name} must be an integer {bound}, got {value!r}")
