"""Contacts in lists, flat over the scenes of a batch (README.md, lists); formulas as in `contacts.py`.

The solver takes the contacts in *phases*, one after another: contacts of one phase read the same velocities.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.bodies import (
    ANGULAR_VELOCITY,
    FRICTION,
    INVERSE_INERTIA,
    INVERSE_MASS,
    RESTITUTION,
    VELOCITY_X,
    VELOCITY_Y,
    X,
    Y,
    take_bodies,
)
from jax2d.collision.candidates import Candidates, PairTable
from jax2d.collision.listed import BODY_B, LAST, SCENE, SLOT, ListedManifolds, point_blocks
from jax2d.flat import (
    SlotLayout,
    add_at,
    columns,
    in_arrays,
    put_at,
    running_count_of_list,
    take,
    take_columns,
)
from jax2d.params import SimParams, SimSpec
from jax2d.solver.joint_list import DX, DY, VX, VY, W
from jax2d.solver.joints import nonzero
from jax2d.solver.order import GROUP_SIZE


class ListedContacts(NamedTuple):
    """Pushing contacts of all phases; unused entries have a zero normal. `ends` means bodies a and b."""

    used: jax.Array  # bool [C]
    last: jax.Array  # bool [C], the pair is the last one of its kind
    normal: jax.Array  # [2, C] 1, from a to b
    arm_normal: jax.Array  # [ends, C] m, signed moment arm of the normal as the step begins
    arm_tangent: jax.Array  # [ends, C] m
    body_mass: jax.Array  # [ends, C] 1/kg, signed
    body_inertia: jax.Array  # [ends, C] 1/(kg m^2)
    share: jax.Array  # [ends, C] 1/(kg m^2), inverse inertia of a body's share in the contact
    mass: jax.Array  # [C] 1/kg, of both bodies' shares
    target_velocity: jax.Array  # [C] m/s
    friction: jax.Array  # [C] 1


class ContactPlaces(NamedTuple):
    """Places at which contacts read and change arrays that are flat."""

    velocity: jax.Array  # int32 [3, ends, C], of the bodies, in a flat motion
    displacement: jax.Array  # int32 [2, ends, C]
    impulse: jax.Array  # int32 [2, C], in a flat array of two rows for each slot


def places_of_contacts(selected: SelectedContacts, spec: SimSpec, layout: SlotLayout) -> ContactPlaces:
    """Computes the places of contacts."""
    bodies = spec.num_bodies * layout.batch
    return ContactPlaces(
        velocity=columns(selected.place, bodies, (VX, VY, W)),
        displacement=columns(selected.place, bodies, (DX, DY)),
        impulse=layout.places(selected.slot, selected.scene, 2),
    )


@dataclasses.dataclass(frozen=True)
class Phase:
    """Origin of the contacts of one phase, and how many there may be: static.

    Attributes:
      kind: which of the kinds of pairs.
      point: which of a pair's points.
      group: which of the kind's groups (`SimSpec.contact_order == "kinetix"`).
      groups: how many there are.
      capacity: number of entries.
    """

    kind: int
    point: int
    group: int
    groups: int
    capacity: int


def groups_of_kind(table: PairTable, spec: SimSpec) -> int:
    """Counts the groups of a kind's pairs that are solved one after another."""
    return -(-table.num_pairs // GROUP_SIZE) if spec.contact_order == "kinetix" else 1


def _group_of_entries(
    active: jax.Array, candidates: Candidates, kind: int, entries: slice, table: PairTable, groups: int
) -> jax.Array:
    """Assigns the listed pairs of a kind to groups as `order.group_of_pairs` does: int32 `[E]`."""
    count = jnp.concatenate([jnp.zeros(1, jnp.int32), running_count_of_list(active)])
    begin, scene = candidates.begin[kind], candidates.scene[entries]
    before = take(count, begin)
    num_active = take(count, begin + candidates.total[kind]) - before
    rank = count[1:] - 1 - take(before, scene)
    return (table.num_pairs - take(num_active, scene) + rank) % groups


class SelectedContacts(NamedTuple):
    """Contacts of all phases as they were found."""

    numbers: jax.Array  # [5, C], as in `ListedManifolds`
    place: jax.Array  # int32 [ends, C], place of the body in a flat array [N, B]
    scene: jax.Array  # int32 [C]
    slot: jax.Array  # int32 [C]
    last: jax.Array  # bool [C]
    used: jax.Array  # bool [C]


def _places_in_phases(
    flags: jax.Array, count: jax.Array, room: np.ndarray, begin: np.ndarray, size: int
) -> jax.Array:
    """Places `[E]` of entries in the list of all phases; `size` where they have none.

    Args:
      flags: bool `[phases, E]`, the phase that an entry belongs to, if any.
      count: their running counts.
      room, begin: `[phases]`, how many entries a phase has, and its first.
      size: number of entries of all phases.
    """
    listed = flags & (count <= room[:, None])
    place = begin[:, None] + count - 1
    # Phases are few, and sums of few rows are slow as reductions (README.md, XLA).
    at = jnp.full(flags.shape[1], size, jnp.int32)
    for here, there in zip(listed, place, strict=True):
        at = jnp.where(here, there, at)
    return at


def select_contacts(
    always: jax.Array,
    found: ListedManifolds,
    candidates: Candidates,
    tables: Sequence[PairTable],
    capacities: Sequence[int],
    phases: Sequence[Phase],
    num_places: int,
) -> tuple[SelectedContacts, jax.Array]:
    """Lists the pushing contacts phase by phase; also tells whether each phase has room for its contacts.

    `always` is as for `in_arrays`.
    """
    size, offset, row = sum(phase.capacity for phase in phases), 0, 0
    starts = np.cumsum([0, *capacities])
    blocks, filled, fits, of_kind = [], [], [], {}
    for kind, point in point_blocks(tables):
        entries, rows = slice(starts[kind], starts[kind + 1]), slice(row, row + capacities[kind])
        row = rows.stop
        here = [phase for phase in phases if (phase.kind, phase.point) == (kind, point)]
        flags = found.pushing[rows][None]
        if len(here) > 1:
            if point == 0:
                of_kind[kind] = _group_of_entries(
                    found.active[rows], candidates, kind, entries, tables[kind], len(here)
                )
            flags &= of_kind[kind][None] == jnp.arange(len(here))[:, None]
        count = running_count_of_list(flags)
        room = np.array([phase.capacity for phase in here], np.int32)
        begin = offset + np.cumsum([0, *room[:-1]]).astype(np.int32)
        offset += int(room.sum())
        blocks.append((flags, count, room, begin, size))
        fits.append((count[:, -1] <= room).all())
        filled += [jnp.arange(n, dtype=jnp.int32) < last for n, last in zip(room, count[:, -1], strict=True)]
    place_all = lambda: [_places_in_phases(*block) for block in blocks]
    # Places among several groups are dear to compute anew.
    places = in_arrays(always, place_all) if len(phases) > len(blocks) else place_all()
    index = jnp.arange(size, dtype=jnp.int32) % row
    index = put_at(index, jnp.concatenate(places), jnp.arange(row, dtype=jnp.int32))
    used = jnp.concatenate(filled)
    codes = take_columns(found.codes, index)
    # Unused entries of one place would wait for each other.
    somewhere = jnp.arange(size, dtype=jnp.int32) % num_places
    selected = SelectedContacts(
        numbers=take_columns(found.numbers, index),
        place=jnp.where(used[None], codes[: BODY_B + 1], somewhere[None]),
        scene=codes[SCENE],
        slot=codes[SLOT],
        last=codes[LAST] > 0,
        used=used,
    )
    return selected, jnp.stack(fits).all()


def _shares(
    selected: SelectedContacts, phases: Sequence[Phase], size: int, spec: SimSpec
) -> jax.Array | float:
    """Computes in how many parts a body's mass is split (`prepare.split_mass`): `[ends, C]`."""
    if spec.contact_order == "kinetix":
        return 1.0
    phase = np.repeat(np.arange(len(phases), dtype=np.int32), [phase.capacity for phase in phases])
    place = jnp.asarray(phase)[None] * size + selected.place
    one = jnp.broadcast_to(selected.used[None].astype(jnp.float32), place.shape)
    count = add_at(jnp.zeros(len(phases) * size), place, one)
    return jnp.maximum(take(count, place), 2) / 2


def prepare_contact_list(
    bodies: jax.Array,
    selected: SelectedContacts,
    phases: Sequence[Phase],
    params: SimParams,
    spec: SimSpec,
) -> ListedContacts:
    """Prepares listed contacts for the solver; `bodies` are of `tabulate_bodies`, after gravity."""
    params = jax.tree.map(lambda value: take(value, selected.scene) if jnp.ndim(value) else value, params)
    signs = jnp.array([[-1.0], [1.0]])
    x, y, restitution, friction = take_bodies(bodies, selected.place, (X, Y, RESTITUTION, FRICTION))
    moving = (VELOCITY_X, VELOCITY_Y, ANGULAR_VELOCITY, INVERSE_MASS, INVERSE_INERTIA)
    size = bodies.shape[1]
    free = selected.place >= size // spec.num_bodies * spec.num_walls
    vx, vy, spin, mass, inertia = jnp.where(free[None], take_bodies(bodies, selected.place, moving), 0)
    numbers = jnp.where(selected.used[None], selected.numbers, 0)
    nx, ny, point_x, point_y, penetration = numbers[:, None]
    arm_x, arm_y = point_x - x, point_y - y
    arm_normal = signs * (arm_x * ny - arm_y * nx)
    arm_tangent = -signs * (arm_x * nx + arm_y * ny)
    speed = spin * arm_normal + signs * (vx * nx + vy * ny)
    shares = _shares(selected, phases, size, spec)
    split = mass * shares
    overlap = jnp.maximum(penetration[0] - params.slop, 0)
    correction = params.contact_bias / params.dt * overlap
    bounce = jnp.minimum(restitution[0], restitution[1]) * (speed[0] + speed[1])
    return ListedContacts(
        used=selected.used,
        last=selected.last,
        normal=numbers[:2],
        arm_normal=arm_normal,
        arm_tangent=arm_tangent,
        body_mass=mass * signs,
        body_inertia=inertia,
        share=inertia * shares,
        mass=nonzero(split[0] + split[1]),
        target_velocity=correction - bounce,
        friction=params.base_friction * jnp.sqrt(friction[0] ** 2 + friction[1] ** 2),
    )


def apply_impulses(
    always: jax.Array,
    contacts: ListedContacts,
    places: jax.Array,
    normal: jax.Array,
    tangent: jax.Array,
    motion: jax.Array,
    rows: slice = slice(None),
) -> jax.Array:
    """Changes velocities at `places` by impulses `normal`, `tangent` `[n]` of the contacts in `rows`.

    `always` is as for `in_arrays`: in arrays of their own the changes are computed by vector instructions,
    where in the flat list that the scatter reads every entry would be computed alone. The contacts are cut
    in there, where that needs no copies.
    """

    def change():
        here = jax.tree.map(lambda field: field[..., rows], contacts)
        nx, ny = here.normal
        spin = here.body_inertia * (here.arm_normal * normal[None] + here.arm_tangent * tangent[None])
        x, y = nx * normal + ny * tangent, ny * normal - nx * tangent
        return jnp.stack([here.body_mass * x[None], here.body_mass * y[None], spin])

    return add_at(motion, places, in_arrays(always, change))


def shift_arms(contacts: ListedContacts, places: ContactPlaces, motion: jax.Array) -> ListedContacts:
    """Moves the arms' ends to where joints have moved the bodies meanwhile."""
    signs, nx, ny = jnp.array([[-1.0], [1.0]]), contacts.normal[:1], contacts.normal[1:]
    dx, dy = take(motion, places.displacement)
    return contacts._replace(
        arm_normal=contacts.arm_normal - signs * (dx * ny - dy * nx),
        arm_tangent=contacts.arm_tangent + signs * (dx * nx + dy * ny),
    )


def solve_phase(
    always: jax.Array,
    all_contacts: ListedContacts,
    rows: slice,
    places: jax.Array,
    accumulated: jax.Array,
    motion: jax.Array,
    reset_last: bool,
) -> tuple[jax.Array, jax.Array]:
    """Solves the contacts of one phase once.

    Args:
      always: as for `in_arrays`.
      all_contacts: those of all phases.
      rows: those of the phase.
      places: at which they read and change velocities.
      accumulated: `[2, n]`, their impulses along normal and tangent.
      motion: bodies before.
      reset_last: whether the kind's last pair forgets its impulses.
    """
    contacts = jax.tree.map(lambda field: field[..., rows], all_contacts)
    arm_normal, arm_tangent = contacts.arm_normal, contacts.arm_tangent
    both = lambda values: values[0] + values[1]
    mass_normal = contacts.mass + both(contacts.share * arm_normal**2)
    mass_tangent = contacts.mass + both(contacts.share * arm_tangent**2)
    coupling = both(contacts.share * arm_normal * arm_tangent)
    of_ends = take(motion, places)
    (nx, ny), spin = contacts.normal, of_ends[2]
    vx, vy = of_ends[:2, 1] - of_ends[:2, 0]
    speed_normal = both(spin * arm_normal) + (vx * nx + vy * ny)
    speed_tangent = both(spin * arm_tangent) + (vx * ny - vy * nx)
    # Clamped before the division by the effective mass (README.md, XLA: quotients).
    total_normal, total_tangent = accumulated
    wanted = contacts.target_velocity - speed_normal
    normal = jnp.maximum(wanted, -total_normal * mass_normal) / mass_normal
    limit = contacts.friction * (total_normal + normal)
    low = (-limit - total_tangent) * mass_tangent
    high = (limit - total_tangent) * mass_tangent
    tangent = jnp.clip(-(speed_tangent + normal * coupling), low, high) / mass_tangent
    motion = apply_impulses(always, all_contacts, places, normal, tangent, motion, rows)
    total = jnp.stack([jnp.maximum(total_normal + normal, 0), total_tangent + tangent])
    return jnp.where(contacts.last[None], 0, total) if reset_last else total, motion
