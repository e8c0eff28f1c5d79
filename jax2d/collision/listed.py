"""Contacts of listed pairs. A list's entries are flat over the scenes of a batch (README.md, lists)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.bodies import COMPONENT, INVERSE_MASS, RADIUS, X, Y, take_bodies
from jax2d.collision.candidates import Candidates, PairTable
from jax2d.collision.circles import circle_manifolds, circle_polygon_manifolds
from jax2d.collision.manifold import Manifold
from jax2d.collision.polygons import WorldPolygons, polygon_manifolds
from jax2d.flat import SlotLayout, in_arrays, put_at, take, take_columns
from jax2d.pairs import num_contacts
from jax2d.params import SimSpec

# Rows of the numbers of a contact: its normal, point and penetration.
NORMAL_X, NORMAL_Y, POINT_X, POINT_Y, PENETRATION = range(5)
# Rows of its codes: places of bodies a and b in a flat array [N, B], its scene and slot, and 1 if its pair is
# the last one of its kind.
BODY_A, BODY_B, SCENE, SLOT, LAST = range(5)
ACTIVE, PUSHING = 1, 2  # bits of a reported contact


class ListedManifolds(NamedTuple):
    """The contact points of all candidates, flat: by kind, then by point, then by candidate."""

    numbers: jax.Array  # [5, R]
    codes: jax.Array  # int32 [5, R]
    active: jax.Array  # bool [R]
    pushing: jax.Array  # bool [R]


class Report(NamedTuple):
    """The active contacts by slot, flat."""

    numbers: jax.Array  # [K 5 B], or [B K 5] (`SlotLayout`)
    flags: jax.Array  # uint8 [K B], or [B K], ACTIVE and PUSHING


def empty_report(spec: SimSpec, batch: int) -> Report:
    """Makes a report without contacts."""
    size = num_contacts(spec) * batch
    return Report(jnp.zeros(5 * size), jnp.zeros(size, jnp.uint8))


def point_blocks(tables: Sequence[PairTable]) -> list[tuple[int, int]]:
    """Lists the kind and point of the blocks of `ListedManifolds`, in order."""
    return [(kind, point) for kind, table in enumerate(tables) for point in range(table.points)]


def _polygons_at(polygons: WorldPolygons, body: jax.Array) -> WorldPolygons:
    """The polygons at places `body [E]` of a flat array `[polygons, B]`; fields `[V, E]`."""
    size, count, batch = polygons.x.shape
    index = jnp.arange(size, dtype=jnp.int32)[:, None] * (count * batch) + body[None]
    return polygons.pick(lambda field: take(field, index))


def _manifolds_of_kind(
    table: PairTable, place: jax.Array, bodies: jax.Array, polygons: WorldPolygons, spec: SimSpec
) -> Manifold:
    """Finds the contacts of pairs of one kind; `place [ends, E]`, `bodies [5, ends, E]`."""
    x, y, radius = bodies[:3]
    if table.a[0] < spec.num_polygons:
        return polygon_manifolds(_polygons_at(polygons, place[0]), _polygons_at(polygons, place[1]))
    if table.b[0] < spec.num_polygons:
        return circle_polygon_manifolds(x[0], y[0], radius[0], _polygons_at(polygons, place[1]))
    return circle_manifolds(x[0], y[0], radius[0], x[1], y[1], radius[1])


def _contacts_of_pairs(
    always: jax.Array,
    table: PairTable,
    pair: jax.Array,
    scene: jax.Array,
    used: jax.Array,
    bodies: jax.Array,
    polygons: WorldPolygons,
    spec: SimSpec,
) -> ListedManifolds:
    """Finds the contacts of pairs `[n]` of one kind; fields `[..., S, n]`."""
    batch = polygons.x.shape[-1]
    last = np.arange(table.num_pairs) == table.num_pairs - 1
    of_pairs = jnp.asarray(np.stack([table.a, table.b, last, *table.slots]), jnp.int32)

    def read():
        body_a, body_b, last, *slots = take_columns(of_pairs, pair)
        place = jnp.stack([body_a, body_b]) * batch + scene[None]
        return place, take_bodies(bodies, place, (X, Y, RADIUS, INVERSE_MASS, COMPONENT)), last, slots

    place, at_ends, is_last, slots = in_arrays(always, read)
    manifold = _manifolds_of_kind(table, place, at_ends, polygons, spec)
    mass, label = at_ends[3:]
    push = (mass[0] + mass[1] > 0) & (label[0] != label[1])
    same = lambda value: jnp.broadcast_to(value[None], manifold.active.shape)
    numbers = [
        same(manifold.normal_x),
        same(manifold.normal_y),
        manifold.point_x,
        manifold.point_y,
        same(manifold.penetration),
    ]
    codes = [jnp.stack([*place, scene, slot, is_last]) for slot in slots]
    active = manifold.active & used[None]
    return ListedManifolds(jnp.stack(numbers), jnp.stack(codes, axis=1), active, active & push[None])


def find_listed_manifolds(
    always: jax.Array,
    bodies: jax.Array,
    polygons: WorldPolygons,
    tables: Sequence[PairTable],
    chunks: Sequence[int],
    capacities: Sequence[int],
    candidates: Candidates,
    spec: SimSpec,
) -> ListedManifolds:
    """Finds the contacts of candidates, chunk by chunk as far as there are any.

    Args:
      always: true, but not to the compiler.
      bodies: of `tabulate_bodies`.
      polygons: polygons in the world, batch-last.
      tables: pairs by kind.
      chunks: numbers of candidates by kind that are tested at once.
      capacities: numbers of candidates by kind, multiples of the chunks.
      candidates: those to test.
      spec: sizes.
    """
    entries = np.cumsum([0, *capacities])
    rows = _first_rows(tables, capacities)

    def visit(kind: int, index, found):
        start, count = index * chunks[kind], chunks[kind]
        cut = lambda values: jax.lax.dynamic_slice_in_dim(values, entries[kind] + start, count)
        pair, scene, used = cut(candidates.pair), cut(candidates.scene), cut(candidates.used)
        here = _contacts_of_pairs(always, tables[kind], pair, scene, used, bodies, polygons, spec)
        for point in range(tables[kind].points):
            at = rows[kind] + point * capacities[kind] + start
            put = functools.partial(jax.lax.dynamic_update_slice_in_dim, start_index=at, axis=-1)
            found = jax.tree.map(
                lambda into, new, put=put, point=point: put(into, new[..., point, :]), found, here
            )
        return found

    found = ListedManifolds(
        numbers=jnp.zeros((5, rows[-1])),
        codes=jnp.zeros((5, rows[-1]), jnp.int32),
        active=jnp.zeros(rows[-1], bool),
        pushing=jnp.zeros(rows[-1], bool),
    )
    for kind, filled in enumerate(_filled_chunks(chunks, capacities, candidates)):
        found = jax.lax.fori_loop(0, filled, functools.partial(visit, kind), found)
    return found


def _first_rows(tables: Sequence[PairTable], capacities: Sequence[int]) -> np.ndarray:
    """Computes where the kinds begin in `ListedManifolds`, and its length."""
    return np.cumsum([0, *(size * table.points for size, table in zip(capacities, tables, strict=True))])


def _filled_chunks(
    chunks: Sequence[int], capacities: Sequence[int], candidates: Candidates
) -> list[jax.Array]:
    """Counts the chunks of each kind that hold a candidate."""
    sizes = zip(chunks, capacities, candidates.total, strict=True)
    return [jnp.minimum(-(-total.sum() // chunk), capacity // chunk) for chunk, capacity, total in sizes]


def add_to_report(
    report: Report,
    found: ListedManifolds,
    tables: Sequence[PairTable],
    chunks: Sequence[int],
    capacities: Sequence[int],
    candidates: Candidates,
    layout: SlotLayout,
) -> Report:
    """Puts the active contacts at their slots; arguments as for `find_listed_manifolds`.

    Each array has a loop of its own, so that the compiler leaves out those that nobody reads.
    """
    rows = _first_rows(tables, capacities)

    def fill(whole: jax.Array, values: jax.Array, kind: int, filled: jax.Array) -> jax.Array:
        """Puts values `[n, R]` of active contacts of a kind into an array of `n` rows for each slot."""

        def visit(index, whole):
            for point in range(tables[kind].points):
                at = rows[kind] + point * capacities[kind] + index * chunks[kind]
                cut = lambda v, at=at: jax.lax.dynamic_slice_in_dim(v, at, chunks[kind], axis=-1)
                codes, active, new = cut(found.codes), cut(found.active), cut(values)
                places = layout.places(codes[SLOT], codes[SCENE], len(values))
                whole = put_at(whole, jnp.where(active[None], places, whole.size), new)
            return whole

        return jax.lax.fori_loop(0, filled, visit, whole)

    flags = jnp.where(found.active, ACTIVE, 0) + jnp.where(found.pushing, PUSHING, 0)
    for kind, filled in enumerate(_filled_chunks(chunks, capacities, candidates)):
        report = Report(
            numbers=fill(report.numbers, found.numbers, kind, filled),
            flags=fill(report.flags, flags.astype(jnp.uint8)[None], kind, filled),
        )
    return report
