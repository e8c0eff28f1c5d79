"""Times the generator with its own contact counts and with those of `jax2d.collision`, in CPU seconds.

python -m tools.time_overlap [LEVELS]
"""

from __future__ import annotations

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp

from jax2d.collision.circles import circle_contacts, circle_polygon_contacts
from jax2d.collision.polygons import Outlines, polygon_contacts
from kinetix_py.generator import candidates
from kinetix_py.generator.sample import _generate, sample_levels
from kinetix_py.generator.shapes import Outline
from kinetix_py.sizes import SIZES

REPEATS = 20
OWN = {
    name: getattr(candidates, name)
    for name in ("polygon_contacts", "circle_overlaps_polygon", "circles_overlap")
}


def engine_outlines(outline: Outline) -> Outlines:
    """The engine's form of an outline: `[V, ...]`."""
    tangent_x, tangent_y = outline.edge_x * outline.inverse, outline.edge_y * outline.inverse
    used = outline.inverse > 0

    def reach(support, vertex):
        x, y, real = vertex
        depth = tangent_x * y[None] - tangent_y * x[None]
        return jnp.maximum(support, jnp.where(real[None], depth, -jnp.inf)), None

    least = jnp.full_like(outline.x, -jnp.inf)
    support = jax.lax.scan(reach, least, (outline.x, outline.y, used))[0]
    length = jnp.sqrt(outline.edge_x**2 + outline.edge_y**2)
    return Outlines(outline.x, outline.y, tangent_x, tangent_y, length, support, used)


def _polygons(a: Outline, b: Outline) -> jax.Array:
    return polygon_contacts(engine_outlines(a), engine_outlines(b)).active.astype(jnp.float32).sum(axis=0)


def _circle_polygon(x: jax.Array, y: jax.Array, radius: jax.Array, polygon: Outline) -> jax.Array:
    return circle_polygon_contacts(x, y, radius, engine_outlines(polygon)).active[0]


def _circles(dx: jax.Array, dy: jax.Array, radii: jax.Array) -> jax.Array:
    zero = jnp.zeros_like(dx)
    return circle_contacts(dx, dy, radii, zero, zero, zero).active[0]


ENGINE = {
    "polygon_contacts": _polygons,
    "circle_overlaps_polygon": _circle_polygon,
    "circles_overlap": _circles,
}


def seconds(size: str, count: int) -> float:
    """Least CPU seconds of drawing levels, over some repeats."""
    key, taken = jax.random.key(0), []
    jax.block_until_ready(sample_levels(key, count, size))
    for _ in range(REPEATS):
        start = time.process_time()
        jax.block_until_ready(sample_levels(key, count, size))
        taken.append(time.process_time() - start)
    return min(taken)


def main(count: int = 1024) -> None:
    """Prints both times of every size, and their ratio."""
    for size in SIZES:
        taken = []
        for functions in (OWN, ENGINE):
            for name, function in functions.items():
                setattr(candidates, name, function)
            jax.clear_caches()
            _generate.cache_clear()
            taken.append(seconds(size, count))
        own, engine = taken
        print(f"{size}: own {own:.4f} s, jax2d.collision {engine:.4f} s, {engine / own:.2f} times as long")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
