"""Edits of one scene inside jit: pure functions for generators and editors.

Slots may be traced. Nothing is checked: values that come from a person go through `Scene` or `validate`.
Edits of bodies and joints forget the impulses carried over from the last step, since these have changed.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jax2d.geometry import circle_mass, polygon_mass, rotate
from jax2d.types import SimState


def clear_impulses(state: SimState) -> SimState:
    """Sets the impulses to 0 from which warm starting would begin the next step."""
    return dataclasses.replace(
        state,
        contact_impulse=jnp.zeros_like(state.contact_impulse),
        joint_impulse=jnp.zeros_like(state.joint_impulse),
    )


def _set(part, index, **values):
    """Replaces row `index` of the named arrays of a dataclass."""
    changed = {
        name: getattr(part, name).at[index].set(jnp.asarray(value, getattr(part, name).dtype))
        for name, value in values.items()
    }
    return dataclasses.replace(part, **changed)


def _set_body(state, body, position, rotation, mass, inertia, density, static, options) -> SimState:
    movable = ~jnp.asarray(static)
    defaults = {"velocity": (0.0, 0.0), "angular_velocity": 0.0, "friction": 1.0}
    defaults |= {"restitution": 0.0, "collision_mode": 1, "active": True}
    unknown = options.keys() - defaults.keys()
    if unknown:
        raise TypeError(f"unknown body fields {sorted(unknown)}; known are {sorted(defaults)}")
    return clear_impulses(
        _set(
            state,
            body,
            position=position,
            rotation=rotation,
            inverse_mass=jnp.where(movable, 1 / (density * mass), 0),
            inverse_inertia=jnp.where(movable, 1 / (density * inertia), 0),
            **defaults | options,
        )
    )


def set_polygon(
    state: SimState,
    body: jax.Array | int,
    position: jax.Array,
    vertices: jax.Array,
    num_vertices: jax.Array | int | None = None,
    *,
    rotation: jax.Array | float = 0.0,
    density: jax.Array | float = 1.0,
    static: jax.Array | bool = False,
    **options,
) -> SimState:
    """Puts a convex polygon into a slot.

    Args:
      state: scene.
      body: polygon slot.
      position: `[2]` m, place of the vertices' origin; the state's position will be the centroid.
      vertices: `[V, 2]` m, clockwise; those after the first `num_vertices` do not count.
      num_vertices: 3 .. V; V if None.
      rotation: rad.
      density: kg/m^2.
      static: infinite mass.
      options: velocity, angular_velocity, friction, restitution, collision_mode, active.
    """
    size = vertices.shape[0]
    count = size if num_vertices is None else num_vertices
    used = (jnp.arange(size) < count)[:, None]
    # Repeating a vertex adds neither area nor inertia.
    closed = jnp.where(used, vertices, vertices[:1])
    mass, inertia, centroid = polygon_mass(closed, 1.0)
    offset = rotate(centroid, rotation)
    local = jnp.where(used, vertices - centroid[None], 0)
    local = jnp.zeros_like(state.vertices[0]).at[:size].set(local)
    state = _set(state, body, vertices=local, num_vertices=count)
    place = jnp.asarray(position) + offset
    return _set_body(state, body, place, rotation, mass, inertia, density, static, options)


def set_box(
    state: SimState,
    body: jax.Array | int,
    position: jax.Array,
    width: jax.Array | float,
    height: jax.Array | float,
    **options,
) -> SimState:
    """Puts a box of the given size [m] into a polygon slot; options as for `set_polygon`."""
    corners = jnp.array([[0.5, 0.5], [0.5, -0.5], [-0.5, -0.5], [-0.5, 0.5]])
    vertices = corners * jnp.stack([jnp.asarray(width), jnp.asarray(height)])[None]
    return set_polygon(state, body, position, vertices, **options)


def set_circle(
    state: SimState,
    body: jax.Array | int,
    position: jax.Array,
    radius: jax.Array | float,
    *,
    rotation: jax.Array | float = 0.0,
    density: jax.Array | float = 1.0,
    static: jax.Array | bool = False,
    solid_inertia: bool = False,
    **options,
) -> SimState:
    """Puts a circle into a slot; `body` is its index among all bodies, others as for `set_polygon`."""
    mass, inertia = circle_mass(radius, 1.0, solid_inertia)
    state = _set(state, body - state.vertices.shape[0], radius=radius)
    return _set_body(state, body, position, rotation, mass, inertia, density, static, options)


def _to_frame(state: SimState, body, point: jax.Array) -> jax.Array:
    """Converts a point of the world to a body's frame, `[2]` m."""
    return rotate(jnp.asarray(point) - state.position[body], -state.rotation[body])


