"""Levels of a few shapes whose outcome a reader can foresee, and one way to play any environment."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

import jax2d
import kinetix_py as kx

# The smallest size that has one of everything.
TINY = kx.LevelSize(num_polygons=5, num_circles=2, num_joints=1, num_thrusters=1)


def falling(size=TINY, height=1.0, red=False, gravity=-9.81):
    """A green ball of radius 0.2 m whose lowest point is `height` above a blue (or red) box on the floor."""
    scene = jax2d.Scene(size.sim_spec())
    scene.add_walls()
    scene.set_gravity((0.0, gravity))
    scene.add_box((2.5, 0.6), 0.8, 0.4, static=True)
    scene.add_circle((2.5, 1.0 + height), 0.2)
    role = [0] * size.num_bodies
    role[4], role[size.num_polygons] = (3 if red else 2), 1
    return kx.from_scene(scene.build(), size, role=role)


def rocket(size=TINY):
    """A green ball with a thruster pushing right, in no gravity, 1.6 m from a blue ball's outline."""
    scene = jax2d.Scene(size.sim_spec())
    scene.add_walls()
    scene.set_gravity((0.0, 0.0))
    ball = scene.add_circle((1.0, 2.5), 0.2)
    scene.add_circle((3.0, 2.5), 0.2)
    scene.add_thruster(ball, direction=0.0, power=0.2)
    role = [0] * size.num_bodies
    role[size.num_polygons], role[size.num_polygons + 1] = 1, 2
    return kx.from_scene(scene.build(), size, role=role)


def car(size=TINY, auto=False):
    """A green box on a motor-driven wheel."""
    scene = jax2d.Scene(size.sim_spec())
    scene.add_walls()
    body = scene.add_box((2.0, 1.2), 0.8, 0.2)
    wheel = scene.add_circle((2.0, 0.8), 0.25)
    scene.add_revolute_joint(body, wheel, (2.0, 0.8), motor=True)
    role = [0] * size.num_bodies
    role[4] = 1
    auto = [auto] + [False] * (size.num_joints - 1)
    return kx.from_scene(scene.build(), size, role=role, motor_auto=auto)


def relabeled(scene, **labels):
    """A level or state with other labels."""
    return dataclasses.replace(scene, labels=dataclasses.replace(scene.labels, **labels))


@functools.partial(jax.jit, static_argnames="count")
def batch(level, count=3):
    """Copies of a level."""
    return jax.tree.map(lambda value: jnp.broadcast_to(value, (count, *jnp.shape(value))), level)


# Compiling is what takes time in tests: each environment gets one program here, of so many steps, of which
# those asked for are cut out.
CHUNK = 96


def play(env, level, steps, params=None, policy=None, action=None):
    """Plays a batch of levels under jit and vmap: observations, states and so on, `[steps, batch, ...]`.

    By `policy` (a function of a key), or always by `action` (nothing done if neither is given).
    """
    params = env.default_params if params is None else params
    action = env.noop_action if action is None else action
    run = _program(env, policy, -(-steps // CHUNK) * CHUNK if level.batch_shape[0] < 10 else steps)
    return jax.tree.map(
        lambda value: value[:steps], jax.device_get(run(jax.random.key(0), level, params, action))
    )


@functools.lru_cache
def _program(env, policy, steps):
    # The key is an argument because XLA folds what follows from a constant one, slowly.
    @jax.jit
    def run(key, level, params, action):
        _, scan_key = jax.random.split(key)
        count = level.batch_shape[0]
        _, state = jax.vmap(env.reset_to_level, (0, None))(level, params)

        def step(state, key):
            act_keys, step_keys = jax.random.split(key, (2, count))
            actions = jax.vmap(policy or (lambda key: action))(act_keys)
            step_env = jax.vmap(env.step, (0, 0, 0, None))
            obs, state, reward, done, info = step_env(step_keys, state, actions, params)
            return state, (obs, state, reward, done, info)

        return jax.lax.scan(step, state, jax.random.split(scan_key, steps))[1]

    return run
