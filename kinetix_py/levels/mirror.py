"""The mirror image of a level: the room reflected about its vertical middle line."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from jax2d.fields import field_specs
from kinetix_py.levels.level import Level
from kinetix_py.sizes import ROOM

LEFT_WALL, RIGHT_WALL = 1, 2  # slots


def turned_order(count: jax.Array, num_slots: int) -> jax.Array:
    """Returns the order that reverses the first entries, so that a mirrored outline stays clockwise.

    Args:
      count: int32 `[...]`, entries in use.
      num_slots: number of slots of a row.

    Returns:
      int32 `[..., num_slots]`: `count - 1 .. 0`, then the slots that are not in use as they are.
    """
    slot = jnp.arange(num_slots).reshape((1,) * count.ndim + (-1,))
    count = count[..., None]
    return jnp.where(slot < count, count - 1 - slot, slot).astype(jnp.int32)


def mirror_level(level: Level) -> Level:
    """Returns the mirror image of a level, in which mirrored actions do what actions do in the level.

    The room is reflected about `x = ROOM / 2`. Every entity keeps its slot, except that the left and the
    right wall change places. A motor turns the other way because `ActionAdapter.mirror` negates its action;
    one that runs by itself has no action, so its speed is negated. The mirror image of a mirror image is the
    level.

    Episodes are mirror images up to rounding, with two exceptions. The engine lets a motor fade near the
    limit that the sign of its action points to, whatever the sign of its speed, so that a motor that runs by
    itself into limits is mirrored only away from them. Limits closer to each other than twice the margin of
    that fading are not alike in the engine (docs/physics.md, actuators).

    Args:
      level: one level; `vmap` over a batch.
    """
    sim, labels, size = jax2d.edit.clear_impulses(level.sim), level.labels, level.size
    order = np.arange(size.num_bodies)
    if size.num_walls > RIGHT_WALL:
        order[[LEFT_WALL, RIGHT_WALL]] = RIGHT_WALL, LEFT_WALL
    walls_swapped = jnp.asarray(order, jnp.int32)
    flip = jnp.array([[-1.0, 1.0]])

    def bodies(owner):
        return {name: getattr(owner, name)[walls_swapped] for name in field_specs(owner, axis="N")}

    turned = bodies(sim)
    mirrored_x = jnp.where(turned["active"], ROOM - turned["position"][:, 0], turned["position"][:, 0])
    turned["position"] = turned["position"].at[:, 0].set(mirrored_x)
    turned["velocity"] = turned["velocity"] * flip
    turned |= {name: -turned[name] for name in ("rotation", "angular_velocity")}
    polygons = walls_swapped[: size.num_polygons]
    vertices, num_vertices = sim.vertices[polygons], sim.num_vertices[polygons]
    clockwise = turned_order(num_vertices, size.max_vertices)
    vertices = jnp.take_along_axis(vertices * flip[None], clockwise[..., None], axis=1)
    joints, thrusters = sim.joints, sim.thrusters
    joints = dataclasses.replace(
        joints,
        body_a=walls_swapped[joints.body_a],
        body_b=walls_swapped[joints.body_b],
        anchor_a=joints.anchor_a * flip,
        anchor_b=joints.anchor_b * flip,
        reference_rotation=-joints.reference_rotation,
        motor_speed=jnp.where(labels.motor_auto, -joints.motor_speed, joints.motor_speed),
        min_rotation=-joints.max_rotation,
        max_rotation=-joints.min_rotation,
    )
    # A direction is kept where the slot is not in use, so that empty slots stay as they are.
    direction = jnp.where(thrusters.active, jnp.pi - thrusters.direction, thrusters.direction)
    thrusters = dataclasses.replace(
        thrusters,
        body=walls_swapped[thrusters.body],
        anchor=thrusters.anchor * flip,
        direction=direction,
    )
    sim = dataclasses.replace(
        sim,
        **turned,
        vertices=vertices,
        num_vertices=num_vertices,
        gravity=sim.gravity * flip[0],
        joints=joints,
        thrusters=thrusters,
    )
    labels = dataclasses.replace(labels, **bodies(labels))
    rules = level.rules
    if rules is not None:
        rules = dataclasses.replace(rules, **bodies(rules))
    return Level(sim=sim, labels=labels, size=size, rules=rules)
