"""Pixels in pure JAX: shapes in the colors of their roles, joints and thrusters as marks.

A picture is a single elementwise expression over its pixels, laid out from the topmost shape down, so that
XLA makes one kernel of it: nothing but the picture is written to memory, and no pixel is read back. Whatever
needs a division, a root or a table is worked out per shape beforehand. What remains is a few operations for
every pixel and shape; so the walls that cannot be seen are left out.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d import SimState
from jax2d.batching import natively_batched
from jax2d.geometry import rotate
from kinetix_py.env.progress import is_waiting
from kinetix_py.env.types import EnvState
from kinetix_py.rendering.style import (
    MARK_RADIUS,
    MOTOR_COLORS,
    OUTLINE,
    PLAIN_JOINT,
    ROLE_COLORS,
    SENSOR_COLOR,
    STATIC_DARKENING,
    THRUSTER_COLORS,
    WAITING_PALENESS,
    WELD_JOINT,
)
from kinetix_py.roles import BLUE
from kinetix_py.sizes import ROOM
from kinetix_py.validation import check_integer

# Depth of shapes that must not be drawn [pixels].
FAR_OUTSIDE = -1e6
# Slots of a room's walls but for the floor: they are not drawn if no picture of a batch would show them.
SIDES = slice(1, 4)
TOUCH = 1e-4  # m, by which a wall may reach into the room and still not show
INK_BITS = 10
INK_STEPS = 2**INK_BITS - 1


class _Edges(NamedTuple):
    """Half-planes of polygons: `along_x * x + along_y * y + offset` is the depth inside an edge [pixels]."""

    along_x: jax.Array  # float [P, V] 1
    along_y: jax.Array  # float [P, V] 1
    offset: jax.Array  # float [P, V] pixels


class _Rings(NamedTuple):
    """Circles: `height - slope * (squared distance)` is 0 and 1 one pixel apart about a radius."""

    x: jax.Array  # float [C] pixels
    y: jax.Array  # float [C] pixels
    cover: tuple[jax.Array, jax.Array]  # height and slope about the outer edge
    fill: tuple[jax.Array, jax.Array]  # about the outline's inner edge, a pixel further in


class _Marks(NamedTuple):
    """Joints and thrusters, all of one radius."""

    x: jax.Array  # float [M] pixels
    y: jax.Array  # float [M] pixels, far outside if not in use
    ink: jax.Array  # int [M], its parts in units of 1 / INK_STEPS, INK_BITS bits each


class _Parts(NamedTuple):
    """Everything on a picture."""

    edges: _Edges
    rings: _Rings
    marks: _Marks
    colors: jax.Array  # float [N, 3], of the bodies, over that of the outline
    bare: jax.Array  # bool, the sides of the room cannot be seen


def _look_up(table, index: jax.Array) -> jax.Array:
    """Rows of a small table `[n, ...]`, without a gather: `[rows, ...]`."""
    table = jnp.asarray(table)
    chosen = (index[:, None] == jnp.arange(table.shape[0])[None]).astype(jnp.float32)
    return jnp.tensordot(chosen, table, 1, precision=jax.lax.Precision.HIGHEST)


def shape_colors(state: EnvState) -> jax.Array:
    """Returns the fill color of every body: float `[N, 3]`.

    A goal that it is not the turn of is pale, a sensor yellowish until it was touched, and what a switch
    holds in place dark.
    """
    dark = (state.sim.inverse_mass == 0) & (state.labels.role == 0)
    colors = _look_up(ROLE_COLORS, state.labels.role) * jnp.where(dark, STATIC_DARKENING, 1.0)[:, None]
    if state.rules is None or state.progress is None:
        return colors
    waits = (state.labels.role == BLUE) & (state.rules.goal != state.progress.goal)
    colors = colors + jnp.where(waits[:, None], WAITING_PALENESS * (1 - colors), 0)
    sensor = is_waiting(state.rules.sensor, state.progress)  # until its switch is on
    colors = jnp.where(sensor[:, None], 0.5 * (colors + jnp.asarray(SENSOR_COLOR)[None]), colors)
    held = is_waiting(state.rules.body_waits_for, state.progress)
    return colors * jnp.where(held, STATIC_DARKENING, 1.0)[:, None]


def _marks(state: EnvState, scale: float) -> _Marks:
    """Returns the marks of joints, then of thrusters."""
    sim, joints, thrusters = state.sim, state.sim.joints, state.sim.thrusters
    driven = (joints.motor_on & ~joints.weld)[:, None]
    still = jnp.where(joints.weld[:, None], jnp.asarray(WELD_JOINT)[None], jnp.asarray(PLAIN_JOINT)[None])
    motor = _look_up(MOTOR_COLORS, state.labels.motor_binding % len(MOTOR_COLORS))
    thrust = _look_up(THRUSTER_COLORS, state.labels.thruster_binding % len(THRUSTER_COLORS))
    body = jnp.concatenate([joints.body_a, thrusters.body])
    anchor = jnp.concatenate([joints.anchor_a, thrusters.anchor])
    arm = rotate(anchor, _look_up(sim.rotation, body))
    colors = jnp.concatenate([jnp.where(driven, motor, still), thrust])
    active = jnp.concatenate([joints.active, thrusters.active])
    place = scale * (_look_up(sim.position, body) + arm)
    parts = jnp.round(colors * INK_STEPS).astype(jnp.int32) << (INK_BITS * jnp.arange(3))[None]
    return _Marks(place[:, 0], jnp.where(active, place[:, 1], FAR_OUTSIDE), parts.sum(axis=1))


def _edges(sim: SimState, scale: float) -> _Edges:
    """Returns the half-planes of the polygons in pixels; unused edges and bodies never bound the inside.

    Args:
      scale: pixels per meter.
    """
    polygons, corners = sim.vertices.shape[:2]
    vertices = sim.position[:polygons, None] + rotate(sim.vertices, sim.rotation[:polygons, None])
    x, y = vertices[..., 0], vertices[..., 1]
    index, count = jnp.arange(corners)[None], sim.num_vertices[:, None]
    to = lambda values: jnp.where(index + 1 == count, values[:, :1], jnp.roll(values, -1, axis=1)) - values
    edge_x, edge_y = to(x), to(y)
    length = jnp.maximum(jnp.sqrt(edge_x**2 + edge_y**2), 1e-6)
    # Vertices run clockwise: the inside is to the right of an edge.
    along_x, along_y = edge_y / length, -edge_x / length
    used = index < count
    offset = jnp.where(used, -(along_x * x + along_y * y) * scale + 0.5, -FAR_OUTSIDE)
    offset = jnp.where(sim.active[:polygons, None], offset, FAR_OUTSIDE)
    return _Edges(jnp.where(used, along_x, 0), jnp.where(used, along_y, 0), offset)


def _ring(radius: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns height and slope in the squared distance, which needs no root at every pixel.

    `height - slope * d^2`, clipped to 0 .. 1, falls from 1 to 0 where `d^2` is within `radius` of
    `radius^2` - over one pixel - and its sum over all pixels is the circle's area, `pi * radius^2`.
    """
    slope = 0.5 / jnp.maximum(radius, 1e-3)
    return slope * (radius**2 + radius), slope


