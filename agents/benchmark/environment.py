"""Environment steps with observations, and the physics inside them alone."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
import kinetix_py as kx
from agents.benchmark import measure
from agents.benchmark.scenes import DISTINCT, random_scenes, repeated


def random_levels(seed: int, count: int, size):
    """Random scenes as levels: the first free polygon green, the first circle blue, the second red."""
    sim = random_scenes(seed, count, size.sim_spec())
    rng = np.random.default_rng(seed)
    role = np.zeros((count, size.num_bodies), np.int32)
    role[:, size.num_walls], role[:, size.num_polygons : size.num_polygons + 2] = 1, (2, 3)
    bind = lambda slots, bindings: jnp.asarray(rng.integers(0, bindings, (count, slots)), jnp.int32)
    labels = kx.LevelLabels(
        role=jnp.asarray(role),
        density=jnp.ones(role.shape, jnp.float32),
        motor_binding=bind(size.num_joints, size.num_motor_bindings),
        motor_auto=jnp.zeros((count, size.num_joints), bool),
        thruster_binding=bind(size.num_thrusters, size.num_thruster_bindings),
    )
    return kx.Level(sim=sim, labels=labels, size=size)


def _rollouts(env, params):
    """The same steps with the game and observations, and as physics alone."""
    spec, key = env.sim_spec, jax.random.key(0)

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


def benchmark_environment(
    size: str,
    num_envs: int,
    steps: int = 64,
    *,
    observation: str = "entity",
    frame_skip: int = 2,
    seed: int = 0,
    contact_order: jax2d.params.ContactOrder = "parallel",
    backend: jax2d.params.Backend = "xla",
    devices: int = 2,
) -> dict[str, Any]:
    """Times a rollout of random levels under random actions, stepped through `vmap(env.step)`.

    Args:
      size: "s", "m" or "l".
      num_envs: environments stepped at once; beyond `DISTINCT` their levels repeat.
      steps: environment steps of one call.
      observation, frame_skip, contact_order, backend: as in `kinetix_py.make`.
      seed: seed of levels and actions.
      devices: devices that share the batch, at most.

    Returns:
      a report, ready for JSON.
    """
    env = kx.make(
        size,
        observation_type=observation,
        auto_reset=True,
        contact_order=contact_order,
        backend=backend,
        frame_skip=frame_skip,
    )
    levels = repeated(random_levels(seed, min(num_envs, DISTINCT), env.size), num_envs)
    carry = jax.jit(jax.vmap(env.reset_to_level))(levels)
    rng = np.random.default_rng(seed)
    shape = (steps, num_envs, env.size.num_bindings)
    actions = rng.integers(0, np.array(env.action_adapter.choices), shape).astype(np.int32)
    num_devices = min(devices, len(jax.devices()))
    play, physics = _rollouts(env, kx.EnvParams())

    def timed(function, start):
        function, place = measure.shard(function, num_devices)
        return measure.measure(function, place(start, actions), steps, num_envs)

    inside = timed(physics, levels.sim)
    result = timed(play, carry)
    result.pop("compiled")
    return {
        "benchmark": "env",
        "size": size,
        "observation": observation,
        "num_envs": num_envs,
        "steps": steps,
        "frame_skip": frame_skip,
        "seed": seed,
        "contact_order": contact_order,
        "backend": backend,
        "devices_used": num_devices,
        **result,
        "physics_inside_steps_per_second": inside["steps_per_second"],
        "cost_over_physics": round(inside["steps_per_second"] / result["steps_per_second"], 2),
        "state_bytes_per_env": sum(x.nbytes for x in jax.tree.leaves(carry[1])) // num_envs,
        **measure.machine(),
    }
