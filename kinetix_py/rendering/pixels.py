"""Pixels in pure JAX: shapes by their roles, joints and thrusters as marks, no window toolkit.

A picture is a single elementwise expression over its pixels, laid out from the topmost shape down, so that
XLA makes one kernel of it: nothing but the picture is written to memory, and no pixel is read back. Whatever
needs a division, a root or a table is worked out per shape beforehand.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax2d import SimState
from kinetix_py.env.types import EnvState
from kinetix_py.rendering.style import (
    FIXED_JOINT,
    IMMOVABLE_DARKENING,
    MARK_RADIUS,
    MOTOR_COLOURS,
    OUTLINE,
    PLAIN_JOINT,
    ROLE_COLOURS,
    THRUSTER_COLOURS,
)
from kinetix_py.spec import ROOM

# Added to the depth of what must not be seen [pixels].
FAR_OUTSIDE = -1e6


class _Edges(NamedTuple):
    """Half-planes of polygons: `along_x * x + along_y * y + offset` is the depth inside an edge [pixels]."""

    along_x: jax.Array  # float [P, V] 1
    along_y: jax.Array  # float [P, V] 1
    offset: jax.Array  # float [P, V] pixels


class _Rings(NamedTuple):
    """Circles and marks: `height - slope * (squared distance)` is 0 and 1 one pixel apart about a radius."""

    x: jax.Array  # float [M] pixels
    y: jax.Array  # float [M] pixels
    cover: tuple[jax.Array, jax.Array]  # height and slope about the outer edge
    fill: tuple[jax.Array, jax.Array]  # about the outline's inner edge, a pixel further in


def _look_up(table, index: jax.Array) -> jax.Array:
    """Rows of a small table `[n, ...]`, without a gather: `[rows, ...]`."""
    table = jnp.asarray(table)
    chosen = (index[:, None] == jnp.arange(table.shape[0])[None]).astype(jnp.float32)
    return jnp.tensordot(chosen, table, 1, precision=jax.lax.Precision.HIGHEST)


def _colours(state: EnvState) -> jax.Array:
    """Fill colour of every body: float `[N, 3]`."""
    dark = (state.sim.inverse_mass == 0) & (state.role == 0)
    return _look_up(ROLE_COLOURS, state.role) * jnp.where(dark, IMMOVABLE_DARKENING, 1.0)[:, None]


def _turned(rotation: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    return cos * x - sin * y, sin * x + cos * y


def _marks(state: EnvState) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Joints, then thrusters: places `[J + T, 2]` m, colours `[J + T, 3]`, in use `[J + T]`."""
    sim, joints, thrusters = state.sim, state.sim.joints, state.sim.thrusters
    driven = (joints.motor_on & ~joints.fixed)[:, None]
    still = jnp.where(joints.fixed[:, None], jnp.asarray(FIXED_JOINT)[None], jnp.asarray(PLAIN_JOINT)[None])
    motor = _look_up(MOTOR_COLOURS, state.motor_binding % len(MOTOR_COLOURS))
    thrust = _look_up(THRUSTER_COLOURS, state.thruster_binding % len(THRUSTER_COLOURS))
    body = jnp.concatenate([joints.body_a, thrusters.body])
    anchor = jnp.concatenate([joints.anchor_a, thrusters.anchor])
    arm = _turned(_look_up(sim.rotation, body), anchor[:, 0], anchor[:, 1])
    colours = jnp.concatenate([jnp.where(driven, motor, still), thrust])
    active = jnp.concatenate([joints.active, thrusters.active])
    return _look_up(sim.position, body) + jnp.stack(arm, axis=1), colours, active


def _edges(sim: SimState, scale: float) -> _Edges:
    """Half-planes of the polygons in pixels; unused edges and bodies never decide what is inside.

    Args:
      scale: pixels per metre.
    """
    polygons, corners = sim.vertices.shape[:2]
    x, y = _turned(sim.rotation[:polygons, None], sim.vertices[..., 0], sim.vertices[..., 1])
    x, y = x + sim.position[:polygons, 0, None], y + sim.position[:polygons, 1, None]
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
    """Height and slope in the squared distance, which needs no root at every pixel.

    `height - slope * d^2`, clipped to 0 .. 1, falls from 1 to 0 where `d^2` is within `radius` of
    `radius^2` - over one pixel - and its sum over all pixels is the circle's area, `pi * radius^2`.
    """
    slope = 0.5 / jnp.maximum(radius, 1e-3)
    return slope * (radius**2 + radius), slope


