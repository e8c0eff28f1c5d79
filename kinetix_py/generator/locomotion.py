"""Procedural locomotion: a random body with limbs on random terrain has to reach a goal."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.generator.candidates import lerp
from kinetix_py.generator.distribution import free_slots, furnish
from kinetix_py.generator.params import LocomotionParams
from kinetix_py.generator.shapes import Body, empty_slots
from kinetix_py.levels.level import Level
from kinetix_py.levels.mirror import mirror_level
from kinetix_py.roles import BLUE, GREEN
from kinetix_py.sizes import FLOOR, ROOM, LevelSize, as_size

MAX_LIMBS = 4
OVERHANG = 0.04  # m, of a leg's ends beyond its joints
CLEARANCE = 0.02  # m, between the body and the ground, the walls, and the terrain
GOAL_RADIUS = 0.25  # m
HIP_SPREAD = 0.85  # share of the trunk's length along which limbs are joined
LENGTH_SPREAD = 0.15  # share by which the limbs of a body differ in length
MIN_PITCH = 0.35  # m, from block to block
TERRAIN_SHARE = 3  # one of so many polygons is kept for the terrain


class LocomotionSlots(NamedTuple):
    """Free slots of a size by what they are for."""

    limbs: int  # most limbs
    joints: int
    legs: int  # polygons for links of legs
    wheels: int  # circles for wheels
    blocks: int  # most blocks of terrain
    round_goal: bool  # the goal is a circle, else a box


def locomotion_slots(size: LevelSize) -> LocomotionSlots:
    """Shares the slots of a size out.

    Raises:
      ValueError: there is no place for a trunk, a limb with its motor, and a goal; or walls do not fit.
    """
    free = free_slots(size)
    round_goal = free.num_circles > 0
    polygons, wheels = free.num_polygons - 1 - (not round_goal), free.num_circles - round_goal
    if polygons < 0 or polygons + wheels < 1 or free.num_joints < 1:
        raise ValueError(
            "locomotion needs a polygon for the trunk, 2 more bodies, and a joint with a motor binding, got "
            f"{free.num_polygons} polygons and {free.num_circles} circles besides the walls, "
            f"{size.num_joints} joints and {size.num_motor_bindings} motor bindings"
        )
    legs = polygons - (free.num_polygons // TERRAIN_SHARE if free.num_polygons > TERRAIN_SHARE else 0)
    return LocomotionSlots(
        min(MAX_LIMBS, free.num_joints), free.num_joints, legs, wheels, polygons, round_goal
    )


class Parts(NamedTuple):
    """Shapes before they have a slot `[M]`; where they do not exist, the other numbers mean nothing."""

    exists: jax.Array  # bool
    circle: jax.Array  # bool
    x: jax.Array  # m
    y: jax.Array  # m
    angle: jax.Array  # rad
    half_width: jax.Array  # m, of polygons
    half_height: jax.Array  # m, of polygons
    radius: jax.Array  # m, of circles
    parent: jax.Array  # int, part that it is joined to
    parent_x: jax.Array  # m, anchor in the parent's frame
    parent_y: jax.Array  # m
    anchor_x: jax.Array  # m, anchor in its own frame, at height 0

    @property
    def reach_x(self) -> jax.Array:
        """Distance to which each reaches left and right of its center: float `[M]` m."""
        box = jnp.abs(jnp.cos(self.angle)) * self.half_width + jnp.abs(jnp.sin(self.angle)) * self.half_height
        return jnp.where(self.circle, self.radius, box)

    @property
    def reach_y(self) -> jax.Array:
        """Distance to which each reaches up and down from its center: float `[M]` m."""
        box = jnp.abs(jnp.sin(self.angle)) * self.half_width + jnp.abs(jnp.cos(self.angle)) * self.half_height
        return jnp.where(self.circle, self.radius, box)


def parts(count: int, **numbers: jax.Array | float) -> Parts:
    """Makes parts of numbers `[count]` or `[]`; all else is 0, and they exist."""
    types = {"exists": bool, "circle": bool, "parent": jnp.int32}
    wide = lambda name: jnp.broadcast_to(
        jnp.asarray(numbers.get(name, name == "exists"), types.get(name, jnp.float32)), (count,)
    )
    return Parts(*map(wide, Parts._fields))


def join_rows(*groups: Parts) -> Parts:
    """Concatenates groups of parts."""
    return jax.tree.map(lambda *rows: jnp.concatenate(rows), *groups)


Stock = tuple[jax.Array, jax.Array, jax.Array]  # legs, wheels and joints that are left, int []


def allot(wanted: jax.Array, wants_wheel: jax.Array, left: Stock) -> tuple[jax.Array, jax.Array, Stock]:
    """Gives links and wheels to limbs in order, as long as there are any: wheels where no legs are left.

    Args:
      wanted, wants_wheel: bool `[K]`.
      left: what is left.

    Returns:
      which exist and which are wheels, bool `[K]`, and what is left then.
    """
    legs, wheels, joints = left
    exists, is_wheel = [], []
    for want, wheel in zip(wanted, wants_wheel, strict=True):
        wheel = wheel | (legs <= 0)
        here = want & (joints > 0) & (jnp.where(wheel, wheels, legs) > 0)
        legs, wheels, joints = legs - (here & ~wheel), wheels - (here & wheel), joints - here
        exists.append(here)
        is_wheel.append(here & wheel)
    return jnp.stack(exists), jnp.stack(is_wheel), (legs, wheels, joints)


def sample_body(key: jax.Array, params: LocomotionParams, slots: LocomotionSlots) -> tuple[Parts, jax.Array]:
    """Draws a body about its trunk's center: the trunk, first links, second links.

    Returns:
      parts `[1 + 2 K]`, and the number of polygons that it left, int `[]`.
    """
    count = slots.limbs
    body_key, limb_key = jax.random.split(key)
    limbs, style, length, trunk_length, trunk_height = jax.random.uniform(body_key, (5,))
    spot, own_length, lean, bend, knee, foot, first_size, second_size = jax.random.uniform(
        limb_key, (8, count)
    )
    half_height = lerp(trunk_height, params.min_trunk_height, params.max_trunk_height) / 2
    wheeled = (style < params.wheel_chance) & (slots.wheels > 0) | (slots.legs == 0)
    number = params.min_limbs + jnp.floor(limbs * (params.max_limbs - params.min_limbs + 1))
    number = jnp.clip(number, 1, jnp.minimum(count, jnp.where(wheeled, slots.wheels, slots.legs)))
    half_width = lerp(trunk_length, params.min_trunk_length, params.max_trunk_length)
    half_width = jnp.maximum(half_width, params.min_hip_distance * number) / 2
    left = jnp.int32(slots.legs), jnp.int32(slots.wheels), jnp.int32(slots.joints)
    index = jnp.arange(count)
    first, first_wheel, left = allot(index < number, jnp.broadcast_to(wheeled, (count,)), left)
    has_knee = first & ~first_wheel & (knee < params.knee_chance)
    second, second_wheel, left = allot(has_knee, foot < params.foot_wheel_chance, left)

    length = lerp(length, params.min_limb_length, params.max_limb_length)
    length = length * lerp(own_length, 1 - LENGTH_SPREAD, 1 + LENGTH_SPREAD)
    upper_length = jnp.where(second & ~second_wheel, length / 2, length)
    hip_x = HIP_SPREAD * half_width * (2 * (index + 0.5 + 0.3 * (spot - 0.5)) / number - 1)
    hip_y = jnp.where(first_wheel, -half_height, -half_height / 2)
    lean = lerp(lean, -params.max_lean, params.max_lean)
    lower_lean = lean + lerp(bend, -params.max_bend, params.max_bend)
    along = lambda angle, far: (far * jnp.sin(angle), -far * jnp.cos(angle))

    def links(exists, wheel, start, angle, far, size, parent, parent_x, parent_y):
        """Links that begin at a joint, of a length, or wheels about it."""
        dx, dy = along(angle, jnp.where(wheel, 0, far / 2))
        return parts(
            count,
            exists=exists,
            circle=wheel,
            x=start[0] + dx,
            y=start[1] + dy,
            angle=jnp.where(wheel, 0, angle - jnp.pi / 2),
            half_width=jnp.where(wheel, 0, far / 2 + OVERHANG),
            half_height=jnp.where(wheel, 0, params.limb_thickness / 2),
            radius=jnp.where(wheel, size, 0),
            parent=parent,
            parent_x=parent_x,
            parent_y=parent_y,
            anchor_x=jnp.where(wheel, 0, -far / 2),
        )

    radius = lambda draw: lerp(draw, params.min_radius, params.max_radius)
    hip_distance = HIP_SPREAD * 2 * half_width / number
    axle_radius = jnp.where(number > 1, jnp.minimum(radius(first_size), hip_distance / 2), radius(first_size))
    trunk = parts(1, half_width=half_width, half_height=half_height)
    upper = links(
        first, first_wheel, (hip_x, hip_y), lean, upper_length, axle_radius, jnp.int32(0), hip_x, hip_y
    )
    knee_dx, knee_dy = along(lean, upper_length)
    start = hip_x + knee_dx, hip_y + knee_dy
    zero = jnp.float32(0)
    lower = links(
        second,
        second_wheel,
        start,
        lower_lean,
        length / 2,
        radius(second_size),
        1 + index,
        upper_length / 2,
        zero,
    )
    return join_rows(trunk, upper, lower), left[0]


def sample_blocks(
    key: jax.Array, params: LocomotionParams, count: int, room: jax.Array, start: jax.Array, end: jax.Array
) -> Parts:
    """Draws blocks of terrain, side by side between two places on the floor [m].

    Args:
      key: random key.
      params: numbers of the distribution.
      count: number of rows of the result; static.
      room: most blocks, int `[]`.
      start, end: range along x, float `[]` m.
    """
    number_key, key = jax.random.split(key)
    shift, width, height, tilted, slope = jax.random.uniform(key, (5, count))
    room = jnp.minimum(room, jnp.floor((end - start) / MIN_PITCH))
    number = jnp.floor(jax.random.uniform(number_key) * (room + 1))
    pitch = (end - start) / jnp.maximum(number, 1)
    half_width = jnp.clip(pitch / 2 * lerp(width, 0.5, 1.0), 0.05, 0.6)
    slope = jnp.where(tilted < params.slope_chance, lerp(slope, -params.max_slope, params.max_slope), 0)
    top = params.roughness * lerp(height, 0.3, 1.0)
    half_height = jnp.broadcast_to(FLOOR / 2 + params.roughness / 2, (count,))
    block = parts(count, angle=slope, half_width=half_width, half_height=half_height)
    x = start + (jnp.arange(count) + 0.5 + 0.3 * (shift - 0.5)) * pitch
    x = jnp.maximum(x, start + block.reach_x)
    exists = (jnp.arange(count) < number) & (top > 0.01) & (x + block.reach_x < end)
    return block._replace(exists=exists, x=x, y=FLOOR + top - block.reach_y)


def random_slots(key: jax.Array, exists: jax.Array, slots: int) -> jax.Array:
    """Gives every part that exists a slot of its own, in random order: int `[M]`, `slots` for all others."""
    order = jax.random.permutation(key, slots)
    rank = jnp.cumsum(exists) - 1
    fits = exists & (rank < slots)
    return jnp.where(fits, order[jnp.clip(rank, 0, slots - 1)], slots) if slots else jnp.full_like(rank, 0)


def rows_of(slot: jax.Array, slots: int) -> tuple[jax.Array, jax.Array]:
    """Inverts slots of parts: the part in each slot, int `[slots]`, and whether there is one."""
    here = slot[None] == jnp.arange(slots)[:, None]
    return jnp.argmax(here, axis=1), here.any(axis=1)


@functools.partial(jax.jit, static_argnames="size")
def sample_locomotion(key: jax.Array, size: str | LevelSize, params: LocomotionParams | None = None) -> Level:
    """Draws a level of procedural locomotion; pure, `vmap` it for a batch, over parameters too.

    Args:
      key: random key.
      size: size of the level; static.
      params: numbers of the distribution; `LocomotionParams()` if None.

    Raises:
      ValueError: the size has no place for a trunk, a limb and a goal.
    """
    size, params = as_size(size), LocomotionParams() if params is None else params
    slots = locomotion_slots(size)
    body_key, place_key, block_key, polygon_key, circle_key, joint_key, motor_key = jax.random.split(key, 7)
    body, polygons_left = sample_body(body_key, params, slots)
    start, far, height, mirror = jax.random.uniform(place_key, (4,))
    low = jnp.where(body.exists, body.y - body.reach_y, jnp.inf).min()
    left = jnp.where(body.exists, body.x - body.reach_x, jnp.inf).min()
    body = body._replace(x=body.x - left + lerp(start, 0.05, 0.4), y=body.y - low + FLOOR + CLEARANCE)
    front = jnp.where(body.exists, body.x + body.reach_x, -jnp.inf).max()
    goal_x = front + lerp(far, params.min_distance, params.max_distance) + GOAL_RADIUS
    goal_y = body.y[0] + lerp(height, -params.goal_height, params.goal_height)
    goal = parts(
        1,
        circle=slots.round_goal,
        x=jnp.minimum(goal_x, ROOM - GOAL_RADIUS - CLEARANCE),
        y=jnp.clip(goal_y, FLOOR + GOAL_RADIUS, ROOM - GOAL_RADIUS),
        half_width=GOAL_RADIUS,
        half_height=GOAL_RADIUS,
        radius=GOAL_RADIUS,
    )
    # What legs leave, and what was kept for terrain.
    room = polygons_left + slots.blocks - slots.legs
    blocks = sample_blocks(block_key, params, slots.blocks, room, front + 0.1, goal.x[0] + GOAL_RADIUS)
    shapes = join_rows(body, goal, blocks)

    free = free_slots(size)
    polygon_slot = random_slots(polygon_key, shapes.exists & ~shapes.circle, free.num_polygons)
    circle_slot = random_slots(circle_key, shapes.exists & shapes.circle, free.num_circles)
    slot = jnp.where(shapes.circle, free.num_polygons + circle_slot, polygon_slot)
    slot = jnp.where(shapes.exists, slot, free.num_bodies)
    level, _ = furnish(as_bodies(shapes, slot, body, free), jnp.int32(0), params, size)
    joints, bindings = sample_motors(joint_key, motor_key, body, slot, params, size)
    level = dataclasses.replace(
        level,
        sim=dataclasses.replace(level.sim, joints=joints),
        labels=dataclasses.replace(level.labels, motor_binding=bindings),
    )
    turned = mirror < params.mirror_chance
    return jax.tree.map(lambda new, old: jnp.where(turned, new, old), mirror_level(level), level)


def as_bodies(shapes: Parts, slot: jax.Array, body: Parts, free: LevelSize) -> Body:
    """Puts shapes into their slots: bodies `[N]`; the body's parts come first, then the goal, then blocks."""
    part, used = rows_of(slot, free.num_bodies)
    goal = body.exists.shape[0]
    take = lambda values: jnp.where(used, values[part], 0)
    polygon = ~shapes.circle
    return dataclasses.replace(
        empty_slots(free.num_bodies),
        number=take(1 + jnp.arange(slot.shape[0])).astype(jnp.int32),
        x=take(shapes.x),
        y=take(shapes.y),
        rotation=take(shapes.angle),
        num_vertices=take(jnp.where(polygon, 4, 0)).astype(jnp.int32),
        half_width=take(jnp.where(polygon, shapes.half_width, 0)),
        half_height=take(jnp.where(polygon, shapes.half_height, 0)),
        radius=take(jnp.where(polygon, 0, shapes.radius)),
        role=jnp.where(used & (part == 0), GREEN, jnp.where(used & (part == goal), BLUE, 0)),
        movable=used & (part < goal),
    )


