"""Checks of shapes, made while tracing: before anything is compiled."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jax2d.pairs import num_contacts
from jax2d.params import SimSpec
from jax2d.types import Joints, SimState, Thrusters


def state_shapes(spec: SimSpec) -> SimState:
    """A state whose leaves are the shapes that one scene's arrays must have."""
    # Tuples stand where a state has arrays.
    bodies: Any = (spec.num_bodies,)
    joints: Any = (spec.num_joints,)
    thrusters: Any = (spec.num_thrusters,)

    def pair(shape: tuple[int, ...]) -> Any:
        return (*shape, 2)

    def shape(*sizes: int) -> Any:
        return sizes

    return SimState(
        position=pair(bodies),
        rotation=bodies,
        velocity=pair(bodies),
        angular_velocity=bodies,
        inverse_mass=bodies,
        inverse_inertia=bodies,
        friction=bodies,
        restitution=bodies,
        collision_mode=bodies,
        active=bodies,
        vertices=shape(spec.num_polygons, spec.max_vertices, 2),
        num_vertices=shape(spec.num_polygons),
        radius=shape(spec.num_circles),
        gravity=shape(2),
        joints=Joints(
            body_a=joints,
            body_b=joints,
            anchor_a=pair(joints),
            anchor_b=pair(joints),
            reference_rotation=joints,
            active=joints,
            weld=joints,
            motor_on=joints,
            motor_speed=joints,
            motor_power=joints,
            limits_on=joints,
            min_rotation=joints,
            max_rotation=joints,
        ),
        thrusters=Thrusters(
            body=thrusters,
            anchor=pair(thrusters),
            direction=thrusters,
            power=thrusters,
            active=thrusters,
        ),
        contact_impulse=shape(num_contacts(spec), 2),
        joint_impulse=shape(spec.num_joints, 3),
    )


def check_shapes(
    state: SimState,
    actions: jax.Array,
    spec: SimSpec,
    batch: int | None = None,
    batch_axis: int = 0,
) -> None:
    """Compares the shapes of a state and its actions with those that the spec asks for.

    Raises:
      ValueError: naming the array, its shape and the shape it must have.
    """

    def expect(name: str, value: jax.Array, shape: tuple[int, ...]) -> None:
        if batch is not None:
            shape = (batch, *shape) if batch_axis == 0 else (*shape, batch)
        if jnp.shape(value) != shape:
            raise ValueError(f"{name} has shape {jnp.shape(value)}; {spec} needs {shape}")

    expect("actions", actions, (spec.num_actions,))
    shapes = jax.tree.leaves(state_shapes(spec), is_leaf=lambda leaf: isinstance(leaf, tuple))
    leaves = jax.tree_util.tree_leaves_with_path(state)
    for (path, value), shape in zip(leaves, shapes, strict=True):
        expect(f"state{jax.tree_util.keystr(path)}", value, shape)