def _rings(places: jax.Array, radius: jax.Array, active: jax.Array, scale: float) -> _Rings:
    height, slope = _ring(radius * scale)
    inner, inner_slope = _ring(radius * scale - 1)
    seen = lambda value: jnp.where(active, value, FAR_OUTSIDE)
    return _Rings(
        places[:, 0] * scale, places[:, 1] * scale, (seen(height), slope), (seen(inner), inner_slope)
    )


def _least(a: jax.Array, b: jax.Array | float) -> jax.Array:
    """The smaller one: a single instruction, where `jnp.minimum` takes three to keep NaN."""
    return jnp.where(a < b, a, b)


def _unit(value: jax.Array) -> jax.Array:
    """A value clipped to 0 .. 1; NaN becomes 0, so that a lost body is not drawn."""
    return _least(jnp.where(value > 0, value, 0.0), 1.0)


def _polygon(edges: _Edges, i: int, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How much of every pixel a polygon covers, and how much of that is not its outline."""
    inward = lambda v: edges.along_x[i, v] * x + (edges.along_y[i, v] * y + edges.offset[i, v])
    depth = inward(0)
    for v in range(1, edges.offset.shape[1]):
        depth = _least(depth, inward(v))
    return _unit(depth), _unit(depth - 1)


def _circle(rings: _Rings, i: int, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As `_polygon`, for a circle or mark."""
    squared = (x - rings.x[i]) ** 2 + (y - rings.y[i]) ** 2
    within = lambda ring: _unit(ring[0][i] - ring[1][i] * squared)
    return within(rings.cover), within(rings.fill)


def render_pixels(state: EnvState, size: int = 125) -> jax.Array:
    """A picture of the room, 5 m x 5 m, on white.

    Every shape is in the colour of its role (`kinetix_py.rendering.style`), its edge softened over one
    pixel, with a dark outline of one pixel inside it. Polygons lie at the bottom, then circles, joints
    (coloured by motor binding) and thrusters, each in slot order.

    Args:
      state: one state; `vmap` over a batch of them.
      size: pixels along each side, at least 1; static.

    Returns:
      float `[size, size, 3]` in 0 .. 1, row 0 on top.

    Raises:
      ValueError: the size is no integer or below 1.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be an integer of at least 1, got {size!r}")
    sim, scale = state.sim, size / ROOM
    polygons = sim.vertices.shape[0]
    places, inks, used = _marks(state)
    edges = _edges(sim, scale)
    rings = _rings(
        jnp.concatenate([sim.position[polygons:], places]),
        jnp.concatenate([sim.radius, jnp.full(used.shape, MARK_RADIUS)]),
        jnp.concatenate([sim.active[polygons:], used]),
        scale,
    )
    colours = jnp.concatenate([_colours(state), inks]) - OUTLINE
    shape = (size, size, 3)
    centre = jnp.arange(size) + 0.5
    # Whole arrays from the start: XLA would compute what it has to widen more than once.
    x = jnp.broadcast_to(centre[None, :, None], shape)
    y = jnp.broadcast_to(centre[::-1, None, None], shape)
    picture, seen = jnp.zeros(shape), jnp.ones(shape)  # seen: what the shapes above leave open
    for i in reversed(range(len(colours))):
        paint = _polygon(edges, i, x, y) if i < polygons else _circle(rings, i - polygons, x, y)
        picture = picture + seen * paint[1] * colours[i][None, None]
        seen = seen - seen * paint[0]
    # What is covered and not a fill is outline; what is not covered is white.
    return _least(picture + OUTLINE + (1 - OUTLINE) * seen, 1.0)  # rounding may be a bit above
