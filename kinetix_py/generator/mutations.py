"""Edits of a level inside jit, for ACCEL and for editors that programs drive.

Every edit is `edit(key, level, params) -> Level`, pure and total: where it cannot be done (no free
slot, nothing to remove, the game would lose its last green or blue shape, a shape would leave the room) it
returns the level as it was. A level that passes `validate_level` still does after any edit.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jax2d
from jax2d import edit
from jax2d.geometry import circle_mass, polygon_mass
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.levels.level import Level
from kinetix_py.roles import BLUE, GREEN, NUM_ROLES, RED
from kinetix_py.sizes import FLOOR, ROOM

Edit = Callable[[jax.Array, Level, GeneratorParams], Level]

MAX_MOVE = 1.0  # m, along each axis
MIN_SCALE, MAX_SCALE = 0.7, 1.4
MIN_EXTENT, MAX_EXTENT = 0.03, 1.2  # m, of a shape's farthest point from its center after resizing
MAX_GRAVITY = 15.0  # m/s^2


def _choose(key: jax.Array, possible: jax.Array) -> tuple[jax.Array, jax.Array]:
    """An index where `possible` is True, all equally likely, and whether there is one."""
    score = jnp.where(possible, jax.random.uniform(key, possible.shape), -1.0)
    return jnp.argmax(score), possible.any()


def _if(done: jax.Array, new: Level, old: Level) -> Level:
    return jax.tree.map(lambda a, b: jnp.where(done, a, b), new, old)


def _with_labels(level: Level, sim: jax2d.SimState, **changes) -> Level:
    return dataclasses.replace(level, sim=sim, labels=dataclasses.replace(level.labels, **changes))


def _with_sim(level: Level, **changes) -> Level:
    return dataclasses.replace(level, sim=dataclasses.replace(level.sim, **changes))


def _free(level: Level) -> jax.Array:
    """Shapes in use that are no walls: bool `[N]`."""
    return level.sim.active & (jnp.arange(level.size.num_bodies) >= level.size.num_walls)


def _spare(level: Level) -> jax.Array:
    """Shapes that are not the only green or the only blue one: bool `[N]`."""
    needed = jnp.zeros(level.labels.role.shape, bool)
    for which in (GREEN, BLUE):
        has = level.sim.active & (level.labels.role == which)
        needed = needed | (has & (has.sum() == 1))
    return ~needed


def _extents(sim: jax2d.SimState) -> jax.Array:
    """Distance of every shape's farthest point from its center: float `[N]` m."""
    used = jnp.arange(sim.vertices.shape[1])[None] < sim.num_vertices[:, None]
    reach = jnp.sqrt((sim.vertices**2).sum(-1))
    return jnp.concatenate([jnp.where(used, reach, 0).max(1), sim.radius])


def _inside(sim: jax2d.SimState, moved: jax.Array) -> jax.Array:
    """Whether the centers of the moved bodies are in the room, above the floor: bool `[]`."""
    low, high = jnp.array([0.0, FLOOR]), jnp.array([ROOM, ROOM])
    inside = ((sim.position >= low[None]) & (sim.position <= high[None])).all(1)
    return (inside | ~moved).all()


