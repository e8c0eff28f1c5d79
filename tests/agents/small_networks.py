"""Networks that compile fast, a scene with one of everything, and ways to look at a policy."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
import kinetix_py as kx
from agents.networks.config import NetworkConfig
from kinetix_py.sizes import SIZES

KEY = jax.random.key(0)
SMALL = {"width": 16, "attention_features": 4, "head_width": 16, "head_layers": 1}
SET_KINDS = ("transformer", "set_mlp", "graph", "kinetix")
READS = {
    "entity": SET_KINDS,
    "flat": ("mlp",),
    "flat_padded": ("mlp",),
    "blind": ("mlp",),
    "pixels": ("cnn",),
}
# One head for all bindings of a kind, and places relative to the goals.
BINDINGS = {"actor": "per_binding", "relative_features": True}


def small(kind="transformer", **changes):
    """A config that compiles fast."""
    return NetworkConfig(kind, **(SMALL | changes))


def machine(size=SIZES["m"]):
    """A car on two driven wheels, thrusters on its box and on a wheel, beside the ball to reach."""
    scene = jax2d.Scene(size.sim_spec())
    scene.add_walls()
    body = scene.add_box((2.0, 1.2), 0.8, 0.2)
    scene.add_box((3.5, 1.5), 0.3, 0.5, static=True)
    centers = (1.7, 1.0), (2.3, 1.0)
    wheels = [scene.add_circle(center, 0.1 * center[0]) for center in centers]
    goal = scene.add_circle((4.0, 2.5), 0.3)
    for wheel, center in zip(wheels, centers, strict=True):
        scene.add_revolute_joint(body, wheel, center, motor=True, motor_speed=center[0])
    scene.add_thruster(body, (2.2, 1.2), direction=0.7, power=0.3)
    scene.add_thruster(wheels[0], (1.7, 1.1), direction=2.0, power=0.1)
    role = [0] * size.num_bodies
    role[body.index], role[goal.index] = 1, 2
    return kx.from_scene(scene.build(), size, role=role, motor_binding=[0, 2], thruster_binding=[1, 0])


@functools.partial(jax.jit, static_argnums=0)
def moving(env, level):
    """A state of a level whose bodies move, turn and touch, each by where it is in the level."""
    _, state = env.reset_to_level(level)
    x, y = state.sim.position.T
    active = state.sim.active
    sim = dataclasses.replace(
        state.sim,
        rotation=jnp.where(active, state.sim.rotation + 0.3 * x, 0),
        velocity=jnp.where(active[:, None], 0.5 * state.sim.position, 0),
        angular_velocity=jnp.where(active, y - 1, 0),
    )
    return dataclasses.replace(state, sim=sim, touching_slots=jnp.ones_like(state.touching_slots))


@functools.partial(jax.jit, static_argnums=0)
def observed(env, state):
    """The observation of a state, by one program rather than by one for each operation."""
    return env.observe(state)


def as_batch(tree):
    """One environment and one step of it: leading axes `[1, 1]`."""
    return jax.tree.map(lambda value: jnp.asarray(value)[None, None], tree)


@functools.partial(jax.jit, static_argnums=0)
def play(network, params, obs, mask=None):
    """Probabilities of every choice, and the value, of one observation."""
    mask = None if mask is None else as_batch(mask)
    carry, reset = network.initial_carry(1), jnp.ones((1, 1), bool)
    output = network.unroll(params, carry, as_batch(obs), reset, mask)
    return output.distribution.probs, output.value


def generic(network, seed=0):
    """Parameters that are nowhere 0, so that every input matters: the actor's last layer starts small."""
    rng = np.random.default_rng(seed)
    draw = lambda leaf: rng.normal(0, 0.7 / np.sqrt(leaf.shape[0]), leaf.shape).astype(np.float32)
    return jax.tree.map(draw, jax.eval_shape(network.init, KEY))


@jax.jit
def permuted(obs, key):
    """The same scene with bodies, joints and thrusters in another order."""
    counts = len(obs.shapes), len(obs.joints), len(obs.thrusters)
    keys = jax.random.split(key, 3)
    bodies, joints, thrusters = map(jax.random.permutation, keys, counts)
    place = jnp.argsort(bodies)
    return dataclasses.replace(
        obs,
        shapes=obs.shapes[bodies],
        shape_mask=obs.shape_mask[bodies],
        joints=obs.joints[joints],
        joint_mask=obs.joint_mask[joints],
        joint_bodies=place[obs.joint_bodies[joints]],
        thrusters=obs.thrusters[thrusters],
        thruster_mask=obs.thruster_mask[thrusters],
        thruster_body=place[obs.thruster_body[thrusters]],
        attention=obs.attention[:, bodies][:, :, bodies],
    )


def random_like(leaf, key):
    """Arrays of the shapes of an observation, generic numbers in them; indices stay those of body 0 or 1."""
    if leaf.dtype == bool:
        return jax.random.bernoulli(key, 0.8, leaf.shape)
    if jnp.issubdtype(leaf.dtype, jnp.integer):
        return jax.random.randint(key, leaf.shape, 0, 2)
    return jax.random.normal(key, leaf.shape)
