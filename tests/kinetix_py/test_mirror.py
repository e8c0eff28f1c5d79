"""Mirror images: a mirrored level under mirrored actions plays, and looks, as the mirror image."""

from __future__ import annotations

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from kinetix_py.actions import ACTION_TYPES
from kinetix_py.observations.entity import JOINT_FEATURES, SHAPE_FEATURES, THRUSTER_FEATURES
from tests.kinetix_py import drawn_scenes
from tests.kinetix_py.level_samples import assert_canonical
from tests.kinetix_py.small_levels import TINY, car, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

SIZE, STEPS, BATCH = drawn_scenes.SIZE, 12, 8
LEFT, RIGHT = 1, 2
ENV = kx.make(SIZE, action_type="continuous")


def level():
    """One of everything: a triangle, a joint with a wall, limits, a motor by itself, slanting gravity."""
    drawn = drawn_scenes.level()
    sim = jax2d.edit.set_gravity(drawn.sim, (2.0, -9.0))
    sim = jax2d.edit.set_joint(sim, 1, LEFT, drawn_scenes.BOX, jnp.array([0.6, 4.0]), motor_on=True)
    return dataclasses.replace(drawn, sim=sim)


def moving(level, count):
    """Copies of a level whose bodies move at random."""
    movable = (level.sim.inverse_mass > 0)[None]
    keys = jax.random.split(jax.random.key(0))
    velocity = jax.random.normal(keys[0], (count, level.size.num_bodies, 2)) * movable[..., None]
    spin = 3 * jax.random.normal(keys[1], (count, level.size.num_bodies)) * movable
    levels = jax.tree.map(lambda value: jnp.broadcast_to(value, (count, *value.shape)), level)
    return dataclasses.replace(
        levels, sim=dataclasses.replace(levels.sim, velocity=velocity, angular_velocity=spin)
    )


def walls_swapped(obs):
    """The observation whose rows of left and right wall change places."""
    order = np.arange(obs.shapes.shape[-2])
    order[[LEFT, RIGHT]] = RIGHT, LEFT
    return dataclasses.replace(
        obs,
        shapes=obs.shapes[..., order, :],
        joint_bodies=order[obs.joint_bodies],
        thruster_body=order[obs.thruster_body],
        attention=obs.attention[..., order, :][..., order],
    )


@pytest.fixture(scope="module")
def episodes():
    """Observations `[STEPS + 1, BATCH]` of moving levels under random actions, and of their mirror images."""

    @jax.jit
    def play(levels, actions):
        first, state = jax.vmap(ENV.reset_to_level)(levels)

        def step(state, actions):
            keys = jax.random.split(jax.random.key(0), len(actions))
            obs, state, *_ = jax.vmap(ENV.step)(keys, state, actions)
            return state, obs

        _, later = jax.lax.scan(step, state, actions)
        return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, later)

    levels = moving(level(), BATCH)
    keys = jax.random.split(jax.random.key(1), STEPS * BATCH)
    actions = jax.vmap(ENV.sample_action)(keys).reshape(STEPS, BATCH, -1)
    both = jax.tree.map(
        lambda *leaves: jnp.concatenate(leaves), levels, jax.jit(jax.vmap(kx.mirror_level))(levels)
    )
    obs = play(both, jnp.concatenate([actions, ENV.action_adapter.mirror(actions)], axis=1))
    half = lambda rows: jax.tree.map(lambda value: np.asarray(value[:, rows]), obs)
    return half(slice(BATCH)), half(slice(BATCH, None))


def test_mirrored_levels_play_as_mirror_images(episodes):
    """By physics: nothing in the game tells left from right."""
    plain, reflected = episodes
    expected = jax.tree.map(np.asarray, walls_swapped(kx.mirror_observation(plain)))
    for name in ("shape_mask", "joint_mask", "joint_bodies", "thruster_mask", "thruster_body"):
        np.testing.assert_array_equal(getattr(reflected, name), getattr(expected, name), err_msg=name)
    for name in ("joints", "thrusters"):
        np.testing.assert_allclose(getattr(reflected, name), getattr(expected, name), atol=1e-5, err_msg=name)
    apart = np.abs(reflected.shapes - expected.shapes)
    assert apart[0].max() < 1e-5
    assert np.quantile(apart, 0.99) < 1e-3 and np.median(apart.max(axis=(0, 2, 3))) < 0.02
    assert (reflected.attention == expected.attention).mean() > 0.999
    # The episodes are no trivial ones: bodies move, and touch each other.
    place = plain.shapes[..., 4:, SHAPE_FEATURES["position"]]
    assert np.abs(place[-1] - place[0]).max() > 0.5 and plain.attention[-1, :, 3].any()


