"""Times of fresh levels: from the pool of a curriculum, and drawn and filtered for each update, in turn.

python -m tools.time_fresh_levels s 64
"""

from __future__ import annotations

import argparse
import time

import jax

import kinetix_py as kx
from agents.curricula.fresh import FreshLevels
from kinetix_py.chunks import filter_round

UPDATES = 64


def main() -> None:
    """Prints the milliseconds of an update, both ways, of three repetitions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", choices=tuple(kx.SIZES))
    parser.add_argument("count", type=int, help="fresh levels of an update")
    options = parser.parse_args()
    count, env = options.count, kx.make(options.size, frame_skip=4)
    source = FreshLevels(env, env.default_params, count, count, kx.GeneratorParams())
    filtered = lambda key: kx.sample_filtered_levels(
        key, count, env.size, env=env, env_params=env.default_params, round_size=filter_round(count)
    )
    take, each = jax.jit(source.take), jax.jit(filtered)
    keys = jax.random.split(jax.random.key(0), UPDATES)
    pool, *_ = jax.block_until_ready(take(keys[0], source.empty(), count))
    jax.block_until_ready(each(keys[0]))
    for _ in range(3):
        begin = time.perf_counter()
        for key in keys:
            pool, levels, _ = take(key, pool, count)
        jax.block_until_ready(levels)
        middle = time.perf_counter()
        for key in keys:
            levels, _ = each(key)
        jax.block_until_ready(levels)
        times = [1000 * seconds / UPDATES for seconds in (middle - begin, time.perf_counter() - middle)]
        print("from the pool {:.1f} ms, for each update {:.1f} ms".format(*times))


if __name__ == "__main__":
    main()
