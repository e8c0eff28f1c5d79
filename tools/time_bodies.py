"""Times a step of scenes of 8 to 64 free bodies on one device and draws it.

    python -m tools.time_bodies [--num-envs 64] [--steps 16] [--out results] [--ways lists dense]

Two thirds of the bodies are boxes, the others circles; they share one room and shrink with their number, so
that all scenes are as full as one of size L. Writes `engine_bodies.json` and `engine_bodies.png`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from agents.benchmark.scenes import random_actions, random_scenes
from jax2d.pairs import num_contacts
from jax2d.pipeline import step_batch_last
from jax2d.sparse import step_sparsely

BODIES = (8, 12, 16, 24, 32, 48, 64)
WAYS = {"lists": step_sparsely, "dense": step_batch_last}
LARGE = 12  # free bodies of a scene of size L


def scenes_of(bodies: int, count: int) -> tuple[jax2d.SimSpec, jax2d.SimState]:
    """Draws scenes with a number of free bodies, as full as those of size L."""
    polygons = round(bodies * 2 / 3)
    spec = jax2d.SimSpec(4 + polygons, bodies - polygons, bodies // 2, 2)
    states, scale = random_scenes(0, count, spec), np.float32(min(1, LARGE / bodies) ** 0.5)
    free = np.where(np.arange(spec.num_bodies) < spec.num_walls, np.float32(1), scale)
    joints = states.joints
    return spec, dataclasses.replace(
        states,
        vertices=states.vertices * free[: spec.num_polygons, None, None],
        radius=states.radius * scale,
        inverse_mass=states.inverse_mass / free**2,
        inverse_inertia=states.inverse_inertia / free**4,
        joints=dataclasses.replace(
            joints, anchor_a=joints.anchor_a * scale, anchor_b=joints.anchor_b * scale
        ),
    )


def time_bodies(bodies: int, way: str, count: int, steps: int) -> dict[str, Any]:
    """Times one number of bodies; seconds are the processor's, of all threads."""
    spec, states = scenes_of(bodies, count)
    last = lambda tree: jax.tree.map(lambda value: jnp.moveaxis(jnp.asarray(value), 0, -1), tree)
    actions = jnp.moveaxis(jnp.asarray(random_actions(0, steps, count, spec)), 1, -1)
    advance = lambda s, a: (WAYS[way](s, a, jax2d.SimParams(), spec)[0], None)
    states = last(states)
    start = time.process_time()
    rollout = jax.jit(lambda s, a: jax.lax.scan(advance, s, a)[0]).lower(states, actions).compile()
    compiled, seconds = time.process_time() - start, []
    for _ in range(6):
        start = time.process_time()
        states = jax.block_until_ready(rollout(states, actions))
        seconds.append(time.process_time() - start)
    return {
        "bodies": bodies,
        "way": way,
        "contact_slots": num_contacts(spec),
        "microseconds": round(1e6 * min(seconds) / count / steps, 2),
        "compile_seconds": round(compiled, 1),
        "finite": bool(jnp.isfinite(states.position).all()),
    }


def draw(rows: list[dict[str, Any]], path: pathlib.Path) -> None:
    """Draws the cost of a step over the number of bodies."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for way in dict.fromkeys(row["way"] for row in rows):
        points = [(row["bodies"], row["microseconds"]) for row in rows if row["way"] == way]
        axes.plot(*zip(*points, strict=True), marker="o", label=way)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(BODIES, [str(count) for count in BODIES])
    costs = [row["microseconds"] for row in rows]
    ticks = [2**k for k in range(12) if min(costs) / 2 <= 2**k <= 2 * max(costs)]
    axes.set_yticks(ticks, [str(tick) for tick in ticks], minor=False)
    axes.set_yticks([], minor=True)
    axes.set_xlabel("free bodies of a scene")
    axes.set_ylabel("us for a step of a scene, one core")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Measures, writes and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results"))
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=["lists"])
    options = parser.parse_args()
    rows = []
    for way in options.ways:
        for bodies in BODIES:
            rows.append(time_bodies(bodies, way, options.num_envs, options.steps))
            print(json.dumps(rows[-1]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "engine_bodies.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows, options.out / "engine_bodies.png")


if __name__ == "__main__":
    main()
