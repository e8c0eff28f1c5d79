"""Pixels in pure JAX: shapes by their roles, joints and thrusters as marks, no window toolkit."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_py.env.types import EnvState
from kinetix_py.spec import ROOM

BACKGROUND = (1.0, 1.0, 1.0)
# Roles none, green, blue, red: of different lightness too, for eyes that tell no colours apart.
ROLE_COLOURS = ((0.62, 0.62, 0.62), (0.35, 0.85, 0.45), (0.15, 0.35, 0.85), (0.75, 0.1, 0.15))
IMMOVABLE_DARKENING = 0.55  # factor on the colour of shapes without a role that cannot move
OUTLINE = (0.15, 0.15, 0.15)
MARK_RADIUS = 0.06  # m, of joints and thrusters
MOTOR_COLOURS = ((0.95, 0.75, 0.1), (0.9, 0.4, 0.8), (0.2, 0.8, 0.85), (0.95, 0.5, 0.15))
PLAIN_JOINT = (0.1, 0.1, 0.1)
FIXED_JOINT = (1.0, 1.0, 1.0)
THRUSTER_COLOURS = ((0.95, 0.55, 0.1), (0.55, 0.2, 0.75))


def _colours(state: EnvState) -> jax.Array:
    """Fill colour of every body: float `[N, 3]`."""
    colour = jnp.asarray(ROLE_COLOURS)[state.role]
    dark = (state.sim.inverse_mass == 0) & (state.role == 0)
    return colour * jnp.where(dark, IMMOVABLE_DARKENING, 1.0)[:, None]


def _grid(size: int) -> tuple[jax.Array, jax.Array]:
    """Centres of the pixels in the world, row 0 on top: `[size, 1]` and `[1, size]` m (y, x)."""
    centre = (jnp.arange(size) + 0.5) * (ROOM / size)
    return centre[::-1, None], centre[None]


def _polygon_depth(sim, i, y, x):
    """How far pixels are inside polygon i, negative outside (a bound there): `[size, size]` m."""
    cos, sin = jnp.cos(sim.rotation[i]), jnp.sin(sim.rotation[i])
    away_x, away_y = x - sim.position[i, 0], y - sim.position[i, 1]
    local_x, local_y = cos * away_x + sin * away_y, cos * away_y - sin * away_x
    depth = jnp.full(local_x.shape, jnp.inf)
    size = sim.vertices.shape[1]
    for v in range(size):
        count = sim.num_vertices[i]
        here, there = sim.vertices[i, v], sim.vertices[i, jnp.where(v + 1 == count, 0, (v + 1) % size)]
        edge = there - here
        length = jnp.maximum(jnp.sqrt((edge**2).sum()), 1e-6)
        # Vertices run clockwise: the inside is to the right of an edge.
        inward = (edge[1] * (local_x - here[0]) - edge[0] * (local_y - here[1])) / length
        depth = jnp.where(v < count, jnp.minimum(depth, inward), depth)
    return depth


def _paint(picture, depth, colour, active, pixel):
    """Lays a shape over a picture, its edge softened over one pixel, with a dark outline inside it."""
    cover = jnp.clip(depth / pixel + 0.5, 0, 1) * active
    rim = jnp.clip(1.5 - depth / pixel, 0, 1)
    ink = rim[..., None] * jnp.asarray(OUTLINE)[None, None] + (1 - rim[..., None]) * colour[None, None]
    return picture + cover[..., None] * (ink - picture)


def _dot(picture, x, y, place, colour, active, pixel):
    distance = jnp.sqrt((x - place[0]) ** 2 + (y - place[1]) ** 2)
    return _paint(picture, MARK_RADIUS - distance, colour, active, pixel)


def _world(sim, body, anchor):
    """A point of a body's frame in the world, per row: `[rows, 2]` m."""
    cos, sin = jnp.cos(sim.rotation[body]), jnp.sin(sim.rotation[body])
    turned = [cos * anchor[:, 0] - sin * anchor[:, 1], sin * anchor[:, 0] + cos * anchor[:, 1]]
    return sim.position[body] + jnp.stack(turned, axis=1)


def _marks(state: EnvState) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Joints, then thrusters: places `[J + T, 2]`, colours `[J + T, 3]`, in use `[J + T]`."""
    sim = state.sim
    joints, thrusters = sim.joints, sim.thrusters
    driven = joints.motor_on & ~joints.fixed
    motor = jnp.asarray(MOTOR_COLOURS)[state.motor_binding % len(MOTOR_COLOURS)]
    still = jnp.where(joints.fixed[:, None], jnp.asarray(FIXED_JOINT)[None], jnp.asarray(PLAIN_JOINT)[None])
    colours = [
        jnp.where(driven[:, None], motor, still),
        jnp.asarray(THRUSTER_COLOURS)[state.thruster_binding % len(THRUSTER_COLOURS)],
    ]
    places = [_world(sim, joints.body_a, joints.anchor_a), _world(sim, thrusters.body, thrusters.anchor)]
    active = jnp.concatenate([joints.active, thrusters.active]).astype(jnp.float32)
    return jnp.concatenate(places), jnp.concatenate(colours), active


def render_pixels(state: EnvState, size: int = 125) -> jax.Array:
    """A picture of the room, 5 m x 5 m: float `[size, size, 3]` in 0 .. 1, row 0 on top."""
    sim, colours, pixel = state.sim, _colours(state), ROOM / size
    y, x = _grid(size)
    active = sim.active.astype(jnp.float32)
    polygons = sim.vertices.shape[0]

    def polygon(i, picture):
        return _paint(picture, _polygon_depth(sim, i, y, x), colours[i], active[i], pixel)

    def circle(i, picture):
        place = sim.position[polygons + i]
        distance = jnp.sqrt((x - place[0]) ** 2 + (y - place[1]) ** 2)
        depth = sim.radius[i] - distance
        return _paint(picture, depth, colours[polygons + i], active[polygons + i], pixel)

    places, inks, used = _marks(state)
    mark = lambda i, picture: _dot(picture, x, y, places[i], inks[i], used[i], pixel)
    picture = jnp.broadcast_to(jnp.asarray(BACKGROUND), (size, size, 3))
    for draw, count in ((polygon, polygons), (circle, sim.radius.shape[0]), (mark, used.shape[0])):
        if count:
            picture = jax.lax.fori_loop(0, count, draw, picture)
    return picture
