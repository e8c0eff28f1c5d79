"""NCC: the adversary's step by hand, where it ends, and that levels are replayed by its distribution."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import NCC, LevelBatch, Outcome
from agents.curricula.ncc import entropic_ascent
from tests.kinetix_py.small_levels import TINY, batch, relabeled, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)


def test_a_step_by_hand():
    """Weights 1/4 and 3/4, scores 1 and 0, rate 1/2, entropy 1/2; the third slot is empty."""
    log_weight = jnp.log(jnp.array([0.25, 0.75, 0.0]))
    after = entropic_ascent(log_weight, jnp.array([1.0, 0.0, jnp.nan]), 0.5, 0.5)
    # Gradients 1 - (log 1/4 + 1) / 2 and -(log 3/4 + 1) / 2; what both share is lost in the normalization.
    raw = np.array([0.25 * np.exp(0.5 * (1 - np.log(0.25) / 2)), 0.75 * np.exp(-0.5 * np.log(0.75) / 2)])
    np.testing.assert_allclose(np.exp(after[:2]), raw / raw.sum(), rtol=1e-6)
    assert after[2] == -jnp.inf


def test_steps_end_at_the_maximum():
    """Of `sum(y s) + c H(y)`: y proportional to exp(s / c), from wherever it begins."""
    score = jnp.array([0.25, 0.1, 0.0, 0.2])
    step = jax.jit(lambda weight: entropic_ascent(weight, score, 0.5, 0.2))
    weight = jnp.log(jnp.array([0.001, 0.001, 0.997, 0.001]))
    expected = jax.nn.log_softmax(score / 0.2)
    objective = lambda w: (jnp.exp(w) * score).sum() - 0.2 * (jnp.exp(w) * w).sum()
    values = []
    for _ in range(90):
        values.append(float(objective(weight)))
        weight = step(weight)
    assert (np.diff(values) > -1e-6).all()
    np.testing.assert_allclose(weight, expected, atol=0.01)
    once = entropic_ascent(jnp.log(jnp.full(4, 0.25)), score, 5.0, 0.2)  # the largest step is all the way
    np.testing.assert_allclose(once, expected, atol=1e-5)


@pytest.fixture(scope="module")
def curriculum():
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    numbers = {"buffer_size": 6, "buffer_share": 0.5, "history_decay": 1.0, "learn_fresh": False}
    return NCC(env, kx.EnvParams(max_timesteps=20), 6, **numbers)


@pytest.fixture(scope="module")
def played(curriculum):
    """Six levels, each solved in a share of 30 updates: 0, 1/5 .. 1, and the states in between."""
    levels = batch(rocket(), 6)
    levels = relabeled(levels, density=levels.labels.density.at[:, 0].set(1 + 0.1 * jnp.arange(6)))
    observe = jax.jit(lambda state, batch, out, i: curriculum.observe(KEY, None, None, state, batch, out, i))
    states, source = [curriculum.init(KEY)], jnp.full(6, -1)
    for i in range(30):
        solved = jnp.where((i % 5) < jnp.arange(6), 1.0, 0.0)
        one, zero = jnp.ones(6), jnp.zeros(6)
        out = Outcome(one, solved, one, solved, solved, one, solved, zero, zero, zero, zero)
        state, metrics = observe(states[-1], LevelBatch(levels, source), out, i)
        states.append(state)
    return states, metrics


def test_the_distribution_follows_the_scores(curriculum, played):
    """The one solved in 2 or 3 of 5 updates outweighs the others, those solved always or never come last."""
    states, metrics = played
    weights = np.asarray(curriculum.replay_weights(states[-1], 30))
    buffer = states[-1].buffer
    rate = np.asarray(buffer.history.solved / buffer.history.attempts)
    np.testing.assert_allclose(np.sort(rate), np.arange(6) / 5, atol=1e-6)
    order = np.argsort(rate)
    assert weights[order[2:4]].min() > weights[order[[1, 4]]].max() > weights[order[[0, 5]]].max()
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert weights.max() / weights.min() < np.exp(1 / (4 * curriculum.adversary_entropy_coef))
    entropy = -(weights * np.log(weights)).sum()
    assert metrics["adversary_entropy"] == pytest.approx(entropy, abs=1e-4)
    first = np.asarray(curriculum.replay_weights(states[1], 1))
    np.testing.assert_allclose(first, 1 / 6, rtol=1e-5)  # after one attempt each, all are alike


def test_the_adversary_moves_slower_than_the_scores(curriculum, played):
    """A level's weight is not its score of the moment: a smaller rate leaves it closer to what it was."""
    state = played[0][-1]
    before = curriculum.replay_weights(state, 30)
    score = jnp.zeros(6).at[0].set(0.25)
    moved = [jnp.exp(entropic_ascent(state.log_weight, score, rate, 0.05)) for rate in (0.1, 1.0, 10.0)]
    far = [float(jnp.abs(weight - before).sum()) for weight in moved]
    assert 0 < far[0] < far[1] < far[2]


def test_levels_are_replayed_by_their_weights(curriculum, played, monkeypatch):
    """All weight on slot 4, whatever the scores."""
    fresh = batch(rocket(), 6)
    monkeypatch.setattr(NCC, "draw", lambda self, key, pool, wanted: (pool, fresh, jnp.int32(0)))
    log_weight = jnp.full(6, -jnp.inf).at[4].set(0.0)
    state = dataclasses.replace(played[0][-1], log_weight=log_weight)
    _, levels = curriculum.propose(KEY, None, None, state, 30)
    assert levels.source.tolist() == [-1, -1, -1, 4, 4, 4]
    assert levels.learn.tolist() == [False] * 3 + [True] * 3


@pytest.mark.slow
def test_two_devices_share_levels_and_weights(curriculum, played):
    """The best levels are dealt out in turn, each with its weight, which add up to 1 on each device."""
    state = played[0][-1]
    half = dataclasses.replace(curriculum, num_envs=3, buffer_size=3)
    dealt = half.redistribute(jax.tree.map(lambda leaf: leaf[None], state), 2)
    np.testing.assert_allclose(np.exp(dealt.log_weight).sum(1), 1, rtol=1e-5)
    order = np.argsort(-np.asarray(state.buffer.score), kind="stable")
    np.testing.assert_array_equal(dealt.buffer.score[0], np.asarray(state.buffer.score)[order[::2]])
    expected = np.asarray(state.log_weight)[order[::2]]
    np.testing.assert_allclose(np.diff(dealt.log_weight[0]), np.diff(expected), atol=1e-5)


def test_wrong_numbers_are_refused(curriculum):
    for change, match in (
        ({"adversary_entropy_coef": 0.0}, "adversary_entropy_coef must be above 0, got 0.0"),
        ({"adversary_learning_rate": 21.0}, r"at most 1 / adversary_entropy_coef, got 21.0"),
        ({"adversary_learning_rate": 0.0}, r"adversary_learning_rate must be above 0, .* got 0.0"),
    ):
        with pytest.raises(ValueError, match=match):
            dataclasses.replace(curriculum, **change)
