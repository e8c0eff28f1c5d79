"""The step on lists of what touches, for CPUs (README.md, lists). Arrays are batch-last, but for slots."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax2d.batching import on_cpu
from jax2d.bodies import tabulate_bodies
from jax2d.collision.candidates import Boxes, bounding_boxes, find_candidates, pair_tables
from jax2d.collision.detect import components, world_polygons
from jax2d.collision.listed import (
    ACTIVE,
    NORMAL_X,
    NORMAL_Y,
    PENETRATION,
    POINT_X,
    POINT_Y,
    PUSHING,
    Report,
    add_to_report,
    empty_report,
    find_listed_manifolds,
)
from jax2d.collision.polygons import WorldPolygons
from jax2d.flat import SlotLayout, in_arrays, put_at, take
from jax2d.pairs import num_contacts
from jax2d.params import SOLVER_VELOCITY_MARGIN, SimParams, SimSpec
from jax2d.pipeline import apply_gravity, move_bodies, step_batch_last
from jax2d.solver.contact_list import (
    ContactPlaces,
    ListedContacts,
    Phase,
    SelectedContacts,
    apply_impulses,
    groups_of_kind,
    places_of_contacts,
    prepare_contact_list,
    select_contacts,
    shift_arms,
    solve_phase,
)
from jax2d.solver.joint_list import (
    DX,
    ListedJoints,
    W,
    list_joints,
    motion_of_bodies,
    run_motors,
    run_thrusters,
    solve_joint_list,
    warm_start_joint_list,
)
from jax2d.solver.loop import joint_impulse_bounds
from jax2d.solver.order import GROUP_SIZE
from jax2d.types import DYNAMIC_FIELDS, Contacts, SimState

LIST_MULTIPLE = 32  # lists are a multiple of this
# Numbers for each free polygon (polygons with polygons) or circle (the other kinds), of sizes M and L: most
# usual candidates in random levels, which are tested at once, and in crowded boxes; and contacts by point in
# both, after those of a scene with any (README.md, lists).
USUAL_CANDIDATES = {"polygons": (0.55, 1.7), "mixed": (1.1, 3.3), "circles": (0.1, 0.7)}
USUAL_CONTACTS = {
    "polygons": ((0.5, 0.26), (0.1, 0.19)),
    "mixed": ((0.0, 0.36),),
    "circles": ((0.0, 0.03),),
}
USUAL_BODIES = 12
# Smaller batches and scenes of fewer contact slots are faster densely (README.md, lists).
SMALLEST_BATCH = 32
FEWEST_CONTACTS = 30


class Scenes(NamedTuple):
    """A batch after gravity, and what its lists are made from."""

    state: SimState
    actions: jax.Array  # [num_actions, B]
    boxes: Boxes
    polygons: WorldPolygons
    bodies: jax.Array  # of `tabulate_bodies`


class Solved(NamedTuple):
    """The scenes that are done: what a step changes, and their contacts, flat."""

    moved: dict[str, jax.Array]  # fields of `SimState`, but for the impulses of contacts
    impulses: jax.Array  # [K 2 B], or [B K 2] (`SlotLayout`)
    report: Report


@dataclasses.dataclass(frozen=True)
class ListSizes:
    """Entries of the lists of a batch.

    Attributes:
      chunks: candidates of every kind whose contacts are found at once.
      candidates: of every kind; multiples of `chunks`.
      phases: contacts that are solved together, in order.
    """

    chunks: tuple[int, ...]
    candidates: tuple[int, ...]
    phases: tuple[Phase, ...]


def list_sizes(spec: SimSpec, batch: int, room: float = 1.0) -> ListSizes:
    """Chooses the sizes of the lists of a batch; `room` is a factor on the usual ones."""
    polygons, circles = spec.num_polygons - spec.num_walls, spec.num_circles
    # The more bodies share the room, the more of them touch.
    crowding = max(1.0, (polygons + circles) / USUAL_BODIES)

    def entries(pairs: int, usual: float, multiple: int) -> int:
        """Room for some pairs a scene and three standard deviations, or for all pairs of one scene."""
        mean = min(pairs, room * crowding * usual) * batch
        wanted = min(max(mean + 3 * mean**0.5, pairs), pairs * batch)
        return -(-math.ceil(wanted) // multiple) * multiple

    chunks, candidates, phases = [], [], []
    for kind, table in enumerate(pair_tables(spec)):
        ends = circles if table.points == 1 else polygons
        both_circles = table.a[0] >= spec.num_polygons and table.b[0] >= spec.num_polygons
        name = "polygons" if table.points == 2 else "circles" if both_circles else "mixed"
        at_once, at_most = USUAL_CANDIDATES[name]
        chunks.append(entries(table.num_pairs, at_once * ends, LIST_MULTIPLE))
        candidates.append(entries(table.num_pairs, at_most * ends, chunks[-1]))
        groups = groups_of_kind(table, spec)
        unequal = 1.1 if groups > 1 else 1
        for point, (of_scene, of_body) in enumerate(USUAL_CONTACTS[name]):
            usual = unequal / groups * (of_scene + of_body * ends)
            capacity = entries(table.num_pairs, usual, LIST_MULTIPLE)
            phases += [Phase(kind, point, group, groups, capacity) for group in range(groups)]
    return ListSizes(tuple(chunks), tuple(candidates), tuple(phases))


def _prepare(before: SimState, actions: jax.Array, params: SimParams, spec: SimSpec) -> Scenes:
    """Applies gravity, and places the bodies in the world."""
    state = apply_gravity(before, params)
    # Sines once, not in every consumer (README.md, XLA).
    rotations = lambda: (jnp.cos(state.rotation), jnp.sin(state.rotation))
    always = state.collision_mode[0, 0] & 1 >= 0
    cos, sin = in_arrays(always, rotations)
    polygons = world_polygons(state, cos, sin, spec)
    return Scenes(
        state=state,
        actions=actions,
        boxes=bounding_boxes(state, polygons, spec),
        polygons=polygons,
        bodies=tabulate_bodies(state, components(state.joints, spec.num_bodies), cos, sin, spec),
    )


def _bound_velocities(motion: jax.Array, params: SimParams, batch: int) -> jax.Array:
    """As `loop.bound_velocities`."""
    params = params.broadcast_to_rank(3)
    row = np.arange(5)[:, None, None]
    limit = jnp.where(row == W, params.max_angular_velocity, params.max_velocity)
    limit = jnp.where(row < DX, SOLVER_VELOCITY_MARGIN * limit, jnp.inf)
    return jnp.clip(motion.reshape(5, -1, batch), -limit, limit).reshape(-1)


def _rows(phases: tuple[Phase, ...]) -> list[slice]:
    """The contacts of every phase among all."""
    ends = np.cumsum([phase.capacity for phase in phases])
    return [slice(end - phase.capacity, end) for phase, end in zip(phases, ends, strict=True)]


def _solve(
    always: jax.Array,
    contacts: ListedContacts,
    places: ContactPlaces,
    joints: ListedJoints,
    contact_impulses: jax.Array,
    joint_impulses: jax.Array,
    motion: jax.Array,
    params: SimParams,
    spec: SimSpec,
    phases: tuple[Phase, ...],
    batch: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Warm starts and sweeps as `loop.solve`; impulses `[2, C]` of contacts and `[J, 3, B]` of joints."""
    exact_arms = spec.contact_order == "kinetix"
    if spec.warm_start:
        normal, tangent = contact_impulses
        motion = apply_impulses(always, contacts, places.velocity, normal, tangent, motion)
        motion = warm_start_joint_list(always, joints, joint_impulses, motion)
    tables = pair_tables(spec)
    rows = _rows(phases)
    cut = lambda values: [values[..., here] for here in rows]
    # Cut here and not in the sweep, where gathers and scatters need them as arrays of their own.
    places_by_phase = cut(places.velocity)

    def sweep(_, carry):
        totals, joint_impulses, motion = carry
        joint_impulses, motion = solve_joint_list(always, joints, joint_impulses, motion, params)
        # An array of its own: the first contacts would bound every velocity that they read.
        motion = in_arrays(always, functools.partial(_bound_velocities, motion, params, batch))
        now = shift_arms(contacts, places, motion) if exact_arms else contacts
        after = []
        for phase, here, at, total in zip(phases, rows, places_by_phase, totals, strict=True):
            reset = exact_arms and tables[phase.kind].num_pairs % GROUP_SIZE != 0
            total, motion = solve_phase(always, now, here, at, total, motion, reset)
            after.append(total)
        return after, joint_impulses, motion

    carry = (cut(contact_impulses), joint_impulses, motion)
    totals, joint_impulses, motion = jax.lax.fori_loop(0, spec.solver_iterations, sweep, carry)
    return jnp.concatenate(totals, axis=1), joint_impulses, motion


