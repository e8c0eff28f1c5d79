"""Running moments of observations against numpy, and that learning leaves them alone."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.networks.factory import make_network
from agents.networks.normalize import (
    BOUND,
    EPSILON,
    NormalizedParams,
    NormalizedPolicy,
    add_rows,
    initial_moments,
    normalize,
)
from agents.policy import PolicyOutput
from kinetix_py.observations.entity import JOINT_FEATURES, SHAPE_FEATURES, THRUSTER_FEATURES
from tests.agents.small_networks import BINDINGS, KEY, generic, machine, moving, observed, play, small
from tests.kinetix_py.small_levels import car, relabeled

pytestmark = pytest.mark.usefixtures("compiled_fast")


def test_moments_are_those_of_all_rows_in_use():
    rng = np.random.default_rng(0)
    parts = [rng.normal(3.0, 2.0, (rows, 4, 5)).astype(np.float32) for rows in (7, 1, 30)]
    used = [rng.random(part.shape[:2]) < 0.6 for part in parts]
    moments, add = initial_moments(5), jax.jit(add_rows)
    for part, mask in zip(parts, used, strict=True):
        moments = add(moments, part, mask)
    rows = np.concatenate([part[mask] for part, mask in zip(parts, used, strict=True)])
    assert moments.count == len(rows)
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.square / moments.count, rows.var(0), rtol=1e-4)
    table = np.asarray(jax.jit(normalize)(moments, parts[2], used[2]))
    expected = (parts[2] - rows.mean(0)) / np.sqrt(rows.var(0) + EPSILON)
    np.testing.assert_allclose(table[used[2]], expected[used[2]], atol=1e-4)
    assert (table[~used[2]] == 0).all()


def test_no_rows_change_nothing_and_outliers_are_bounded():
    nothing = add_rows(initial_moments(2), jnp.ones((3, 2)), jnp.zeros(3, bool))
    assert nothing.count == 0 and (nothing.mean == 0).all() and (nothing.square == 0).all()
    table = normalize(nothing, jnp.array([[0.5, 1e6]]), jnp.ones(1, bool))
    np.testing.assert_allclose(table, [[0.5, BOUND]])


def test_kinds_of_shapes_stay_readable():
    """Whatever the moments are, a network still tells circles from polygons, and empty rows stay empty."""
    env = kx.make("s")
    obs = jax.device_get(observed(env, env.reset_to_level(car())[1]))

    @dataclasses.dataclass(frozen=True)
    class Spy:
        env: kx.Environment

        def init(self, key):
            return ()

        def unroll(self, params, carry, obs, reset, action_mask=None, features=None):
            return PolicyOutput(carry, None, features)

    policy = NormalizedPolicy(Spy(env))

    @jax.jit
    def read(batch):
        """The features that the network reads."""
        params = policy.update_statistics(policy.init(KEY), batch)
        return policy.unroll(params, (), batch, jnp.ones((1, 1), bool)).value

    batch = jax.tree.map(lambda leaf: leaf[None, None], obs)
    seen, kinds = jax.device_get(read(batch)), SHAPE_FEATURES["kind"]
    shapes = seen.shapes[0, 0]
    np.testing.assert_array_equal(shapes[:, kinds], obs.shapes[:, kinds])
    assert (shapes[~obs.shape_mask] == 0).all()
    assert abs(shapes[obs.shape_mask][:, 0].mean()) < 1e-3
    np.testing.assert_array_equal(seen.attention, batch.attention)


@pytest.fixture(scope="module")
def seen():
    """An environment of size m, and observations `[T, B]` in it of shapes that are anywhere, at any speed."""
    env = kx.make("m")
    start = moving(env, machine())

    def shaken(key):
        draw = lambda leaf, seed: leaf * jax.random.normal(jax.random.fold_in(key, seed), leaf.shape)
        names = ("position", "rotation", "velocity", "angular_velocity")
        moved = {name: draw(getattr(start.sim, name), seed) for seed, name in enumerate(names)}
        return env.observe(dataclasses.replace(start, sim=dataclasses.replace(start.sim, **moved)))

    return env, jax.jit(jax.vmap(jax.vmap(shaken)))(jax.random.split(KEY, (32, 2)))


def normalized(network, params, obs):
    """The policy that normalizes by the moments of these observations, and its parameters."""
    policy = NormalizedPolicy(network)
    start = NormalizedParams(params, policy.init(KEY).moments)
    return policy, jax.jit(policy.update_statistics)(start, obs)


@pytest.mark.parametrize(
    "kind, changes",
    [
        pytest.param("set_mlp", BINDINGS, marks=pytest.mark.slow),
        ("set_mlp", {}),
        pytest.param("graph", BINDINGS, marks=pytest.mark.slow),
    ],
)
def test_references_roles_and_geometry_are_never_normalized(seen, kind, changes):
    """Without weights on the tables, only these are left, and normalization must not change them."""
    env, rows = seen
    network = make_network(small(kind, **changes), env)
    params = generic(network)
    encoder = params["params"]["encoder"]
    bindings = network.config.actor == "per_binding"  # which are then read as references alone
    width = {"shape": rows.shapes.shape[-1]}
    width["joint"] = JOINT_FEATURES["binding"].start if bindings else rows.joints.shape[-1]
    width["thruster"] = THRUSTER_FEATURES["binding"].start if bindings else rows.thrusters.shape[-1]
    edges = lambda where: [(where["edges"][name], name) for name in ("joint", "thruster")]
    if kind == "graph":
        heads = params["params"]["heads"]
        readers = [
            (encoder["shape"], "shape"),
            *edges(encoder["layer_0"]),
            *edges(encoder["layer_1"]),
            *edges(heads),
        ]
    else:
        encoder = encoder["EntityEncoder_0"]
        readers = [(encoder[name], "shape") for name in ("polygon", "circle")]
        readers += [(encoder[name], name) for name in ("joint", "thruster")]
    for layer, table in readers:
        layer["kernel"][: width[table]] = 0
    obs = observed(env, moving(env, machine()))
    probs, value = play(network, params, obs)
    other_probs, other_value = play(*normalized(network, params, rows), obs)
    np.testing.assert_allclose(other_probs, probs, atol=1e-5)
    np.testing.assert_allclose(other_value, value, atol=1e-5)


def test_exchanging_bindings_exchanges_their_part_of_a_normalized_policy(seen):
    env, rows = seen
    network = make_network(small("set_mlp", **BINDINGS), env)
    policy, params = normalized(network, generic(network), rows)
    state = moving(env, machine())
    # The moments have seen no motor of binding 1, so that the moments of bindings 0 and 1 differ.
    motor, thruster = state.labels.motor_binding, state.labels.thruster_binding
    other = relabeled(
        state, motor_binding=jnp.where(motor < 2, 1 - motor, motor), thruster_binding=1 - thruster
    )
    (mine, value), (theirs, other_value) = (play(policy, params, observed(env, s)) for s in (state, other))
    np.testing.assert_allclose(theirs[0, 0], mine[0, 0][np.array([1, 0, 2, 3, 5, 4])], atol=1e-5)
    np.testing.assert_allclose(other_value, value, atol=1e-5)
    assert np.abs(theirs - mine).max() > 1e-3
    plain, _ = play(network, params.network, observed(env, state))
    assert np.abs(plain - mine).max() > 1e-3  # the moments matter
