"""Kinetix's level files and the rollouts its engine made of them, as this engine's arrays."""

from __future__ import annotations

import functools
import json
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jax2d

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"
ROLLOUTS = SHARED / "reference" / "rollouts"
LEVELS = SHARED / "kinetix_levels"
FRAME_SKIP = 2
TIME_LIMIT = 256
MOTOR_ACTIONS = np.array([0, 1, -1], np.float32)


class Level(NamedTuple):
    spec: jax2d.SimSpec
    state: jax2d.SimState
    roles: np.ndarray  # [N], 1 green, 2 blue, 3 red
    motor_bindings: np.ndarray  # [J]
    thruster_bindings: np.ndarray  # [T]


class Rollout(NamedTuple):
    name: str
    level: Level
    actions: np.ndarray  # float32 [33, 256, joints + thrusters], by environment step
    expected: dict[str, np.ndarray]


def _vector(value: dict[str, float]) -> list[float]:
    return [value["0"], value["1"]]


def _column(rows: list[dict], name: str, dtype=np.float32) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype)


def _vectors(rows: list[dict], name: str) -> np.ndarray:
    return np.array([_vector(row[name]) for row in rows], np.float32).reshape(-1, 2)


def read_level(path: pathlib.Path) -> Level:
    """Reads a level in Kinetix's own JSON."""
    content = json.loads(path.read_text())
    scene, sizes = content["env_state"], content["static_env_params"]
    joints, thrusters = scene["joint"], scene["thruster"]
    polygons, circles = scene["polygon"], scene["circle"]
    bodies = polygons + circles
    spec = jax2d.SimSpec(
        num_polygons=len(polygons),
        num_circles=len(circles),
        num_joints=len(joints),
        num_thrusters=len(thrusters),
        max_vertices=sizes["max_polygon_vertices"],
        num_walls=sizes["num_static_fixated_polys"],
        contact_order="kinetix",
    )
    state = jax2d.SimState(
        position=_vectors(bodies, "position"),
        rotation=_column(bodies, "rotation"),
        velocity=_vectors(bodies, "velocity"),
        angular_velocity=_column(bodies, "angular_velocity"),
        inverse_mass=_column(bodies, "inverse_mass"),
        inverse_inertia=_column(bodies, "inverse_inertia"),
        friction=_column(bodies, "friction"),
        restitution=_column(bodies, "restitution"),
        collision_mode=_column(bodies, "collision_mode", np.int32),
        active=_column(bodies, "active", bool),
        vertices=np.array(
            [[_vector(p["vertices"][str(i)]) for i in range(spec.max_vertices)] for p in polygons],
            np.float32,
        ),
        num_vertices=_column(polygons, "n_vertices", np.int32),
        radius=_column(circles, "radius"),
        gravity=np.array(_vector(scene["gravity"]), np.float32),
        joints=jax2d.Joints(
            body_a=_column(joints, "a_index", np.int32),
            body_b=_column(joints, "b_index", np.int32),
            anchor_a=_vectors(joints, "a_relative_pos"),
            anchor_b=_vectors(joints, "b_relative_pos"),
            reference_rotation=_column(joints, "rotation"),
            active=_column(joints, "active", bool),
            weld=_column(joints, "is_fixed_joint", bool),
            motor_on=_column(joints, "motor_on", bool),
            motor_speed=_column(joints, "motor_speed"),
            motor_power=_column(joints, "motor_power"),
            limits_on=_column(joints, "motor_has_joint_limits", bool),
            min_rotation=_column(joints, "min_rotation"),
            max_rotation=_column(joints, "max_rotation"),
        ),
        thrusters=jax2d.Thrusters(
            body=_column(thrusters, "object_index", np.int32),
            anchor=_vectors(thrusters, "relative_position"),
            direction=_column(thrusters, "rotation"),
            power=_column(thrusters, "power"),
            active=_column(thrusters, "active", bool),
        ),
        contact_impulse=np.zeros((jax2d.num_contacts(spec), 2), np.float32),
        joint_impulse=np.zeros((spec.num_joints, 3), np.float32),
    )
    return Level(
        spec,
        state,
        _column(bodies, "role", np.int32),
        _column(joints, "motor_binding", np.int32),
        _column(thrusters, "thruster_binding", np.int32),
    )


def read_rollout(path: pathlib.Path) -> Rollout:
    """Reads a recorded rollout and the level it was made of."""
    folder = next(f for f in ("m_variants", "m", "s") if path.name.startswith(f + "_"))
    level = read_level(LEVELS / folder / f"{path.stem[len(folder) + 1 :]}.json")
    expected = dict(np.load(path))
    hold = TIME_LIMIT // expected["actions"].shape[1]
    actions = np.repeat(expected["actions"], hold, axis=1)
    motors, thrusters = MOTOR_ACTIONS[actions[..., :4]], actions[..., 4:]
    # A binding in an unused slot may be out of range; such a slot ignores its action.
    motors = motors[..., np.minimum(level.motor_bindings, 3)]
    thrusters = thrusters[..., np.minimum(level.thruster_bindings, 1)]
    return Rollout(path.stem, level, np.concatenate([motors, thrusters], -1).astype(np.float32), expected)


@functools.partial(jax.jit, static_argnames=("spec", "steps"))
def _play(states, actions, solves, loses, spec, steps):
    params = jax2d.SimParams()

    def frame(states, actions):
        states, contacts = jax.vmap(lambda s, a: jax2d.step(s, a, params, spec))(states, actions)
        solved, lost = ((contacts.active & which).any(axis=1) for which in (solves, loses))
        return states, jnp.where(lost, -1, jnp.where(solved, 1, 0))

    def environment_step(states, actions):
        outcome = jnp.zeros(actions.shape[0], int)
        for _ in range(FRAME_SKIP):
            states, now = frame(states, actions)
            outcome = jnp.where(outcome != 0, outcome, now)
        return states, (states.position, outcome)

    return jax.lax.scan(environment_step, states, actions, length=steps)[1]


def play(rollouts: list[Rollout]) -> tuple[np.ndarray, np.ndarray]:
    """Plays rollouts of one spec in one batch.

    Returns:
      positions `[rollouts, 33, 256, N, 2]` after, and outcomes `[rollouts, 33, 256]` of, each step.
    """
    spec = rollouts[0].level.spec
    tries = rollouts[0].actions.shape[0]
    a, b = jax2d.contact_pairs(spec).T
    roles = np.stack([rollout.level.roles for rollout in rollouts])
    meets = lambda x, y: (roles[:, a] == x) & (roles[:, b] == y) | (roles[:, a] == y) & (roles[:, b] == x)
    repeat = lambda value: np.repeat(value, tries, axis=0)
    states = jax.tree.map(lambda *leaves: repeat(np.stack(leaves)), *(r.level.state for r in rollouts))
    actions = np.concatenate([rollout.actions for rollout in rollouts]).swapaxes(0, 1)
    position, outcome = _play(
        states, actions, repeat(meets(1, 2)), repeat(meets(1, 3)), spec, actions.shape[0]
    )
    shape = (len(rollouts), tries)
    by_try = lambda value: np.moveaxis(np.asarray(value), 0, 1).reshape(*shape, -1, *value.shape[2:])
    return by_try(position), by_try(outcome)
