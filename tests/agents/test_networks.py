"""Networks: what must not change them, what must reach them, and policies worked by hand."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.networks.config import NetworkConfig
from agents.networks.entity_layers import gather, relative_positions, rotate
from agents.networks.factory import make_network
from agents.networks.graph import pair_messages
from agents.networks.heads import scale_actor
from kinetix_py.actions import ACTION_TYPES
from kinetix_py.sizes import SIZES
from tests.agents.small_networks import (
    BINDINGS,
    KEY,
    READS,
    SET_KINDS,
    as_batch,
    generic,
    machine,
    moving,
    observed,
    permuted,
    play,
    random_like,
    small,
)
from tests.kinetix_py.small_levels import TINY, car, falling, relabeled, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

TOLERANCE = 1e-5
# Entity networks with one head for all bindings together, and with what makes them learn from few steps.
SET_NETWORKS = [
    ("transformer", {}),
    ("set_mlp", {}),
    ("set_mlp", BINDINGS),
    ("transformer", BINDINGS),
    ("graph", BINDINGS),
    ("graph", {}),
    ("kinetix", {}),
]
DEFAULT_RUN = (0, 2, 4)
set_networks = pytest.mark.parametrize(
    "kind, changes",
    [
        pytest.param(*x, marks=() if i in DEFAULT_RUN else pytest.mark.slow)
        for i, x in enumerate(SET_NETWORKS)
    ],
)


@pytest.mark.parametrize("kind", ["transformer", "set_mlp", "graph", "kinetix", "mlp"])
def test_rules_widen_what_networks_read_and_nothing_else(kind):
    """Only input layers have more rows for environments with rules."""
    config = NetworkConfig(kind=kind, width=8, layers=1, head_width=8, head_layers=1)
    observation = "flat" if kind == "mlp" else "entity"
    shapes = []
    for rules in (False, True):
        env = kx.make(TINY, observation_type=observation, rules=rules)
        found = jax.eval_shape(make_network(config, env).init, KEY)
        shapes.append({path: leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(found)})
    plain, ruled = shapes
    assert plain.keys() == ruled.keys()
    wider = {path for path in plain if plain[path] != ruled[path]}
    assert bool(wider) == (kind != "kinetix")
    for path in wider:
        assert plain[path][1:] == ruled[path][1:] and plain[path][0] < ruled[path][0]


@set_networks
def test_the_order_of_entities_has_no_meaning(kind, changes):
    env = kx.make("m")
    obs = observed(env, moving(env, machine()))
    assert obs.joint_mask.all() and obs.thruster_mask.all() and obs.attention[3].any()
    network = make_network(small(kind, **changes), env)
    params = generic(network)
    run = functools.partial(play, network, params)
    probs, value = run(obs)
    for seed in range(4):
        other_probs, other_value = run(permuted(obs, jax.random.key(seed)))
        np.testing.assert_allclose(other_probs, probs, atol=TOLERANCE)
        np.testing.assert_allclose(other_value, value, atol=TOLERANCE)
    unlike = dataclasses.replace(obs, joint_bodies=jnp.zeros_like(obs.joint_bodies))
    assert np.abs(run(unlike)[1] - value).max() > 100 * TOLERANCE


@set_networks
def test_empty_slots_have_no_meaning(kind, changes):
    networks = [make_network(small(kind, layers=1, **changes), kx.make(size)) for size in ("s", "m")]
    params = generic(networks[0])
    for level in (falling, car, rocket):
        found = []
        for network in networks:
            state = moving(network.env, level(SIZES["s"]))
            found.append(play(network, params, observed(network.env, state), network.env.action_mask(state)))
        for probs, value in found[1:]:
            np.testing.assert_allclose(probs, found[0][0], atol=TOLERANCE)
            np.testing.assert_allclose(value, found[0][1], atol=TOLERANCE)


@pytest.mark.parametrize(
    "action",
    [pytest.param(name, marks=() if name == "multi_discrete" else pytest.mark.slow) for name in ACTION_TYPES],
)
def test_exchanging_bindings_exchanges_their_part_of_the_policy(action):
    """Motors 0 and 2 change places, and both thrusters: so do their choices, and nothing else changes."""
    env = kx.make("m", action_type=action)
    state = moving(env, machine())
    labels = state.labels
    other = relabeled(
        state, motor_binding=2 - labels.motor_binding, thruster_binding=1 - labels.thruster_binding
    )
    network = make_network(small("set_mlp", **BINDINGS), env)
    params = generic(network)

    @jax.jit
    def numbers(state):
        obs = as_batch(env.observe(state))
        policy = network.unroll(params, (), obs, jnp.ones((1, 1), bool)).distribution
        return (policy.mean() if action == "continuous" else policy.probs)[0, 0]

    order = {
        "continuous": [2, 1, 0, 3, 5, 4],
        "multi_discrete": [2, 1, 0, 3, 5, 4],
        "discrete": [4, 5, 2, 3, 0, 1, 6, 7, 8, 10, 9],
    }[action]
    mine, theirs = map(np.asarray, (numbers(state), numbers(other)))
    np.testing.assert_allclose(theirs, mine[order], atol=TOLERANCE)
    assert np.abs(theirs - mine).max() > 100 * TOLERANCE


@pytest.fixture(scope="module")
def graph():
    """A graph network for size m, and what it makes of a state: probabilities and value."""
    env = kx.make("m")
    network = make_network(small("graph", **BINDINGS), env)
    params = generic(network)
    return env, lambda state: play(network, params, observed(env, state))


def test_exchanging_bindings_exchanges_their_part_of_a_graph_networks_policy(graph):
    env, run = graph
    state = moving(env, machine())
    labels = state.labels
    other = relabeled(
        state, motor_binding=2 - labels.motor_binding, thruster_binding=1 - labels.thruster_binding
    )
    (mine, value), (theirs, other_value) = run(state), run(other)
    np.testing.assert_allclose(theirs[0, 0], mine[0, 0][np.array([2, 1, 0, 3, 5, 4])], atol=TOLERANCE)
    np.testing.assert_allclose(other_value, value, atol=TOLERANCE)
    assert np.abs(theirs - mine).max() > 100 * TOLERANCE


@pytest.mark.parametrize("why", ["passive", "welded", "automatic"])
def test_the_binding_of_a_joint_that_no_action_moves_has_no_meaning(graph, why):
    env, run = graph
    state = moving(env, machine())
    second = jnp.array([False, True])
    joints = {
        "passive": dataclasses.replace(state.sim.joints, motor_on=~second),
        "welded": dataclasses.replace(state.sim.joints, weld=second),
        "automatic": state.sim.joints,
    }[why]
    state = dataclasses.replace(state, sim=dataclasses.replace(state.sim, joints=joints))
    state = relabeled(state, motor_auto=second & (why == "automatic"))
    (probs, value), *others = (run(relabeled(state, motor_binding=jnp.array([0, i]))) for i in (2, 0, 3))
    for other_probs, other_value in others:
        np.testing.assert_allclose(other_probs, probs, atol=TOLERANCE)
        np.testing.assert_allclose(other_value, value, atol=TOLERANCE)


def test_the_critic_of_a_graph_network_knows_which_motors_act_together(graph):
    env, run = graph
    state = moving(env, machine())
    apart, together = (run(relabeled(state, motor_binding=jnp.array([0, i])))[1] for i in (2, 0))
    assert np.abs(apart - together).max() > 100 * TOLERANCE


def test_a_graph_network_sees_contacts(graph):
    env, run = graph
    state = moving(env, machine())
    value = run(state)[1]
    apart = run(dataclasses.replace(state, touching_slots=jnp.zeros_like(state.touching_slots)))[1]
    assert np.abs(apart - value).max() > 100 * TOLERANCE


def test_pair_messages_by_hand():
    """Two bodies of one feature, which hear relu(1 - 2) = 0 and relu(1 + 3), relu(5 - 2) and relu(5 + 3)."""
    receiver, sender = jnp.array([[[1.0], [5.0]]]), jnp.array([[[-2.0], [3.0]]])
    weights = jnp.array([[[[1.0, 0.5], [0.25, 1.0]]]])
    np.testing.assert_allclose(pair_messages(receiver, sender, weights)[0, :, 0, 0], [2.0, 8.75])
    gradients = jax.grad(lambda *inputs: pair_messages(*inputs).sum(), (0, 1, 2))(receiver, sender, weights)
    np.testing.assert_allclose(gradients[0][0, :, 0], [0.5, 1.25])  # weights of the messages above 0
    np.testing.assert_allclose(gradients[1][0, :, 0], [0.25, 1.5])
    np.testing.assert_allclose(gradients[2][0, 0], [[0.0, 4.0], [3.0, 8.0]])


def test_relative_features_are_in_the_world():
    """A body turned by 90 degrees: what points right in its frame points up in the world."""
    np.testing.assert_allclose(rotate(jnp.array([[2.0, 1.0]]), jnp.ones(1), jnp.zeros(1)), [[-1.0, 2.0]])
    shapes = jnp.zeros((1, 3, 21)).at[0, :, :2].set(jnp.array([[1.0, 1.0], [3.0, 2.0], [5.0, 2.0]]))
    roles = jnp.array([[[1, 0, 0], [0, 1, 0], [0, 1, 0]]], jnp.float32)  # a green body, two blue ones
    away = relative_positions(shapes, roles)[0]
    np.testing.assert_allclose(away[0], [0, 0, -3, -1, 0, 0])
    np.testing.assert_allclose(away[1], [2, 1, -1, 0, 0, 0])


def test_gather_and_its_gradients_are_those_of_a_product_of_matrices():
    rng = np.random.default_rng(0)
    reference, bodies, weight = (
        rng.normal(size=shape).astype(np.float32) for shape in ((3, 5, 4), (3, 4, 6), (3, 5, 6))
    )
    product = lambda reference, bodies: jnp.einsum("brn,bnw->brw", reference, bodies)
    for ours, theirs in zip(
        *(
            jax.jit(jax.value_and_grad(lambda *both, f=f: (f(*both) ** 2 * weight).sum(), (0, 1)))(
                reference, bodies
            )
            for f in (gather, product)
        ),
        strict=True,
    ):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4), ours, theirs)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind == "kinetix" else ()) for kind in SET_KINDS]
)
def test_a_scene_without_entities_is_finite(kind):
    env = kx.make(kx.LevelSize(num_polygons=5, num_circles=0, num_joints=0, num_thrusters=0))
    obs = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), env.observation_space.example)
    network = make_network(small(kind, layers=1), env)
    gradient = jax.grad(lambda params: play(network, params, obs)[1].sum())(generic(network))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    "kind, observation, action, changes",
    [
        ("transformer", "entity", "multi_discrete", {"layers": 1}),
        ("set_mlp", "entity", "discrete", BINDINGS),
        ("graph", "entity", "discrete", BINDINGS),
        pytest.param(
            *("kinetix", "entity", "multi_discrete", {"recurrent": True, "memory_width": 24}),
            marks=pytest.mark.slow,
        ),
        ("mlp", "flat", "continuous", {}),
        ("mlp", "blind", "multi_discrete", {"recurrent": True}),
        ("cnn", "pixels", "multi_discrete", {}),
    ],
)
def test_gradients_reach_every_parameter(kind, observation, action, changes):
    env = kx.make(TINY, observation_type=observation, action_type=action)
    network = make_network(small(kind, **changes), env)
    params = generic(network)
    leaves, tree = jax.tree.flatten(env.observation_space.example)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    wide = [jax.ShapeDtypeStruct((4, 3, *leaf.shape), leaf.dtype) for leaf in leaves]
    obs = jax.tree.unflatten(tree, [random_like(leaf, key) for leaf, key in zip(wide, keys, strict=True)])

    def loss(params):
        reset = jnp.zeros((4, 3), bool)
        output = network.unroll(params, network.initial_carry(3), obs, reset)
        policy, taken = output.distribution, jnp.broadcast_to(env.noop_action, (4, 3, *env.noop_action.shape))
        return (output.value**2).sum() + policy.log_prob(taken).sum() + policy.entropy().sum()

    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params)):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path


def combination(kind, observation, action):
    """A case, which is slow if it meets no code that the others do not."""
    marks = () if action == "multi_discrete" or observation == "flat" else pytest.mark.slow
    return pytest.param(kind, observation, action, marks=marks)


@pytest.mark.parametrize(
    "kind, observation, action",
    [
        combination(kind, observation, action)
        for observation, kinds in READS.items()
        for kind in kinds
        for action in ACTION_TYPES
    ],
)
def test_every_combination_runs(kind, observation, action):
    env = kx.make(TINY, observation_type=observation, action_type=action)
    network = make_network(small(kind, layers=1), env)
    assert hash(network) == hash(make_network(small(kind, layers=1), env))
    start = env.reset_to_level(car())
    obs, state = jax.tree.map(lambda value: np.stack([value] * 3), jax.device_get(start))

    @jax.jit
    def act(params, obs, mask):
        output = network.step(params, network.initial_carry(3), obs, jnp.zeros(3, bool), mask)
        policy = output.distribution
        actions, many = policy.sample(seed=KEY), policy.sample(seed=KEY, sample_shape=(7,))
        both, also = policy.sample_and_log_prob(seed=KEY), (actions, policy.log_prob(actions))
        assert output.carry == () and policy.batch_shape == policy.entropy().shape == (3,)
        assert policy.log_prob(many).shape == (7, 3) and policy.mode().shape == actions.shape
        return output.value, both, also, policy.entropy()

    params, mask = generic(network), jax.vmap(env.action_mask)(state)
    value, both, also, _ = act(params, obs, mask)
    assert value.shape == (3,) and value.dtype == jnp.float32
    assert both[0].shape == (3, *env.action_space.shape) and both[0].dtype == env.action_space.dtype
    jax.tree.map(np.testing.assert_array_equal, both, also)
    assert np.isfinite(value).all() and np.isfinite(both[1]).all()
    # An actor whose last layers are 0 is uniform: each choice is as likely as exp(-entropy).
    same_value, (_, log_prob), _, entropy = act(scale_actor(params, 0.0), obs, mask)
    np.testing.assert_array_equal(same_value, value)
    if action != "continuous":
        np.testing.assert_allclose(log_prob, -entropy, rtol=1e-5)


@pytest.mark.parametrize(
    "kind, recurrent", [("set_mlp", True), pytest.param("transformer", False, marks=pytest.mark.slow)]
)
def test_bfloat16_is_close_and_keeps_float32_at_both_ends(kind, recurrent):
    env = kx.make("m")
    obs = observed(env, moving(env, machine()))
    full = make_network(small(kind, recurrent=recurrent), env)
    half = make_network(small(kind, recurrent=recurrent, dtype="bfloat16"), env)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(jax.eval_shape(half.init, KEY)))
    params = generic(half)
    (probs, value), (near_probs, near_value) = (play(net, params, obs) for net in (full, half))
    assert near_probs.dtype == near_value.dtype == jnp.float32
    np.testing.assert_allclose(near_probs, probs, atol=0.01)
    np.testing.assert_allclose(near_value, value, atol=0.05)
    assert (near_value != value).any()


def test_memory_is_forgotten_at_resets_and_goes_step_by_step():
    env = kx.make(TINY, observation_type="blind")
    network = make_network(small("mlp", recurrent=True), env)
    params, steps, count = generic(network), 6, 3
    obs = jax.random.normal(KEY, (steps, count, 1))
    reset = jnp.zeros((steps, count), bool).at[0].set(True).at[3, 1].set(True)
    old = jnp.ones_like(network.initial_carry(count))
    unroll, step = jax.jit(network.unroll), jax.jit(network.step)
    whole = unroll(params, old, obs, reset)
    values = whole.value
    carry = old
    for t in range(steps):
        one = step(params, carry, obs[t], reset[t])
        carry = one.carry
        np.testing.assert_allclose(one.value, values[t], atol=1e-6)
        np.testing.assert_allclose(one.distribution.probs, whole.distribution.probs[t], atol=1e-6)
    np.testing.assert_allclose(carry, whole.carry, atol=1e-6)
    # An environment that began at step 3 is where one is that knows nothing before it.
    fresh = unroll(params, network.initial_carry(count), obs[3:], jnp.zeros((3, count), bool))
    np.testing.assert_allclose(fresh.value[:, 1], values[3:, 1], atol=1e-6)
    assert np.abs(fresh.value[:, 0] - values[3:, 0]).min() > 1e-6
    forgotten = unroll(params, old, obs, reset.at[0].set(False)).value
    assert np.abs(forgotten[0] - values[0]).min() > 1e-6


def test_a_new_policy_is_nearly_uniform():
    env = kx.make(TINY)
    light = make_network(small("set_mlp"), env)
    probs, _ = play(light, jax.jit(light.init)(KEY), observed(env, moving(env, car())))
    np.testing.assert_allclose(probs[0, 0, :4], 1 / 3, atol=0.03)
