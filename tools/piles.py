"""Rest of piles of bodies: prints one JSON line for each order of contacts.

    python -m tools.piles [--num-envs N] [--seconds S] [--seed K]

Each scene drops the 8 boxes and 4 circles of a size L scene, without joints, into a shaft 1.6 m wide.
"""

from __future__ import annotations

import argparse
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from agents.benchmark.scenes import SIZES, random_scenes
from jax2d.geometry import circle_mass, polygon_mass

SHAFT = 1.7  # m that each side wall moves inwards


def piles(seed: int, count: int) -> jax2d.SimState:
    """Scenes with all bodies movable and above each other, in random order: leading axis `count`."""
    spec = SIZES["l"]
    states = random_scenes(seed, count, spec)
    rng = np.random.default_rng(seed)
    walls, free = spec.num_walls, spec.num_bodies - spec.num_walls
    position = states.position.copy()
    position[:, walls:, 0] = rng.uniform(2, 3, (count, free))
    position[:, walls:, 1] = 1 + 0.75 * rng.permuted(np.tile(np.arange(free), (count, 1)), axis=1)
    position[:, 1:3, 0] += [SHAFT, -SHAFT]
    position[:, 3, 1] += 8
    boxes = polygon_mass(states.vertices[:, walls:].astype(float), np.ones(()))
    circles = circle_mass(states.radius.astype(float), 1.0)
    none = np.zeros((count, walls))
    inverse = lambda i: np.concatenate([none, 1 / boxes[i], 1 / circles[i]], axis=1).astype(np.float32)
    off = lambda part: dataclasses.replace(part, active=np.zeros_like(part.active))
    return dataclasses.replace(
        states,
        position=position,
        inverse_mass=inverse(0),
        inverse_inertia=inverse(1),
        active=np.ones_like(states.active),
        joints=off(states.joints),
        thrusters=off(states.thrusters),
    )


def settle(states: jax2d.SimState, seconds: float, order: jax2d.params.ContactOrder) -> dict[str, np.ndarray]:
    """Lets piles fall; mean kinetic energy [J] and deepest overlap [m] of the last second, by scene."""
    spec = dataclasses.replace(SIZES["l"], contact_order=order)
    params, steps = jax2d.SimParams(), round(60 * seconds)

    def advance(states, _):
        step = jax.vmap(lambda state: jax2d.step(state, jnp.zeros(spec.num_actions), params, spec))
        states, contacts = step(states)
        speed = (states.velocity[:, spec.num_walls :] ** 2).sum(axis=-1)
        energy = (speed / states.inverse_mass[:, spec.num_walls :] / 2).sum(axis=-1)
        return states, (energy, jnp.where(contacts.pushing, contacts.penetration, 0).max(axis=-1))

    _, (energy, overlap) = jax.jit(lambda s: jax.lax.scan(advance, s, length=steps))(states)
    return {"kinetic_energy": np.mean(energy[-60:], axis=0), "overlap": np.max(overlap[-60:], axis=0)}


def main() -> None:
    """Runs both orders on the same piles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    for order in jax2d.params.CONTACT_ORDERS:
        result = settle(piles(options.seed, options.num_envs), options.seconds, order)
        quantiles = {
            name: {str(q): round(float(np.quantile(values, q)), 5) for q in (0.5, 0.9, 0.99, 1)}
            for name, values in result.items()
        }
        print(json.dumps({"contact_order": order} | vars(options) | quantiles))


if __name__ == "__main__":
    main()
