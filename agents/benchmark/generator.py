"""Random levels drawn in one call."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.benchmark import measure


def benchmark_generator(
    size: str, num_levels: int, *, filtered: bool = False, seed: int = 0, devices: int = 2
) -> dict[str, Any]:
    """Times the drawing of levels, from one key each, or of filtered ones, from one key a device.

    Args:
      size: "s", "m" or "l".
      num_levels: levels of one call.
      filtered: whether levels that doing nothing solves are replaced by others.
      seed: seed of the levels.
      devices: devices that share the batch, at most.

    Returns:
      a report, ready for JSON.
    """
    params = kx.GeneratorParams()
    num_devices = min(devices, len(jax.devices()))
    count = num_levels // num_devices

    def draw(keys, _):
        if filtered:
            return kx.sample_filtered_levels(keys[0], count, size, params)[0]
        return jax.vmap(lambda key: kx.sample_level(key, size, params))(keys)

    function, place = measure.shard(draw, num_devices)
    keys = jax.random.split(jax.random.PRNGKey(seed), num_devices if filtered else num_levels)
    no_actions = jnp.zeros((1, num_devices))
    result = measure.measure(function, place(keys, no_actions), 1, num_levels)
    del result["compiled"]
    return {
        "benchmark": "generator",
        "size": size,
        "num_levels": num_levels,
        "seed": seed,
        "filtered": filtered,
        "devices_used": num_devices,
        **{name.replace("steps_per", "levels_per"): value for name, value in result.items()},
        **measure.machine(),
    }
