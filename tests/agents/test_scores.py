"""Outcomes of levels and their scores, worked by hand."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agents.curricula import scores
from agents.curricula.outcome import Outcome, episode_metrics
from agents.curricula.scores import SCORES, History, expected_learnability, learnability
from agents.ppo.gae import advantages, negative_advantages
from agents.ppo.rollout import PlayedSteps


def played(solved, done, value=None, advantage=None, episode_return=None, episode_length=None):
    """Rows of environments, given as steps `[B, T]`; what is not given is 0."""
    table = lambda given: np.array(np.zeros_like(done) if given is None else given, np.float32).T
    solved, done = np.array(solved, bool).T, np.array(done, bool).T
    info = {
        "solved": solved,
        "episode_return": table(episode_return),
        "episode_length": table(episode_length),
    }
    steps = PlayedSteps(table(None), table(value), table(advantage), done, done, info)
    return jax.jit(Outcome.of)(dataclasses.replace(steps, maximized_negative=jnp.minimum(steps.advantage, 0)))


@pytest.fixture(scope="module")
def two():
    """One environment that solves, fails and goes on; one that never ends."""
    return played(
        solved=[[0, 1, 0, 0], [0, 0, 0, 0]],
        done=[[0, 1, 1, 0], [0, 0, 0, 0]],
        value=[[0.5, 1, 0, 0.5], [0.25, 0, 0, 0]],
        advantage=[[2, -1, 1, -2], [0, 0, -4, 2]],
        episode_return=[[0.5, 1.5, -1, 9], [0, 0.25, 0.5, 0.75]],
        episode_length=[[1, 2, 1, 1], [1, 2, 3, 4]],
    )


def test_an_outcome_by_hand(two):
    expected = {
        "attempts": [1, 1],
        "solved": [1, 0],
        "episodes": [2, 0],
        "episodes_solved": [1, 0],
        "episode_return": [0.25, 0.75],  # (1.5 - 1) / 2; of the episode that goes on
        "episode_length": [1.5, 4],
        "max_return": [1.5, 0.75],
        "value": [0.5, 0.0625],
        "initial_value": [0.5, 0.25],
        "positive_advantage": [0.75, 0.5],
        "negative_advantage": [0.75, 1],
        "maximized_negative": [0.75, 1],  # as given: a test of its own says what it is
    }
    assert expected.keys() | {"axis"} == {field.name for field in dataclasses.fields(two)}
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(two, name), values, err_msg=name)


def test_first_episodes_alone_are_attempts():
    """Failed then solved twice; solved then failed; not ended; solved at the last step."""
    solved = [[0, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    outcome = played(solved, done=[[1, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]])
    assert outcome.solved.tolist() == [0, 1, 0, 1] and outcome.attempts.tolist() == [1, 1, 1, 1]
    metrics = episode_metrics(outcome)
    assert metrics["solve_rate"] == 0.5 and metrics["solve_rate_ended"] == pytest.approx(4 / 6)


def test_returns_are_averaged_over_episodes_and_not_over_environments():
    """Returns 1, 1 and 4 in two environments; the third, which does not end, is not counted."""
    outcome = played(
        solved=[[0, 0]] * 3,
        done=[[1, 1], [0, 1], [0, 0]],
        episode_return=[[1, 1], [0, 4], [7, 7]],
        episode_length=[[1, 1], [1, 2], [1, 2]],
    )
    metrics = episode_metrics(outcome)
    assert metrics["episode_return"] == 2 and metrics["episodes"] == 3
    assert metrics["episode_length"] == pytest.approx(4 / 3)


def test_rows_of_one_level_are_merged(two):
    """Both rows are of level 1; of level 0 there is none; a row of no level is left out."""
    merged = two.merge(jnp.array([1, 1]), 2)
    assert merged.attempts.tolist() == [0, 2] and merged.solved.tolist() == [0, 1]
    assert merged.max_return.tolist() == [-np.inf, 1.5] and merged.episode_return.tolist() == [0, 0.5]
    assert merged.value.tolist() == [0, (0.5 + 0.0625) / 2]
    alone = two.merge(jnp.array([-1, 0]), 1)
    assert alone.attempts.tolist() == [1] and alone.max_return.tolist() == [0.75]


def test_scores_by_hand(two):
    """The first level was never played before; the second was, with returns up to 2 and last of 0.5."""
    rows = ([0.0, 3], [0.0, 2], [-jnp.inf, 2], [0, 0.5], [0, 1])
    before = History(*[np.array(row, np.float32) for row in rows])
    expected = {
        "positive_value_loss": [0.75, 0.5],
        "negative_advantage": [0.75, 1],
        "maximized_negative_advantage": [0.75, 1],  # both were solved, now or before
        "l1_value_loss": [1.5, 1.5],
        "max_mc": [1.5 - 0.5, 2 - 0.0625],
        "regret": [1.5 - 0.25, 2 - 0.75],
        "learning_progress": [0.25, 0.25],  # |0.25 - 0.5| by the first value; |0.75 - 0.5| by the last return
        "learnability": [1.5 * 0.5 / (2 * 3), 2.5 * 2.5 / (5 * 6)],  # 1 of 1 and 2 of 4 attempts solved
    }
    assert expected.keys() == SCORES.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(SCORES[name](two, before), values, rtol=1e-6, err_msg=name)
    after = before.after(two)
    assert after.max_return.tolist() == [1.5, 2] and after.last_return.tolist() == [0.25, 0.75]
    assert after.attempts.tolist() == [1, 4] and after.fade(0.5).solved.tolist() == [0.5, 1]


def test_levels_that_were_never_solved_have_no_maximized_negative_advantage(two):
    """The first is solved now; of the second that is not known, until it was solved once, in any episode."""
    score, never = SCORES["maximized_negative_advantage"], History.empty(2)
    assert score(two, never).tolist() == [0.75, 0]
    later = dataclasses.replace(two, solved=jnp.zeros(2), episodes_solved=jnp.array([0.0, 1.0]))
    once = never.after(later).fade(0)
    assert once.solved.tolist() == [0, 0] and once.ever_solved.tolist() == [0, 1]
    unsolved = dataclasses.replace(later, episodes_solved=jnp.zeros(2))
    assert score(unsolved, once).tolist() == [0, 1]
    with pytest.raises(ValueError, match="needs steps with negative advantages"):
        score(dataclasses.replace(two, maximized_negative=None), never)
    merged = dataclasses.replace(two, maximized_negative=None).merge(jnp.array([0, 0]), 1)
    assert merged.maximized_negative is None and two.merge(jnp.array([0, 0]), 1).maximized_negative == 0.875


def test_maximized_negative_advantages_by_hand():
    """Errors 1, -3, 2, -1 of four steps, the third of which ends an episode; lambda 1/2 and no discount."""
    errors, done = np.array([[1, -3, 2, -1]], np.float32).T, np.array([[0, 0, 1, 0]], bool).T
    zero = np.zeros_like(errors)
    result = negative_advantages(errors, zero, zero, done, done, 1.0, 0.5)
    # From the first step: totals 0, -3, -1 with weights 1/2, 1/4, 1/4. The best is +1 after one step, from
    # which it falls to -2 and rises to 0: by 3, and by 1.
    np.testing.assert_allclose(result[:, 0], [-3 / 4 - 1 / 4, -3 / 2 - 1 / 2, 0, -1])
    discounted = negative_advantages(errors, zero, zero, done, done, 0.5, 0.5)
    first = -1.5 / 4 + (-1.5 + 0.5) / 4  # errors 1, -3 / 2, 2 / 4
    np.testing.assert_allclose(discounted[:2, 0], [first, -3 / 2 + (-3 + 1) / 2])


@pytest.mark.parametrize("gae_lambda", [0.0, 0.9])
def test_maximized_negative_advantages_without_good_surprises_are_the_advantages(gae_lambda):
    """Where no error is above 0, nothing is cut off, and both are one."""
    rng = np.random.default_rng(0)
    rewards = -rng.uniform(0, 1, (7, 3)).astype(np.float32)
    done = rng.random((7, 3)) < 0.3
    values = np.zeros_like(rewards)
    arguments = rewards, values, values, done, done, 0.9, gae_lambda
    expected, _ = advantages(*arguments)
    np.testing.assert_allclose(negative_advantages(*arguments), expected, rtol=1e-5, atol=1e-6)


def test_learnability_is_largest_in_the_middle():
    np.testing.assert_allclose(learnability(jnp.array([0, 0.25, 0.5, 1])), [0, 0.1875, 0.25, 0])


@pytest.mark.parametrize(("solved", "attempts"), [(0, 0), (1, 1), (2, 7), (40, 100)])
def test_expected_learnability_is_the_mean_over_the_posterior(solved, attempts):
    """Of rates p with density p^(s - 1/2) (1 - p)^(n - s - 1/2), integrated with p = sin^2 x."""
    x = (np.arange(200_000) + 0.5) / 200_000 * np.pi / 2
    rate = np.sin(x) ** 2
    density = rate**solved * (1 - rate) ** (attempts - solved)  # times dp = 2 sqrt(p (1 - p)) dx
    mean = (learnability(rate) * density).sum() / density.sum()
    assert expected_learnability(jnp.float32(solved), jnp.float32(attempts)) == pytest.approx(mean, rel=1e-4)
    assert scores.expected_learnability(jnp.float32(0), jnp.float32(0)) == 0.125
