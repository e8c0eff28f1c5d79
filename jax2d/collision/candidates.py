"""Pairs whose bounding boxes overlap, listed over all scenes of a batch (README.md, lists)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.polygons import WorldPolygons
from jax2d.flat import in_arrays, put_at, running_count
from jax2d.pairs import contact_layout
from jax2d.params import SimSpec
from jax2d.types import SimState

# Boxes are widened by this much, so that rounding loses no contact [m].
BOX_MARGIN = 1e-3


class PairTable(NamedTuple):
    """The pairs of one kind in Kinetix's order: static arrays."""

    a: np.ndarray  # int32 [pairs], body indices
    b: np.ndarray
    slots: np.ndarray  # int32 [S, pairs], contact slots

    @property
    def num_pairs(self) -> int:
        """Number of pairs."""
        return len(self.a)

    @property
    def points(self) -> int:
        """Contact points of a pair."""
        return len(self.slots)


class Boxes(NamedTuple):
    """Axis-aligned bounding boxes of the bodies, `[N, B]` m; empty for a body that is not in use."""

    low_x: jax.Array
    low_y: jax.Array
    high_x: jax.Array
    high_y: jax.Array


class Candidates(NamedTuple):
    """The pairs that may touch: kind after kind, scene after scene, and a scene's in the order of the table.

    Entries of a kind past its last one are some pairs of that kind in some scenes, with `used` False.
    """

    pair: jax.Array  # int32 [E], row of the kind's table
    scene: jax.Array  # int32 [E]
    used: jax.Array  # bool [E]
    begin: jax.Array  # int32 [kinds, B], a scene's first entry among those of the kind
    total: jax.Array  # int32 [kinds, B], a scene's number of entries
    fits: jax.Array  # bool, there are no more of them than entries


@functools.cache
def pair_tables(spec: SimSpec) -> tuple[PairTable, ...]:
    """Lists the pairs of every kind of `contact_layout`, and where their contacts are stored."""
    tables, start = [], 0
    for kind in contact_layout(spec):
        slots = []
        for block in kind.blocks:
            size = kind.points_per_pair * block.size
            slots.append(start + np.arange(size).reshape(kind.points_per_pair, block.size))
            start += size
        order = np.argsort(np.concatenate([block.kinetix_rank.reshape(-1) for block in kind.blocks]))
        bodies = np.concatenate([block.bodies.reshape(-1, 2) for block in kind.blocks])[order]
        a, b = bodies.T.astype(np.int32)
        tables.append(PairTable(a, b, np.concatenate(slots, axis=1)[:, order].astype(np.int32)))
    return tuple(tables)


def bounding_boxes(state: SimState, polygons: WorldPolygons, spec: SimSpec) -> Boxes:
    """Computes the bounding boxes of polygons and circles."""

    def widen(box: Boxes, vertex):
        x, y, used = vertex
        least = lambda old, value: jnp.minimum(old, jnp.where(used, value, jnp.inf))
        most = lambda old, value: jnp.maximum(old, jnp.where(used, value, -jnp.inf))
        return Boxes(least(box.low_x, x), least(box.low_y, y), most(box.high_x, x), most(box.high_y, y)), None

    none = jnp.full(polygons.x.shape[1:], jnp.inf)
    # A scan: the boxes are computed once and not for every pair (README.md, XLA).
    box, _ = jax.lax.scan(widen, Boxes(none, none, -none, -none), (polygons.x, polygons.y, polygons.used))
    x, y = state.position[spec.num_polygons :, 0], state.position[spec.num_polygons :, 1]
    radius = state.radius
    circles = Boxes(x - radius, y - radius, x + radius, y + radius)
    low_x, low_y, high_x, high_y = (jnp.concatenate(parts) for parts in zip(box, circles, strict=True))
    return Boxes(
        jnp.where(state.active, low_x, jnp.inf),
        low_y,
        jnp.where(state.active, high_x + BOX_MARGIN, -jnp.inf),
        high_y + BOX_MARGIN,
    )


def _may_touch(always: jax.Array, state: SimState, boxes: Boxes, a: np.ndarray, b: np.ndarray) -> jax.Array:
    """Tells which pairs may collide and have overlapping boxes: bool `[pairs, B]`."""
    with_all, with_most = state.collision_mode == 2, state.collision_mode == 1
    rows = lambda values, index: jnp.asarray(values).at[index].get(mode="promise_in_bounds")
    collide = rows(with_all, a) | rows(with_all, b) | (rows(with_most, a) & rows(with_most, b))

    def gaps_of_all():
        gap = lambda low, high: jnp.maximum(low[:, None] - high[None], low[None] - high[:, None])
        return jnp.maximum(gap(boxes.low_x, boxes.high_x), gap(boxes.low_y, boxes.high_y)) <= 0

    # Compared by vector instructions, where rows of the boxes would be read entry by entry.
    touch = in_arrays(always, gaps_of_all)
    count, _, batch = touch.shape
    return collide & rows(touch.reshape(count * count, batch), a * count + b)


def _list_pairs(
    always: jax.Array, flags: jax.Array, count: jax.Array, begin: jax.Array, capacity: int
) -> jax.Array:
    """Lists the pairs of one kind that are flagged.

    Args:
      always: as for `in_arrays`.
      flags: bool `[pairs, B]`.
      count: their running count along the pairs.
      begin: `[B]`, a scene's first entry.
      capacity: number of entries; pairs beyond are dropped.

    Returns:
      int32 `[capacity]`, places in a flat array `[pairs, B]`; some pair of the kind past the last entry.
    """
    places = in_arrays(always, lambda: jnp.where(flags, begin[None] + count - 1, capacity))
    somewhere = jnp.arange(capacity, dtype=jnp.int32) % flags.shape[1]
    return put_at(somewhere, places, jnp.arange(flags.size, dtype=jnp.int32))


def find_candidates(
    always: jax.Array,
    state: SimState,
    boxes: Boxes,
    tables: Sequence[PairTable],
    capacities: Sequence[int],
    enabled: jax.Array,
) -> Candidates:
    """Lists the pairs that may touch.

    Args:
      always: as for `in_arrays`.
      state: scenes, batch-last.
      boxes: of their bodies.
      tables: pairs by kind.
      capacities: numbers of entries by kind, for the batch.
      enabled: bool `[B]`, scenes to look at.
    """
    batch = state.rotation.shape[-1]
    a, b = (np.concatenate([getattr(table, name) for table in tables]) for name in "ab")
    sizes = [table.num_pairs for table in tables]
    flags = jnp.split(_may_touch(always, state, boxes, a, b) & enabled[None], np.cumsum(sizes)[:-1])
    counts = [running_count(part) for part in flags]
    total = jnp.stack([count[-1] for count in counts])
    end = jnp.cumsum(total, axis=1)
    begin = end - total
    kinds = zip(flags, counts, begin, capacities, strict=True)
    flat = jnp.concatenate([_list_pairs(always, *kind) for kind in kinds])
    most = np.array(capacities, np.int32)
    return Candidates(
        # Truncating divisions, of numbers that are not negative: without the rounding of `//`.
        pair=jax.lax.div(flat, jnp.int32(batch)),
        scene=jax.lax.rem(flat, jnp.int32(batch)),
        used=jnp.concatenate(
            [jnp.arange(c, dtype=jnp.int32) < last for c, last in zip(most, end[:, -1], strict=True)]
        ),
        begin=begin,
        total=total,
        fits=(end[:, -1] <= most).all(),
    )