def add_shape(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Puts a box or a circle of the generator's sizes into a free slot; it has no role."""
    slot_key, place_key, size_key, turn_key = jax.random.split(key, 4)
    empty = ~level.sim.active & (jnp.arange(level.size.num_bodies) >= level.size.num_walls)
    slot, possible = _choose(slot_key, empty)
    low = jnp.array([params.max_half_size, FLOOR + params.max_half_size])
    place = jax.random.uniform(place_key, (2,), minval=low, maxval=jnp.full(2, ROOM - params.max_half_size))
    sizes = jax.random.uniform(size_key, (3,))
    between = lambda share, low, high: low + share * (high - low)
    width, height = 2 * between(sizes[:2], params.min_half_size, params.max_half_size)
    options: dict[str, Any] = {
        "rotation": jax.random.uniform(turn_key, (), maxval=2 * jnp.pi),
        "density": params.density,
        "friction": params.friction,
        "restitution": params.restitution,
    }
    sim = level.sim
    if level.size.num_polygons:
        polygon = jnp.minimum(slot, level.size.num_polygons - 1)
        sim = edit.set_box(sim, polygon, place, width, height, **options)
    if level.size.num_circles:
        circle = jnp.maximum(slot, level.size.num_polygons)
        radius = between(sizes[2], params.min_radius, params.max_radius)
        rounded = edit.set_circle(level.sim, circle, place, radius, **options)
        choose = lambda box, ball: jnp.where(slot < level.size.num_polygons, box, ball)
        sim = jax.tree.map(choose, sim, rounded) if level.size.num_polygons else rounded
    new = _with_labels(
        level,
        sim,
        role=level.labels.role.at[slot].set(0),
        density=level.labels.density.at[slot].set(params.density),
    )
    return _if(possible, new, level)


def remove_shape(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Takes a shape away, with its joints and thrusters; never the last green or blue one."""
    body, possible = _choose(key, _free(level) & _spare(level))
    new = _with_labels(level, edit.remove_body(level.sim, body), role=level.labels.role.at[body].set(0))
    return _if(possible, new, level)


def _pieces(key: jax.Array, level: Level) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A free shape, everything that joints link to it (bool `[N]`), and whether there is one to move."""
    body, possible = _choose(key, _free(level))
    linked = jax2d.connected(level.sim)[body] & level.sim.active
    walls = jnp.arange(level.size.num_bodies) < level.size.num_walls
    return body, linked, possible & ~(linked & walls).any()


def move_shape(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Moves a shape and all that is joined to it by up to 1 m along each axis, within the room."""
    body_key, shift_key = jax.random.split(key)
    _, linked, possible = _pieces(body_key, level)
    shift = jax.random.uniform(shift_key, (2,), minval=-MAX_MOVE, maxval=MAX_MOVE)
    position = level.sim.position + jnp.where(linked[:, None], shift[None], 0)
    new = _with_sim(level, position=position)
    return _if(possible & _inside(new.sim, linked), new, level)


def rotate_shape(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Turns a shape, and all that is joined to it about its center, by any angle."""
    body_key, angle_key = jax.random.split(key)
    body, linked, possible = _pieces(body_key, level)
    angle = jax.random.uniform(angle_key, (), minval=-jnp.pi, maxval=jnp.pi)
    sim, center = level.sim, level.sim.position[body]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    arm = sim.position - center[None]
    turned = jnp.stack([cos * arm[:, 0] - sin * arm[:, 1], sin * arm[:, 0] + cos * arm[:, 1]], axis=1)
    # The pivot itself does not move, not even by rounding.
    moved = linked & (jnp.arange(level.size.num_bodies) != body)
    position = jnp.where(moved[:, None], center[None] + turned, sim.position)
    rotation = sim.rotation + jnp.where(linked, angle, 0)
    new = _with_sim(level, position=position, rotation=rotation)
    return _if(possible & _inside(new.sim, linked), new, level)


def resize_shape(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Scales a shape without joints by 0.7 to 1.4; its density stays, its thrusters stay on it."""
    body_key, scale_key = jax.random.split(key)
    sim = level.sim
    joints = sim.joints
    index = jnp.arange(level.size.num_bodies)[:, None]
    ends = (joints.body_a[None] == index) | (joints.body_b[None] == index)
    body, possible = _choose(body_key, _free(level) & ~(ends & joints.active[None]).any(1))
    scale = jax.random.uniform(scale_key, (), minval=MIN_SCALE, maxval=MAX_SCALE)
    extent = _extents(sim)[body] * scale
    possible = possible & (extent >= MIN_EXTENT) & (extent <= MAX_EXTENT)
    by_body = jnp.where(index[:, 0] == body, scale, 1.0)
    by_thruster = jnp.where(sim.thrusters.body == body, scale, 1.0)
    thrusters = dataclasses.replace(sim.thrusters, anchor=sim.thrusters.anchor * by_thruster[:, None])
    new = _with_sim(
        level,
        vertices=sim.vertices * by_body[: level.size.num_polygons, None, None],
        radius=sim.radius * by_body[level.size.num_polygons :],
        inverse_mass=sim.inverse_mass / by_body**2,
        inverse_inertia=sim.inverse_inertia / by_body**4,
        thrusters=thrusters,
    )
    return _if(possible, new, level)


def change_role(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Gives a shape another role; the last green or blue one keeps its own."""
    body_key, role_key = jax.random.split(key)
    body, possible = _choose(body_key, _free(level) & _spare(level))
    other = 1 + jax.random.randint(role_key, (), 0, NUM_ROLES - 1)
    role = (level.labels.role[body] + other) % NUM_ROLES
    return _if(possible, _with_labels(level, level.sim, role=level.labels.role.at[body].set(role)), level)


def _unit_masses(level: Level) -> tuple[jax.Array, jax.Array]:
    """Inverse mass and inertia that every body would have if it were movable: float `[N]`."""
    sim = level.sim
    used = jnp.arange(sim.vertices.shape[1])[None] < sim.num_vertices[:, None]
    closed = jnp.where(used[..., None], sim.vertices, sim.vertices[:, :1])
    polygons = level.labels.density[: sim.vertices.shape[0]]
    mass, inertia, _ = polygon_mass(closed, polygons)
    round_mass, round_inertia = circle_mass(sim.radius, level.labels.density[sim.vertices.shape[0] :])
    invert = lambda value: 1 / jnp.where(value > 0, value, 1)
    whole = jnp.concatenate([mass, round_mass]), jnp.concatenate([inertia, round_inertia])
    return invert(whole[0]), invert(whole[1])


def toggle_static(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Fixes a shape in place, or frees it; some green or blue shape stays movable, thrusters do too."""
    sim = level.sim
    movable = sim.inverse_mass > 0
    actors = _free(level) & movable & ((level.labels.role == GREEN) | (level.labels.role == BLUE))
    last = actors & (actors.sum() == 1)
    index = jnp.arange(level.size.num_bodies)[:, None]
    pushed = ((sim.thrusters.body[None] == index) & sim.thrusters.active[None]).any(1)
    body, possible = _choose(key, _free(level) & ~last & ~pushed)
    mass, inertia = _unit_masses(level)
    here = index[:, 0] == body
    switch = lambda old, new: jnp.where(here, jnp.where(movable, 0, new), old)
    new = _with_sim(
        level,
        inverse_mass=switch(sim.inverse_mass, mass),
        inverse_inertia=switch(sim.inverse_inertia, inertia),
    )
    return _if(possible, new, level)


def _joinable(level: Level) -> jax.Array:
    """Pairs (a < b) of near shapes that a joint may link, by the generator's rules: bool `[N, N]`."""
    sim, free, reach = level.sim, _free(level), _extents(level.sim)
    offset = sim.position[:, None] - sim.position[None]
    near = jnp.sqrt((offset**2).sum(-1)) < reach[:, None] + reach[None]
    movable = (sim.inverse_mass[:, None] + sim.inverse_mass[None]) > 0
    role_a, role_b = level.labels.role[:, None], level.labels.role[None]
    meets = lambda x, y: (role_a == x) & (role_b == y) | (role_a == y) & (role_b == x)
    clash = meets(GREEN, BLUE) | meets(GREEN, RED) | meets(BLUE, RED)
    ordered = jnp.arange(level.size.num_bodies)[:, None] < jnp.arange(level.size.num_bodies)[None]
    apart = ~jax2d.connected(sim)
    return free[:, None] & free[None] & near & movable & ~clash & ordered & apart


def add_joint(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Joins two near shapes that no joints link yet, halfway between them, with the generator's numbers."""
    if level.size.num_joints == 0:
        return level
    keys = jax.random.split(key, 5)
    pair, some = _choose(keys[0], _joinable(level).reshape(-1))
    slot, room = _choose(keys[1], ~level.sim.joints.active)
    a, b = pair // level.size.num_bodies, pair % level.size.num_bodies
    anchor = (level.sim.position[a] + level.sim.position[b]) / 2
    chances = jnp.stack(
        [
            jnp.asarray(chance)
            for chance in (params.revolute_chance, params.motor_chance, params.limits_chance)
        ]
    )
    revolute, motor, limits = jax.random.uniform(keys[2], (3,)) < chances
    low = jnp.stack(
        [jnp.asarray(x) for x in (params.min_motor_speed, params.min_motor_power, params.min_limit, 0.0)]
    )
    high = jnp.stack(
        [jnp.asarray(x) for x in (params.max_motor_speed, params.max_motor_power, 0.0, params.max_limit)]
    )
    speed, power, least, most = low + jax.random.uniform(keys[3], (4,)) * (high - low)
    boxes = b < level.size.num_polygons
    sim = edit.set_joint(
        level.sim,
        slot,
        a,
        b,
        anchor,
        weld=~revolute,
        motor_on=revolute & motor,
        motor_speed=speed,
        motor_power=jnp.where(boxes, power, params.circle_motor_power),
        limits_on=revolute & limits & boxes,
        min_rotation=least,
        max_rotation=most,
    )
    binding = jax.random.randint(keys[4], (), 0, max(level.size.num_motor_bindings, 1))
    new = _with_labels(
        level,
        sim,
        motor_binding=level.labels.motor_binding.at[slot].set(binding),
        motor_auto=level.labels.motor_auto.at[slot].set(False),
    )
    return _if(some & room, new, level)


def remove_joint(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Takes a joint away."""
    if level.size.num_joints == 0:
        return level
    joint, possible = _choose(key, level.sim.joints.active)
    return _if(possible, dataclasses.replace(level, sim=edit.remove_joint(level.sim, joint)), level)


def add_thruster(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Puts a thruster on a movable shape, at its center, with the generator's power."""
    if level.size.num_thrusters == 0:
        return level
    keys = jax.random.split(key, 5)
    slot, room = _choose(keys[0], ~level.sim.thrusters.active)
    body, some = _choose(keys[1], _free(level) & (level.sim.inverse_mass > 0))
    direction = jax.random.uniform(keys[2], (), maxval=2 * jnp.pi)
    factor = params.min_thruster_factor + jax.random.uniform(keys[3], ()) * (
        params.max_thruster_factor - params.min_thruster_factor
    )
    inverse = level.sim.inverse_mass[body]
    power = params.thruster_power * factor / jnp.where(inverse > 0, inverse, 1)
    sim = edit.set_thruster(level.sim, slot, body, level.sim.position[body], direction, power)
    binding = jax.random.randint(keys[4], (), 0, max(level.size.num_thruster_bindings, 1))
    new = _with_labels(level, sim, thruster_binding=level.labels.thruster_binding.at[slot].set(binding))
    return _if(some & room, new, level)


def remove_thruster(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Takes a thruster away."""
    if level.size.num_thrusters == 0:
        return level
    thruster, possible = _choose(key, level.sim.thrusters.active)
    new = dataclasses.replace(level, sim=edit.remove_thruster(level.sim, thruster))
    return _if(possible, new, level)


def change_gravity(key: jax.Array, level: Level, params: GeneratorParams) -> Level:
    """Gives the scene another downward acceleration, 0 to 15 m/s^2."""
    down = jax.random.uniform(key, (), maxval=MAX_GRAVITY)
    return dataclasses.replace(level, sim=edit.set_gravity(level.sim, jnp.stack([jnp.zeros(()), -down])))


EDITS: dict[str, Edit] = {
    "add_shape": add_shape,
    "remove_shape": remove_shape,
    "move_shape": move_shape,
    "rotate_shape": rotate_shape,
    "resize_shape": resize_shape,
    "change_role": change_role,
    "toggle_static": toggle_static,
    "add_joint": add_joint,
    "remove_joint": remove_joint,
    "add_thruster": add_thruster,
    "remove_thruster": remove_thruster,
    "change_gravity": change_gravity,
}


# Levels of the random distribution share one gravity, so that edits of them keep it.
DEFAULT_EDITS = tuple(kind for kind in EDITS if kind != "change_gravity")


def _apply(chosen: Edit, params: GeneratorParams, key: jax.Array, level: Level) -> Level:
    return chosen(key, level, params)


def mutate_level(
    key: jax.Array,
    level: Level,
    params: GeneratorParams | None = None,
    num_edits: int = 3,
    edits: tuple[str, ...] = DEFAULT_EDITS,
) -> Level:
    """A level after a few random edits, each kind equally likely.

    Args:
      level: one level; `vmap` over a batch.
      params: sizes and powers of what is added; the generator's defaults if None.
      num_edits: how many, at least 0; static.
      edits: names in `EDITS` to draw from; static.

    Raises:
      ValueError: an unknown name, or none.
    """
    unknown = [name for name in edits if name not in EDITS]
    if unknown or not edits:
        raise ValueError(f"edits must be some of {tuple(EDITS)}, got {edits}")
    params = GeneratorParams() if params is None else params
    kinds = [functools.partial(_apply, EDITS[name], params) for name in edits]

    def apply(level, key):
        kind_key, edit_key = jax.random.split(key)
        kind = jax.random.randint(kind_key, (), 0, len(kinds))
        return jax.lax.switch(kind, kinds, edit_key, level), None

    level = dataclasses.replace(level, sim=edit.clear_impulses(level.sim))
    return jax.lax.scan(apply, level, jax.random.split(key, num_edits))[0]
