"""Times `step_batch`, batch-last on one device; prints one JSON line.

python -m tools.time_step l 128               128 crowded scenes of size L
python -m tools.time_step l 256 levels        256 random levels

Run with PYTHONPATH set to other checkouts, in turn, it tells what a change did to the speed.
"""

from __future__ import annotations

import argparse
import json

import jax
import jax.numpy as jnp

import jax2d
from agents.benchmark.engine import level_scenes
from agents.benchmark.measure import measure
from agents.benchmark.scenes import SIZES, random_actions, random_scenes


def time_step(size: str, count: int, scenes: str = "boxes", steps: int = 32) -> dict:
    """Steps random scenes ("boxes") or levels ("levels") and returns a report, ready for JSON."""
    spec = SIZES[size]
    last = lambda tree: jax.tree.map(lambda value: jnp.moveaxis(jnp.asarray(value), 0, -1), tree)
    states = last(level_scenes(0, count, size) if scenes == "levels" else random_scenes(0, count, spec))
    actions = jnp.moveaxis(jnp.asarray(random_actions(0, steps, count, spec)), 1, -1)
    params = jax2d.SimParams()

    def rollout(states, actions):
        advance = lambda s, a: (jax2d.step_batch(s, a, params, spec, batch_axis=-1)[0], None)
        return jax.lax.scan(advance, states, actions)[0]

    result = measure(jax.jit(rollout), (states, actions), steps, count)
    del result["compiled"]
    result["microseconds_per_scene"] = round(1e6 / result["steps_per_second_best"], 2)
    return {"size": size, "num_envs": count, "scenes": scenes} | result


def main() -> None:
    """Prints the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("size", choices=tuple(SIZES))
    parser.add_argument("count", type=int, help="scenes stepped at once")
    parser.add_argument("scenes", nargs="?", choices=("boxes", "levels"), default="boxes")
    options = parser.parse_args()
    print(json.dumps(time_step(options.size, options.count, options.scenes)))


if __name__ == "__main__":
    main()
