"""Open-loop solutions of levels: fixed action sequences, and how they fare from perturbed starts."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.env.environment import Environment
from kinetix_py.env.episodes import EpisodeResults, action_sequence, play_episodes
from kinetix_py.levels.level import Level

PERTURBATION = 1e-4  # distance by which a body is moved to see whether a solution depends on it [m]
NUM_PERTURBED = 20


@functools.partial(jax.jit, static_argnums=0)
def play_sequences(
    env: Environment, levels: Level, actions: jax.Array, limit: jax.Array | int | None = None
) -> EpisodeResults:
    """Plays one action sequence on each level of a batch, with the default numbers of the game.

    Args:
      env: environment without auto-reset, of multi-discrete actions; static.
      levels: batch of levels `[B]`.
      actions: int `[B, T, bindings]`, one action for each environment step.
      limit: environment steps to play, at most `T`; traced, `T` if None.
    """
    actions = actions.astype(jnp.int32)
    act = action_sequence(actions)
    results = play_episodes(
        jax.random.key(0), env, levels, act, jnp.int32(0), max_steps=actions.shape[1], limit=limit
    )
    return results._replace(carry=())


def perturbed(level: Level, count: int = NUM_PERTURBED, seed: int = 0) -> Level:
    """Returns copies of a level whose movable bodies start `PERTURBATION` away, each in its own direction.

    Args:
      level: one level.
      count: number of copies.
      seed: seed of the directions.

    Returns:
      levels on the host, `[count]`.
    """
    host = jax.tree.map(np.asarray, level)
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, level.size.num_bodies))
    offset = PERTURBATION * np.stack([np.cos(angle), np.sin(angle)], -1)
    offset *= (host.sim.inverse_mass > 0)[:, None]
    copies = jax.tree.map(lambda value: np.repeat(value[None], count, 0), host)
    position: Any = (copies.sim.position + offset).astype(np.float32)  # on the host, as the rest
    return dataclasses.replace(copies, sim=dataclasses.replace(copies.sim, position=cast(Any, position)))


def padded_actions(solution: Any, steps: int) -> np.ndarray:
    """Returns a solution with no-ops after its end: int8 `[steps, bindings]`.

    Args:
      solution: multi-discrete actions `[1 .. steps, bindings]`.
      steps: number of rows of the result.

    Raises:
      ValueError: it is longer than that, or empty.
    """
    rows = np.asarray(solution, np.int8)
    if not 0 < len(rows) <= steps:
        raise ValueError(f"a solution must have 1 .. {steps} actions, got {len(rows)}")
    return np.concatenate([rows, np.zeros((steps - len(rows), rows.shape[1]), np.int8)])
