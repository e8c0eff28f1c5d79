"""Pictures of random states.

Drawn in two ways: many times in one call into the same memory, as a rollout does that looks at each picture
once; and once a call, into memory that the system has to provide anew, which alone takes about as long.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.benchmark import measure
from agents.benchmark.environment import random_levels

SECONDS = 1e-3  # time by which shapes move from one picture to the next


def _drawings(pixels: int):
    """Functions of states and an array `[steps, ...]`: the last of that many pictures, and one picture."""

    def draw(states, _):
        return jax.vmap(lambda state: kx.render_pixels(state, pixels))(states)

    def film(states, steps):
        def step(carry, _):
            states, _ = carry
            moved = states.sim.position + SECONDS * states.sim.velocity
            states = dataclasses.replace(states, sim=dataclasses.replace(states.sim, position=moved))
            return (states, draw(states, None)), None

        blank = jnp.zeros((states.batch_shape[0], pixels, pixels, 3))
        return jax.lax.scan(step, (states, blank), steps)[0][1]

    return film, draw


def benchmark_pixels(
    size: str,
    num_envs: int,
    steps: int = 16,
    *,
    pixels: int = 125,
    seed: int = 0,
    devices: int = 2,
) -> dict[str, Any]:
    """Times the drawing of a batch, and says how much memory it takes beside the pictures.

    Args:
      size: "s", "m" or "l".
      num_envs: states drawn at once.
      steps: pictures of each state in one call.
      pixels: width and height of a picture.
      seed: seed of the levels.
      devices: devices that share the batch, at most.

    Returns:
      a report, ready for JSON.
    """
    env = kx.make(size, observation_type="blind")
    levels = random_levels(seed, num_envs, env.size)
    _, states = jax.jit(jax.vmap(env.reset_to_level))(levels)
    num_devices = min(devices, len(jax.devices()))
    film, draw = _drawings(pixels)

    def timed(function, count: int):
        function, place = measure.shard(function, num_devices)
        # Only the length of the array counts: it is the number of pictures.
        return measure.measure(function, place(states, jnp.zeros((count, num_devices))), count, num_envs)

    once, result = timed(draw, 1), timed(film, steps)
    memory = result.pop("compiled").memory_analysis()  # of one device
    frames = pixels**2 * 3 * 4 * num_envs
    used = (memory.output_size_in_bytes + memory.temp_size_in_bytes) * num_devices
    return {
        "benchmark": "pixels",
        "size": size,
        "num_envs": num_envs,
        "pixels": pixels,
        "steps": steps,
        "seed": seed,
        "devices_used": num_devices,
        **{name.replace("steps_per", "frames_per"): value for name, value in result.items()},
        "frames_per_second_one_a_call": once["steps_per_second"],
        "frames_bytes": frames,
        "memory_over_frames": round(used / frames, 3),
        **measure.machine(),
    }
