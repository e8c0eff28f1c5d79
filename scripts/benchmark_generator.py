"""`scripts/benchmark.py generator`: random levels drawn in one call."""

from __future__ import annotations

import argparse

from scripts import measure


def generator(options: argparse.Namespace) -> dict:
    """Times the drawing of levels, from one key each, or of filtered ones, from one key a device."""
    import jax
    import jax.numpy as jnp

    from kinetix_py.generator.filters import sample_filtered_levels
    from kinetix_py.generator.params import GeneratorParams
    from kinetix_py.generator.sample import sample_level
    from kinetix_py.spec import SIZES

    spec, params = SIZES[options.size], GeneratorParams()
    num_devices = min(options.devices, len(jax.devices()))
    count = options.num_envs // num_devices

    def draw(keys, _):
        if options.filtered:
            return sample_filtered_levels(keys[0], count, spec, params)[0]
        return jax.vmap(lambda key: sample_level(key, spec, params))(keys)

    function, place = measure.shard(draw, num_devices)
    num_keys = num_devices if options.filtered else options.num_envs
    keys = jax.random.split(jax.random.PRNGKey(options.seed), num_keys)
    no_actions = jnp.zeros((1, num_devices))
    result = measure.measure(function, place(keys, no_actions), 1, options.num_envs)
    del result["compiled"]
    return {
        "benchmark": "generator",
        "size": options.size,
        "num_levels": options.num_envs,
        "seed": options.seed,
        "filtered": options.filtered,
        "devices_used": num_devices,
        **{name.replace("steps_per", "levels_per"): value for name, value in result.items()},
        **measure.machine(),
    }
