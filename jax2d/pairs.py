"""Pairs of bodies that a scene tests, and the layout of their contacts: static tables per `SimSpec`.

Contacts come in *blocks*. A block is either an outer product (every wall with every free polygon, say),
read by broadcasting and summed over an axis, or a triangular list (free polygons with each other), read
and summed through constant indices. Neither needs an index that depends on data (README.md, layout).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from typing import Literal

import numpy as np

from jax2d.params import SimSpec

POLYGON, CIRCLE = 0, 1  # the two arrays of free bodies
Axis = Literal["rows", "columns", "pairs"]


@dataclasses.dataclass(frozen=True)
class BlockSide:
    """Ends of a block's contacts that can move (a wall never does, so it has no side).

    Attributes:
      table: array of free bodies that holds the ends, `POLYGON` or `CIRCLE`.
      axis: place of a contact's body: the block's row or column, or both members of a listed pair.
      signs: for each end, -1 if the normal points away from it (body a), +1 if it points at it (body b).
    """

    table: int
    axis: Axis
    signs: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class PairBlock:
    """Contacts that are stored and solved together.

    Attributes:
      shape: leading shape of the block's arrays: `[rows, columns]` or `[pairs]`.
      sides: the movable ends.
      bodies: int array `[*shape, 2]`, body indices (a, b) of each pair.
      kinetix_rank: int array `[*shape]`, rank of each pair among the pairs of its kind in Kinetix's order.
    """

    shape: tuple[int, ...]
    sides: tuple[BlockSide, ...]
    bodies: np.ndarray
    kinetix_rank: np.ndarray

    @property
    def size(self) -> int:
        """Number of pairs."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True, eq=False)
class PairKind:
    """The blocks of one kind of pair (polygon-polygon, circle-polygon, circle-circle)."""

    blocks: tuple[PairBlock, ...]
    points_per_pair: int

    @property
    def num_pairs(self) -> int:
        """Number of pairs of all blocks."""
        return sum(block.size for block in self.blocks)


def unordered_pairs(count: int) -> np.ndarray:
    """Lists all pairs `i < j` below `count` in lexicographic order: int `[count (count - 1) / 2, 2]`."""
    return np.array(list(itertools.combinations(range(count), 2)), int).reshape(-1, 2)


def pair_incidence(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the places of each of `count` bodies in their triangular list of pairs.

    Returns:
      pair: int `[count - 1, count]`, the k-th pair that a body is in.
      end: int `[count - 1, count]`, 0 where the body is the pair's first member, else 1.
    """
    pairs = unordered_pairs(count)
    pair = np.zeros((max(count - 1, 0), count), int)
    end = np.zeros_like(pair)
    for body in range(count):
        pair[:, body] = np.flatnonzero((pairs == body).any(axis=1))
        end[:, body] = pairs[pair[:, body], 1] == body
    return pair, end


def _outer(rows: range, columns: range, sides: tuple[BlockSide, ...], rank: np.ndarray) -> PairBlock:
    """Pairs every body of `rows` (a) with every body of `columns` (b)."""
    bodies = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).astype(int)
    return PairBlock((len(rows), len(columns)), sides, bodies, rank)


def _listed(first: int, count: int, table: int, start: int) -> PairBlock:
    """Pairs `count` bodies from index `first` on with each other."""
    pairs = unordered_pairs(count)
    rank = start + np.arange(len(pairs))
    return PairBlock((len(pairs),), (BlockSide(table, "pairs", (-1, +1)),), pairs + first, rank)


@functools.cache
def contact_layout(spec: SimSpec) -> tuple[PairKind, ...]:
    """Lays out the polygon-polygon, circle-polygon and circle-circle contacts; empty kinds are left out."""
    walls, free = range(spec.num_walls), range(spec.num_walls, spec.num_polygons)
    circles = range(spec.num_polygons, spec.num_bodies)
    wall_pairs = len(walls) * len(free)
    polygons = PairKind(
        (
            _outer(
                walls,
                free,
                (BlockSide(POLYGON, "columns", (+1,)),),
                np.arange(wall_pairs).reshape(len(walls), len(free)),
            ),
            _listed(spec.num_walls, len(free), POLYGON, wall_pairs),
        ),
        points_per_pair=2,
    )
    # Body a is the circle, and Kinetix's order is circle-major; here a circle is a column.
    circle_major = np.arange(spec.num_polygons * spec.num_circles).reshape(
        spec.num_circles, spec.num_polygons
    )
    against_walls = _outer(
        walls, circles, (BlockSide(CIRCLE, "columns", (-1,)),), circle_major.T[: spec.num_walls]
    )
    against_free = _outer(
        free,
        circles,
        (BlockSide(CIRCLE, "columns", (-1,)), BlockSide(POLYGON, "rows", (+1,))),
        circle_major.T[free],
    )
    mixed = PairKind(
        tuple(
            dataclasses.replace(block, bodies=block.bodies[..., ::-1])
            for block in (against_walls, against_free)
        ),
        points_per_pair=1,
    )
    round_pairs = PairKind((_listed(spec.num_polygons, spec.num_circles, CIRCLE, 0),), points_per_pair=1)
    filled = (
        dataclasses.replace(kind, blocks=tuple(block for block in kind.blocks if block.size))
        for kind in (polygons, mixed, round_pairs)
    )
    return tuple(kind for kind in filled if kind.blocks)


@functools.cache
def contact_pairs(spec: SimSpec) -> np.ndarray:
    """Lists the body indices (a, b) of every contact slot, in the order of `Contacts` and `contact_impulse`.

    Returns:
      int array `[num_contacts(spec), 2]`: polygons with walls (all first points, then all second ones),
      polygons with each other (likewise), circles (a) with walls, with polygons, with each other.
    """
    rows = [
        block.bodies.reshape(-1, 2)
        for kind in contact_layout(spec)
        for block in kind.blocks
        for _ in range(kind.points_per_pair)
    ]
    table = np.concatenate([np.zeros((0, 2), int), *rows])
    table.setflags(write=False)
    return table


def num_contacts(spec: SimSpec) -> int:
    """Counts the contact slots of a scene: two for each pair of polygons, one for each other pair."""
    return len(contact_pairs(spec))
