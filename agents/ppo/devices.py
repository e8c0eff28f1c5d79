"""Averages over the devices among which environments are split."""

from __future__ import annotations

from typing import Any

import jax

Axis = str | None  # name of the axis of devices in `jax.shard_map`; None on one device


def mean_over_devices(value: Any, axis: Axis) -> Any:
    """Averages every leaf of a pytree over the devices; on one device it is returned as it is."""
    return value if axis is None else jax.lax.pmean(value, axis)


def sum_over_devices(value: Any, axis: Axis) -> Any:
    """Adds up every leaf of a pytree over the devices; on one device it is returned as it is."""
    return value if axis is None else jax.lax.psum(value, axis)
