"""`scripts/benchmark.py env`: environment steps with observations, and the physics inside them alone."""

from __future__ import annotations

import argparse

from scripts import measure


def random_levels(seed: int, count: int, spec):
    """Random scenes as levels: the first free polygon green, the first circle blue, the second red."""
    import jax.numpy as jnp
    import numpy as np

    import kinetix_py as kx
    from scripts.scenes import random_scenes

    sim = random_scenes(seed, count, spec.sim)
    rng = np.random.default_rng(seed)
    role = np.zeros((count, spec.num_bodies), np.int32)
    role[:, spec.walls], role[:, spec.num_polygons : spec.num_polygons + 2] = 1, (2, 3)
    bind = lambda slots, bindings: jnp.asarray(rng.integers(0, bindings, (count, slots)), jnp.int32)
    return kx.Level(
        sim=sim,
        role=jnp.asarray(role),
        density=jnp.ones(role.shape, jnp.float32),
        motor_binding=bind(spec.num_joints, spec.num_motor_bindings),
        motor_auto=jnp.zeros((count, spec.num_joints), bool),
        thruster_binding=bind(spec.num_thrusters, spec.num_thruster_bindings),
    )


def _rollouts(env, params):
    """The same steps with the game and observations, and as physics alone."""
    import jax
    import jax.numpy as jnp

    import jax2d

    spec, key = env.spec.sim, jax.random.key(0)

    def play(carry, actions):
        def step(carry, actions):
            _, state = carry
            one = lambda state, action: env.step(key, state, action, params)
            obs, state, reward, done, _ = jax.vmap(one)(state, actions)
            return (obs, state), (reward, done)

        return jax.lax.scan(step, carry, actions)[0]

    def physics(sim, actions):
        def step(sim, actions):
            one = lambda s, a: jax2d.step(s, a, params.sim, spec)[0]
            return jax.lax.fori_loop(0, env.frame_skip, lambda _, s: jax.vmap(one)(s, actions), sim), None

        controls = jnp.resize(jnp.sign(actions.astype(jnp.float32)), (*actions.shape[:2], spec.num_actions))
        return jax.lax.scan(step, sim, controls)[0]

    return play, physics


def env(options: argparse.Namespace) -> dict:
    """Times a rollout of random levels under random actions, stepped through `vmap(env.step)`."""
    import jax
    import numpy as np

    import kinetix_py as kx

    env = kx.make(
        options.size,
        observation=options.observation,
        auto_reset=True,
        contact_order=options.order,
        frame_skip=options.frame_skip,
    )
    levels = random_levels(options.seed, options.num_envs, env.spec)
    carry = jax.jit(jax.vmap(env.reset, (None, 0)))(jax.random.key(0), levels)
    rng = np.random.default_rng(options.seed)
    shape = (options.steps, options.num_envs, env.spec.num_bindings)
    actions = rng.integers(0, np.array(env.action_space.nvec), shape).astype(np.int32)
    num_devices = min(options.devices, len(jax.devices()))
    play, physics = _rollouts(env, kx.EnvParams())

    def timed(function, start):
        function, place = measure.shard(function, num_devices)
        return measure.measure(function, place(start, actions), options.steps, options.num_envs)

    inside = timed(physics, levels.sim)
    result = timed(play, carry)
    result.pop("compiled")
    return {
        "benchmark": "env",
        "size": options.size,
        "observation": options.observation,
        "num_envs": options.num_envs,
        "steps": options.steps,
        "frame_skip": options.frame_skip,
        "seed": options.seed,
        "contact_order": options.order,
        "devices_used": num_devices,
        **result,
        "physics_inside_steps_per_second": inside["steps_per_second"],
        "cost_over_physics": round(inside["steps_per_second"] / result["steps_per_second"], 2),
        "state_bytes_per_env": sum(x.nbytes for x in jax.tree.leaves(carry[1])) // options.num_envs,
        **measure.machine(),
    }
