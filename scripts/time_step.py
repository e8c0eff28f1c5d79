"""Times `step_batch` of a checkout of this repository; prints one JSON line (see time_commit.sh)."""

from __future__ import annotations

import json
import pathlib
import sys


def main(checkout: str, size: str, count: int, steps: int = 32) -> None:
    """Steps random scenes on one device, batch-last."""
    import measure

    sys.path.insert(0, checkout)
    import jax
    import jax.numpy as jnp

    import jax2d
    from scripts.scenes import SIZES, random_actions, random_scenes

    spec = SIZES[size]
    last = lambda tree: jax.tree.map(lambda value: jnp.moveaxis(jnp.asarray(value), 0, -1), tree)
    states = last(random_scenes(0, count, spec))
    actions = jnp.moveaxis(jnp.asarray(random_actions(0, steps, count, spec)), 1, -1)
    params = jax2d.SimParams()

    def rollout(states, actions):
        advance = lambda s, a: (jax2d.step_batch(s, a, params, spec, batch_axis=-1)[0], None)
        return jax.lax.scan(advance, states, actions)[0]

    result = measure.measure(jax.jit(rollout), (states, actions), steps, count)
    result.pop("compiled")
    result["microseconds_per_scene"] = round(1e6 / result["steps_per_second_best"], 2)
    print(json.dumps({"checkout": pathlib.Path(checkout).name, "size": size, "num_envs": count} | result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
