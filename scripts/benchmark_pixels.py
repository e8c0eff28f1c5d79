"""`scripts/benchmark.py pixels`: pictures of random states.

Drawn in two ways: many times in one call into the same memory, as a rollout does that looks at each picture
once; and once a call, into memory that the system has to provide anew, which alone takes about as long.
"""

from __future__ import annotations

import argparse
import dataclasses

from scripts import measure

SECONDS = 1e-3  # by which shapes move from one picture to the next


def _drawings(pixels: int):
    """Functions of states and an array `[steps, ...]`: the last picture of so many, and one picture."""
    import jax
    import jax.numpy as jnp

    import kinetix_py as kx

    def draw(states, _):
        return jax.vmap(lambda state: kx.render_pixels(state, pixels))(states)

    def film(states, steps):
        def step(carry, _):
            states, _ = carry
            moved = states.sim.position + SECONDS * states.sim.velocity
            states = dataclasses.replace(states, sim=dataclasses.replace(states.sim, position=moved))
            return (states, draw(states, None)), None

        blank = jnp.zeros((states.role.shape[0], pixels, pixels, 3))
        return jax.lax.scan(step, (states, blank), steps)[0][1]

    return film, draw


def pixels(options: argparse.Namespace) -> dict:
    """Times the drawing of a batch, and says how much memory it takes beside the pictures."""
    import jax
    import jax.numpy as jnp

    import kinetix_py as kx
    from scripts.benchmark_env import random_levels

    env = kx.make(options.size, observation="blind", contact_order=options.order)
    levels = random_levels(options.seed, options.num_envs, env.spec)
    _, states = jax.jit(jax.vmap(env.reset, (None, 0)))(jax.random.key(0), levels)
    num_devices = min(options.devices, len(jax.devices()))
    film, draw = _drawings(options.pixels)

    def timed(function, steps: int):
        function, place = measure.shard(function, num_devices)
        # The array says nothing but how many pictures: it is there for its length.
        return measure.measure(
            function, place(states, jnp.zeros((steps, num_devices))), steps, options.num_envs
        )

    once, result = timed(draw, 1), timed(film, options.steps)
    memory = result.pop("compiled").memory_analysis()  # of one device
    frames = options.pixels**2 * 3 * 4 * options.num_envs
    used = (memory.output_size_in_bytes + memory.temp_size_in_bytes) * num_devices
    return {
        "benchmark": "pixels",
        "size": options.size,
        "num_envs": options.num_envs,
        "pixels": options.pixels,
        "steps": options.steps,
        "seed": options.seed,
        "devices_used": num_devices,
        **{name.replace("steps_per", "frames_per"): value for name, value in result.items()},
        "frames_per_second_one_a_call": once["steps_per_second"],
        "frames_bytes": frames,
        "memory_over_frames": round(used / frames, 3),
        **measure.machine(),
    }
