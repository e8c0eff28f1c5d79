"""The benchmark's scenes in Chipmunk, the C engine that is used from Python as pymunk."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import numpy as np

import jax2d

PARAMS = jax2d.SimParams()


@dataclasses.dataclass(frozen=True)
class Scene:
    """A scene in pymunk, and what its actions change."""

    space: Any
    bodies: list[Any]  # by body index; one that is not in use has no shape
    motors: list[tuple[int, Any, float]]  # action, SimpleMotor, rad/s at action 1
    thrusters: list[tuple[int, Any, tuple[float, float], tuple[float, float]]]  # action, body, force, point

    def step(self, actions: list[float]) -> None:
        """Advances the scene by one step under actions."""
        self.drive(actions)
        self.advance(actions)

    def drive(self, actions: list[float]) -> None:
        """Sets the motors, which keep their rates until they are set again."""
        for index, motor, speed in self.motors:
            motor.rate = speed * actions[index]

    def advance(self, actions: list[float]) -> None:
        """Applies the thrusters' forces, which last for one step, and steps."""
        for index, body, (x, y), point in self.thrusters:
            if actions[index]:
                body.apply_force_at_local_point((x * actions[index], y * actions[index]), point)
        self.space.step(PARAMS.dt)


def import_pymunk() -> Any:
    """Imports pymunk.

    Raises:
      ImportError: it is not installed.
    """
    try:
        import pymunk
    except ImportError as error:
        raise ImportError("pymunk is not installed; `pip install pymunk` brings it") from error
    return pymunk


def to_chipmunk(state: jax2d.SimState, spec: jax2d.SimSpec, labels: np.ndarray) -> Scene:
    """Builds a scene of numpy arrays in pymunk, with as many solver iterations as `spec` has.

    Frictions and restitutions of two bodies are multiplied there; a body gets the root of what two of its
    kind have here. Motors and joint limits have no soft range there, and welds are a pivot and a gear.

    Args:
      state: one scene.
      spec: sizes and solver.
      labels: `[N]`, of the components that joints make; bodies of one do not collide.
    """
    pymunk = import_pymunk()
    space = pymunk.Space()
    space.gravity = tuple(map(float, state.gravity))
    space.iterations, space.collision_slop = spec.solver_iterations, PARAMS.slop
    bodies: list[Any] = []
    for i in range(spec.num_bodies):
        mass, inertia = float(state.inverse_mass[i]), float(state.inverse_inertia[i])
        body = pymunk.Body(1 / mass, 1 / inertia) if mass > 0 else pymunk.Body(body_type=pymunk.Body.STATIC)
        bodies.append(body)
        body.position, body.angle = tuple(map(float, state.position[i])), float(state.rotation[i])
        if mass > 0:
            body.velocity = tuple(map(float, state.velocity[i]))
            body.angular_velocity = float(state.angular_velocity[i])
        if not state.active[i]:
            continue
        if i < spec.num_polygons:
            corners = state.vertices[i, : state.num_vertices[i]].tolist()
            shape = pymunk.Poly(body, corners)
        else:
            shape = pymunk.Circle(body, float(state.radius[i - spec.num_polygons]))
        # Mode 2 collides with all modes, mode 1 with 1 and 2, mode 0 with 2.
        mode = int(state.collision_mode[i])
        shape.filter = pymunk.ShapeFilter(int(labels[i]) + 1, 1 << mode, (0b100, 0b110, 0b111)[mode])
        shape.friction = (PARAMS.base_friction * 2**0.5 * float(state.friction[i])) ** 0.5
        shape.elasticity = float(state.restitution[i]) ** 0.5
        space.add(body, shape)
    motors = _add_joints(pymunk, space, bodies, state.joints)
    return Scene(space, bodies, motors, _thrusters(bodies, state.thrusters, spec))


def _add_joints(pymunk: Any, space: Any, bodies: list, joints: jax2d.Joints) -> list[tuple[int, Any, float]]:
    """Adds the joints between bodies of which one can move; returns the motors."""
    motors = []
    for i in np.flatnonzero(joints.active):
        a, b = bodies[joints.body_a[i]], bodies[joints.body_b[i]]
        if a.body_type == b.body_type == pymunk.Body.STATIC:
            continue
        anchors = (tuple(map(float, anchor[i])) for anchor in (joints.anchor_a, joints.anchor_b))
        parts = [pymunk.PivotJoint(a, b, *anchors)]
        reference = float(joints.reference_rotation[i])
        if joints.weld[i]:
            parts.append(pymunk.GearJoint(a, b, reference, 1))
        elif joints.limits_on[i]:
            limits = (reference + float(limit[i]) for limit in (joints.min_rotation, joints.max_rotation))
            parts.append(pymunk.RotaryLimitJoint(a, b, *limits))
        if joints.motor_on[i] and not joints.weld[i]:
            motor = pymunk.SimpleMotor(a, b, 0)
            inertia = 1 / sum(1 / body.moment for body in (a, b) if body.body_type == pymunk.Body.DYNAMIC)
            motor.max_force = PARAMS.base_motor_power * float(joints.motor_power[i]) * inertia
            motors.append((int(i), motor, -float(PARAMS.base_motor_speed) * float(joints.motor_speed[i])))
            parts.append(motor)
        space.add(*parts)
    return motors


def _thrusters(bodies: list, thrusters: jax2d.Thrusters, spec: jax2d.SimSpec) -> list:
    """Lists the thrusters on bodies that can move."""
    found = []
    for i in np.flatnonzero(thrusters.active):
        body = bodies[thrusters.body[i]]
        if body.body_type == type(body).DYNAMIC:
            force = PARAMS.base_thruster_power * float(thrusters.power[i])
            angle = float(thrusters.direction[i])
            along = (force * float(np.cos(angle)), force * float(np.sin(angle)))
            found.append((spec.num_joints + int(i), body, along, tuple(map(float, thrusters.anchor[i]))))
    return found


def time_chipmunk(
    states: jax2d.SimState, actions: np.ndarray, spec: jax2d.SimSpec, rounds: int = 3
) -> dict[str, Any]:
    """Times Chipmunk on scenes, calls from Python included.

    As it likes best: one scene is stepped to its end before the next, and motors are set only when their
    actions change.

    Args:
      states: scenes with a leading axis.
      actions: float `[steps, scenes, actions]`.
      spec: sizes and solver.
      rounds: how often; each starts from the same states, and their median counts.

    Returns:
      Numbers by name.
    """
    pymunk = import_pymunk()
    states = jax.tree.map(np.asarray, states)
    labels = np.asarray(jax.jit(jax.vmap(jax2d.connected))(states)).argmax(-1)
    controls = np.swapaxes(actions, 0, 1).tolist()
    changes = np.any(np.diff(actions, axis=0, prepend=np.nan) != 0, axis=-1).T.tolist()
    seconds = []
    for _ in range(rounds):
        scenes = [
            to_chipmunk(jax.tree.map(lambda value, i=i: value[i], states), spec, labels[i])
            for i in range(len(labels))
        ]
        start = time.perf_counter()
        for scene, of_steps, changed in zip(scenes, controls, changes, strict=True):
            for action, is_new in zip(of_steps, changed, strict=True):
                if is_new:
                    scene.drive(action)
                scene.advance(action)
        seconds.append(time.perf_counter() - start)
    count = len(actions) * len(labels)
    return {
        "engine": f"pymunk {pymunk.version}",
        "steps_per_second": round(count / float(np.median(seconds))),
        "steps_per_second_best": round(count / min(seconds)),
    }
