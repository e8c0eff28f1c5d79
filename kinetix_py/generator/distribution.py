"""The random level distribution, rule by rule, in the order of `generate_levels`.

All arrays are batch-last: `[B]` for `B` levels, `[rows, B]` for what a level has several of. `N` free body
slots (`P` for polygons before `C` for circles) are filled one by one, each with the best of `K` candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.generator import rows
from kinetix_py.generator.candidates import (
    EMPTY,
    FREE,
    JOINED,
    Candidate,
    Placement,
    ScheduledShape,
    place,
    sample_candidates,
)
from kinetix_py.generator.draws import Draws, JointDraws, LevelDraws, ThrusterDraws, name_uniforms
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.scene import (
    Body,
    BoundJoints,
    BoundThrusters,
    FreeSlots,
    JointEnd,
    PartialScene,
    empty_scene,
    free_slots,
    insert,
    join,
    masses,
    to_level,
)
from kinetix_py.generator.shapes import inner_box, outline
from kinetix_py.levels.level import Level
from kinetix_py.roles import BLUE, GREEN, NONE, RED
from kinetix_py.sizes import LevelSize

NUM_FORCED_SHAPES = 3  # green, blue, and the shape of the forced control
EXCLUDED_COST = 1e6  # of a candidate that does not take part, in contacts: more than a scene can have


def generate_levels(uniforms: jax.Array, params: GeneratorParams, size: LevelSize) -> Level:
    """Makes levels of a table of uniforms `[num_uniforms(free_slots(size)), B]`; batch-last, in and out."""
    slots = free_slots(size)
    draws = name_uniforms(uniforms, slots)
    floor = floor_role(draws.level.floor, params, size)
    force_joint, force_thruster = forced_control(draws.level.control, params, slots)
    schedule = schedule_shapes(draws.level, floor, force_joint, params, size)
    order = shuffle_slots(draws, slots)
    scene = place_shapes(schedule, sample_candidates(draws.candidates, params, slots), order, params, slots)
    # A joint that found no place leaves its level to a thruster.
    force_thruster |= (scene.num_joints == 0) & bool(slots.thrusters)
    joints = sample_joints(scene, draws.joints, order.joints, params, size)
    thrusters = sample_thrusters(scene, draws.thrusters, order.thrusters, force_thruster, params, size)
    scene = swap_roles(scene, (draws.level.swap < params.swap_chance) & (floor == NONE))
    return to_level(scene, floor, joints, thrusters, params, size)


def floor_role(draw: jax.Array, params: GeneratorParams, size: LevelSize) -> jax.Array:
    """Rule 1: the floor is red or blue by chance, else plain. Its role, int `[B]`."""
    red = draw < params.red_floor_chance
    blue = draw < params.red_floor_chance + params.blue_floor_chance
    role = jnp.where(red, RED, jnp.where(blue, BLUE, NONE))
    return role if size.num_walls else jnp.zeros_like(role)


def forced_control(draw: jax.Array, params: GeneratorParams, slots: FreeSlots) -> tuple[jax.Array, jax.Array]:
    """Rule 3: a level has a joint, a thruster, or both. Whether each is forced, bool `[B]`."""
    possible = slots.joints > 0 and slots.bodies > 2
    everywhere = jnp.ones(draw.shape, bool)
    if not possible or not slots.thrusters:
        return everywhere & possible, everywhere & bool(slots.thrusters)
    motor, both = params.motor_only_weight, params.motor_and_thruster_weight
    threshold = draw * (motor + both + params.thruster_only_weight)
    return threshold < motor + both, threshold >= motor


def schedule_shapes(
    draws: LevelDraws, floor: jax.Array, force_joint: jax.Array, params: GeneratorParams, size: LevelSize
) -> ScheduledShape:
    """Rules 2 to 4: green, blue, the forced joint's shape (else a free one), and then slots by chance.

    A blue floor needs no blue shape, and then green moves; else one of the two does, either as likely. In
    small scenes every free shape does, and each shape has a single candidate.
    """
    blue_floor, rest = floor == BLUE, draws.placement.shape[0] - 2
    blue_role = jnp.where(blue_floor, NONE, BLUE)
    green_moves = blue_floor | (draws.first_movable < 0.5)
    first_two = lambda first, second: jnp.concatenate(
        [jnp.stack([first, second]), jnp.zeros((rest, *first.shape), first.dtype)]
    )
    role = first_two(jnp.full(floor.shape, GREEN), blue_role)
    free = jnp.full(floor.shape, FREE)
    forced = jnp.stack([free, free, jnp.where(force_joint, JOINED, FREE)])[: rest + 2]
    by_chance = remaining_placements(draws.placement, params.broadcast_to_rank(2))[NUM_FORCED_SHAPES:]
    small = size.num_bodies <= jnp.asarray(params.broadcast_to_rank(2).small_scene_bodies)
    candidates = jnp.where(small, 1.0, params.broadcast_to_rank(2).num_candidates)
    return ScheduledShape(
        placement=jnp.concatenate([forced, by_chance]),
        role=role,
        may_be_red=(role == NONE) & (floor != RED)[None],
        must_move=first_two(green_moves, ~green_moves) | small,
        num_candidates=jnp.full(role.shape, 1.0) * candidates,
    )


def remaining_placements(draw: jax.Array, params: GeneratorParams) -> jax.Array:
    """Rule 4: a joined shape, a free shape, or nothing, by weight: int, as the draws."""
    joined, either = params.joined_shape_weight, params.joined_shape_weight + params.free_shape_weight
    threshold = draw * (either + params.no_shape_weight)
    return jnp.where(threshold < joined, JOINED, jnp.where(threshold < either, FREE, EMPTY))


class SlotOrder(NamedTuple):
    """For every slot, the shape of its kind (joint, thruster) that comes there: int `[slots, B]`."""

    polygons: jax.Array
    circles: jax.Array
    joints: jax.Array
    thrusters: jax.Array


def shuffle_slots(draws: Draws, slots: FreeSlots) -> SlotOrder:
    """Rule 7: random slots, so that nothing can be told from a slot's number.

    They are drawn first, and every shape, joint and thruster is written where it belongs at once.
    """
    return SlotOrder(
        rows.random_ranks(draws.level.slot[: slots.polygons]),
        rows.random_ranks(draws.level.slot[slots.polygons :]),
        rows.random_ranks(draws.joints.slot),
        rows.random_ranks(draws.thrusters.slot),
    )


def place_shapes(
    schedule: ScheduledShape,
    candidates: Candidate,
    order: SlotOrder,
    params: GeneratorParams,
    slots: FreeSlots,
) -> PartialScene:
    """Adds the scheduled shapes one after another.

    Args:
      schedule: `[N, B]`.
      candidates: `[N, K, B]`.
    """

    def step(scene, inputs):
        shape, of_shape = inputs
        return add_shape(scene, shape, of_shape, order, params, slots), None

    empty = empty_scene(slots, schedule.role.shape[-1])
    return rows.scan_prefetched(step, empty, (schedule, candidates))[0]


def add_shape(
    scene: PartialScene,
    shape: ScheduledShape,
    candidates: Candidate,
    order: SlotOrder,
    params: GeneratorParams,
    slots: FreeSlots,
) -> PartialScene:
    """Adds the candidate with fewest contacts, if there is a slot for it and a body to join it to.

    Args:
      shape: `[B]`.
      candidates: `[K, B]`.
    """
    present = outline(jnp.swapaxes(scene.corner_x, 0, 1), jnp.swapaxes(scene.corner_y, 0, 1))

    def score(_, candidate):
        return None, place(candidate, shape, scene, present, params, slots)

    placements, cost = rows.scan_prefetched(score, None, candidates)[1]
    excluded = jnp.arange(cost.shape[0])[:, None] >= shape.num_candidates[None]
    best = rows.first_least(cost + jnp.where(excluded, EXCLUDED_COST, 0))
    candidate, placement = rows.select(best, (candidates, placements))
    joined = (shape.placement == JOINED) & (placement.target >= 0)
    polygon = (order.polygons == scene.num_polygons[None]) & ~placement.is_circle[None]
    circle = (order.circles == scene.num_circles[None]) & placement.is_circle[None]
    slot = jnp.concatenate([polygon, circle]) & ((shape.placement == FREE) | joined)[None]
    moved = candidate.outline.shifted(placement.x, placement.y)
    new = insert(scene, slot, _body(candidate, placement), moved.x, moved.y)
    return _join(new, slot, candidate, placement, order) if slots.joints else new


def _body(candidate: Candidate, placement: Placement) -> Body:
    polygon = lambda value: jnp.where(placement.is_circle, 0, value)
    return Body(
        x=placement.x,
        y=placement.y,
        rotation=candidate.rotation,
        half_width=polygon(candidate.half_width),
        half_height=polygon(candidate.half_height),
        radius=jnp.where(placement.is_circle, candidate.radius, 0),
        num_vertices=candidate.num_vertices,
        role=placement.role,
        movable=placement.movable,
    )


def _join(
    scene: PartialScene, slot: jax.Array, candidate: Candidate, placement: Placement, order: SlotOrder
) -> PartialScene:
    """Joins the body in a slot `[N, B]` to its target, if it has one.

    Body b is a circle, if either is; motors of one binding then turn wheels the same way.
    """
    index = jnp.arange(slot.shape[0])[:, None]
    polygon = lambda value: jnp.where(placement.is_circle, 0, value)
    new = JointEnd((slot * index).sum(axis=0), polygon(candidate.anchor_x), polygon(candidate.anchor_y))
    target = JointEnd(placement.target, placement.target_anchor_x, placement.target_anchor_y)
    to_circle = placement.target >= order.polygons.shape[0]
    end_a = jax.tree.map(lambda new, old: jnp.where(to_circle, new, old), new, target)
    end_b = jax.tree.map(lambda new, old: jnp.where(to_circle, old, new), new, target)
    joint = (order.joints == scene.num_joints[None]) & (placement.target >= 0)[None]
    return join(scene, joint, end_a, end_b)


def sample_joints(
    scene: PartialScene, draws: JointDraws, order: jax.Array, params: GeneratorParams, size: LevelSize
) -> BoundJoints:
    """Rule 5: revolute or weld, motors and limits of the joints, and their bindings."""
    params, polygons = params.broadcast_to_rank(2), scene.corner_x.shape[0]
    end_a, end_b, used = scene.joint_a, scene.joint_b, scene.joined
    on_circle = (end_a.body >= polygons) | (end_b.body >= polygons)
    chance = jnp.where(order < params.num_always_revolute, 1.0, params.revolute_chance)
    weld = used & (draws.revolute >= chance)
    revolute = used & ~weld
    motor_on = revolute & (draws.motor < params.motor_chance)
    power = rows.lerp(draws.power, params.min_motor_power, params.max_motor_power)
    index = jnp.arange(scene.active.shape[0])[:, None, None]
    angle = lambda end: rows.select(index == end.body[None], scene.body.rotation[:, None])
    number = lambda value: jnp.where(used, value, 0)
    joints = jax2d.Joints(
        body_a=number(end_a.body + size.num_walls),
        body_b=number(end_b.body + size.num_walls),
        anchor_a=jnp.stack([end_a.x, end_a.y], axis=1),
        anchor_b=jnp.stack([end_b.x, end_b.y], axis=1),
        # Limits are counted from where both bodies' axes point the same way, not from how they start.
        reference_rotation=jnp.where(weld, number(angle(end_b) - angle(end_a)), 0),
        active=used,
        weld=weld,
        motor_on=motor_on,
        motor_speed=number(rows.lerp(draws.speed, params.min_motor_speed, params.max_motor_speed)),
        motor_power=number(jnp.where(on_circle, params.circle_motor_power, power)),
        limits_on=revolute & ~on_circle & (draws.limits < params.limits_chance),
        min_rotation=number(draws.min_rotation * params.min_limit),
        max_rotation=number(draws.max_rotation * params.max_limit),
    )
    auto = motor_on & (draws.auto < params.motor_auto_chance)
    return BoundJoints(joints, _binding(draws.binding, size.num_motor_bindings), auto)


def _binding(draw: jax.Array, count: int) -> jax.Array:
    return jnp.clip(jnp.int32(draw * count), 0, max(count - 1, 0))


def sample_thrusters(
    scene: PartialScene,
    draws: ThrusterDraws,
    order: jax.Array,
    forced: jax.Array,
    params: GeneratorParams,
    size: LevelSize,
) -> BoundThrusters:
    """Rule 5: the forced thruster, if any, and others by chance, anywhere on movable shapes.

    The forced one is on one of the first shapes, as if it came before those that are added by chance.
    """
    mass, _ = masses(scene, params)
    params = params.broadcast_to_rank(2)
    eligible = (scene.active & scene.body.movable)[:, None]
    eligible &= (order > 0)[None] | (scene.insertion_index < NUM_FORCED_SHAPES)[:, None]
    chosen = rows.sample(jnp.where(eligible, 1.0, 0.0), draws.body)
    body = rows.select(chosen, jax.tree.map(lambda value: value[:, None], scene.body))
    x, y = _point_on(body, draws.u, draws.v, scene.corner_x.shape[1])
    radial = draws.radial < params.thruster_radial_chance
    outward = draws.radial < params.thruster_radial_chance / 2
    along = jnp.arctan2(jnp.where(outward, y, -y), jnp.where(outward, x, -x))
    factor = rows.lerp(draws.factor, params.min_thruster_factor, params.max_thruster_factor)
    by_chance = (order > 0) & (draws.exists < params.thruster_chance)
    active = chosen.any(axis=0) & (by_chance | ((order == 0) & forced[None]))
    number = lambda value: jnp.where(active, value, 0)
    index = jnp.arange(size.num_walls, size.num_bodies)[:, None, None]
    thrusters = jax2d.Thrusters(
        body=number((chosen * index).sum(axis=0)),
        anchor=jnp.stack([number(x), number(y)], axis=1),
        direction=number(jnp.where(radial, along, 2 * jnp.pi * draws.direction)),
        power=number(params.thruster_power * rows.select(chosen, mass[:, None]) * factor),
        active=active,
    )
    return BoundThrusters(thrusters, _binding(draws.binding, size.num_thruster_bindings))


def _point_on(body: Body, u: jax.Array, v: jax.Array, max_vertices: int) -> tuple[jax.Array, jax.Array]:
    """A point on a body, in its frame [m]: in a polygon's inner box, by radius and angle in a circle."""
    inner, angle = inner_box(body.num_vertices, max_vertices), 2 * jnp.pi * v
    x = (2 * u - 1) * body.half_width * inner + body.radius * u * jnp.cos(angle)
    y = (2 * v - 1) * body.half_height * inner + body.radius * u * jnp.sin(angle)
    return x, y


def swap_roles(scene: PartialScene, swap: jax.Array) -> PartialScene:
    """Rule 6: green for blue and blue for green where asked: bool `[B]`."""
    role = scene.body.role
    swapped = jnp.where(role == GREEN, BLUE, jnp.where(role == BLUE, GREEN, role))
    return scene._replace(body=scene.body._replace(role=jnp.where(swap[None], swapped, role)))