def test_the_mirror_image_of_a_mirror_image_is_the_observation(episodes):
    plain = episodes[0]
    mirrored = kx.mirror_observation(plain)
    assert np.abs(mirrored.shapes - plain.shapes).max() > 1
    twice = kx.mirror_observation(mirrored)
    for a, b in zip(jax.tree.leaves(twice), jax.tree.leaves(plain), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_mirror_image_of_a_mirror_image_is_the_level():
    plain = level()
    twice = kx.mirror_level(kx.mirror_level(plain))
    for a, b in zip(jax.tree.leaves(twice), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_mirrored_levels_are_valid():
    """A room with walls in their places, slots that are not in use empty, outlines clockwise."""
    mirrored = kx.mirror_level(level())
    kx.validate_level(mirrored)
    np.testing.assert_allclose(mirrored.sim.position[:4], level().sim.position[:4], atol=1e-6)
    small = kx.mirror_level(kx.pad_level(rocket(), "m"))
    assert_canonical(small)
    ball = small.size.num_polygons
    np.testing.assert_allclose(small.sim.position[ball], [4.0, 2.5])
    np.testing.assert_allclose(small.sim.thrusters.direction[0], np.pi, rtol=1e-6)


def test_mirrored_rows_by_hand():
    """A car: box at x = 2, wheel 0.4 m below; its rows are those of a car at x = 3."""
    env = kx.make(TINY)
    labels = dataclasses.replace(car().labels, motor_auto=jnp.array([True]))
    joints = dataclasses.replace(
        car().sim.joints, min_rotation=jnp.array([-0.5]), max_rotation=jnp.array([2.0])
    )
    joints = dataclasses.replace(joints, limits_on=jnp.array([True]))
    auto = dataclasses.replace(
        car(), labels=labels, sim=dataclasses.replace(car().sim, joints=joints, rotation=jnp.full(7, 0.5))
    )
    obs, _ = env.reset_to_level(auto)
    mirrored = kx.mirror_observation(obs)
    box = mirrored.shapes[4]
    np.testing.assert_allclose(box[SHAPE_FEATURES["position"]], [3.0, 1.2], rtol=1e-6)
    np.testing.assert_allclose(box[SHAPE_FEATURES["rotation"]], [np.sin(-0.5), np.cos(0.5)], rtol=1e-6)
    there, back = mirrored.joints
    np.testing.assert_allclose(there[JOINT_FEATURES["limits"]], [-2.0, 0.5])
    np.testing.assert_allclose(back[JOINT_FEATURES["limits"]], [-0.5, 2.0])
    assert there[JOINT_FEATURES["motor_speed"]] == -1 and back[JOINT_FEATURES["motor_speed"]] == 1
    assert (mirrored.shapes[6] == 0).all()  # the row of a slot that is not in use
    # The outline of a box is its own mirror image, vertex by vertex.
    np.testing.assert_array_equal(box[SHAPE_FEATURES["outline"]], obs.shapes[4, SHAPE_FEATURES["outline"]])
    driven, _ = env.reset_to_level(car())
    speed = JOINT_FEATURES["motor_speed"]
    np.testing.assert_array_equal(kx.mirror_observation(driven).joints[:, speed], driven.joints[:, speed])
    thrust, _ = env.reset_to_level(rocket())
    pushed = kx.mirror_observation(thrust).thrusters[0, THRUSTER_FEATURES["direction"]]
    np.testing.assert_allclose(pushed, [0, -1], atol=1e-6)


@pytest.mark.parametrize("action_type", ACTION_TYPES)
def test_mirrored_actions_turn_motors_the_other_way(action_type):
    """For every action, or a sample of them: the values of motors are negated, those of thrusters kept."""
    size = dataclasses.replace(TINY, num_motor_bindings=2, num_thruster_bindings=1)
    adapter = kx.ActionAdapter(action_type, size)
    if action_type == "discrete":
        actions = jnp.arange(adapter.space.n)
    elif action_type == "multi_discrete":
        actions = jnp.array(list(itertools.product(*(range(n) for n in adapter.choices))))
    else:
        actions = jax.vmap(adapter.space.sample)(jax.random.split(jax.random.key(0), 20))
    mirrored = adapter.mirror(actions)
    assert mirrored.dtype == actions.dtype and (mirrored != actions).any()
    values = jax.vmap(adapter.binding_values)
    np.testing.assert_array_equal(values(mirrored), values(actions) * jnp.array([[-1.0, -1.0, 1.0]]))
    np.testing.assert_array_equal(adapter.mirror(mirrored), actions)
    np.testing.assert_array_equal(adapter.mirror(adapter.noop), adapter.noop)
    np.testing.assert_array_equal(adapter.mirror(actions[None]), mirrored[None])
