"""Edits of a level inside jit, for ACCEL and for editors that programs drive.

Every edit is `EDITS[name](key, level, params, place=None) -> Level`, pure and total: where it cannot be done
(no free slot, nothing to remove, the game would lose its last green or blue shape, a shape would leave the
room) it returns the level as it was. A level that passes `validate_level` still does after any edit.

What is edited is drawn at random, or is what is nearest to `place`, float `[2]` m, where a new shape appears.
The functions by which edits are written return the edited level, and whether it can be done: bool `[]`.
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
from jax2d.geometry import circle_mass, polygon_mass, rotate
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.levels.level import Level
from kinetix_py.roles import BLUE, GREEN, NONE, NUM_ROLES
from kinetix_py.sizes import FLOOR, ROOM

Edit = Callable[..., Level]  # (key, level, params, place=None)
Place = jax.Array | None  # float [2] m
Edited = tuple[Level, jax.Array]  # the edited level, and whether the edit can be done

MAX_MOVE = 1.0  # m, along each axis
MIN_SCALE, MAX_SCALE = 0.7, 1.4
MIN_EXTENT, MAX_EXTENT = 0.03, 1.2  # m, of a shape's farthest point from its center after resizing
MAX_GRAVITY = 15.0  # m/s^2

EDITS: dict[str, Edit] = {}


def _edit(**needs: int) -> Callable:
    """Makes an edit total and adds it to `EDITS`.

    Args:
      needs: least numbers of the size, by name, besides a body; of a size with less, levels stay as they are.
    """

    def register(function: Callable[[jax.Array, Level, GeneratorParams, Place], Edited]) -> Edit:
        @functools.wraps(function)
        def total(key: jax.Array, level: Level, params: GeneratorParams, place: Place = None) -> Level:
            least = {"num_bodies": 1} | needs
            if any(getattr(level.size, name) < count for name, count in least.items()):
                return level
            edited, possible = function(key, level, params, place)
            return jax.tree.map(lambda new, old: jnp.where(possible, new, old), edited, level)

        EDITS[function.__name__] = total
        return total

    return register


def _choose(
    key: jax.Array, possible: jax.Array, at: jax.Array | None = None, place: Place = None
) -> tuple[jax.Array, jax.Array]:
    """An index where `possible` is True, and whether there is one.

    All are equally likely; given a place, it is that of the nearest of the points `at`, float `[..., 2]` m.
    """
    if at is None or place is None:
        score = jax.random.uniform(key, possible.shape)
    else:
        score = 1 / (1 + jnp.sqrt(((at - place[None]) ** 2).sum(-1)))
    return jnp.argmax(jnp.where(possible, score, -1.0)), possible.any()


def _between(key: jax.Array, *bounds: tuple[Any, Any]) -> jax.Array:
    """Uniform numbers, one for each pair of bounds."""
    low, high = (jnp.stack([jnp.asarray(pair[i], jnp.float32) for pair in bounds]) for i in range(2))
    return low + jax.random.uniform(key, (len(bounds),)) * (high - low)


def _with_sim(level: Level, **changes) -> Level:
    return dataclasses.replace(level, sim=dataclasses.replace(level.sim, **changes))


def _with_labels(level: Level, sim: jax2d.SimState, slot: jax.Array, **labels) -> Level:
    """The level with another scene, and other labels of a slot."""
    changed = {name: getattr(level.labels, name).at[slot].set(value) for name, value in labels.items()}
    return dataclasses.replace(level, sim=sim, labels=dataclasses.replace(level.labels, **changed))


def _free(level: Level) -> jax.Array:
    """Shapes in use that are no walls: bool `[N]`."""
    return level.sim.active & (jnp.arange(level.size.num_bodies) >= level.size.num_walls)


def _actors(level: Level, role: int) -> jax.Array:
    """Shapes in use that have a role: bool `[N]`."""
    return level.sim.active & (level.labels.role == role)


def _spare(level: Level) -> jax.Array:
    """Free shapes that are not the only green or the only blue one: bool `[N]`."""
    last = [actors & (actors.sum() == 1) for actors in (_actors(level, GREEN), _actors(level, BLUE))]
    return _free(level) & ~last[0] & ~last[1]


def _on(level: Level, bodies: jax.Array, active: jax.Array) -> jax.Array:
    """Shapes that active ends of joints, or thrusters, `[slots]`, are on: bool `[N]`."""
    return (active[None] & (bodies[None] == jnp.arange(level.size.num_bodies)[:, None])).any(1)


def _used(sim: jax2d.SimState) -> jax.Array:
    """Vertices that count: bool `[P, V]`."""
    return jnp.arange(sim.vertices.shape[1])[None] < sim.num_vertices[:, None]


def _extents(sim: jax2d.SimState) -> jax.Array:
    """Distance of every shape's farthest point from its center: float `[N]` m."""
    reach = jnp.sqrt((sim.vertices**2).sum(-1))
    return jnp.concatenate([jnp.where(_used(sim), reach, 0).max(1), sim.radius])


