"""Relevance of bodies to a policy: attention weights, and the effect of leaving bodies out."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.networks.attention import attend, attention_weights
from agents.networks.distributions import MaskedNormal, MultiCategorical
from agents.networks.factory import make_network
from agents.networks.normalize import NormalizedPolicy
from agents.policy import Policy, PolicyOutput
from agents.relevance import body_relevance, goal_attention, total_variation, without_body
from kinetix_py.levels.level import LevelLabels
from tests.agents.small_networks import KEY, generic, machine, moving, small

SIZE = kx.SIZES["m"]
ENV = kx.make("m", observation_type="entity", action_type="multi_discrete")

pytestmark = pytest.mark.usefixtures("compiled_fast")


@pytest.fixture(scope="module")
def state():
    return moving(ENV, machine(SIZE))


def test_total_variation_is_that_of_hand_arithmetic():
    logs = lambda *rows: jnp.log(jnp.array(rows))
    one = lambda *row: MultiCategorical(logs(row), False)
    assert total_variation(one(0.5, 0.5), one(0.8, 0.2))[0] == pytest.approx(0.3, abs=1e-6)
    both = lambda a, b: MultiCategorical(logs(a, b)[None], True)
    apart = total_variation(both((0.5, 0.5), (0.1, 0.9)), both((0.8, 0.2), (0.2, 0.8)))
    assert apart.shape == (1,) and apart[0] == pytest.approx(0.3, abs=1e-6)
    # Two normal distributions, by a sum over small intervals; what is masked has no part.
    normal = lambda mean: MaskedNormal(
        jnp.array([[mean, 9.0 * mean]]), jnp.log(jnp.full((1, 2), 0.5)), jnp.array([[True, False]])
    )
    x = np.linspace(-6, 6, 20_001)
    density = lambda mean: np.exp(-0.5 * ((x - mean) / 0.5) ** 2) / (0.5 * math.sqrt(2 * math.pi))
    expected = 0.5 * np.abs(density(0.2) - density(0.9)).sum() * (x[1] - x[0])
    assert total_variation(normal(0.2), normal(0.9))[0] == pytest.approx(expected, abs=1e-4)


def test_attention_weights_are_those_that_attend_adds_up_by():
    keys = jax.random.split(KEY)
    qkv, mask = (
        jax.random.normal(keys[0], (2, 5, 3 * 4 * 3)),
        jax.random.bernoulli(keys[1], 0.7, (2, 5, 5, 4)),
    )
    weights = attention_weights(qkv, mask)
    values = qkv[..., 24:].reshape(2, 5, 4, 3)
    expected = jnp.einsum("bhnm,bmhd->bnhd", weights, values).reshape(2, 5, 12)
    np.testing.assert_allclose(attend(qkv, mask), expected, atol=1e-5)
    assert bool((jnp.moveaxis(weights, 1, -1)[~mask] == 0).all())
    has_key = mask.any(axis=2).transpose(0, 2, 1)
    np.testing.assert_allclose(weights.sum(axis=-1), has_key, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["transformer", "kinetix"])
def test_attention_is_among_bodies_in_use(kind, state):
    policy = NormalizedPolicy(make_network(small(kind, attention_heads=4), ENV))
    params = dataclasses.replace(policy.init(KEY), network=generic(policy.network))
    weights = body_relevance(policy, params, (), ENV, kx.EnvParams(), state, True)
    assert weights.shape == (SIZE.num_bodies,) and weights.sum() == pytest.approx(1, abs=1e-5)
    active = state.sim.active
    assert bool((weights[~active] == 0).all()) and bool((weights[active] > 0).all())
    obs = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], ENV.observe(state, kx.EnvParams()))
    among = policy.attention(params, (), obs, jnp.ones(1, bool))[0]
    rows = among.sum(axis=-1)[active]
    assert bool((rows < 1).all()) and bool((rows > 0).all())  # the rest goes to the summary token
    # Green, body 4, and blue alone are asked.
    goals = [body for body in range(SIZE.num_bodies) if int(state.labels.role[body]) in (kx.GREEN, kx.BLUE)]
    paid = np.asarray(among)[goals].sum(axis=0)
    np.testing.assert_allclose(weights, paid / paid.sum(), atol=1e-5)
    nobody = dataclasses.replace(state.labels, role=jnp.zeros_like(state.labels.role))
    assert isinstance(nobody, LevelLabels)
    plain = goal_attention(among, dataclasses.replace(state, labels=nobody))
    everyone = np.asarray(among)[np.asarray(active)].sum(axis=0)
    np.testing.assert_allclose(plain, everyone / everyone.sum(), atol=1e-5)


@dataclasses.dataclass(frozen=True)
class Watcher(Policy):
    """Turns the first motor by the horizontal place of one body."""

    body: int

    def init(self, key):
        return ()

    def unroll(self, params, carry, obs, reset, action_mask=None):
        x = obs.shapes[..., self.body, 0]
        logits = jnp.zeros((*x.shape, SIZE.num_bindings, 3)).at[..., 0, 0].set(x)
        return PolicyOutput(carry, MultiCategorical(logits, True), x)


def test_leaving_out_tells_what_a_policy_sees(state):
    weights = body_relevance(Watcher(5), (), (), ENV, kx.EnvParams(), state, True)
    first = lambda x: math.exp(x) / (math.exp(x) + 2)
    expected = np.zeros(SIZE.num_bodies)
    expected[5] = first(float(state.sim.position[5, 0])) - first(0)
    assert expected[5] > 0.3
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    gone = without_body(state, 4)  # the car's box: its wheels and thruster hang on nothing
    assert not gone.sim.joints.active.any() and int(gone.sim.thrusters.active.sum()) == 1
    assert len(set(np.asarray(gone.component)[np.asarray(gone.sim.active)].tolist())) == int(
        gone.sim.active.sum()
    )
