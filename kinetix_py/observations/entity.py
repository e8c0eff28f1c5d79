"""The entity observation: a table of each kind of entity, references between them, four attention masks."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from kinetix_py.env.game import touching_bodies
from kinetix_py.env.progress import Progress, goals_before
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.levels.rules import NUM_SWITCHES, Rules
from kinetix_py.roles import BLUE, NUM_ROLES

# Angular velocities go through tanh(w / ANGULAR_VELOCITY_SCALE) [rad/s].
ANGULAR_VELOCITY_SCALE = 10.0


def _consecutive(**widths: int | None) -> dict[str, slice]:
    """Returns slices of named columns side by side; the last may have any width, given as None."""
    slices, start = {}, 0
    for name, width in widths.items():
        slices[name] = slice(start, None if width is None else start + width)
        start += width or 0
    return slices


# Columns of `EntityObservation.shapes`: rotation is sine and cosine, angular velocity tanh(w / 10), outline
# the vertices (2 V) and which of them are used (V).
SHAPE_FEATURES = _consecutive(
    position=2,
    velocity=2,
    inverse_mass=1,
    inverse_inertia=1,
    density=1,
    angular_velocity=1,
    role=NUM_ROLES,
    rotation=2,
    friction=1,
    restitution=1,
    gravity=2,
    radius=1,
    kind=2,  # polygon?, circle?
    outline=None,
)
# Columns of `EntityObservation.joints`, seen from one of the two bodies: reference rotation is sine and
# cosine, limits least and greatest rotation, binding a one-hot that inactive motors have too.
JOINT_FEATURES = _consecutive(
    anchor=2,
    other_anchor=2,
    weld=1,
    motor_on=1,
    motor_speed=1,
    motor_power=1,
    limits_on=1,
    limits=2,
    reference_rotation=2,
    motor_auto=1,
    backwards=1,  # seen from body b
    binding=None,
)
# Columns of `EntityObservation.thrusters`: direction is sine and cosine, binding a one-hot.
THRUSTER_FEATURES = _consecutive(anchor=2, direction=2, power=1, binding=None)
# Columns of `EntityObservation.shape_rules`. The first four are 0 but for blue shapes: whether it is the
# shape's turn; how many goals come before it, 0 if it was reached; for how long it must be touched, and the
# share of that for which it has been. Then the switch that it turns on, as one-hot until it is on, and the
# one that it waits for likewise. Joints and thrusters have the last, and whether their binding belongs to the
# agent that observes, and whether the agents are opposed.
SHAPE_RULES = _consecutive(turn=1, before=1, hold=1, held=1, sensor=NUM_SWITCHES, waits_for=NUM_SWITCHES)
ACTUATOR_RULES = _consecutive(waits_for=NUM_SWITCHES, own=1, opposed=1)
GOALS_SCALE = 4.0  # of numbers of goals
HOLD_SCALE = 60.0  # of times that touches last [physics steps]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EntityObservation:
    """A level as sets of entities; rows of unused slots are zero and masked."""

    shapes: jax.Array  # float [N, F], bodies in slot order
    shape_mask: jax.Array  # bool [N]
    joints: jax.Array  # float [2 J, G], from a to b, then from b to a
    joint_mask: jax.Array  # bool [2 J]
    joint_bodies: jax.Array  # int32 [2 J, 2], the body a row starts from, and the other
    thrusters: jax.Array  # float [T, H]
    thruster_mask: jax.Array  # bool [T]
    thruster_body: jax.Array  # int32 [T]
    attention: jax.Array  # bool [4, N, N]: all, same component, joined by a joint, in contact now
    # Of environments with rules only:
    shape_rules: jax.Array | None = None  # float [N, 12]
    joint_rules: jax.Array | None = None  # float [2 J, 6]
    thruster_rules: jax.Array | None = None  # float [T, 6]

    @property
    def rule_tables(self) -> tuple[jax.Array, jax.Array, jax.Array] | None:
        """Features of the rules for shapes, joints and thrusters; None in an environment without rules."""
        if self.shape_rules is None or self.joint_rules is None or self.thruster_rules is None:
            return None
        return self.shape_rules, self.joint_rules, self.thruster_rules


def _stack(features: dict[str, slice], **columns: jax.Array | tuple[jax.Array, ...]) -> jax.Array:
    """Puts named columns side by side, in the order and with the widths of `features`.

    Args:
      features: slice of each name.
      columns: an array `[rows]` or `[rows, width]` for each name, or a tuple of them.

    Returns:
      float `[rows, sum of widths]`.
    """
    parts = []
    for name, place in features.items():
        given = columns.pop(name)
        arrays = given if isinstance(given, tuple) else (given,)
        wide = [array[:, None] if array.ndim == 1 else array for array in arrays]
        width = sum(array.shape[1] for array in wide)
        assert place.stop is None or width == place.stop - place.start, name
        parts += [array.astype(jnp.float32) for array in wide]
    assert not columns, tuple(columns)
    return jnp.concatenate(parts, axis=1)


def _one_hot(index: jax.Array, count: int) -> jax.Array:
    return index[:, None] == jnp.arange(count)[None]


def shape_features(state: EnvState) -> jax.Array:
    """Returns the features of every body, `SHAPE_FEATURES`: float `[N, 21 + 3 V]`."""
    sim, size = state.sim, state.size
    polygons, circles = size.num_polygons, size.num_circles
    circle = jnp.arange(size.num_bodies) >= polygons
    used = jnp.arange(size.max_vertices)[None] < sim.num_vertices[:, None]
    outline = jnp.concatenate(
        [jnp.where(used[..., None], sim.vertices, 0).reshape(polygons, -1), used.astype(jnp.float32)], axis=1
    )
    spread = lambda value, before, after: jnp.pad(value, ((before, after), (0, 0)))
    return _stack(
        SHAPE_FEATURES,
        position=sim.position,
        velocity=sim.velocity,
        inverse_mass=sim.inverse_mass,
        inverse_inertia=sim.inverse_inertia,
        density=state.labels.density,
        angular_velocity=jnp.tanh(sim.angular_velocity / ANGULAR_VELOCITY_SCALE),
        role=_one_hot(state.labels.role, NUM_ROLES),
        rotation=(jnp.sin(sim.rotation), jnp.cos(sim.rotation)),
        friction=sim.friction,
        restitution=sim.restitution,
        gravity=jnp.broadcast_to(sim.gravity[None], sim.position.shape),
        radius=spread(sim.radius[:, None], polygons, 0),
        kind=(~circle, circle),
        outline=spread(outline, 0, circles),
    )


def joint_features(state: EnvState, backwards: bool) -> jax.Array:
    """Returns the features of every joint, `JOINT_FEATURES`: float `[J, 15 + num_motor_bindings]`.

    Args:
      state: state of one environment.
      backwards: seen from body b rather than from body a.
    """
    joints = state.sim.joints
    sign = -1.0 if backwards else 1.0
    here, there = joints.anchor_a, joints.anchor_b
    low, high = joints.min_rotation, joints.max_rotation
    if backwards:
        here, there, low, high = there, here, -high, -low
    return _stack(
        JOINT_FEATURES,
        anchor=here,
        other_anchor=there,
        weld=joints.weld,
        motor_on=joints.motor_on,
        motor_speed=sign * joints.motor_speed,
        motor_power=joints.motor_power,
        limits_on=joints.limits_on,
        limits=(jnp.where(joints.limits_on, low, 0), jnp.where(joints.limits_on, high, 0)),
        reference_rotation=(jnp.sin(sign * joints.reference_rotation), jnp.cos(joints.reference_rotation)),
        motor_auto=state.labels.motor_auto,
        backwards=jnp.full_like(joints.active, backwards),
        binding=_one_hot(state.labels.motor_binding, state.size.num_motor_bindings),
    )


def thruster_features(state: EnvState) -> jax.Array:
    """Returns the features of every thruster, `THRUSTER_FEATURES`: float `[T, 5 + num_thruster_bindings]`."""
    thrusters = state.sim.thrusters
    return _stack(
        THRUSTER_FEATURES,
        anchor=thrusters.anchor,
        direction=(jnp.sin(thrusters.direction), jnp.cos(thrusters.direction)),
        power=thrusters.power,
        binding=_one_hot(state.labels.thruster_binding, state.size.num_thruster_bindings),
    )


def _switches(number: jax.Array, progress: Progress) -> jax.Array:
    """One-hots of the switches, from 1, that are off yet: float `[rows, NUM_SWITCHES]`."""
    return (_one_hot(number - 1, NUM_SWITCHES) & ~progress.on[None]).astype(jnp.float32)


def rule_tables(state: EnvState) -> dict[str, jax.Array]:
    """Returns the tables of `EntityObservation` that tell the rules, by name; none if there are no rules."""
    rules, progress = state.rules, state.progress
    if rules is None or progress is None:
        return {}
    joints, thrusters = state.sim.joints, state.sim.thrusters
    labels = state.labels

    def actuators(
        waits_for: jax.Array, agents: jax.Array, binding: jax.Array, active: jax.Array
    ) -> jax.Array:
        own = (_one_hot(binding, agents.shape[0]) & (agents == 0)[None]).any(1)
        columns = _stack(
            ACTUATOR_RULES,
            waits_for=_switches(waits_for, progress),
            own=own,
            opposed=jnp.broadcast_to(rules.opposed, own.shape),
        )
        return jnp.where(active[:, None], columns, 0)

    joint = actuators(rules.joint_waits_for, rules.motor_agent, labels.motor_binding, joints.active)
    thruster = actuators(
        rules.thruster_waits_for, rules.thruster_agent, labels.thruster_binding, thrusters.active
    )
    return {
        "shape_rules": _shape_rules(state, rules, progress),
        "joint_rules": jnp.concatenate([joint, joint]),
        "thruster_rules": thruster,
    }


def _shape_rules(state: EnvState, rules: Rules, progress: Progress) -> jax.Array:
    """Features of the rules for every body, `SHAPE_RULES`: float `[N, 12]`."""
    blue = state.sim.active & (state.labels.role == BLUE)
    ahead = goals_before(rules, progress, blue)
    of_blue = lambda value: jnp.where(blue, value, 0)
    columns = _stack(
        SHAPE_RULES,
        turn=of_blue(rules.goal == progress.goal),
        before=of_blue(ahead / GOALS_SCALE),
        hold=of_blue(jnp.log2(rules.hold) / np.log2(HOLD_SCALE)),
        held=of_blue(progress.held / rules.hold),
        sensor=_switches(rules.sensor, progress),
        waits_for=_switches(rules.body_waits_for, progress),
    )
    return jnp.where(state.sim.active[:, None], columns, 0)


def attention_masks(state: EnvState) -> jax.Array:
    """Returns the attention masks of bodies: bool `[4, N, N]`; rows and columns of unused slots are False."""
    active = state.sim.active
    both = active[:, None] & active[None]
    linked = state.component[:, None] == state.component[None]
    return both[None] & jnp.stack([both, linked, jax2d.joint_adjacency(state.sim), touching_bodies(state)])


def entity_observation(state: EnvState, params: EnvParams) -> EntityObservation:
    """Observes one environment as sets of entities."""
    joints, thrusters = state.sim.joints, state.sim.thrusters
    masked = lambda table, mask: jnp.where(mask[:, None], table, 0)
    both_ways = jnp.concatenate([joints.active, joints.active])
    tables = [joint_features(state, backwards) for backwards in (False, True)]
    ends = jnp.stack(
        [
            jnp.concatenate([joints.body_a, joints.body_b]),
            jnp.concatenate([joints.body_b, joints.body_a]),
        ],
        axis=1,
    )
    return EntityObservation(
        shapes=masked(shape_features(state), state.sim.active),
        shape_mask=state.sim.active,
        joints=masked(jnp.concatenate(tables), both_ways),
        joint_mask=both_ways,
        joint_bodies=jnp.where(both_ways[:, None], ends, 0),
        thrusters=masked(thruster_features(state), thrusters.active),
        thruster_mask=thrusters.active,
        thruster_body=jnp.where(thrusters.active, thrusters.body, 0),
        attention=attention_masks(state),
        **rule_tables(state),
    )
