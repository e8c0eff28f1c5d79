"""Times the generator with its own count of polygon contacts and with the engine's, in CPU seconds.

python -m tools.time_contacts [LEVELS]
"""

from __future__ import annotations

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp

from jax2d.collision.polygons import WorldPolygons, polygon_manifolds
from kinetix_py.generator import sample, shapes
from kinetix_py.sizes import SIZES

REPEATS = 20


def engine_contacts(a: WorldPolygons, b: WorldPolygons) -> jax.Array:
    """Contact points of polygons by the engine's function."""
    return polygon_manifolds(a, b).active.astype(jnp.float32).sum(axis=0)


def seconds(size: str, count: int) -> float:
    """Least CPU seconds of drawing levels, over some repeats."""
    key, taken = jax.random.key(0), []
    jax.block_until_ready(sample.sample_levels(key, count, size))
    for _ in range(REPEATS):
        start = time.process_time()
        jax.block_until_ready(sample.sample_levels(key, count, size))
        taken.append(time.process_time() - start)
    return min(taken)


def main(count: int = 1024) -> None:
    """Prints both times of every size, and their ratio."""
    functions = shapes.polygon_contacts, engine_contacts
    for size in SIZES:
        taken = []
        for function in functions:
            shapes.polygon_contacts = function
            jax.clear_caches()
            sample._generate.cache_clear()
            taken.append(seconds(size, count))
        own, engine = taken
        print(f"{size}: own {own:.4f} s, jax2d.collision {engine:.4f} s, {engine / own:.2f} times as long")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
