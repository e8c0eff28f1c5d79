"""Physics alone: random scenes under random actions."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import jax
import numpy as np

import jax2d
import kinetix_py as kx
from agents.benchmark import measure
from agents.benchmark.chipmunk import import_pymunk, time_chipmunk
from agents.benchmark.scenes import DISTINCT, SIZES, random_actions, random_scenes, repeated
from agents.plan.model import count_kernels


def save_scenes(path: str | os.PathLike, states: jax2d.SimState, actions: np.ndarray) -> None:
    """Writes every array of the states under its path, and the actions, for other engines to load."""
    leaves = jax.tree_util.tree_leaves_with_path(states)
    arrays: dict[str, Any] = {jax.tree_util.keystr(p).lstrip("."): np.asarray(v) for p, v in leaves}
    np.savez(path, actions=actions, **arrays)


def level_scenes(seed: int, count: int, size: str) -> jax2d.SimState:
    """Draws random levels, such as agents are trained on, as scenes of numpy arrays."""
    keys = jax.random.split(jax.random.key(seed), count)
    draw = jax.jit(jax.vmap(lambda key: kx.sample_level(key, size, kx.GeneratorParams())))
    return jax.tree.map(np.asarray, draw(keys).sim)


def benchmark_engine(
    size: str,
    num_envs: int,
    steps: int = 64,
    *,
    seed: int = 0,
    contact_order: jax2d.params.ContactOrder = "parallel",
    backend: jax2d.params.Backend = "xla",
    devices: int = 2,
    scenes: str = "boxes",
    against: str | None = None,
    scenes_file: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Times a rollout of scenes under random actions, stepped through `vmap(step)`.

    Args:
      size: "s", "m" or "l".
      num_envs: scenes stepped at once; beyond `DISTINCT` they repeat.
      steps: engine steps of one call.
      seed: seed of scenes and actions.
      contact_order, backend: as in `jax2d.SimSpec`.
      devices: devices that share the batch, at most.
      scenes: "boxes" for `random_scenes`, which are crowded, "levels" for random levels of the generator.
      against: "pymunk" times Chipmunk on the same scenes and actions too; None for this engine alone.
      scenes_file: file for the scenes and actions (.npz), so that another engine can be given the same.

    Returns:
      a report, ready for JSON.

    Raises:
      ImportError: pymunk is asked for and not installed.
    """
    if against is not None:
        import_pymunk()
    spec = dataclasses.replace(SIZES[size], contact_order=contact_order, backend=backend)
    if scenes == "boxes":
        states = repeated(random_scenes(seed, min(num_envs, DISTINCT), spec), num_envs)
    else:
        states = level_scenes(seed, num_envs, size)
    actions = random_actions(seed, steps, num_envs, spec)
    if scenes_file is not None:
        save_scenes(scenes_file, states, actions)
    params = jax2d.SimParams()

    def rollout(states, actions):
        step = jax.vmap(lambda state, action: jax2d.step(state, action, params, spec)[0])
        return jax.lax.scan(lambda s, a: (step(s, a), None), states, actions)[0]

    num_devices = min(devices, len(jax.devices()))
    function, place = measure.shard(rollout, num_devices)
    result = measure.measure(function, place(states, actions), steps, num_envs)
    compiled = result.pop("compiled")
    others = {} if against is None else {"against": time_chipmunk(states, actions, spec)}
    state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(states)) // num_envs
    return {
        "benchmark": "engine",
        "engine": "jax2d",
        "size": size,
        "num_envs": num_envs,
        "steps": steps,
        "seed": seed,
        "scenes": scenes,
        "contact_order": contact_order,
        "backend": backend,
        "devices_used": num_devices,
        **result,
        **others,
        "kernels_per_step": round(count_kernels(compiled.as_text()) / steps),
        "state_bytes_per_env": state_bytes,
        "temporary_bytes": compiled.memory_analysis().temp_size_in_bytes,
        **measure.machine(),
    }
