"""What random levels look like and how they play, by the names of the reference figures."""

from __future__ import annotations

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from kinetix_py.env.game import contact_outcomes, outcome
from kinetix_py.spec import BLUE, GREEN, NONE, RED

REFERENCE = pathlib.Path(__file__).resolve().parents[3] / "shared" / "reference"
HOLD = 8


def reference(size):
    """Means over levels of Kinetix's own generator."""
    return json.loads((REFERENCE / f"random_{size}.json").read_text())


def structure(levels, spec):
    """Means over a batch of levels; the walls are not counted."""
    sim = jax.tree.map(np.asarray, levels.sim)
    role = np.asarray(levels.role)
    active = sim.active.copy()
    active[:, : spec.walls] = False
    movable = active & (sim.inverse_mass > 0)
    mass = 1 / sim.inverse_mass[movable]
    joints = sim.joints
    shapes = lambda which: (active & (role == which)).sum() / len(role)
    per_level = lambda flags: float(flags.sum() / len(role))
    return {
        "polygons": per_level(active[:, : spec.num_polygons]),
        "circles": per_level(active[:, spec.num_polygons :]),
        "immovable_fraction": 1 - movable.sum() / active.sum(),
        "mean_mass": float(mass.mean()),
        "joints": per_level(joints.active),
        "revolute": per_level(joints.active & ~joints.fixed),
        "motors": per_level(joints.active & joints.motor_on),
        "limited": per_level(joints.active & joints.limits_on),
        "thrusters": per_level(sim.thrusters.active),
        "red_shapes": shapes(RED),
        "green_shapes": shapes(GREEN),
        "blue_shapes": shapes(BLUE),
        "red_floor": float((role[:, 0] == RED).mean()),
        "blue_floor": float((role[:, 0] == BLUE).mean()),
    }


@functools.partial(jax.jit, static_argnames=("spec", "steps"))
def end_of_episodes(levels, actions, spec, steps=256):
    """Plays actions `[steps / HOLD, batch, bindings]` with frame skip 2.

    Returns:
      outcome int `[batch]` (1 solved, -1 lost, 0 neither) and the environment step of the end `[batch]`.
    """
    meaning = contact_outcomes(levels.role, spec.sim)
    motors = jnp.take_along_axis(actions, levels.motor_binding[None], axis=2)
    thrusters = spec.num_motor_bindings + levels.thruster_binding
    values = jnp.concatenate([motors, jnp.take_along_axis(actions, thrusters[None], axis=2)], axis=2)
    step = jax.vmap(lambda s, a: jax2d.step(s, a, jax2d.SimParams(), spec.sim))

    def frame(index, carried):
        states, result, end = carried
        states, contacts = step(states, values[index // (2 * HOLD)])
        now = jnp.where(result != 0, result, outcome(contacts.active, meaning))
        return states, now, jnp.where((result == 0) & (now != 0), index // 2, end)

    batch = levels.role.shape[:1]
    start = levels.sim, jnp.zeros(batch, jnp.int32), jnp.full(batch, steps, jnp.int32)
    return jax.lax.fori_loop(0, 2 * steps, frame, start)[1:]


def random_actions(seed, draws, count, spec):
    """Multi-discrete actions as values: `[draws, count, bindings]`."""
    rng = np.random.default_rng(seed)
    motors = rng.integers(-1, 2, (draws, count, spec.num_motor_bindings))
    thrusters = rng.integers(0, 2, (draws, count, spec.num_thruster_bindings))
    return jnp.asarray(np.concatenate([motors, thrusters], axis=-1), jnp.float32)


def weights(levels, expected):
    """So much does each level count if floors are to be as often red, blue and plain as in the reference.

    Both numbers of floors are draws of the same chances, and they move the outcomes: a red floor is mostly
    lost. Post-stratification takes that noise out of the comparison.
    """
    floor = np.asarray(levels.role)[:, 0]
    shares = {RED: expected["red_floor"], BLUE: expected["blue_floor"]}
    shares[NONE] = 1 - sum(shares.values())
    return sum((floor == which) * share / (floor == which).mean() for which, share in shares.items())


def play(levels, spec, expected):
    """How often doing nothing and random actions solve or lose, on floors as in the reference."""
    count, weight = levels.role.shape[0], weights(levels, expected)
    mean = lambda flags, where: float(np.average(flags[where], weights=weight[where]))
    actions = random_actions(0, 256 // HOLD, count, spec)
    result, end = map(np.asarray, end_of_episodes(levels, jnp.zeros_like(actions), spec))
    kept = ~((result == 1) & (end < 64))
    tried = np.asarray(end_of_episodes(levels, actions, spec)[0])
    whole = slice(None)
    return {
        "noop_solves_64": mean((result == 1) & (end < 64), whole),
        "noop_loses_64": mean((result == -1) & (end < 64), whole),
        "noop_solves_256_of_kept": mean(result == 1, kept),
        "noop_loses_256_of_kept": mean(result == -1, kept),
        "random_actions_solve_256_of_kept": mean(tried == 1, kept),
        "random_actions_lose_256_of_kept": mean(tried == -1, kept),
    }
