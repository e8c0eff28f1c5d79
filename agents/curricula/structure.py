"""Parts of levels, by which curves show what a curriculum teaches in the course of a run."""

from __future__ import annotations

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.protocol import LevelBatch, Metrics
from kinetix_py.roles import BLUE, GREEN


def level_structure(levels: kx.Level) -> dict[str, jax.Array]:
    """Counts the parts of levels.

    Args:
      levels: levels, leading axis `[B]`.

    Returns:
      float32 `[B]` by name: `shapes` without walls, `static_shapes` among them, `joints`, `motors` (joints
      that have one), `thrusters`, and `goal_distance`, the mean distance of centers between green and blue
      shapes [m].
    """
    sim, role = levels.sim, levels.labels.role
    shapes = sim.active & (jnp.arange(role.shape[-1]) >= levels.size.num_walls)[None]
    count = lambda which: which.sum(axis=-1, dtype=jnp.float32)
    pairs = count(sim.active & (role == GREEN)) * count(sim.active & (role == BLUE))
    distance = jax.vmap(kx.goal_distance)(sim, role)
    return {
        "shapes": count(shapes),
        "static_shapes": count(shapes & (sim.inverse_mass == 0)),
        "joints": count(sim.joints.active),
        "motors": count(sim.joints.active & sim.joints.motor_on),
        "thrusters": count(sim.thrusters.active),
        "goal_distance": distance / jnp.maximum(pairs, 1),
    }


def structure_metrics(batch: LevelBatch) -> Metrics:
    """Averages `level_structure` over the levels that an update learns from; over all if it learns from none.

    Returns:
      float32 `[]` by name, `levels/` before that of `level_structure`.
    """
    learn = jnp.ones(batch.source.shape, bool) if batch.learn is None else batch.learn
    weight = jnp.where(learn.any(), learn, True)
    mean = lambda value: jnp.where(weight, value, 0).sum() / weight.sum()
    return {f"levels/{name}": mean(value) for name, value in level_structure(batch.start).items()}
