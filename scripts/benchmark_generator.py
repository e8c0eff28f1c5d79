"""Benchmark of the random level generator; prints one JSON line.

python scripts/benchmark_generator.py --size {s,m,l} --num-levels N [--devices D] [--filtered]
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts import measure


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=("s", "m", "l"), required=True)
    parser.add_argument("--num-levels", type=int, default=1024, help="levels of one call (default 1024)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", type=int, default=2, help="devices the CPU is split into (default 2)")
    parser.add_argument("--filtered", action="store_true", help="without those that doing nothing solves")
    options = parser.parse_args(arguments)
    if options.num_levels < 1 or options.devices < 1 or options.num_levels % options.devices:
        parser.error(f"--num-levels {options.num_levels} is not a multiple of --devices {options.devices}")
    return options


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
    count = options.num_levels // num_devices

    def draw(keys, _):
        if options.filtered:
            return sample_filtered_levels(keys[0], count, spec, params)[0]
        return jax.vmap(lambda key: sample_level(key, spec, params))(keys)

    function, place = measure.shard(draw, num_devices)
    num_keys = num_devices if options.filtered else options.num_levels
    keys = jax.random.split(jax.random.PRNGKey(options.seed), num_keys)
    no_actions = jnp.zeros((1, num_devices))
    result = measure.measure(function, place(keys, no_actions), 1, options.num_levels)
    del result["compiled"]
    return {
        "benchmark": "generator",
        "size": options.size,
        "num_levels": options.num_levels,
        "seed": options.seed,
        "filtered": options.filtered,
        "devices_used": num_devices,
        **{name.replace("steps_per", "levels_per"): value for name, value in result.items()},
        **measure.machine(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Runs what the command line asks for."""
    options = parse(arguments)
    measure.use_host_devices(options.devices)
    print(json.dumps(generator(options)))


if __name__ == "__main__":
    main()
