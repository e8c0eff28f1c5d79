"""Policies and the masked softmax, worked by hand."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from agents.networks.distributions import MASKED_LOGIT, choice_logits, make_distribution, num_outputs
from kinetix_py.actions import ActionAdapter
from tests.kinetix_py.small_levels import TINY

KEY = jax.random.key(0)


def test_multi_discrete_policy_by_hand():
    """One motor binding with logits 0, log 2, log 5, one that is masked out, one thruster binding."""
    size = dataclasses.replace(TINY, num_motor_bindings=2, num_thruster_bindings=1)
    actions = ActionAdapter("multi_discrete", size)
    assert num_outputs(actions) == 8
    outputs = jnp.log(jnp.array([[1.0, 2, 5, 3, 4, 5, 1, 3]]))
    mask = actions.mask(jnp.array([True, False]), jnp.array([True]))[None]
    policy = make_distribution(outputs, None, actions, mask)
    expected = [[1 / 8, 2 / 8, 5 / 8], [1, 0, 0], [1 / 4, 3 / 4, 0]]
    np.testing.assert_allclose(policy.probs[0], expected, rtol=1e-6)
    assert (policy.probs[0][np.array(expected) == 0] == 0).all()
    np.testing.assert_allclose(policy.log_prob(jnp.array([[2, 0, 1]])), [math.log(5 / 8 * 3 / 4)], rtol=1e-6)
    entropy = -sum(p * math.log(p) for p in (1 / 8, 2 / 8, 5 / 8, 1 / 4, 3 / 4))
    np.testing.assert_allclose(policy.entropy(), [entropy], rtol=1e-6)
    assert policy.mode().tolist() == [[2, 0, 1]]
    samples = np.asarray(policy.sample(seed=KEY, sample_shape=(4000,)))[:, 0]
    np.testing.assert_allclose((samples[:, 0] == 2).mean(), 5 / 8, atol=0.03)
    assert (samples[:, 1] == 0).all() and samples[:, 2].max() == 1
    assert choice_logits(outputs, 2)[0, 2, 2] == MASKED_LOGIT
    free = make_distribution(outputs, None, actions, None)
    np.testing.assert_allclose(free.probs[0, 1:], [[3 / 12, 4 / 12, 5 / 12], [1 / 4, 3 / 4, 0]], rtol=1e-6)


def test_discrete_policy_by_hand():
    """Motor backwards and forwards, nothing, thruster: weights 1, 2, 3, 4, without the thruster."""
    size = dataclasses.replace(TINY, num_motor_bindings=1, num_thruster_bindings=1)
    actions = ActionAdapter("discrete", size)
    mask = actions.mask(jnp.array([True]), jnp.array([False]))[None]
    policy = make_distribution(jnp.log(jnp.array([[1.0, 2, 3, 4]])), None, actions, mask)
    np.testing.assert_allclose(policy.probs[0], [1 / 6, 2 / 6, 3 / 6, 0], rtol=1e-6)
    np.testing.assert_allclose(policy.log_prob(jnp.array([1])), [math.log(1 / 3)], rtol=1e-6)
    entropy = -sum(p * math.log(p) for p in (1 / 6, 2 / 6, 3 / 6))
    np.testing.assert_allclose(policy.entropy(), [entropy], rtol=1e-6)
    assert policy.log_prob(jnp.array([3])) < -1e8


def test_continuous_policy_by_hand():
    """Two bindings of standard deviations 1 and 2, then the second masked out."""
    size = dataclasses.replace(TINY, num_motor_bindings=1, num_thruster_bindings=1)
    actions = ActionAdapter("continuous", size)
    mean, log_std = jnp.array([[0.5, -1.0]]), jnp.log(jnp.array([1.0, 2]))
    policy = make_distribution(mean, log_std, actions, None)
    action, half_log_tau = jnp.array([[1.5, 3.0]]), 0.5 * math.log(2 * math.pi)
    first, second = -0.5 - half_log_tau, -0.5 * 4 - math.log(2) - half_log_tau
    np.testing.assert_allclose(policy.log_prob(action), [first + second], rtol=1e-6)
    each = 0.5 + half_log_tau
    np.testing.assert_allclose(policy.entropy(), [2 * each + math.log(2)], rtol=1e-6)
    masked = make_distribution(mean, log_std, actions, jnp.array([[True, False]]))
    np.testing.assert_allclose(masked.log_prob(action), [first], rtol=1e-6)
    np.testing.assert_allclose(masked.entropy(), [each], rtol=1e-6)
    samples = masked.sample(seed=KEY, sample_shape=(4000,))[:, 0]
    assert (samples[:, 1] == 0).all()
    np.testing.assert_allclose([samples[:, 0].mean(), samples[:, 0].std()], [0.5, 1], atol=0.05)
