"""The game: green should touch blue and must not touch red."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import jax2d
from jax2d.queries import body_pairs
from kinetix_py.env.progress import (
    Progress,
    advance,
    center_distances,
    frozen,
    held_in_place,
    switched_controls,
    way_to_go,
)
from kinetix_py.env.types import MOTION_FIELDS, EnvState
from kinetix_py.levels.rules import Rules
from kinetix_py.roles import BLUE, GREEN, RED


def slot_outcomes(role: jax.Array, spec: jax2d.SimSpec) -> jax.Array:
    """Returns the meaning of a touch in each contact slot: +1 solved, -1 failed, 0 nothing.

    Args:
      role: int32 `[..., N]` roles of the bodies.
      spec: engine's spec of the scene.

    Returns:
      int32 `[..., K]`.
    """
    a, b = jax2d.contact_pairs(spec).T
    role_a, role_b = role[..., a], role[..., b]
    other = jnp.where(role_a == GREEN, role_b, jnp.where(role_b == GREEN, role_a, 0))
    return jnp.where(other == BLUE, 1, jnp.where(other == RED, -1, 0))


def outcome(active: jax.Array, slot_outcome: jax.Array) -> jax.Array:
    """Returns how a set of touches ends an episode: +1 solved, -1 failed (which wins), 0 it goes on.

    Args:
      active: bool `[..., K]`, overlapping contact slots.
      slot_outcome: int32 `[..., K]`, from `slot_outcomes`.

    Returns:
      int32 `[...]`.
    """
    severity = jnp.where(slot_outcome == -1, 2, slot_outcome)  # so that one maximum tells of both
    worst = jnp.where(active, severity, 0).max(-1, initial=0)
    return jnp.where(worst == 2, -1, worst)


def goal_distance(sim: jax2d.SimState, role: jax.Array) -> jax.Array:
    """Returns the distance between centers, summed over all pairs of a green and a blue shape.

    Args:
      sim: one scene.
      role: int32 `[N]` roles of its bodies.

    Returns:
      float `[]` m.
    """
    green, blue = (sim.active & (role == which) for which in (GREEN, BLUE))
    return jnp.where(green[:, None] & blue[None], center_distances(sim), 0).sum()


def distance_left(
    sim: jax2d.SimState, role: jax.Array, rules: Rules | None, progress: Progress | None
) -> jax.Array:
    """Returns the distance that green has to go: `goal_distance`, or with rules `way_to_go`; float `[]` m."""
    if rules is None or progress is None:
        return goal_distance(sim, role)
    return way_to_go(sim, role, rules, progress)


def step_by_rules(
    sim: jax2d.SimState,
    controls: jax.Array,
    state: EnvState,
    progress: Progress,
    params: jax2d.SimParams,
    spec: jax2d.SimSpec,
) -> tuple[jax2d.SimState, jax2d.Contacts]:
    """Plays one physics step, in which what waits for a switch is off or held in place.

    Args:
      sim: scene.
      controls: float `[J + T]` of motors, then thrusters.
      state: state before the environment step, of a level with rules.
      progress: progress before the physics step.
      params, spec: as of `jax2d.step`.

    Returns:
      scene and contacts, as `jax2d.step`.
    """
    assert state.rules is not None
    held = held_in_place(sim, state.rules, progress)
    controls = switched_controls(controls, state.rules, progress)
    moved, contacts = jax2d.step(frozen(sim, held), controls, params, spec)
    moved = dataclasses.replace(moved, inverse_mass=sim.inverse_mass, inverse_inertia=sim.inverse_inertia)
    return moved, contacts


def outcome_by_rules(
    active: jax.Array, slot_outcome: jax.Array, state: EnvState, progress: Progress, spec: jax2d.SimSpec
) -> tuple[Progress, jax.Array]:
    """Advances the progress by the touches of one physics step, and tells how they end the episode.

    Args:
      active: bool `[K]`, overlapping contact slots.
      slot_outcome: int32 `[K]`, from `slot_outcomes`.
      state: state before the environment step, of a level with rules.
      progress: progress before the physics step.
      spec: engine's spec of the scene.

    Returns:
      the progress after it; int32 `[]`, +1 the last goal was reached, -1 failed (which wins), 0 it goes on.
    """
    assert state.rules is not None
    touches = body_pairs(active, spec)
    progress, solved = advance(progress, state.rules, state.labels.role, touches, state.sim.active)
    failed = (active & (slot_outcome == -1)).any(-1)
    return progress, jnp.where(failed, -1, jnp.where(solved, 1, 0))


def motion_is_finite(sim: jax2d.SimState) -> jax.Array:
    """Returns whether all positions and velocities of one scene are finite numbers: bool `[]`."""
    return jnp.stack([jnp.isfinite(getattr(sim, name)).all() for name in MOTION_FIELDS]).all()


def touching_bodies(state: EnvState) -> jax.Array:
    """Returns the pairs of bodies that overlapped in the last physics step; none after a reset.

    Args:
      state: one environment.

    Returns:
      bool `[N, N]`, symmetric.
    """
    return body_pairs(state.touching_slots, state.size.sim_spec())