def sample_motors(
    order_key: jax.Array,
    key: jax.Array,
    body: Parts,
    slot: jax.Array,
    params: LocomotionParams,
    size: LevelSize,
) -> tuple[jax2d.Joints, jax.Array]:
    """Draws the motors of a body's joints, in random slots.

    Args:
      order_key, key: random keys of the slots, and of the motors.
      body: parts of the body.
      slot: slots of all shapes, those of the body first.

    Returns:
      joints, and the motors' bindings, int `[J]`, each its own as long as there are as many.
    """
    count = body.exists.shape[0]
    joined = body.exists & (jnp.arange(count) > 0)
    part, used = rows_of(random_slots(order_key, joined, size.num_joints), size.num_joints)
    speed, power, low, high, first = jax.random.uniform(key, (5, size.num_joints))
    parent = body.parent[part]
    number = lambda values: jnp.where(used, values, 0)
    leg = used & ~body.circle[part]
    zero = jnp.zeros(size.num_joints)
    order = jnp.cumsum(used) - 1 + jnp.int32(first[0] * size.num_motor_bindings)
    joints = jax2d.Joints(
        body_a=number(slot[parent] + size.num_walls).astype(jnp.int32),
        body_b=number(slot[part] + size.num_walls).astype(jnp.int32),
        anchor_a=jnp.stack([number(body.parent_x[part]), number(body.parent_y[part])], axis=1),
        anchor_b=jnp.stack([number(body.anchor_x[part]), zero], axis=1),
        reference_rotation=number(body.angle[part] - body.angle[parent]),
        active=used,
        weld=jnp.zeros_like(used),
        motor_on=used,
        motor_speed=number(lerp(speed, params.min_motor_speed, params.max_motor_speed)),
        motor_power=number(lerp(power, params.min_motor_power, params.max_motor_power)),
        limits_on=leg,
        min_rotation=jnp.where(leg, -lerp(low, params.min_swing, params.max_swing), 0),
        max_rotation=jnp.where(leg, lerp(high, params.min_swing, params.max_swing), 0),
    )
    return joints, number(order % size.num_motor_bindings).astype(jnp.int32)
