"""First states of episodes."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.env.game import distance_left
from kinetix_py.env.progress import start_progress
from kinetix_py.env.types import EnvState, body_motion
from kinetix_py.levels.level import Level


def initial_state(level: Level, index: jax.Array | int = -1) -> EnvState:
    """Returns the first state of an episode.

    Args:
      level: one level.
      index: its index in a batch of levels; -1 if it is of none.
    """
    sim = jax2d.edit.clear_impulses(level.sim)
    connected = jax2d.connected(sim)
    rules = level.rules
    progress = None if rules is None else start_progress(rules, sim, level.labels.role)
    return EnvState(
        sim=sim,
        labels=level.labels,
        initial=body_motion(sim),
        component=jnp.argmax(connected, axis=1).astype(jnp.int32),
        touching_slots=jnp.zeros(sim.contact_impulse.shape[:1], bool),
        step_count=jnp.int32(0),
        distance=distance_left(sim, level.labels.role, rules, progress),
        episode_return=jnp.float32(0),
        level_index=jnp.asarray(index, jnp.int32),
        size=level.size,
        rules=rules,
        progress=progress,
    )


def same_level_again(state: EnvState) -> EnvState:
    """Returns the first state of another episode of the same level, whose joints are not searched anew."""
    sim, rules = state.level.sim, state.rules
    progress = None if rules is None else start_progress(rules, sim, state.labels.role)
    return dataclasses.replace(
        state,
        sim=sim,
        touching_slots=jnp.zeros_like(state.touching_slots),
        step_count=jnp.int32(0),
        distance=distance_left(sim, state.labels.role, rules, progress),
        episode_return=jnp.float32(0),
        progress=progress,
    )