def _inside(sim: jax2d.SimState, moved: jax.Array) -> jax.Array:
    """Tells whether the centers of the moved bodies are in the room, above the floor: bool `[]`."""
    low, high = jnp.array([0.0, FLOOR]), jnp.array([ROOM, ROOM])
    inside = ((sim.position >= low[None]) & (sim.position <= high[None])).all(1)
    return (inside | ~moved).all()


@_edit(max_vertices=4)
def add_shape(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Puts a box or a circle of the generator's sizes into a free slot; it has no role."""
    slot_key, number_key = jax.random.split(key)
    num_polygons = level.size.num_polygons
    walls = jnp.arange(level.size.num_bodies) < level.size.num_walls
    slot, possible = _choose(slot_key, ~level.sim.active & ~walls)
    margin, half_size = params.max_half_size, (params.min_half_size, params.max_half_size)
    across, upward = (margin, ROOM - margin), (FLOOR + margin, ROOM - margin)
    x, y, half_width, half_height, radius, rotation = _between(
        number_key,
        across,
        upward,
        half_size,
        half_size,
        (params.min_radius, params.max_radius),
        (0, 2 * jnp.pi),
    )
    if place is not None:
        x, y = jnp.clip(place[0], *across), jnp.clip(place[1], *upward)
    position, sim = jnp.stack([x, y]), level.sim
    options: dict[str, Any] = {
        "rotation": rotation,
        "density": params.density,
        "friction": params.friction,
        "restitution": params.restitution,
    }
    if num_polygons:
        sim = edit.set_box(sim, slot, position, 2 * half_width, 2 * half_height, **options)
    if level.size.num_circles:
        circle = edit.set_circle(level.sim, jnp.maximum(slot, num_polygons), position, radius, **options)
        sim = jax.tree.map(lambda box, ball: jnp.where(slot < num_polygons, box, ball), sim, circle)
    return _with_labels(level, sim, slot, role=NONE, density=params.density), possible


@_edit()
def remove_shape(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Takes a shape away, with its joints and thrusters; never the last green or blue one."""
    body, possible = _choose(key, _spare(level), level.sim.position, place)
    return _with_labels(level, edit.remove_body(level.sim, body), body, role=NONE), possible


def _pieces(key: jax.Array, level: Level, place: Place) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A free shape, everything that joints link to it (bool `[N]`), and whether there is one to move."""
    body, possible = _choose(key, _free(level), level.sim.position, place)
    linked = jax2d.connected(level.sim)[body] & level.sim.active
    return body, linked, possible & ~(linked & ~_free(level)).any()


@_edit()
def move_shape(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Moves a shape and all that is joined to it by up to 1 m along each axis, within the room."""
    body_key, shift_key = jax.random.split(key)
    _, linked, possible = _pieces(body_key, level, place)
    shift = jax.random.uniform(shift_key, (2,), minval=-MAX_MOVE, maxval=MAX_MOVE)
    new = _with_sim(level, position=level.sim.position + jnp.where(linked[:, None], shift[None], 0))
    return new, possible & _inside(new.sim, linked)


@_edit()
def rotate_shape(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Turns a shape, and all that is joined to it about its center, by any angle."""
    body_key, angle_key = jax.random.split(key)
    body, linked, possible = _pieces(body_key, level, place)
    angle = jax.random.uniform(angle_key, (), minval=-jnp.pi, maxval=jnp.pi)
    sim, center = level.sim, level.sim.position[body][None]
    # The pivot itself does not move, not even by rounding.
    moved = linked & (jnp.arange(level.size.num_bodies) != body)
    turned = center + rotate(sim.position - center, angle)
    position = jnp.where(moved[:, None], turned, sim.position)
    new = _with_sim(level, position=position, rotation=sim.rotation + jnp.where(linked, angle, 0))
    return new, possible & _inside(new.sim, linked)


@_edit()
def resize_shape(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Scales a shape without joints by 0.7 to 1.4; its density stays, its thrusters stay on it."""
    body_key, scale_key = jax.random.split(key)
    sim, joints = level.sim, level.sim.joints
    jointed = _on(level, joints.body_a, joints.active) | _on(level, joints.body_b, joints.active)
    body, possible = _choose(body_key, _free(level) & ~jointed, sim.position, place)
    scale = jax.random.uniform(scale_key, (), minval=MIN_SCALE, maxval=MAX_SCALE)
    extent = _extents(sim)[body] * scale
    by_body = jnp.ones(level.size.num_bodies).at[body].set(scale)
    by_thruster = jnp.where(sim.thrusters.body == body, scale, 1.0)[:, None]
    new = _with_sim(
        level,
        vertices=sim.vertices * by_body[: level.size.num_polygons, None, None],
        radius=sim.radius * by_body[level.size.num_polygons :],
        inverse_mass=sim.inverse_mass / by_body**2,
        inverse_inertia=sim.inverse_inertia / by_body**4,
        thrusters=dataclasses.replace(sim.thrusters, anchor=sim.thrusters.anchor * by_thruster),
    )
    return new, possible & (extent >= MIN_EXTENT) & (extent <= MAX_EXTENT)


@_edit()
def change_role(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Gives a shape another role; the last green or blue one keeps its own."""
    body_key, role_key = jax.random.split(key)
    body, possible = _choose(body_key, _spare(level), level.sim.position, place)
    other = 1 + jax.random.randint(role_key, (), 0, NUM_ROLES - 1)
    role = (level.labels.role[body] + other) % NUM_ROLES
    return _with_labels(level, level.sim, body, role=role), possible


def _movable_masses(level: Level) -> list[jax.Array]:
    """Mass and moment of inertia that every body would have if it were movable: float `[N]` each."""
    sim, polygons = level.sim, level.size.num_polygons
    closed = jnp.where(_used(sim)[..., None], sim.vertices, sim.vertices[:, :1])
    of_polygons = polygon_mass(closed, level.labels.density[:polygons])[:2]
    of_circles = circle_mass(sim.radius, level.labels.density[polygons:])
    return [jnp.concatenate(parts) for parts in zip(of_polygons, of_circles, strict=True)]


@_edit()
def toggle_static(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Fixes a shape in place, or frees it; some green or blue shape stays movable, thrusters do too."""
    sim, movable = level.sim, level.sim.inverse_mass > 0
    actors = _free(level) & movable & (_actors(level, GREEN) | _actors(level, BLUE))
    last = actors & (actors.sum() == 1)
    pushed = _on(level, sim.thrusters.body, sim.thrusters.active)
    body, possible = _choose(key, _free(level) & ~last & ~pushed, sim.position, place)
    mass, inertia = _movable_masses(level)
    here = jnp.arange(level.size.num_bodies) == body
    switch = lambda old, whole: jnp.where(
        here, jnp.where(movable, 0, 1 / jnp.where(whole > 0, whole, 1)), old
    )
    inverse_mass, inverse_inertia = switch(sim.inverse_mass, mass), switch(sim.inverse_inertia, inertia)
    return _with_sim(level, inverse_mass=inverse_mass, inverse_inertia=inverse_inertia), possible


def _joinable(level: Level) -> jax.Array:
    """Pairs (a < b) of near shapes that a joint may link, by the generator's rules: bool `[N, N]`."""
    sim, free, reach = level.sim, _free(level), _extents(level.sim)
    index, role = jnp.arange(level.size.num_bodies), level.labels.role
    offset = sim.position[:, None] - sim.position[None]
    near = jnp.sqrt((offset**2).sum(-1)) < reach[:, None] + reach[None]
    movable = (sim.inverse_mass[:, None] + sim.inverse_mass[None]) > 0
    clash = (role[:, None] != role[None]) & (role[:, None] != NONE) & (role[None] != NONE)
    ordered, apart = index[:, None] < index[None], ~jax2d.connected(sim)
    return free[:, None] & free[None] & near & movable & ~clash & ordered & apart


@_edit(num_joints=1, num_motor_bindings=1)
def add_joint(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Joins two near shapes that no joints link yet, halfway between them, with the generator's numbers."""
    keys = jax.random.split(key, 5)
    between = (level.sim.position[:, None] + level.sim.position[None]) / 2
    pair, some = _choose(keys[0], _joinable(level).reshape(-1), between.reshape(-1, 2), place)
    slot, room = _choose(keys[1], ~level.sim.joints.active)
    a, b = pair // level.size.num_bodies, pair % level.size.num_bodies
    chances = params.revolute_chance, params.motor_chance, params.limits_chance
    revolute, motor, limits = jax.random.uniform(keys[2], (3,)) < jnp.stack([*map(jnp.asarray, chances)])
    speed, power, min_rotation, max_rotation = _between(
        keys[3],
        (params.min_motor_speed, params.max_motor_speed),
        (params.min_motor_power, params.max_motor_power),
        (params.min_limit, 0),
        (0, params.max_limit),
    )
    boxes = b < level.size.num_polygons
    sim = edit.set_joint(
        level.sim,
        slot,
        a,
        b,
        (level.sim.position[a] + level.sim.position[b]) / 2,
        weld=~revolute,
        motor_on=revolute & motor,
        motor_speed=speed,
        motor_power=jnp.where(boxes, power, params.circle_motor_power),
        limits_on=revolute & limits & boxes,
        min_rotation=min_rotation,
        max_rotation=max_rotation,
    )
    binding = jax.random.randint(keys[4], (), 0, max(level.size.num_motor_bindings, 1))
    return _with_labels(level, sim, slot, motor_binding=binding, motor_auto=False), some & room


@_edit(num_joints=1)
def remove_joint(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Takes a joint away."""
    joints = level.sim.joints
    joint, possible = _choose(key, joints.active, level.sim.position[joints.body_a], place)
    return dataclasses.replace(level, sim=edit.remove_joint(level.sim, joint)), possible


@_edit(num_thrusters=1, num_thruster_bindings=1)
def add_thruster(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Puts a thruster on a movable shape, at its center, with the generator's power."""
    keys = jax.random.split(key, 4)
    slot, room = _choose(keys[0], ~level.sim.thrusters.active)
    movable = _free(level) & (level.sim.inverse_mass > 0)
    body, some = _choose(keys[1], movable, level.sim.position, place)
    factors = params.min_thruster_factor, params.max_thruster_factor
    direction, factor = _between(keys[2], (0, 2 * jnp.pi), factors)
    inverse = level.sim.inverse_mass[body]
    power = params.thruster_power * factor / jnp.where(inverse > 0, inverse, 1)
    sim = edit.set_thruster(level.sim, slot, body, level.sim.position[body], direction, power)
    binding = jax.random.randint(keys[3], (), 0, max(level.size.num_thruster_bindings, 1))
    return _with_labels(level, sim, slot, thruster_binding=binding), some & room


@_edit(num_thrusters=1)
def remove_thruster(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Takes a thruster away."""
    thrusters = level.sim.thrusters
    at = level.sim.position[thrusters.body]
    thruster, possible = _choose(key, thrusters.active, at, place)
    return dataclasses.replace(level, sim=edit.remove_thruster(level.sim, thruster)), possible


@_edit()
def change_gravity(key: jax.Array, level: Level, params: GeneratorParams, place: Place) -> Edited:
    """Gives the scene another downward acceleration, 0 to 15 m/s^2."""
    down = jax.random.uniform(key, (), maxval=MAX_GRAVITY)
    sim = edit.set_gravity(level.sim, jnp.stack([jnp.zeros(()), -down]))
    return dataclasses.replace(level, sim=sim), jnp.bool_(True)
