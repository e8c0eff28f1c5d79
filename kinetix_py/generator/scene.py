"""A scene that the generator fills shape by shape, and the level that it becomes.

Batch-last: `[rows, B]`. `P` free polygon slots, then `C` free circle slots, are `N` bodies (walls are not
among them); `V` vertices, `J` joints, `T` thrusters.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.generator import rows
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.shapes import corners, polygon_area, polygon_inertia
from kinetix_py.levels.level import Level, LevelLabels, empty_level
from kinetix_py.sizes import LevelSize


class FreeSlots(NamedTuple):
    """Slots of a size that the generator can fill: static."""

    polygons: int
    circles: int
    joints: int
    thrusters: int
    vertices: int

    @property
    def bodies(self) -> int:
        """Polygon slots plus circle slots."""
        return self.polygons + self.circles


def free_slots(size: LevelSize) -> FreeSlots:
    """Counts the slots that the generator can fill; joints need a binding and a polygon, thrusters a binding.

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
    # Circles are joined at their centers, so that one of two would hide the other.
    joints = size.num_joints if polygons and size.num_motor_bindings else 0
    thrusters = size.num_thrusters if size.num_thruster_bindings else 0
    return FreeSlots(polygons, size.num_circles, joints, thrusters, size.max_vertices)


class Body(NamedTuple):
    """One shape `[B]`, or those of all slots `[N, B]`."""

    x: jax.Array  # float, m
    y: jax.Array  # float, m
    rotation: jax.Array  # float, rad
    half_width: jax.Array  # float, m, 0 for circles
    half_height: jax.Array  # float, m, 0 for circles
    radius: jax.Array  # float, m, 0 for polygons
    num_vertices: jax.Array  # int, means nothing for circles
    role: jax.Array  # int
    movable: jax.Array  # bool


class JointEnd(NamedTuple):
    """One end of a joint `[B]`, or of all joints `[J, B]`."""

    body: jax.Array  # int, in 0 .. N - 1
    x: jax.Array  # float, m, anchor in the body's frame
    y: jax.Array  # float, m


class PartialScene(NamedTuple):
    """The free bodies and joints so far."""

    body: Body  # [N, B]
    corner_x: jax.Array  # float [P, V, B] m, in the world
    corner_y: jax.Array  # float [P, V, B] m
    active: jax.Array  # bool [N, B]
    insertion_index: jax.Array  # int [N, B], bodies that were there before it
    joints_on: jax.Array  # int [N, B], joints of the body
    joint_a: JointEnd  # [J, B], on a polygon
    joint_b: JointEnd  # [J, B], on a circle, or on the newer of two polygons
    joined: jax.Array  # bool [J, B], joint slot in use

    @property
    def num_polygons(self) -> jax.Array:
        """Polygons so far, int `[B]`."""
        return rows.total(self.active[: self.corner_x.shape[0]])

    @property
    def num_circles(self) -> jax.Array:
        """Circles so far, int `[B]`."""
        return rows.total(self.active[self.corner_x.shape[0] :])

    @property
    def num_joints(self) -> jax.Array:
        """Joints so far, int `[B]`."""
        return rows.total(self.joined)


def empty_scene(slots: FreeSlots, batch: int) -> PartialScene:
    """A scene without bodies."""
    zeros = lambda dtype, *shape: jnp.zeros((*shape, batch), dtype)
    number, integer = (lambda *shape, dtype=dtype: zeros(dtype, *shape) for dtype in (jnp.float32, jnp.int32))
    n, j, vertices = slots.bodies, slots.joints, (slots.polygons, slots.vertices)
    return PartialScene(
        body=Body(
            **{name: number(n) for name in ("x", "y", "rotation", "half_width", "half_height", "radius")},
            num_vertices=integer(n),
            role=integer(n),
            movable=zeros(bool, n),
        ),
        corner_x=number(*vertices),
        corner_y=number(*vertices),
        active=zeros(bool, n),
        insertion_index=integer(n),
        joints_on=integer(n),
        joint_a=JointEnd(integer(j), number(j), number(j)),
        joint_b=JointEnd(integer(j), number(j), number(j)),
        joined=zeros(bool, j),
    )


def insert(
    scene: PartialScene, slot: jax.Array, body: Body, corner_x: jax.Array, corner_y: jax.Array
) -> PartialScene:
    """Writes a body into the slot `[N, B]` that a mask marks, if any.

    Args:
      corner_x, corner_y: vertices in the world `[V, B]` m; they do not count for circles.
    """
    polygons = scene.corner_x.shape[0]
    return scene._replace(
        body=rows.put(slot, scene.body, body),
        corner_x=rows.put(slot[:polygons], scene.corner_x, corner_x),
        corner_y=rows.put(slot[:polygons], scene.corner_y, corner_y),
        active=scene.active | slot,
        insertion_index=rows.put(slot, scene.insertion_index, scene.num_polygons + scene.num_circles),
    )