def _solve_listed(
    always: jax.Array,
    scenes: Scenes,
    selected: SelectedContacts,
    params: SimParams,
    spec: SimSpec,
    phases: tuple[Phase, ...],
    layout: SlotLayout,
) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    """Solves listed contacts and joints, and moves the bodies.

    Returns:
      The fields of `Solved.moved`, and the contacts' impulses `[2, C]`, with their places in `Solved`.
    """
    state, bodies = scenes.state, scenes.bodies
    batch = state.rotation.shape[-1]
    contacts = prepare_contact_list(bodies, selected, phases, params, spec)
    places = places_of_contacts(selected, spec, layout)
    motion = motion_of_bodies(state, spec)
    motion = run_motors(state, bodies, motion, scenes.actions[: spec.num_joints], params)
    motion = run_thrusters(state, bodies, motion, scenes.actions[spec.num_joints :], params)
    joints = list_joints(state, bodies, params, spec)
    carried = take(state.contact_impulse, places.impulse)
    contact_impulses = jnp.where(contacts.used[None] & spec.warm_start, carried, 0)
    joint_impulses = jnp.where(state.joints.active[:, None] & spec.warm_start, state.joint_impulse, 0)
    contact_impulses, joint_impulses, motion = _solve(
        always,
        contacts,
        places,
        joints,
        contact_impulses,
        joint_impulses,
        motion,
        params,
        spec,
        phases,
        batch,
    )
    after = move_bodies(state, list(motion.reshape(5, -1, batch)[:, spec.num_walls :]), params, spec)
    bound, bound_angular = joint_impulse_bounds(joints.mass[:, 0], joints.inertia, params)
    bounds = jnp.stack([bound, bound, bound_angular], axis=1)
    moved = {name: getattr(after, name) for name in DYNAMIC_FIELDS if name != "contact_impulse"}
    moved["joint_impulse"] = jnp.clip(joint_impulses, -bounds, bounds)
    return moved, contact_impulses, places.impulse


