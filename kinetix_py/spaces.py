"""Spaces of observations and actions: shape, type and bounds of values; frozen and hashable."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Box:
    """Real numbers between bounds, each bound a number or one per component of the last axis."""

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    shape: tuple[int, ...]
    dtype: Any = jnp.float32

    def sample(self, key: jax.Array) -> jax.Array:
        """Samples uniformly.

        Raises:
          ValueError: a bound is infinite.
        """
        low, high = (np.broadcast_to(bound, self.shape) for bound in (self.low, self.high))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError(f"cannot sample a box with infinite bounds: {self}")
        share = jax.random.uniform(key, self.shape, self.dtype)
        return low + share * (high - low)

    def contains(self, value) -> bool:
        """Returns whether a value (on the host) is one of the space."""
        value = np.asarray(value)
        return value.shape == self.shape and bool((value >= self.low).all() and (value <= self.high).all())


@dataclasses.dataclass(frozen=True)
class Discrete:
    """An integer in `0 .. n - 1`."""

    n: int
    dtype: Any = jnp.int32

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    def sample(self, key: jax.Array) -> jax.Array:
        """Samples uniformly."""
        return jax.random.randint(key, (), 0, self.n, self.dtype)

    def contains(self, value) -> bool:
        """Returns whether a value (on the host) is one of the space."""
        value = np.asarray(value)
        return value.shape == () and value.dtype.kind in "iu" and bool(0 <= value < self.n)


@dataclasses.dataclass(frozen=True)
class MultiDiscrete:
    """A vector of integers, component `i` in `0 .. nvec[i] - 1`."""

    nvec: tuple[int, ...]
    dtype: Any = jnp.int32

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.nvec),)

    def sample(self, key: jax.Array) -> jax.Array:
        """Samples uniformly."""
        return jax.random.randint(key, self.shape, 0, np.asarray(self.nvec, np.int32), self.dtype)

    def contains(self, value) -> bool:
        """Returns whether a value (on the host) is one of the space."""
        value = np.asarray(value)
        integers = value.shape == self.shape and value.dtype.kind in "iu"
        return integers and bool(((value >= 0) & (value < np.asarray(self.nvec))).all())


@dataclasses.dataclass(frozen=True)
class PyTreeSpace:
    """A pytree of arrays of fixed shapes and types; `example` holds `jax.ShapeDtypeStruct` leaves."""

    leaves: tuple[jax.ShapeDtypeStruct, ...]
    structure: Any

    @classmethod
    def of(cls, tree: Any) -> PyTreeSpace:
        """Makes the space of pytrees like one of arrays, or of their shapes and types."""
        leaves, structure = jax.tree.flatten(tree)
        return cls(tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves), structure)

    @property
    def example(self):
        """The pytree of `jax.ShapeDtypeStruct`."""
        return jax.tree.unflatten(self.structure, self.leaves)

    @property
    def size(self) -> int:
        """Number of numbers in all leaves together."""
        return sum(math.prod(leaf.shape) for leaf in self.leaves)

    def contains(self, value) -> bool:
        """Returns whether a value has the structure, shapes and types of the space."""
        leaves, structure = jax.tree.flatten(value)
        same = lambda a, b: a.shape == b.shape and a.dtype == b.dtype
        return structure == self.structure and all(map(same, leaves, self.leaves))


Space = Box | Discrete | MultiDiscrete | PyTreeSpace
