"""Proofs that levels can be solved: open-loop plans, and what they achieve."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.env.environment import Environment
from kinetix_py.levels.level import Level

NUDGE = 1e-4  # how far a body is moved to see whether a solution depends on it [m]
NUDGES = 20


class Played(NamedTuple):
    """What became of a batch of plans."""

    outcome: jax.Array  # int32 [B]   1 solved, -1 failed, 0 neither
    length: jax.Array  # int32 [B]    environment steps until the end
    closest: jax.Array  # float [B]   least green-blue distance on the way [m]
    final: jax.Array  # float [B]     green-blue distance at the end [m]


@functools.partial(jax.jit, static_argnums=0)
def play_plans(env: Environment, levels: Level, plans: jax.Array, limit: jax.Array | int) -> Played:
    """Plays one plan on each level of a batch, under the default numbers of the game.

    Args:
      env: without auto-reset, of multi-discrete actions.
      levels: `[B]`, of the environment's size.
      plans: int `[B, T, bindings]`, one action for each environment step.
      limit: environment steps to play, at most `T`; traced.
    """
    _, states = jax.vmap(env.reset, (None, 0))(jax.random.key(0), levels)
    step = jax.vmap(env.step, (None, 0, 0))
    count = plans.shape[0]
    zeros = jnp.zeros(count, jnp.int32)
    distance = states.distance

    def more(carried):
        time, _, running, *_ = carried
        return (time < limit) & running.any()

    def advance(carried):
        time, states, running, outcome, length, closest, final = carried
        action = jax.lax.dynamic_index_in_dim(plans, time, 1, keepdims=False).astype(jnp.int32)
        _, states, _, done, info = step(jax.random.key(0), states, action)
        result = info["solved"].astype(jnp.int32) - info["failed"].astype(jnp.int32)
        outcome = jnp.where(running, result, outcome)
        length = length + running
        closest = jnp.where(running, jnp.minimum(closest, info["distance"]), closest)
        final = jnp.where(running, info["distance"], final)
        return time + 1, states, running & ~done, outcome, length, closest, final

    start = (jnp.int32(0), states, zeros == 0, zeros, zeros, distance, distance)
    _, _, _, outcome, length, closest, final = jax.lax.while_loop(more, advance, start)
    return Played(outcome, length, closest, final)


def nudged(level: Level, count: int = NUDGES, seed: int = 0) -> Level:
    """Copies of one level whose movable bodies start `NUDGE` from their places, each in its own direction.

    Args:
      level: one level.
      count: copies.
      seed: of the directions.

    Returns:
      levels on the host, `[count]`.
    """
    host = jax.tree.map(np.asarray, level)
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, len(host.labels.role)))
    shift = NUDGE * np.stack([np.cos(angle), np.sin(angle)], -1) * (host.sim.inverse_mass > 0)[:, None]
    copies = jax.tree.map(lambda value: np.repeat(value[None], count, 0), host)
    position = (copies.sim.position + shift).astype(np.float32)
    return _with_position(copies, position)


def _with_position(levels: Level, position: np.ndarray) -> Level:
    sim: Any = dataclasses.replace(levels.sim, position=cast(Any, position))  # on the host, as the rest
    return dataclasses.replace(levels, sim=sim)


def as_plan(solution: list[list[int]], steps: int) -> np.ndarray:
    """A solution with no-ops after its end: int8 `[steps, bindings]`.

    Raises:
      ValueError: it is longer than that, or empty.
    """
    rows = np.asarray(solution, np.int8)
    if not 0 < len(rows) <= steps:
        raise ValueError(f"a solution must have 1 .. {steps} actions, got {len(rows)}")
    return np.concatenate([rows, np.zeros((steps - len(rows), rows.shape[1]), np.int8)])