def _rings(sim: SimState, scale: float) -> _Rings:
    polygons = sim.vertices.shape[0]
    place, active = scale * sim.position[polygons:], sim.active[polygons:]
    height, slope = _ring(sim.radius * scale)
    inner, inner_slope = _ring(sim.radius * scale - 1)
    seen = lambda value: jnp.where(active, value, FAR_OUTSIDE)
    return _Rings(place[:, 0], place[:, 1], (seen(height), slope), (seen(inner), inner_slope))


def _sides_are_outside(sim: SimState) -> jax.Array:
    """Checks that no side of the room, nor another polygon in such a slot, is visible: bool."""
    polygons = sim.vertices.shape[0]
    rotation, place = sim.rotation[:polygons][SIDES], sim.position[:polygons][SIDES]
    vertices = place[:, None] + rotate(sim.vertices[SIDES], rotation[:, None])
    used = jnp.arange(sim.vertices.shape[1])[None] < sim.num_vertices[SIDES, None]
    outside = ~sim.active[:polygons][SIDES]
    for values in (vertices[..., 0], vertices[..., 1]):
        outside |= jnp.where(used, values, -jnp.inf).max(axis=1) < TOUCH
        outside |= jnp.where(used, values, jnp.inf).min(axis=1) > ROOM - TOUCH
    return outside.all()


def _least(a: jax.Array, b: jax.Array | float) -> jax.Array:
    """Takes the minimum in a single instruction, where `jnp.minimum` needs three to keep NaN."""
    return jnp.where(a < b, a, b)


def _unit(value: jax.Array) -> jax.Array:
    """Clips a value to 0 .. 1; NaN becomes 0, so that a body at NaN is not drawn."""
    return _least(jnp.where(value > 0, value, 0.0), 1.0)


