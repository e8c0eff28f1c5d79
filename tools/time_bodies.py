"""Times a step of scenes of 8 to 64 free bodies on one device and draws it.

    python -m tools.time_bodies [--num-envs 64] [--steps 16] [--out results] [--ways lists dense kernel]

Two thirds of the bodies are boxes, the others circles; they share one room and shrink with their number, so
that all scenes are as full as one of size L. Writes `engine_bodies.json` and `engine_bodies.png`. On a CPU,
times are its processor's, of all threads; on a GPU, they are the clock's, and programs are compiled side by
side.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from agents.benchmark.scenes import random_actions, random_scenes
from jax2d.batching import on_cpu
from jax2d.cuda.sources import MOST_CONTACTS
from jax2d.pairs import num_contacts
from jax2d.pipeline import step_batch_last
from jax2d.sparse import step_sparsely

BODIES = (8, 12, 16, 24, 32, 48, 64)
LISTS, DENSE, KERNEL = "lists", "dense", "kernel"
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


def is_made(bodies: int, way: str) -> bool:
    """Tells whether scenes of so many bodies can be stepped this way."""
    return way != KERNEL or num_contacts(scenes_of(bodies, 1)[0]) <= MOST_CONTACTS


def step_by(way: str, spec: jax2d.SimSpec) -> Callable:
    """The step of a batch along the last axis, of states and actions to states, by one way."""
    params = jax2d.SimParams()
    if way == KERNEL:
        spec = dataclasses.replace(spec, backend="cuda")
        return lambda s, a: jax2d.step_batch(s, a, params, spec, batch_axis=-1)[0]
    step = step_sparsely if way == LISTS else step_batch_last
    return lambda s, a: step(s, a, params, spec)[0]


def compile_way(bodies: int, way: str, count: int, steps: int, clock: Callable) -> tuple[Callable, dict]:
    """Compiles one number of bodies: a function that steps them further, and what to report."""
    spec, states = scenes_of(bodies, count)
    last = lambda tree: jax.tree.map(lambda value: jnp.moveaxis(jnp.asarray(value), 0, -1), tree)
    actions = jnp.moveaxis(jnp.asarray(random_actions(0, steps, count, spec)), 1, -1)
    states, step = last(states), step_by(way, spec)
    start = clock()
    rollout = jax.jit(lambda s, a: jax.lax.scan(lambda s, a: (step(s, a), None), s, a)[0])
    compiled = rollout.lower(states, actions).compile()
    seconds = round(clock() - start, 1)
    row = {"bodies": bodies, "way": way, "contact_slots": num_contacts(spec), "compile_seconds": seconds}

    def run():
        nonlocal states
        states = jax.block_until_ready(compiled(states, actions))
        return states

    return run, row


def time_way(run: Callable, row: dict[str, Any], scene_steps: int, clock: Callable) -> dict[str, Any]:
    """Times what `compile_way` compiled, which makes so many steps of scenes."""
    seconds = []
    for _ in range(6):
        start = clock()
        states = run()
        seconds.append(clock() - start)
    microseconds = float(f"{1e6 * min(seconds) / scene_steps:.3g}")
    return row | {"microseconds": microseconds, "finite": bool(jnp.isfinite(states.position).all())}


def draw(rows: list[dict[str, Any]], path: pathlib.Path, device: str) -> None:
    """Draws the cost of a step on a device over the number of bodies."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for way in dict.fromkeys(row["way"] for row in rows):
        points = [(row["bodies"], row["microseconds"]) for row in rows if row["way"] == way]
        axes.plot(*zip(*points, strict=True), marker="o", label=way)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    counts = sorted({row["bodies"] for row in rows})
    axes.set_xticks(counts, [str(count) for count in counts])
    costs = [row["microseconds"] for row in rows]
    ticks = [2.0**k for k in range(-8, 12) if min(costs) / 2 <= 2**k <= 2 * max(costs)]
    axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks], minor=False)
    axes.set_yticks([], minor=True)
    axes.set_xlabel("free bodies of a scene")
    axes.set_ylabel(f"us for a step of a scene, {device}")
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
    parser.add_argument("--bodies", type=int, nargs="+", default=BODIES)
    parser.add_argument("--ways", nargs="+", choices=(LISTS, DENSE, KERNEL), default=[LISTS])
    options = parser.parse_args()
    count, steps, rows = options.num_envs, options.steps, []
    cases = [(bodies, way) for bodies in options.bodies for way in options.ways if is_made(bodies, way)]
    clock = time.process_time if on_cpu() else time.perf_counter
    compiling = lambda case: compile_way(*case, count, steps, clock)
    with concurrent.futures.ThreadPoolExecutor(max((os.cpu_count() or 1) // 2, 1)) as pool:
        # Of a CPU one after another, since compiling would disturb what is timed.
        programs = map(compiling, cases) if on_cpu() else list(pool.map(compiling, cases))
        for program in programs:
            rows.append(time_way(*program, count * steps, clock))
            print(json.dumps(rows[-1]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "engine_bodies.json").write_text(json.dumps(rows, indent=1) + "\n")
    device = "one core" if on_cpu() else jax.devices()[0].device_kind
    draw(rows, options.out / "engine_bodies.png", device)


if __name__ == "__main__":
    main()
