"""The random level distribution, rule by rule, in the order of `generate_levels`.

Arrays are batch-last until all shapes are placed: `[B]` for `B` levels, `[rows, B]` for what a level has
several of. `N` free body slots (those for polygons first) are filled one by one, each with the best of `K`
candidates. Joints and thrusters are written for one level.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp

import jax2d
from jax2d.geometry import circle_mass, polygon_mass
from kinetix_py.generator.candidates import (
    EMPTY,
    FREE,
    JOINED,
    CandidateDraws,
    PlannedShape,
    lerp,
    propose,
    sample_row,
    select,
)
from kinetix_py.generator.params import GeneratorParams, Number
from kinetix_py.generator.shapes import Body, corners, empty_slots, inner_box, world_polygons
from kinetix_py.levels.level import Level, empty_level
from kinetix_py.roles import BLUE, GREEN, NONE, RED
from kinetix_py.sizes import LevelSize

MAX_CANDIDATES = 8
NUM_FORCED_SHAPES = 3  # green, blue, and the shape of the forced control


def free_slots(size: LevelSize) -> LevelSize:
    """Slots that the generator can fill: no walls; joints need a binding and a polygon, thrusters a binding.

    Raises:
      ValueError: there is no place for a green and a blue shape, or walls do not fit `max_vertices`.
    """
    polygons = size.num_polygons - size.num_walls
    if polygons + size.num_circles < 2:
        raise ValueError(
            "the generator needs at least 2 body slots besides the walls (a green and a blue shape), "
            f"got {polygons} polygons and {size.num_circles} circles"
        )
    if size.num_walls and size.max_vertices < 4:
        raise ValueError(f"walls are boxes: max_vertices must be at least 4, got {size.max_vertices}")
    return dataclasses.replace(
        size,
        num_polygons=polygons,
        num_walls=0,
        # Circles are joined at their centers, so that one of two would hide the other.
        num_joints=size.num_joints if polygons and size.num_motor_bindings else 0,
        num_thrusters=size.num_thrusters if size.num_thruster_bindings else 0,
    )


def uniform_shapes(free: LevelSize) -> tuple[tuple[int, ...], ...]:
    """Shapes of the random numbers of a level, its body slots, candidates, joints and thrusters."""
    bodies, candidate = free.num_bodies, len(CandidateDraws._fields)
    return (
        (4,),
        (2, bodies),
        (bodies, MAX_CANDIDATES, candidate),
        (10, free.num_joints),
        (9, free.num_thrusters),
    )


def num_uniforms(free: LevelSize) -> int:
    """Random numbers of a level with these slots."""
    return sum(map(math.prod, uniform_shapes(free)))


@jax.numpy_rank_promotion("allow")  # what a level has once broadcasts against its rows
def generate_levels(uniforms: jax.Array, params: GeneratorParams, size: LevelSize) -> Level:
    """Makes levels, with a leading axis `[B]`, of uniform draws in 0 .. 1.

    Args:
      uniforms: `[num_uniforms(free_slots(size)), B]`.
    """
    free, batch = free_slots(size), uniforms.shape[-1:]
    axes = uniform_shapes(free)
    parts = jnp.split(uniforms, list(itertools.accumulate(map(math.prod, axes)))[:-1])
    of_level, of_slots, of_candidates, of_joints, of_thrusters = (
        part.reshape(shape + batch) for part, shape in zip(parts, axes, strict=True)
    )
    floor_draw, control, first_movable, swap = of_level
    placement, slot_order = of_slots
    floor = floor_role(floor_draw, params, size)
    force_joint, force_thruster = forced_control(control, params, free)
    plan = plan_shapes(placement, first_movable, floor, force_joint, params, size)
    bodies = place_shapes(plan, of_candidates, slot_order, params, size)
    bodies = swap_roles(bodies, (swap < params.swap_chance) & (floor == NONE))
    batched = jax.tree.map(lambda value: -1 if jnp.ndim(value) else None, params)
    finish = jax.vmap(functools.partial(to_level, size=size), in_axes=(-1, -1, -1, -1, -1, batched))
    return finish(bodies, floor, force_thruster, of_joints, of_thrusters, params)


def floor_role(draw: jax.Array, params: GeneratorParams, size: LevelSize) -> jax.Array:
    """Rule 1: the floor is red or blue by chance, else plain. Its role, int `[B]`."""
    red = draw < params.red_floor_chance
    blue = draw < params.red_floor_chance + params.blue_floor_chance
    role = jnp.where(red, RED, jnp.where(blue, BLUE, NONE))
    return role if size.num_walls else jnp.zeros_like(role)


def forced_control(draw: jax.Array, params: GeneratorParams, free: LevelSize) -> tuple[jax.Array, jax.Array]:
    """Rule 3: a level has a joint, a thruster, or both. Whether each is forced, bool `[B]`."""
    possible = free.num_joints > 0 and free.num_bodies > 2
    everywhere = jnp.ones(draw.shape, bool)
    if not possible or not free.num_thrusters:
        return everywhere & possible, everywhere & bool(free.num_thrusters)
    motor, both = params.motor_only_weight, params.motor_and_thruster_weight
    threshold = draw * (motor + both + params.thruster_only_weight)
    return threshold < motor + both, threshold >= motor


def plan_shapes(
    draw: jax.Array,
    first_movable: jax.Array,
    floor: jax.Array,
    force_joint: jax.Array,
    params: GeneratorParams,
    size: LevelSize,
) -> PlannedShape:
    """Rules 2 to 4: green, blue, the forced joint's shape (else a free one), and then slots by chance.

    A blue floor needs no blue shape, and then green moves; else one of the two does, either as likely. In
    small scenes every free shape does.
    """
    blue_floor = floor == BLUE
    joined, either = params.joined_shape_weight, params.joined_shape_weight + params.free_shape_weight
    threshold = draw * (either + params.no_shape_weight)
    placement = jnp.where(threshold < joined, JOINED, jnp.where(threshold < either, FREE, EMPTY))
    placement = jnp.where(jnp.arange(len(draw))[:, None] < params.max_shapes, placement, EMPTY)
    third = jnp.where(force_joint, JOINED, FREE)
    placement = placement.at[:2].set(FREE).at[2:NUM_FORCED_SHAPES].set(third)
    role = jnp.zeros(draw.shape, jnp.int32).at[0].set(GREEN).at[1].set(jnp.where(blue_floor, NONE, BLUE))
    green_moves = blue_floor | (first_movable < 0.5)
    must_move = jnp.zeros(draw.shape, bool).at[0].set(green_moves).at[1].set(~green_moves)
    small = size.num_bodies <= jnp.asarray(params.small_scene_bodies)
    return PlannedShape(placement, role, (role == NONE) & (floor != RED), must_move | small)


def place_shapes(
    plan: PlannedShape,
    candidates: jax.Array,
    slot_draws: jax.Array,
    params: GeneratorParams,
    size: LevelSize,
) -> Body:
    """Adds the planned shapes one after another: bodies `[N, B]` in their slots.

    Args:
      candidates: draws `[N, K, len(CandidateDraws._fields), B]`.
      slot_draws: `[N, B]`, by which the slots are shuffled.
    """
    free = free_slots(size)
    order = jnp.concatenate([random_ranks(part) for part in jnp.split(slot_draws, [free.num_polygons])])
    step = lambda bodies, shape: (add_shape(bodies, shape[0], shape[1], order, params, size), None)
    return jax.lax.scan(step, empty_slots(*order.shape), (plan, candidates))[0]


def add_shape(
    bodies: Body,
    plan: PlannedShape,
    candidates: jax.Array,
    order: jax.Array,
    params: GeneratorParams,
    size: LevelSize,
) -> Body:
    """Adds the candidate with fewest contacts, if there is a slot for it and a body to join it to.

    Args:
      plan: `[B]`.
      candidates: draws `[K, len(CandidateDraws._fields), B]`.
      order: int `[N, B]`, the shape of its kind that comes to a slot.
    """
    free = free_slots(size)
    polygons = world_polygons(jax.tree.map(lambda rows: rows[: free.num_polygons], bodies), size.max_vertices)
    small = size.num_bodies <= jnp.asarray(params.small_scene_bodies)
    num_candidates = jnp.where(small, 1.0, params.num_candidates)

    def compare(carried, following):
        draws, *best = carried
        following, index = following
        made = propose(CandidateDraws(*draws), plan, bodies, polygons, params, free)
        better = (index < num_candidates) & (made[1] < best[1])
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), made, tuple(best))
        return (following, *best), None

    # Draws are fetched a step ahead: a row that is cut out where it is used has an address that hangs on the
    # counter, and XLA does not vectorize a loop over it.
    none = empty_slots(*plan.role.shape), jnp.full(plan.role.shape, jnp.inf)
    ahead = jnp.roll(candidates, -1, axis=0), jnp.arange(MAX_CANDIDATES)
    (_, best, _), _ = jax.lax.scan(compare, (candidates[0], *none), ahead)
    active, circle = bodies.number > 0, jnp.arange(free.num_bodies)[:, None] >= free.num_polygons
    same_kind, joined = circle == best.is_circle, best.target > 0
    made = (plan.placement == FREE) | (plan.placement == JOINED) & joined
    slot = same_kind & (order == (active & same_kind).sum(axis=0)) & made
    best = dataclasses.replace(
        best,
        number=active.sum(axis=0) + 1,
        joint=jnp.where(joined, (bodies.joint > 0).sum(axis=0) + 1, 0),
    )
    return jax.tree.map(lambda new, old: jnp.where(slot, new, old), best, bodies)


def sample_joints(bodies: Body, draws: jax.Array, params: GeneratorParams, size: LevelSize) -> jax2d.Joints:
    """Rule 5: revolute or weld, motors and limits of the joints; draws `[9, J]`.

    Body b is a circle, if either is; motors of one binding then turn wheels the same way.
    """
    slot_order, revolute_draw, motor, speed, power, limits, min_rotation, max_rotation = draws
    order, index = random_ranks(slot_order), jnp.arange(len(bodies.x))[:, None]
    of_newer = bodies.joint[:, None] == order + 1
    newer, used = select(of_newer, bodies), of_newer.any(axis=0)
    of_older = (bodies.number[:, None] == newer.target) & used
    older = select(of_older, bodies)
    on_newer = (of_newer * index).sum(axis=0), newer.anchor_x, newer.anchor_y, newer.rotation
    on_older = (of_older * index).sum(axis=0), newer.target_x, newer.target_y, older.rotation
    choose = functools.partial(jax.tree.map, functools.partial(jnp.where, older.is_circle))
    body_a, x_a, y_a, start_a = choose(on_newer, on_older)
    body_b, x_b, y_b, start_b = choose(on_older, on_newer)
    on_circle = newer.is_circle | older.is_circle
    chance = jnp.where(order < params.num_always_revolute, 1.0, params.revolute_chance)
    revolute = used & (revolute_draw < chance)
    weld = used & ~revolute
    power = lerp(power, params.min_motor_power, params.max_motor_power)
    number = lambda value: jnp.where(used, value, 0)
    return jax2d.Joints(
        body_a=number(body_a + size.num_walls),
        body_b=number(body_b + size.num_walls),
        anchor_a=jnp.stack([x_a, y_a], axis=1),
        anchor_b=jnp.stack([x_b, y_b], axis=1),
        # Limits are counted from where both bodies' axes point the same way, not from how they start.
        reference_rotation=jnp.where(weld, start_b - start_a, 0),
        active=used,
        weld=weld,
        motor_on=revolute & (motor < params.motor_chance),
        motor_speed=number(lerp(speed, params.min_motor_speed, params.max_motor_speed)),
        motor_power=number(jnp.where(on_circle, params.circle_motor_power, power)),
        limits_on=revolute & ~on_circle & (limits < params.limits_chance),
        min_rotation=number(min_rotation * params.min_limit),
        max_rotation=number(max_rotation * params.max_limit),
    )


def sample_thrusters(
    bodies: Body,
    mass: jax.Array,
    forced: jax.Array,
    draws: jax.Array,
    params: GeneratorParams,
    size: LevelSize,
) -> jax2d.Thrusters:
    """Rule 5: the forced thruster, if any, and others by chance, anywhere on movable shapes; draws `[8, T]`.

    The forced one is on one of the first shapes, as if it came before those that are added by chance.
    """
    slot_order, exists, on, u, v, radial, direction, factor = draws
    order, index = random_ranks(slot_order), jnp.arange(len(bodies.x))[:, None]
    movable = ((bodies.number > 0) & bodies.movable)[:, None]
    first = (bodies.number <= NUM_FORCED_SHAPES)[:, None]
    chosen = sample_row(jnp.where(movable & (first | (order > 0)), 1.0, 0.0), on)
    body, mass = select(chosen, (bodies, mass))
    width, height = inner_box(body, size.max_vertices)
    x = (2 * u - 1) * width + body.radius * u * jnp.cos(2 * jnp.pi * v)
    y = (2 * v - 1) * height + body.radius * u * jnp.sin(2 * jnp.pi * v)
    outward = radial < params.thruster_radial_chance / 2
    along = jnp.arctan2(jnp.where(outward, y, -y), jnp.where(outward, x, -x))
    along = jnp.where(radial < params.thruster_radial_chance, along, 2 * jnp.pi * direction)
    active = chosen.any(axis=0) & jnp.where(order > 0, exists < params.thruster_chance, forced)
    number = lambda value: jnp.where(active, value, 0)
    factor = lerp(factor, params.min_thruster_factor, params.max_thruster_factor)
    return jax2d.Thrusters(
        body=number((chosen * index).sum(axis=0) + size.num_walls),
        anchor=jnp.stack([number(x), number(y)], axis=1),
        direction=number(along),
        power=number(params.thruster_power * mass * factor),
        active=active,
    )


def swap_roles(bodies: Body, swap: jax.Array) -> Body:
    """Rule 6: green for blue and blue for green where asked: bool `[B]`."""
    role = bodies.role
    swapped = jnp.where(role == GREEN, BLUE, jnp.where(role == BLUE, GREEN, role))
    return dataclasses.replace(bodies, role=jnp.where(swap, swapped, role))


def random_ranks(draws: jax.Array) -> jax.Array:
    """Rule 7: a random permutation of 0 .. N - 1, from `[N, ...]` draws: nothing can be told from a slot.

    Equal draws are told apart by their row.
    """
    row = jnp.arange(draws.shape[0]).reshape(-1, *[1] * (draws.ndim - 1))
    tie = (draws[None] == draws[:, None]) & (row[None] < row[:, None])
    return ((draws[None] < draws[:, None]) | tie).sum(axis=1)


def to_level(
    bodies: Body,
    floor: jax.Array,
    force_thruster: jax.Array,
    joint_draws: jax.Array,
    thruster_draws: jax.Array,
    params: GeneratorParams,
    size: LevelSize,
) -> Level:
    """The level of placed bodies `[N]`: they, their joints and thrusters in an empty room."""
    free = free_slots(size)
    level, mass = furnish(bodies, floor, params, size)
    sim: dict[str, Any] = {}
    labels: dict[str, jax.Array] = {}
    binding = lambda draw, count: jnp.clip(jnp.int32(draw * count), 0, count - 1)
    if free.num_joints:
        bound, auto, *rest = joint_draws
        sim["joints"] = sample_joints(bodies, jnp.stack(rest), params, size)
        labels["motor_binding"] = binding(bound, size.num_motor_bindings)
        labels["motor_auto"] = sim["joints"].motor_on & (auto < params.motor_auto_chance)
    if free.num_thrusters:
        # A joint that found no place leaves its level to a thruster.
        forced = force_thruster | (bodies.joint == 0).all()
        bound, *rest = thruster_draws
        sim["thrusters"] = sample_thrusters(bodies, mass, forced, jnp.stack(rest), params, size)
        labels["thruster_binding"] = binding(bound, size.num_thruster_bindings)
    return Level(dataclasses.replace(level.sim, **sim), dataclasses.replace(level.labels, **labels), size)


class Material(Protocol):
    """Parameters of a distribution whose shapes are all of one material."""

    @property
    def density(self) -> Number: ...

    @property
    def friction(self) -> Number: ...

    @property
    def restitution(self) -> Number: ...

    @property
    def gravity(self) -> Number: ...


@jax.numpy_rank_promotion("allow")  # corners of a kind broadcast against the bodies
def furnish(bodies: Body, floor: jax.Array, material: Material, size: LevelSize) -> tuple[Level, jax.Array]:
    """Puts bodies `[N]`, in free slots, into an empty room whose floor has a role, int `[]`.

    Returns:
      the level, without joints and thrusters, and the masses of the bodies if they move, float `[N]` kg.
    """
    with jax.ensure_compile_time_eval():
        room = empty_level(size)
    free, walls = free_slots(size), size.num_walls
    polygons = jax.tree.map(lambda value: value[: free.num_polygons], bodies)
    vertices = jnp.stack(corners(polygons, size.max_vertices), axis=-1).swapaxes(0, 1)
    solid = polygon_mass(vertices, material.density)[:2]
    radius = bodies.radius[free.num_polygons :]
    mass, inertia = map(jnp.concatenate, zip(solid, circle_mass(radius, material.density), strict=True))
    active = bodies.number > 0
    moving = active & bodies.movable
    inverse = lambda value: jnp.where(moving, 1 / jnp.where(moving, value, 1), 0)
    used = (jnp.arange(size.max_vertices) < polygons.num_vertices[:, None])[..., None]
    new = {
        "position": jnp.stack([bodies.x, bodies.y], axis=1),
        "rotation": bodies.rotation,
        "inverse_mass": inverse(mass),
        "inverse_inertia": inverse(inertia),
        "friction": jnp.where(active, material.friction, 0),
        "restitution": jnp.where(active, material.restitution, 0),
        "collision_mode": active,
        "active": active,
        "vertices": jnp.where(used, vertices, 0),
        "num_vertices": polygons.num_vertices,
    }
    behind_walls = lambda old, value: jnp.concatenate([old[:walls], value.astype(old.dtype)])
    sim: dict[str, Any] = {name: behind_walls(getattr(room.sim, name), value) for name, value in new.items()}
    sim |= {"radius": radius, "gravity": jnp.stack([jnp.float32(0), material.gravity])}
    labels = {
        "role": behind_walls(room.labels.role.at[:1].set(floor), bodies.role),
        "density": behind_walls(room.labels.density, jnp.where(moving, material.density, 1.0)),
    }
    level = Level(dataclasses.replace(room.sim, **sim), dataclasses.replace(room.labels, **labels), size)
    return level, mass
