"""Contacts of listed pairs. A list's entries are flat over the scenes of a batch (README.md, lists)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.collision.candidates import Candidates, PairTable
from jax2d.collision.circles import circle_manifolds, circle_polygon_manifolds
from jax2d.collision.manifold import Manifold
from jax2d.collision.polygons import WorldPolygons, polygon_manifolds
from jax2d.flat import columns, in_arrays, put_at, take, take_columns
from jax2d.pairs import num_contacts
from jax2d.params import SimSpec
from jax2d.types import SimState

# Rows of the numbers of a contact: its normal, point and penetration.
NORMAL_X, NORMAL_Y, POINT_X, POINT_Y, PENETRATION = range(5)
# Rows of its codes: places of bodies a and b in a flat array [N, B], its scene and slot, and 1 if its pair is
# the last one of its kind.
BODY_A, BODY_B, SCENE, SLOT, LAST = range(5)


class ListedManifolds(NamedTuple):
    """The contact points of all candidates, flat: by kind, then by point, then by candidate."""

    numbers: jax.Array  # [5, R]
    codes: jax.Array  # int32 [5, R]
    active: jax.Array  # bool [R]
    pushing: jax.Array  # bool [R]


class Report(NamedTuple):
    """The active contacts by slot, flat."""

    numbers: jax.Array  # [K 5 B]
    active: jax.Array  # bool [K B]
    pushing: jax.Array  # bool [K B]


def empty_report(spec: SimSpec, batch: int) -> Report:
    """Makes a report without contacts."""
    size = num_contacts(spec) * batch
    return Report(jnp.zeros(5 * size), jnp.zeros(size, bool), jnp.zeros(size, bool))


def tabulate_bodies(state: SimState, labels: jax.Array, spec: SimSpec) -> jax.Array:
    """Makes what contacts need of a body (position, radius, inverse mass, label) a column: `[5, N B]`."""
    radius = jnp.concatenate([jnp.zeros_like(state.rotation[: spec.num_polygons]), state.radius])
    rows = [
        state.position[:, 0],
        state.position[:, 1],
        radius,
        state.inverse_mass,
        labels.astype(jnp.float32),
    ]
    return jnp.stack(rows).reshape(len(rows), -1)


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
        return place, take_columns(bodies, place), last, slots

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
    report: Report,
    spec: SimSpec,
) -> tuple[ListedManifolds, Report]:
    """Finds the contacts of candidates, chunk by chunk as far as there are any; also reports them.

    Args:
      always: true, but not to the compiler.
      bodies: of `tabulate_bodies`.
      polygons: polygons in the world, batch-last.
      tables: pairs by kind.
      chunks: numbers of candidates by kind that are tested at once.
      capacities: numbers of candidates by kind, multiples of the chunks.
      candidates: those to test.
      report: contacts of other scenes.
      spec: sizes.
    """
    batch = polygons.x.shape[-1]
    entries = np.cumsum([0, *capacities])
    sizes = [size * table.points for size, table in zip(capacities, tables, strict=True)]
    rows = np.cumsum([0, *sizes])

    def visit(kind: int, index, carry):
        found, report = carry
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
        return found, _add_to_report(report, here, batch)

    found = ListedManifolds(
        numbers=jnp.zeros((5, rows[-1])),
        codes=jnp.zeros((5, rows[-1]), jnp.int32),
        active=jnp.zeros(rows[-1], bool),
        pushing=jnp.zeros(rows[-1], bool),
    )
    for kind in range(len(tables)):
        filled = -(-candidates.total[kind].sum() // chunks[kind])
        most = capacities[kind] // chunks[kind]
        find_kind = functools.partial(visit, kind)
        found, report = jax.lax.fori_loop(0, jnp.minimum(filled, most), find_kind, (found, report))
    return found, report


def _add_to_report(report: Report, found: ListedManifolds, batch: int) -> Report:
    """Puts contacts at their slots."""
    slot, scene = found.codes[SLOT], found.codes[SCENE]
    size = len(found.numbers)
    place = jnp.where(found.active, slot * batch + scene, report.active.size)
    number_places = columns(slot * (size * batch) + scene, batch, range(size))
    number_places = jnp.where(found.active[None], number_places, report.numbers.size)
    return Report(
        numbers=put_at(report.numbers, number_places, found.numbers),
        active=put_at(report.active, place, found.active),
        pushing=put_at(report.pushing, place, found.pushing),
    )
