"""Statistics of random levels: their content, and their outcomes in play.

Everything is given as samples, one value for each level or shape, so that a mean has its standard error.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from kinetix_py.env.game import outcome, slot_outcomes
from kinetix_py.levels.level import Level
from kinetix_py.roles import BLUE, GREEN, RED
from kinetix_py.sizes import LevelSize

HOLD = 8  # environment steps for which a random action is held
BLOCK = 1024  # levels that are played at a time
NOOP_STEPS = 64  # environment steps within which a level that doing nothing solves is thrown away
Samples = dict[str, np.ndarray]


def structure(levels: Level) -> Samples:
    """Samples of what levels (a batch) are made of; the walls are not counted."""
    sim = jax.tree.map(np.asarray, levels.sim)
    role, size = np.asarray(levels.labels.role), levels.size
    active = sim.active.copy()
    active[:, : size.num_walls] = False
    movable = sim.inverse_mass > 0
    joints = sim.joints
    return {
        "polygons": active[:, : size.num_polygons].sum(axis=1),
        "circles": active[:, size.num_polygons :].sum(axis=1),
        "static_fraction": ~movable[active],
        "mean_mass": 1 / sim.inverse_mass[active & movable],
        "joints": joints.active.sum(axis=1),
        "revolute": (joints.active & ~joints.weld).sum(axis=1),
        "motors": (joints.active & joints.motor_on).sum(axis=1),
        "limited": (joints.active & joints.limits_on).sum(axis=1),
        "thrusters": sim.thrusters.active.sum(axis=1),
        "red_shapes": (active & (role == RED)).sum(axis=1),
        "green_shapes": (active & (role == GREEN)).sum(axis=1),
        "blue_shapes": (active & (role == BLUE)).sum(axis=1),
        "red_floor": role[:, 0] == RED,
        "blue_floor": role[:, 0] == BLUE,
    }


@functools.partial(jax.jit, static_argnames="steps")
def end_of_episodes(levels: Level, actions: jax.Array, steps: int = 256) -> tuple[jax.Array, jax.Array]:
    """Plays actions `[steps / HOLD, batch, bindings]` with frame skip 2.

    Returns:
      outcome int `[batch]` (1 solved, -1 failed, 0 neither) and the environment step of the end `[batch]`.
    """
    spec, labels = levels.size.sim_spec(), levels.labels
    meaning = slot_outcomes(labels.role, spec)
    motors = jnp.take_along_axis(actions, labels.motor_binding[None], axis=2)
    thrusters = levels.size.num_motor_bindings + labels.thruster_binding
    values = jnp.concatenate([motors, jnp.take_along_axis(actions, thrusters[None], axis=2)], axis=2)
    step = jax.vmap(lambda s, a: jax2d.step(s, a, jax2d.SimParams(), spec))

    def frame(index, carried):
        states, result, end = carried
        states, contacts = step(states, values[index // (2 * HOLD)])
        now = jnp.where(result != 0, result, outcome(contacts.active, meaning))
        return states, now, jnp.where((result == 0) & (now != 0), index // 2, end)

    batch = levels.batch_shape
    start = levels.sim, jnp.zeros(batch, jnp.int32), jnp.full(batch, steps, jnp.int32)
    return jax.lax.fori_loop(0, 2 * steps, frame, start)[1:]


def random_actions(seed: int, draws: int, count: int, size: LevelSize) -> jax.Array:
    """Multi-discrete actions as values: `[draws, count, bindings]`."""
    rng = np.random.default_rng(seed)
    motors = rng.integers(-1, 2, (draws, count, size.num_motor_bindings))
    thrusters = rng.integers(0, 2, (draws, count, size.num_thruster_bindings))
    return jnp.asarray(np.concatenate([motors, thrusters], axis=-1), jnp.float32)


def play(levels: Level, seed: int = 0) -> tuple[Samples, np.ndarray]:
    """Outcomes of doing nothing and of random actions, for a batch of levels.

    Returns:
      samples of 0 and 1, and which levels `[batch]` are kept: doing nothing does not solve them at once. What
      is told of kept levels has samples for those alone.
    """
    count = levels.batch_shape[0]
    actions = random_actions(seed, 256 // HOLD, count, levels.size)
    ends = []
    for start in range(0, count, BLOCK):
        part = slice(start, start + BLOCK)
        block, moves = jax.tree.map(lambda value, part=part: value[part], levels), actions[:, part]
        result, end = end_of_episodes(block, jnp.zeros_like(moves))
        ends.append(np.stack([result, end, end_of_episodes(block, moves)[0]]))
    result, end, tried = np.concatenate(ends, axis=1)
    soon = end < NOOP_STEPS
    kept = ~((result == 1) & soon)
    samples = {
        f"noop_solves_{NOOP_STEPS}": (result == 1) & soon,
        f"noop_loses_{NOOP_STEPS}": (result == -1) & soon,
        "noop_solves_256_of_kept": result[kept] == 1,
        "noop_loses_256_of_kept": result[kept] == -1,
        "random_actions_solve_256_of_kept": tried[kept] == 1,
        "random_actions_lose_256_of_kept": tried[kept] == -1,
    }
    return samples, kept
