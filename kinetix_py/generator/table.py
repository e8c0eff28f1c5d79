"""What the generator carries from shape to shape: a compact table of the free bodies and joints so far.

`P` free polygon slots, then `C` circle slots, are `N` bodies (walls are not among them); `V` vertices, `J`
joints. Batch-last: `[rows, B]`.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.generator.arrays import put
from kinetix_py.sizes import LevelSize

MAX_PROPOSALS = 8


class Counts(NamedTuple):
    """Free slots of a size: static."""

    polygons: int
    circles: int
    joints: int
    thrusters: int
    vertices: int

    @property
    def bodies(self) -> int:
        return self.polygons + self.circles


def free_slots(size: LevelSize) -> Counts:
    """What the generator can fill in a size; joints need a binding and a polygon, thrusters a binding.

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
    return Counts(polygons, size.num_circles, joints, thrusters, size.max_vertices)


class Shape(NamedTuple):
    """The shape to be added: everything but its place. All `[B]`."""

    is_circle: jax.Array  # bool
    num_vertices: jax.Array  # int
    half_width: jax.Array  # m, 0 for circles
    half_height: jax.Array  # m, 0 for circles
    radius: jax.Array  # m, 0 for polygons
    role: jax.Array  # int
    movable: jax.Array  # bool


class Place(NamedTuple):
    """Where a shape goes: `[B]`."""

    x: jax.Array  # m
    y: jax.Array  # m
    rotation: jax.Array  # rad
    anchor_x: jax.Array  # m, of the joint, in the shape's frame
    anchor_y: jax.Array


class Anchor(NamedTuple):
    """One end of a joint."""

    body: jax.Array  # bool [N, B], one-hot
    x: jax.Array  # m, [B], in the body's frame
    y: jax.Array  # m, [B]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Table:
    """The free bodies and joints so far."""

    x: jax.Array  # float [N, B] m
    y: jax.Array  # float [N, B] m
    rotation: jax.Array  # float [N, B] rad
    half_width: jax.Array  # float [N, B] m, 0 for circles
    half_height: jax.Array  # float [N, B] m, 0 for circles
    radius: jax.Array  # float [N, B] m, 0 for polygons
    num_vertices: jax.Array  # int [N, B]
    corner_x: jax.Array  # float [P, V, B] m, in the world
    corner_y: jax.Array  # float [P, V, B] m, in the world
    role: jax.Array  # int [N, B]
    active: jax.Array  # bool [N, B]
    movable: jax.Array  # bool [N, B]
    age: jax.Array  # int [N, B]    bodies that were there before it
    joints_on: jax.Array  # int [N, B]    joints of the body
    body_a: jax.Array  # int [J, B]    in 0 .. N - 1, a polygon
    body_b: jax.Array  # int [J, B]    a circle, or the newer of two polygons
    anchor_ax: jax.Array  # float [J, B] m
    anchor_ay: jax.Array  # float [J, B] m
    anchor_bx: jax.Array  # float [J, B] m
    anchor_by: jax.Array  # float [J, B] m
    joined: jax.Array  # bool [J, B]    slot in use
    num_polygons: jax.Array  # int [B]       so far
    num_circles: jax.Array  # int [B]
    num_joints: jax.Array  # int [B]


def empty_table(counts: Counts, batch: int) -> Table:
    """A table without bodies."""
    n, p, v, j = counts.bodies, counts.polygons, counts.vertices, counts.joints
    shapes: dict[str, tuple[int, ...]] = {"corner_x": (p, v), "corner_y": (p, v)}
    shapes |= dict.fromkeys(("num_polygons", "num_circles", "num_joints"), ())
    joint = ("body_a", "body_b", "anchor_ax", "anchor_ay", "anchor_bx", "anchor_by", "joined")
    shapes |= dict.fromkeys(joint, (j,))
    integer = (
        "num_vertices",
        "role",
        "age",
        "joints_on",
        "body_a",
        "body_b",
        *("num_polygons", "num_circles"),
    )
    dtypes = dict.fromkeys((*integer, "num_joints"), jnp.int32)
    dtypes |= dict.fromkeys(("active", "movable", "joined"), jnp.bool_)
    names = [field.name for field in dataclasses.fields(Table)]
    zeros = lambda name: jnp.zeros((*shapes.get(name, (n,)), batch), dtypes.get(name, jnp.float32))
    return Table(**{name: zeros(name) for name in names})


def insert(
    table: Table,
    slot: jax.Array,
    shape: Shape,
    place: Place,
    corners: tuple[jax.Array, jax.Array],
) -> Table:
    """Writes a shape into the body slot `[N, B]` that a mask marks, if any.

    Args:
      corners: of the shape in the world, x and y `[V, B]` m; they do not count for circles.
    """
    polygons = table.corner_x.shape[0]
    body = {name: getattr(shape, name) for name in ("role", "movable", "half_width", "half_height")}
    body |= {name: getattr(shape, name) for name in ("radius", "num_vertices")}
    body |= {name: getattr(place, name) for name in ("x", "y", "rotation")}
    changed = {name: put(slot, getattr(table, name), value) for name, value in body.items()}
    filled = slot.any(axis=0)
    return dataclasses.replace(
        table,
        **changed,
        active=table.active | slot,
        age=put(slot, table.age, table.num_polygons + table.num_circles),
        corner_x=put(slot[:polygons], table.corner_x, corners[0]),
        corner_y=put(slot[:polygons], table.corner_y, corners[1]),
        num_polygons=table.num_polygons + (filled & ~shape.is_circle),
        num_circles=table.num_circles + (filled & shape.is_circle),
    )


def join(table: Table, joint: jax.Array, first: Anchor, second: Anchor) -> Table:
    """Writes a joint of two bodies, a and b, into the marked slot `[J, B]`."""
    index = jnp.arange(first.body.shape[0])[:, None]
    number = lambda mark: (mark * index).sum(axis=0)
    rows = {"body_a": number(first.body), "anchor_ax": first.x, "anchor_ay": first.y}
    rows |= {"body_b": number(second.body), "anchor_bx": second.x, "anchor_by": second.y}
    made = joint.any(axis=0)
    return dataclasses.replace(
        table,
        **{name: put(joint, getattr(table, name), value) for name, value in rows.items()},
        joined=table.joined | joint,
        joints_on=table.joints_on + ((first.body | second.body) & made[None]),
        num_joints=table.num_joints + made,
    )