def _step_enabled(
    always: jax.Array,
    scenes: Scenes,
    enabled: jax.Array,
    solved: Solved,
    params: SimParams,
    spec: SimSpec,
    sizes: ListSizes,
    layout: SlotLayout,
) -> tuple[jax.Array, Solved]:
    """Steps the scenes that are enabled if the lists have room for them; also tells whether they have."""
    tables = pair_tables(spec)
    candidates = find_candidates(always, scenes.state, scenes.boxes, tables, sizes.candidates, enabled)
    room = (tables, sizes.chunks, sizes.candidates)
    found = find_listed_manifolds(always, scenes.bodies, scenes.polygons, *room, candidates, spec)
    size = scenes.state.rotation.size
    selected, fits = select_contacts(always, found, candidates, tables, sizes.candidates, sizes.phases, size)
    fits &= candidates.fits
    moved, impulses, places = _solve_listed(always, scenes, selected, params, spec, sizes.phases, layout)
    done = enabled & fits
    choose = lambda new, old: jnp.where(done.reshape(*[1] * (new.ndim - 1), -1), new, old)
    written = jnp.where((selected.used & fits)[None], places, solved.impulses.size)
    return fits, Solved(
        moved=jax.tree.map(choose, moved, solved.moved),
        impulses=put_at(solved.impulses, written, impulses),
        report=add_to_report(solved.report, found, *room, candidates, layout),
    )


