"""The network of Kinetix's published agents: its size, and the features that it reads."""

from __future__ import annotations

import dataclasses
import pathlib

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.networks.factory import make_network
from agents.networks.kinetix import kinetix_tables, open_attention
from agents.networks.kinetix_params import from_kinetix
from agents.presets import compose_config
from tests.agents.small_networks import KEY, generic, machine, moving, observed, play, small

pytestmark = pytest.mark.usefixtures("compiled_fast")

RECORD = pathlib.Path(__file__).parents[1] / "data" / "kinetix_network.npz"


def published(*changes):
    """The network of the preset, for size l."""
    config = compose_config("size=l", "network=kinetix", *changes)
    return make_network(config.network, config.env.make())


def count(network):
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(network.init, KEY)))


def test_it_has_the_published_number_of_parameters():
    """786 k, counted by hand from kinetix-env 2.0.4, for 4 motor and 2 thruster bindings."""
    dense = lambda inputs, outputs: inputs * outputs + outputs
    # Polygons have 27 features, circles 19, joints 22, thrusters 8; shapes' last of 128 tells their kind.
    encoders = dense(27, 127) + dense(19, 127) + dense(22, 128) + dense(8, 128)
    attention = 3 * dense(128, 16) + dense(16, 128)  # query, key and value have 16 features in all
    gate, norm = 6 * 128 * 128 + 128, 2 * 128
    messages = dense(3 * 128, 128) + dense(2 * 128, 128)
    layer = attention + 2 * (gate + norm) + dense(128, 128) + messages
    heads = 2 * 5 * dense(128, 128) + dense(128, 4 * 3 + 2 * 2) + dense(128, 1)
    assert encoders + 2 * layer + heads == 786_369
    assert count(published()) == 786_369
    # A gated recurrent unit of 256: three layers of the input with biases, three of the state, one with.
    unit = 3 * dense(128, 256) + 3 * 256 * 256 + 256
    wider = 2 * 128 * 128  # the heads read 256 features
    recurrent = published("network.recurrent=true")
    assert count(recurrent) == 786_369 + unit + wider
    assert recurrent.initial_carry(3).shape == (3, 256)


def test_its_features_are_those_of_kinetix():
    """Both rows of a joint tell of body b against body a; unused vertices are -1."""
    env = kx.make("m")
    state = moving(env, machine())
    put = lambda value: jnp.array([value, 0.0])
    joints = dataclasses.replace(
        state.sim.joints,
        limits_on=jnp.array([True, False]),
        min_rotation=put(-0.5),
        max_rotation=put(1.5),
        reference_rotation=put(0.25),
        weld=jnp.array([False, True]),
    )
    vertices = state.sim.num_vertices.at[4].set(3)
    state = dataclasses.replace(
        state, sim=dataclasses.replace(state.sim, joints=joints, num_vertices=vertices)
    )
    obs = jax.tree.map(lambda leaf: leaf[None], observed(env, state))
    tables = jax.jit(kinetix_tables)(obs, obs)
    polygons, circles, joints, thrusters = (np.asarray(table[0]) for table in tables)
    assert (polygons.shape[1], circles.shape[1], joints.shape[1], thrusters.shape[1]) == (27, 19, 22, 8)
    sim = jax.device_get(state.sim)
    np.testing.assert_allclose(polygons[4, :4], [*sim.position[4], *sim.velocity[4]])
    np.testing.assert_array_equal(polygons[4, 8:12], [0, 1, 0, 0])  # green
    np.testing.assert_allclose(polygons[4, 16:25], [0, *np.ravel(sim.vertices[4, :3]), -1, -1])
    np.testing.assert_allclose(polygons[4:6, 25:], [[1, -0.981], [0, -0.981]], rtol=1e-5)
    np.testing.assert_allclose(circles[6, 16:], [sim.radius[0], 1, -0.981], rtol=1e-5)
    # Of the joint: active, weld, both anchors, sine and cosine of the reference rotation, then its motor.
    a, b = sim.joints.anchor_a[0], sim.joints.anchor_b[0]
    after = [
        np.sin(0.25),
        np.cos(0.25),
        sim.joints.motor_speed[0],
        sim.joints.motor_power[0],
        1,
        1,
        1,
        0,
        0,
        0,
    ]
    after += [np.sin(-0.5), np.cos(-0.5), np.sin(1.5), np.cos(1.5), -0.75, 1.25]
    np.testing.assert_allclose(joints[0], [1, 0, *a, *b, *after], rtol=1e-5)
    np.testing.assert_allclose(joints[2], [1, 0, *b, *a, *after], rtol=1e-5)
    assert joints[1, 1] == 1 and (joints[1, 8:] == 0).all()  # a weld tells nothing of a motor
    np.testing.assert_allclose(
        thrusters[0], [1, *sim.thrusters.anchor[0], 0, 1, np.sin(0.7), np.cos(0.7), 0.3], rtol=1e-5
    )


def test_the_summary_is_heard_by_all_and_hears_all():
    attention = jnp.zeros((1, 4, 2, 2), bool)
    mask = jnp.array([[True, False]])
    expected = [[True, True, False], [True, False, False], [False, False, False]]
    assert (open_attention(attention, mask)[0] == jnp.array(expected)[None]).all()


def test_it_has_no_action_masks():
    env = kx.make("m")
    network = make_network(small("kinetix"), env)
    state = moving(env, machine())
    obs, mask = observed(env, state), env.action_mask(state)
    probs, _ = play(network, generic(network), obs, mask)
    assert not mask[1, 1:].any() and (probs[0, 0, 1] > 0).all()  # no motor listens to binding 1


@pytest.fixture(scope="module")
def record():
    """Outputs of Kinetix's own network on levels of the library: tools/record_kinetix_network.sh."""
    arrays = dict(np.load(RECORD))
    weights = {name: arrays.pop(name) for name in list(arrays) if name.startswith("params/")}
    return arrays, flax.traverse_util.unflatten_dict(weights, sep="/")


def test_it_computes_what_kinetix_own_network_computes(record):
    arrays, weights = record
    env = kx.make("m")
    network = make_network(small("kinetix", width=16, attention_features=2, head_layers=2), env)
    params = from_kinetix(weights)
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, jax.eval_shape(network.init, KEY))
    levels = [kx.pad_level(kx.load_level(str(name)), "m") for name in arrays["levels"]]
    obs = jax.jit(jax.vmap(lambda level: env.reset_to_level(level)[0]))(kx.stack_levels(levels, "m"))
    np.testing.assert_array_equal(obs.attention[:, :3], arrays["attention"][:, :3])
    # Contacts are drawn at random.
    obs = dataclasses.replace(obs, attention=jnp.asarray(arrays["attention"]))
    obs = jax.tree.map(lambda leaf: leaf[None], obs)

    @jax.jit
    def play(params, obs):
        _, policy, value, *_ = network.unroll(params, (), obs, jnp.ones((1, len(levels)), bool))
        return policy.probs, value

    probs, value = play(params, obs)
    np.testing.assert_allclose(probs[0], arrays["probs"], atol=1e-5)
    np.testing.assert_allclose(value[0], arrays["value"], atol=2e-5)
    assert len(levels) > 20 and arrays["value"].std() > 0.05


def test_parameters_of_a_network_with_memory_are_refused(record):
    tree = record[1]["params"]
    heads = tree["GeneralActorCriticRNN_0"] | {"ScannedRNN_0": {}}
    with pytest.raises(ValueError, match="without memory"):
        from_kinetix({"params": tree | {"GeneralActorCriticRNN_0": heads}})
