"""Running moments of observations against numpy, and that learning leaves them alone."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import FixedLevels
from agents.networks.config import NetworkConfig
from agents.networks.factory import make_network
from agents.ppo.normalize import BOUND, EPSILON, NormalizedPolicy, add_rows, normalize, start_moments
from agents.ppo.update import PPOConfig, make_optimizer
from agents.training.update import Trainer
from kinetix_py.observations.entity import KIND_COLUMNS
from tests.kinetix_py.small_levels import car, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")


def test_moments_are_those_of_all_rows_in_use():
    rng = np.random.default_rng(0)
    parts = [rng.normal(3.0, 2.0, (rows, 4, 5)).astype(np.float32) for rows in (7, 1, 30)]
    used = [rng.random(part.shape[:2]) < 0.6 for part in parts]
    moments = start_moments(5)
    for part, mask in zip(parts, used, strict=True):
        moments = add_rows(moments, jnp.asarray(part), jnp.asarray(mask))
    rows = np.concatenate([part[mask] for part, mask in zip(parts, used, strict=True)])
    assert moments.count == len(rows)
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.square / moments.count, rows.var(0), rtol=1e-4)
    table = normalize(moments, jnp.asarray(parts[2]), jnp.asarray(used[2]))
    expected = (parts[2] - rows.mean(0)) / np.sqrt(rows.var(0) + EPSILON)
    np.testing.assert_allclose(table[used[2]], expected[used[2]], atol=1e-4)
    assert (table[~used[2]] == 0).all()


def test_no_rows_change_nothing_and_outliers_are_bounded():
    nothing = add_rows(start_moments(2), jnp.ones((3, 2)), jnp.zeros(3, bool))
    assert nothing.count == 0 and (nothing.mean == 0).all() and (nothing.square == 0).all()
    table = normalize(nothing, jnp.array([[0.5, 1e6]]), jnp.ones(1, bool))
    np.testing.assert_allclose(table, [[0.5, BOUND]])


def test_kinds_of_shapes_stay_readable():
    """Whatever the moments are, a network still tells circles from polygons, and empty rows stay empty."""
    env = kx.make("s")
    obs, _ = env.reset_to_level(car())
    seen = []

    @dataclasses.dataclass(frozen=True)
    class Spy:
        env: kx.Environment

        def init(self, key):
            return ()

        def apply(self, params, carry, obs, reset, mask):
            seen.append(obs)
            return carry, None, None

    policy = NormalizedPolicy(Spy(env))
    batch = jax.tree.map(lambda leaf: leaf[None, None], obs)
    params = policy.observe(policy.init(jax.random.key(0)), batch)
    policy(params, (), batch, jnp.ones((1, 1), bool))
    kinds = slice(*KIND_COLUMNS)
    np.testing.assert_array_equal(seen[0].shapes[0, 0, :, kinds], obs.shapes[:, kinds])
    assert (seen[0].shapes[0, 0][~obs.shape_mask] == 0).all()
    assert abs(float(seen[0].shapes[0, 0][obs.shape_mask][:, 0].mean())) < 1e-3
    np.testing.assert_array_equal(seen[0].attention, batch.attention)


def test_learning_moves_the_network_and_rollouts_the_moments():
    env = kx.make("s", observation_type="blind", action_type="discrete", auto_reset=True)
    network = make_network(NetworkConfig("mlp", width=8, layers=1, head_width=8, head_layers=1), env)
    policy = NormalizedPolicy(network)
    config = PPOConfig(num_minibatches=2, num_epochs=1)
    levels = FixedLevels(kx.stack_levels([rocket()]), 4)
    trainer = Trainer(env, policy, levels, make_optimizer(config), config, 4, 16)
    params = policy.init(jax.random.key(0))
    state, _ = trainer.updates(trainer.init(jax.random.key(1), params), kx.EnvParams(max_timesteps=16), 1)
    assert state.params.moments[0].count == 4 * 16
    # Time runs from 0 to 15 of 16: the mean of what the blind observation says of it, by arithmetic.
    obs = [
        env.observe(
            dataclasses.replace(env.reset_to_level(rocket())[1], step_count=jnp.int32(t)),
            kx.EnvParams(max_timesteps=16),
        )
        for t in range(16)
    ]
    np.testing.assert_allclose(state.params.moments[0].mean, np.mean(obs, axis=0), rtol=1e-5)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), state.params.network, params.network)
    assert max(jax.tree.leaves(moved)) > 0