def join(scene: PartialScene, slot: jax.Array, end_a: JointEnd, end_b: JointEnd) -> PartialScene:
    """Writes a joint into the slot `[J, B]` that a mask marks, if any."""
    made, index = slot.any(axis=0), jnp.arange(scene.active.shape[0])[:, None]
    ends = (index == end_a.body[None]) | (index == end_b.body[None])
    return scene._replace(
        joint_a=rows.put(slot, scene.joint_a, end_a),
        joint_b=rows.put(slot, scene.joint_b, end_b),
        joined=scene.joined | slot,
        joints_on=scene.joints_on + (ends & made[None]),
    )


def masses(scene: PartialScene, params: GeneratorParams) -> tuple[jax.Array, jax.Array]:
    """Mass [kg] and moment of inertia [kg m^2] of every free body, as if movable: `[N, B]` each."""
    (polygons, vertices), body, density = (
        scene.corner_x.shape[:2],
        scene.body,
        params.broadcast_to_rank(2).density,
    )
    shape = body.num_vertices, body.half_width, body.half_height, vertices
    mass = polygon_area(*shape) * density
    round_mass, round_inertia = jax2d.geometry.circle_mass(body.radius, density)
    is_circle = jnp.arange(scene.active.shape[0])[:, None] >= polygons
    inertia = jnp.where(is_circle, round_inertia, polygon_inertia(mass, *shape))
    return jnp.where(is_circle, round_mass, mass), inertia


def _vertices(scene: PartialScene) -> jax.Array:
    """Vertices of the free polygons in their frames: `[P, V, 2, B]` m, 0 where unused."""
    count, max_vertices = scene.corner_x.shape[:2]
    polygons: Body = jax.tree.map(lambda rows: rows[:count], scene.body)
    used = jnp.arange(max_vertices)[:, None, None] < polygons.num_vertices[None]
    local = corners(polygons.num_vertices, polygons.half_width, polygons.half_height, max_vertices)
    x, y = (jnp.where(used, value, 0) for value in local)
    return jnp.swapaxes(jnp.stack([x, y], axis=2), 0, 1)


def _fill_slots(part, count: int):
    """Adds unused rows to every array of a pytree, up to a count."""
    pad = lambda value: jnp.pad(value, [(0, count - value.shape[0])] + [(0, 0)] * (value.ndim - 1))
    return jax.tree.map(pad, part)


class BoundJoints(NamedTuple):
    """Joints and what their motors listen to: rows `[J, B]`."""

    joints: jax2d.Joints
    binding: jax.Array  # int
    auto: jax.Array  # bool, the motor runs by itself


class BoundThrusters(NamedTuple):
    """Thrusters and what they listen to: rows `[T, B]`."""

    thrusters: jax2d.Thrusters
    binding: jax.Array  # int


def to_level(
    scene: PartialScene,
    floor: jax.Array,
    joints: BoundJoints,
    thrusters: BoundThrusters,
    params: GeneratorParams,
    size: LevelSize,
) -> Level:
    """The levels of finished scenes, batch-last: what the generator has made, in an empty room.

    Args:
      floor: role of the floor, int `[B]`.
    """
    with jax.ensure_compile_time_eval():
        one_room = empty_level(size)
    body, polygons, walls, batch = scene.body, scene.corner_x.shape[0], size.num_walls, floor.shape[0]
    widen = lambda value: jnp.broadcast_to(value[..., None], (*value.shape, batch))
    room: Level = jax.tree.map(widen, one_room)
    behind_walls = lambda old, new: jnp.concatenate([old[:walls], new.astype(old.dtype)])
    of_bodies = lambda value: jnp.where(scene.active, jnp.broadcast_to(value, scene.active.shape), 0)
    joints, thrusters = _fill_slots(joints, size.num_joints), _fill_slots(thrusters, size.num_thrusters)
    moving = scene.active & body.movable
    inverse = lambda value: jnp.where(moving, 1 / jnp.where(moving, value, 1), 0)
    mass, inertia = masses(scene, params)
    new = {
        "position": jnp.stack([body.x, body.y], axis=1),
        "rotation": body.rotation,
        "inverse_mass": inverse(mass),
        "inverse_inertia": inverse(inertia),
        "friction": of_bodies(params.broadcast_to_rank(2).friction),
        "restitution": of_bodies(params.broadcast_to_rank(2).restitution),
        "collision_mode": scene.active,
        "active": scene.active,
        "vertices": _vertices(scene),
        "num_vertices": body.num_vertices[:polygons],
    }
    sim = dataclasses.replace(
        room.sim,
        **{name: behind_walls(getattr(room.sim, name), value) for name, value in new.items()},
        radius=body.radius[polygons:],
        gravity=jnp.stack([jnp.zeros((batch,)), jnp.broadcast_to(params.gravity, (batch,))]),
        joints=joints.joints,
        thrusters=thrusters.thrusters,
    )
    density = jnp.where(moving, params.broadcast_to_rank(2).density, 1.0)
    labels = LevelLabels(
        role=jnp.concatenate([floor[None][:walls], room.labels.role[1:walls], body.role]),
        density=behind_walls(room.labels.density, density),
        motor_binding=joints.binding,
        motor_auto=joints.auto,
        thruster_binding=thrusters.binding,
    )
    return Level(sim, labels, size)