def _polygon(edges: _Edges, i: int, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the part of every pixel that a polygon covers, and the part of that inside its outline."""
    inward = lambda v: edges.along_x[i, v] * x + (edges.along_y[i, v] * y + edges.offset[i, v])
    depth = inward(0)
    for v in range(1, edges.offset.shape[1]):
        depth = _least(depth, inward(v))
    both = _least(jnp.where(depth > 0, depth, 0.0), 2.0)  # the outline is one pixel wide
    cover = _least(both, 1.0)
    return cover, both - cover


def _within(ring: tuple[jax.Array, jax.Array], squared: jax.Array) -> jax.Array:
    return _unit(ring[0] - ring[1] * squared)


def _circle(rings: _Rings, i: int, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Covers pixels with a circle, as `_polygon` does."""
    squared = (x - rings.x[i]) ** 2 + (y - rings.y[i]) ** 2
    cover, fill = ((ring[0][i], ring[1][i]) for ring in (rings.cover, rings.fill))
    return _within(cover, squared), _within(fill, squared)


def _nearest_mark(
    marks: _Marks, radius: float, x: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Covers pixels with their nearest mark, as `_polygon` does; also returns its color minus the outline's.

    All parts of a color are chosen by one operation: a choice of each would keep XLA from vectorizing.
    """
    nearest, ink = jnp.full(x.shape, -FAR_OUTSIDE), jnp.zeros(x.shape, jnp.int32)
    for i in range(marks.x.shape[0]):
        squared = (x - marks.x[i]) ** 2 + (y - marks.y[i]) ** 2
        closer = squared <= nearest
        nearest = jnp.where(closer, squared, nearest)
        ink = jnp.where(closer, marks.ink[i], ink)
    cover, fill = _ring(jnp.float32(radius)), _ring(jnp.float32(radius - 1))
    part = (ink >> jnp.broadcast_to(INK_BITS * jnp.arange(3), ink.shape)) & INK_STEPS
    return _within(cover, nearest), _within(fill, nearest), part * (1 / INK_STEPS) - OUTLINE


def _paint(parts: _Parts, size: int, bare: bool) -> jax.Array:
    """Draws one picture: float `[size, size, 3]`.

    Args:
      parts: everything on the picture.
      size: pixels along each side; static.
      bare: whether to leave out the sides of the room; static.
    """
    shape = (size, size, 3)
    center = jnp.arange(size) + 0.5
    # Whole arrays from the start: XLA would compute what it has to widen more than once.
    x = jnp.broadcast_to(center[None, :, None], shape)
    y = jnp.broadcast_to(center[::-1, None, None], shape)
    cover, fill, ink = _nearest_mark(parts.marks, MARK_RADIUS * size / ROOM, x, y)
    picture, seen = fill * ink, 1 - cover  # seen: what the shapes above leave open
    polygons = parts.edges.offset.shape[0]
    left_out = range(polygons)[SIDES] if bare else ()
    for i in reversed([i for i in range(len(parts.colors)) if i not in left_out]):
        if i < polygons:
            cover, fill = _polygon(parts.edges, i, x, y)
        else:
            cover, fill = _circle(parts.rings, i - polygons, x, y)
        picture = picture + seen * fill * parts.colors[i][None, None]
        seen = seen - seen * cover
    # What is covered and not a fill is outline; what is not covered is white.
    return _least(picture + OUTLINE + (1 - OUTLINE) * seen, 1.0)  # rounding may be a bit above


@functools.cache
def _painter(size: int):
    """The picture of some parts; in a batch, one branch is taken for all pictures."""
    of_all = lambda bare: jax.vmap(functools.partial(_paint, size=size, bare=bare))

    def paint(parts: _Parts) -> jax.Array:
        return jax.lax.cond(parts.bare.all(), of_all(True), of_all(False), parts)

    return natively_batched(paint, derivative_of=of_all(False))


def render_pixels(state: EnvState, size: int = 125) -> jax.Array:
    """Draws the room, 5 m x 5 m, on white.

    Every shape is in the color of its role (`kinetix_py.rendering.style`), its edge softened over one
    pixel, with a dark outline of one pixel inside it. Polygons lie at the bottom, then circles, each in slot
    order; on top the joints (colored by motor binding) and thrusters, of which the nearest one is seen.

    Args:
      state: one state; `vmap` over a batch of them.
      size: pixels along each side, at least 1; static.

    Returns:
      float `[size, size, 3]` in 0 .. 1, row 0 on top.

    Raises:
      ValueError: the size is no integer or below 1.
    """
    check_integer("size", size, 1)
    scale = size / ROOM
    parts = _Parts(
        edges=_edges(state.sim, scale),
        rings=_rings(state.sim, scale),
        marks=_marks(state, scale),
        colors=shape_colors(state) - OUTLINE,
        bare=_sides_are_outside(state.sim),
    )
    return _painter(size)(parts)
