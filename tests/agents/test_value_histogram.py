"""The critic that classifies: targets and losses worked by hand, and a value that is found by them."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.networks.config import NetworkConfig
from agents.networks.factory import make_network
from agents.networks.value_histogram import ValueHistogram
from tests.kinetix_py.small_levels import TINY

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)


def flat(num_bins, limit, *batch):
    return ValueHistogram(jnp.zeros((*batch, num_bins)), limit)


def test_targets_by_hand():
    """Two bins from -1 over 0 to 1, so a deviation of 0.75; 0.5 is 2/3 of it from both ends of its bin."""
    normal = lambda z: (1 + math.erf(z / math.sqrt(2))) / 2
    probs = flat(2, 1.0).target_probs(jnp.array([0.0, 0.5, 1.0, 7.0]))
    total = normal(2 / 3) - normal(-2)
    right = (normal(2 / 3) - normal(-2 / 3)) / total
    np.testing.assert_allclose(probs[:2], [[0.5, 0.5], [1 - right, right]], rtol=1e-5)
    np.testing.assert_array_equal(probs[2], probs[3])  # beyond the limit


def test_value_and_loss_by_hand():
    """Probabilities 1/4, 1/2, 1/4 and 0, 0, 1 of bins around -1, 0 and 1."""
    logits = jnp.array([[math.log(0.25), math.log(0.5), math.log(0.25)], [0.0, 0.0, 60.0]])
    histogram = ValueHistogram(logits, 1.5)
    np.testing.assert_allclose(histogram.mean(), [0, 1], atol=1e-6)
    probs = histogram.target_probs(jnp.zeros(2))
    entropy = -float(probs[0] @ jnp.log(jnp.array([0.25, 0.5, 0.25])))
    np.testing.assert_allclose(histogram.cross_entropy(jnp.zeros(2))[0], entropy, rtol=1e-6)
    assert histogram[1].logits.shape == (3,) and histogram[1].mean() == pytest.approx(1.0)


def test_the_expectation_of_a_target_is_the_target():
    """Targets whose normal distribution is not cut off; bins are 0.08 wide."""
    target = jnp.linspace(-1.7, 1.7, 101)
    histogram = flat(51, 2.0, 101)
    probs = histogram.target_probs(target)
    np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(ValueHistogram(jnp.log(probs), 2.0).mean(), target, atol=1e-3)
    assert np.isfinite(histogram.target_probs(jnp.array([-2.0, 2.0, -1e9, 1e9]))).all()


def test_descent_finds_the_mean_of_the_targets():
    """Returns of -1 in a quarter of the episodes and else of 1: the value is 0.5, as of squared errors."""
    targets = jnp.array([-1.0, 1.0, 1.0, 1.0])

    def loss(logits):
        wide = jnp.broadcast_to(logits, (4, 21))
        return ValueHistogram(wide, 2.0).cross_entropy(targets).mean()

    def descend(logits, _):
        return logits - 2.0 * jax.grad(loss)(logits), None

    logits, _ = jax.lax.scan(descend, jnp.zeros(21), length=400)
    assert ValueHistogram(logits, 2.0).mean() == pytest.approx(0.5, abs=0.02)
    assert abs(float(flat(21, 2.0).mean())) < 1e-6


def test_a_network_with_a_histogram_gives_it_with_the_value():
    env = kx.make(TINY, observation_type="blind")
    config = NetworkConfig("mlp", 8, 1, head_width=8, head_layers=1, critic="hl_gauss", value_limit=3.0)
    network = make_network(config, env)
    params, reset = network.init(KEY), jnp.ones((2, 3), bool)
    output = jax.jit(network.unroll)(params, (), jnp.ones((2, 3, 1)), reset)
    assert output.value_histogram.logits.shape == (2, 3, 51) and output.value_histogram.limit == 3
    np.testing.assert_array_equal(output.value, output.value_histogram.mean())
    assert np.abs(output.value).max() < 1
    step = jax.jit(network.step)(params, (), jnp.ones((3, 1)), reset[0])
    assert step.value_histogram.logits.shape == (3, 51)
    np.testing.assert_allclose(step.value, output.value[0], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"critic": "quantile"}, r"critic must be one of \('scalar', 'hl_gauss'\), got 'quantile'"),
        ({"value_limit": 0.0}, r"value_limit must be above 0, got 0\.0"),
        ({"value_bins": 0}, "value_bins must be an integer of at least 1, got 0"),
    ],
)
def test_impossible_critics_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        NetworkConfig(**change)