def set_joint(
    state: SimState,
    joint: jax.Array | int,
    a: jax.Array | int,
    b: jax.Array | int,
    anchor: jax.Array,
    *,
    weld: jax.Array | bool = False,
    motor_on: jax.Array | bool = False,
    motor_speed: jax.Array | float = 1.0,
    motor_power: jax.Array | float = 1.0,
    limits_on: jax.Array | bool = False,
    min_rotation: jax.Array | float = 0.0,
    max_rotation: jax.Array | float = 0.0,
) -> SimState:
    """Joins bodies a and b at a point of the world `anchor [2]` m; fields as in `Joints`."""
    joints = _set(
        state.joints,
        joint,
        body_a=a,
        body_b=b,
        anchor_a=_to_frame(state, a, anchor),
        anchor_b=_to_frame(state, b, anchor),
        reference_rotation=state.rotation[b] - state.rotation[a],
        active=True,
        weld=weld,
        motor_on=motor_on,
        motor_speed=motor_speed,
        motor_power=motor_power,
        limits_on=limits_on,
        min_rotation=min_rotation,
        max_rotation=max_rotation,
    )
    return clear_impulses(dataclasses.replace(state, joints=joints))


def set_thruster(
    state: SimState,
    thruster: jax.Array | int,
    body: jax.Array | int,
    anchor: jax.Array,
    direction: jax.Array | float,
    power: jax.Array | float = 1.0,
) -> SimState:
    """Puts a thruster on a body at a point of the world [m], pushing to a direction of the world [rad]."""
    thrusters = _set(
        state.thrusters,
        thruster,
        body=body,
        anchor=_to_frame(state, body, anchor),
        direction=direction - state.rotation[body],
        power=power,
        active=True,
    )
    return dataclasses.replace(state, thrusters=thrusters)


def remove_joint(state: SimState, joint: jax.Array | int) -> SimState:
    """Empties a joint slot."""
    joints = _set(state.joints, joint, active=False)
    return clear_impulses(dataclasses.replace(state, joints=joints))


def remove_thruster(state: SimState, thruster: jax.Array | int) -> SimState:
    """Empties a thruster slot."""
    return dataclasses.replace(state, thrusters=_set(state.thrusters, thruster, active=False))


def remove_body(state: SimState, body: jax.Array | int) -> SimState:
    """Empties a body's slot, and those of all joints and thrusters on it."""
    joints, thrusters = state.joints, state.thrusters
    kept = joints.active & (joints.body_a != body) & (joints.body_b != body)
    pushing = thrusters.active & (thrusters.body != body)
    state = dataclasses.replace(
        _set(state, body, active=False),
        joints=dataclasses.replace(joints, active=kept),
        thrusters=dataclasses.replace(thrusters, active=pushing),
    )
    return clear_impulses(state)


def set_gravity(state: SimState, gravity: jax.Array) -> SimState:
    """Sets the acceleration of all movable bodies, `[2]` m/s^2."""
    return dataclasses.replace(state, gravity=jnp.asarray(gravity, state.gravity.dtype))