def _advance(
    before: SimState,
    actions: jax.Array,
    params: SimParams,
    *,
    spec: SimSpec,
    sizes: ListSizes,
    slots_axis: int,
) -> tuple[SimState, Contacts]:
    """Steps as many scenes at once as the lists have room for: usually all, else half of them, and so on."""
    batch = before.rotation.shape[-1]
    layout = SlotLayout(num_contacts(spec), batch, slots_axis)
    scenes = _prepare(before, actions, params, spec)
    index = jnp.arange(batch, dtype=jnp.int32)

    def visit(carry):
        first, width, solved = carry
        enabled = (first <= index) & (index < first + width)
        fits, solved = _step_enabled(width > 0, scenes, enabled, solved, params, spec, sizes, layout)
        return jnp.where(fits, first + width, first), jnp.where(fits, width, (width + 1) // 2), solved

    nothing = Solved(
        moved={name: getattr(before, name) for name in DYNAMIC_FIELDS if name != "contact_impulse"},
        impulses=jnp.zeros(before.contact_impulse.size),
        report=empty_report(spec, batch),
    )
    start = (jnp.int32(0), jnp.int32(batch), nothing)
    solved = jax.lax.while_loop(lambda carry: carry[0] < batch, visit, start)[2]
    report, axis = solved.report, slots_axis
    numbers = jnp.moveaxis(report.numbers.reshape(layout.shape(5)), 2 + axis, 0)
    vector = lambda x, y: jnp.stack([numbers[x], numbers[y]], axis=2 + axis)
    contacts = Contacts(
        active=(report.flags & ACTIVE > 0).reshape(layout.shape()),
        pushing=(report.flags & PUSHING > 0).reshape(layout.shape()),
        normal=vector(NORMAL_X, NORMAL_Y),
        point=vector(POINT_X, POINT_Y),
        penetration=numbers[PENETRATION],
    )
    changed: dict[str, Any] = {**solved.moved, "contact_impulse": solved.impulses.reshape(layout.shape(2))}
    return dataclasses.replace(before, **changed), contacts


def _step_densely(
    state: SimState, actions: jax.Array, params: SimParams, *, spec: SimSpec, slots_axis: int
) -> tuple[SimState, Contacts]:
    """The same step by `step_batch_last`."""
    move = functools.partial(jnp.moveaxis, source=slots_axis, destination=-1)
    back = functools.partial(jnp.moveaxis, source=-1, destination=slots_axis)
    state = dataclasses.replace(state, contact_impulse=move(state.contact_impulse))
    state, contacts = step_batch_last(state, actions, params, spec)
    state = dataclasses.replace(state, contact_impulse=back(state.contact_impulse))
    return state, jax.tree.map(back, contacts)


def step_sparsely(
    state: SimState,
    actions: jax.Array,
    params: SimParams,
    spec: SimSpec,
    sizes: ListSizes | None = None,
    slots_axis: int = -1,
) -> tuple[SimState, Contacts]:
    """Advances a batch by work on what touches; as `step_batch_last`, with its derivatives.

    Args:
      state, actions, params, spec: as for `step_batch_last`.
      sizes: entries of the lists; None for the usual ones.
      slots_axis: batch axis, -1 or 0, of what is stored by contact slot: `state.contact_impulse` and the
        contacts. Lists read and write those at any place, so that they need not be transposed.

    Raises:
      ValueError: a list has less room than one scene may need.
    """
    sizes = list_sizes(spec, state.rotation.shape[-1]) if sizes is None else sizes
    pairs = [table.num_pairs for table in pair_tables(spec)]
    rooms = [*enumerate(sizes.candidates), *((phase.kind, phase.capacity) for phase in sizes.phases)]
    for kind, room in rooms:
        if room < pairs[kind]:
            raise ValueError(f"a list of {room} entries has no room for the {pairs[kind]} pairs of one scene")
    advance = jax.custom_jvp(functools.partial(_advance, spec=spec, sizes=sizes, slots_axis=slots_axis))
    dense = functools.partial(_step_densely, spec=spec, slots_axis=slots_axis)
    advance.defjvp(lambda primals, tangents: jax.jvp(dense, primals, tangents))
    return advance(state, actions, params)


def is_sparse(spec: SimSpec, batch: int) -> bool:
    """Tells whether a batch is stepped by lists: on a CPU, if it is large and its scenes have many pairs.

    Lists are in single precision; where JAX has double precision, scenes are stepped densely.
    """
    large = batch >= SMALLEST_BATCH and num_contacts(spec) >= FEWEST_CONTACTS
    return on_cpu() and large and not jax.config.read("jax_enable_x64")
