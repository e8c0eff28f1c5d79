"""Observations and actions: values worked by hand, and every combination through a whole episode."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.actions import ACTION_TYPES, ActionAdapter, actuator_controls
from kinetix_py.observations.entity import JOINT_FEATURES, SHAPE_FEATURES, THRUSTER_FEATURES
from kinetix_py.observations.registry import OBSERVATIONS
from tests.kinetix_py.small_levels import TINY, batch, car, falling, play, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
BALL = TINY.num_polygons


def observe(level, name="entity", size=TINY):
    """The observation at an episode's start, and the state."""
    return kx.make(size, observation_type=name).reset_to_level(level)


@pytest.fixture(scope="module")
def episodes():
    """States `[17, 3]` of three levels under random actions, whose episodes are cut after 8 steps."""
    env = kx.make(TINY, observation_type="blind", auto_reset=True)
    levels = kx.stack_levels([falling(), car(), rocket()])
    return play(env, levels, 17, kx.EnvParams(max_timesteps=8), env.sample_action)


# Each pair is a program of its own. The default run makes all observations of one set of episodes.
@pytest.mark.slow
@pytest.mark.parametrize("observation, action", list(itertools.product(OBSERVATIONS, ACTION_TYPES)))
def test_every_combination_runs_a_whole_episode(observation, action):
    env = kx.make(TINY, observation_type=observation, action_type=action, auto_reset=True)
    levels = kx.stack_levels([falling(), car(), rocket()])
    params, traces = kx.EnvParams(max_timesteps=8), []

    def policy(key):
        traces.append(1)
        return env.sample_action(key)

    obs, state, reward, done, info = play(env, levels, 17, params, policy)
    assert len(traces) == 1
    assert done.sum(axis=0).tolist() == [2, 2, 2] and info["truncated"].sum() == 6
    assert np.isfinite(reward).all()
    check_observations(env, obs)
    one = jax.tree.map(lambda value: value[0, 0], (obs, state))
    assert env.observation_space.contains(one[0])
    assert env.action_mask(one[1]).dtype == bool
    assert env.action_space.contains(env.sample_action(KEY)) and env.action_space.contains(env.noop_action)


def check_observations(env, obs):
    for leaf, space in zip(jax.tree.leaves(obs), env.observation_space.leaves, strict=True):
        assert leaf.shape == (17, 3, *space.shape) and leaf.dtype == space.dtype
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_observations_of_whole_episodes_are_in_their_space(observation, episodes):
    env = kx.make(TINY, observation_type=observation)
    check_observations(env, jax.jit(jax.vmap(jax.vmap(env.observe)))(episodes[1]))


def test_feature_columns_have_names():
    """The slices lie side by side and cover the table; what they name is worked by hand below."""
    obs, state = observe(car())
    tables = {"shapes": SHAPE_FEATURES, "joints": JOINT_FEATURES, "thrusters": THRUSTER_FEATURES}
    for name, features in tables.items():
        places = list(features.values())
        assert places[0].start == 0 and places[-1].stop is None
        assert all(a.stop == b.start for a, b in itertools.pairwise(places))
        assert places[-1].start < getattr(obs, name).shape[1]
    role = obs.shapes[:, SHAPE_FEATURES["role"]]
    np.testing.assert_array_equal(role.argmax(1)[obs.shape_mask], state.labels.role[obs.shape_mask])
    np.testing.assert_array_equal(obs.shapes[jnp.array([4, BALL]), SHAPE_FEATURES["kind"]], np.eye(2))
    np.testing.assert_array_equal(obs.joints[0, JOINT_FEATURES["binding"]], [1, 0, 0, 0])


def test_entity_features_are_the_levels():
    obs, _ = observe(rocket())
    ball = obs.shapes[BALL]
    mass, inertia = np.pi * 0.2**2, np.pi * 0.2**4 / 4
    expected = [1.0, 2.5, 0, 0, 1 / mass, 1 / inertia, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0.2, 0, 1]
    np.testing.assert_allclose(ball[:21], expected, rtol=1e-5)
    assert (ball[21:] == 0).all()  # a circle has no vertices
    wall = obs.shapes[0]
    assert wall[4] == wall[5] == 0 and wall[19:21].tolist() == [1, 0] and (wall[29:] == 1).all()
    assert obs.shape_mask.tolist() == [True] * 4 + [False, True, True] and (obs.shapes[4] == 0).all()
    np.testing.assert_allclose(obs.thrusters[0], [0, 0, 0, 1, 0.2, 1, 0], atol=1e-6)
    assert obs.thruster_body.tolist() == [BALL] and not obs.joint_mask.any()


def test_joints_are_seen_from_both_ends():
    obs, _ = observe(car())
    assert obs.joint_bodies.tolist() == [[4, BALL], [BALL, 4]]
    # The box is at (2, 1.2), the wheel at (2, 0.8), the joint at the wheel's center.
    np.testing.assert_allclose(obs.joints[0, :8], [0, -0.4, 0, 0, 0, 1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(obs.joints[1, :8], [0, 0, 0, -0.4, 0, 1, -1, 1], atol=1e-6)
    assert obs.joints[:, 14].tolist() == [0, 1]  # the direction


def test_attention_masks():
    env = kx.make(TINY)
    obs, _ = env.reset_to_level(car())
    everyone, component, joined, contact = np.asarray(obs.attention)
    active = np.array([True] * 6 + [False])
    np.testing.assert_array_equal(everyone, active[:, None] & active[None])
    assert joined.sum() == 2 and joined[4, BALL] and joined[BALL, 4]
    linked = np.diag(active)
    linked[4, BALL] = linked[BALL, 4] = True
    np.testing.assert_array_equal(component, linked)
    assert not contact.any()
    blind = kx.make(TINY, observation_type="blind", auto_reset=True)
    state = jax.tree.map(lambda value: value[11, 0], play(blind, batch(car()), 12)[1])
    later = env.observe(state)
    assert later.attention[3, 0, BALL] and later.attention[3, BALL, 0]  # the wheel has met the floor
    assert not later.attention[3, 4, 0]


def test_flat_vectors_have_one_length_and_place_for_all_sizes():
    vectors = {size: observe(car(), "flat-padded", kx.SIZES[size])[0] for size in ("s", "m", "l")}
    assert len({vector.shape for vector in vectors.values()}) == 1
    for size in ("m", "l"):
        np.testing.assert_array_equal(vectors["s"], vectors[size])
    flat, _ = observe(car(), "flat")
    tables, _ = observe(car())
    np.testing.assert_array_equal(flat[: tables.shapes.size], tables.shapes.reshape(-1))


def test_a_function_may_be_the_observation():
    height = lambda state, params: state.sim.position[BALL, 1]
    obs, _ = observe(falling(), height)
    assert obs == pytest.approx(2.0)


def test_pixels_show_roles_where_the_shapes_are():
    picture, _ = observe(rocket(), "pixels")
    assert picture.shape == (125, 125, 3) and picture.min() >= 0 and picture.max() <= 1
    pixel = lambda x, y: np.asarray(picture[int((5 - y) * 25), int(x * 25)])
    red, green, blue = pixel(1.12, 2.5)
    assert green > red and green > blue
    red, green, blue = pixel(3.0, 2.5)
    assert blue > red and blue > green
    assert (pixel(2.0, 3.5) == 1).all()
    assert pixel(2.5, 0.2).max() < 0.5  # the floor, static


def test_actions_by_hand():
    size = kx.SIZES["m"]
    multi, one, many = (ActionAdapter(kind, size) for kind in ("multi_discrete", "discrete", "continuous"))
    np.testing.assert_array_equal(multi.binding_values(jnp.array([0, 1, 2, 1, 0, 1])), [0, 1, -1, 1, 0, 1])
    table = np.stack([one.binding_values(jnp.int32(i)) for i in range(11)])
    expected = np.zeros((11, 6))
    for i in range(4):
        expected[2 * i, i], expected[2 * i + 1, i] = -1, 1
    expected[9, 4] = expected[10, 5] = 1
    np.testing.assert_array_equal(table, expected)
    assert one.noop == 8 and (multi.noop == 0).all()
    clipped = many.binding_values(jnp.array([-2.0, 0.5, 2, 0, -1, 3]))
    np.testing.assert_array_equal(clipped, [-1, 0.5, 1, 0, 0, 1])


def test_bindings_share_one_action():
    level = kx.pad_level(car(), kx.SIZES["m"])
    controls = actuator_controls(jnp.array([0.5, -1.0, 0, 0, 1, 0]), level)
    np.testing.assert_array_equal(controls, [0.5, 0.5, 1, 1])  # padded slots listen to binding 0
    controls = actuator_controls(jnp.zeros(6), car(auto=True))
    np.testing.assert_array_equal(controls, [1, 0])


def test_action_masks_tell_what_a_level_has():
    masks = {}
    for kind in ACTION_TYPES:
        env = kx.make(TINY, action_type=kind)
        masks[kind] = [
            np.asarray(env.action_mask(env.reset_to_level(level)[1])) for level in (car(), rocket())
        ]
    assert masks["continuous"][0].tolist() == [True] + [False] * 5
    assert masks["continuous"][1].tolist() == [False] * 4 + [True, False]
    assert masks["multi_discrete"][0].sum(1).tolist() == [3, 1, 1, 1, 1, 1]
    assert masks["multi_discrete"][1].sum(1).tolist() == [1, 1, 1, 1, 2, 1]
    assert np.flatnonzero(masks["discrete"][0]).tolist() == [0, 1, 8]
    assert np.flatnonzero(masks["discrete"][1]).tolist() == [8, 9]
    automatic = kx.make(TINY, action_type="continuous")
    assert not automatic.action_mask(automatic.reset_to_level(car(auto=True))[1]).any()
