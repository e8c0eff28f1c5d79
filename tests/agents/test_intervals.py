"""Intervals of solve rates against theory: widths, coverage, and what they must not leave out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from agents.evaluation.intervals import (
    attempt_difference_interval,
    attempt_interval,
    level_difference_interval,
    level_interval,
    seed_difference_interval,
    seed_interval,
    worst_share_rate,
)


def attempts_at(rates, attempts, rng):
    """Outcomes `[L, attempts]` of levels with these rates."""
    return rng.random((len(rates), attempts)) < rates[:, None]


def test_intervals_over_attempts_narrow_with_attempts():
    """Ten levels solved half the time: the standard error is sqrt(0.25 / (10 n))."""
    for tries in (4, 20, 320):
        solved = np.tile(np.arange(tries) % 2, (10, 1))
        low, high = attempt_interval(solved)
        width = 2 * 1.96 * np.sqrt(0.25 / (10 * tries))
        assert low < 0.5 < high and high - low == pytest.approx(width, rel=0.1)


def test_no_success_in_a_few_attempts_is_not_certain():
    """The interval of 0 of 8 is about that of the Jeffreys posterior, and that of 8 of 8 its mirror image."""
    low, high = attempt_interval(np.zeros((1, 8), bool))
    assert low == 0 and high == pytest.approx(stats.beta.ppf(0.975, 0.5, 8.5), abs=0.06)
    below, above = attempt_interval(np.ones((1, 8), bool))
    assert above == 1 and below == pytest.approx(1 - high, abs=0.03)
    # Many such levels beside others: each adds variance, and none moves the interval away from the mean.
    mixed = np.array([[False] * 8] * 300 + [[True, False] * 4] * 100)
    low, high = attempt_interval(mixed)
    assert low < mixed.mean() < high
    assert high - low > 2 * 1.96 * np.sqrt(0.25 / 8 * 100) / 400


def test_intervals_over_attempts_cover_the_mean_of_the_levels():
    """In 95 of 100 evaluations of fixed levels, or some more."""
    rng = np.random.default_rng(1)
    rates = rng.beta(0.4, 0.6, 40)
    hits = []
    for _ in range(300):
        low, high = attempt_interval(attempts_at(rates, 8, rng), num_resamples=300)
        hits.append(low <= rates.mean() <= high)
    assert 0.93 <= np.mean(hits) <= 0.995


def test_intervals_over_levels_cover_the_mean_of_the_distribution():
    """Levels are drawn anew each time; an interval over attempts would cover a third as often."""
    rng = np.random.default_rng(2)
    hits, narrow, widths = [], [], []
    for _ in range(300):
        solved = attempts_at(rng.beta(0.4, 0.6, 100), 8, rng)
        low, high = level_interval(solved, num_resamples=300)
        hits.append(low <= 0.4 <= high)
        widths.append(high - low)
        low, high = attempt_interval(solved, num_resamples=300)
        narrow.append(low <= 0.4 <= high)
    assert 0.91 <= np.mean(hits) <= 0.98 and np.mean(narrow) < 0.65
    # Attempt noise is in the rates of the levels already: the standard error counts it once.
    deviation = np.sqrt(0.24 / 2 + (0.24 - 0.24 / 2) / 8)  # of Beta(0.4, 0.6), and of 8 attempts
    assert np.mean(widths) == pytest.approx(2 * 1.96 * deviation / 10, rel=0.05)


def test_paired_differences_are_less_uncertain_than_two_rates():
    """One policy solves each level a tenth more often: the spread of the levels cancels."""
    rng = np.random.default_rng(3)
    rates = rng.uniform(0, 0.9, 200)
    first, second = attempts_at(rates + 0.1, 50, rng), attempts_at(rates, 50, rng)
    value = first.mean() - second.mean()
    low, high = level_difference_interval(first.mean(1) - second.mean(1))
    alone = level_interval(first)
    assert low < 0.1 < high and high - low < (alone[1] - alone[0]) / 2
    narrow = attempt_difference_interval(first, second, value)
    expected = np.sqrt(sum((r * (1 - r)).sum() for r in (rates + 0.1, rates)) / 50) / 200
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 * expected, rel=0.1)
    # Without randomness in one of them, that of the other remains; without any, none.
    alone = attempt_interval(first)
    half = attempt_difference_interval(first, None, value)
    assert half[1] - half[0] == pytest.approx(alone[1] - alone[0], rel=1e-6)
    assert attempt_difference_interval(None, None, 0.25) == (0.25, 0.25)


def test_intervals_over_seeds_are_students():
    """Three runs: 4.303 standard errors of the mean, from the table of t with 2 degrees of freedom."""
    low, high = seed_interval(np.array([0.4, 0.5, 0.6]))
    assert (low + high) / 2 == pytest.approx(0.5)
    assert (high - low) / 2 == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)
    assert seed_interval(np.array([0.4])) == (-np.inf, np.inf)


def test_differences_over_seeds_are_welchs():
    first, second = np.array([0.61, 0.58, 0.66, 0.7]), np.array([0.4, 0.52, 0.45])
    low, high = seed_difference_interval(first, second)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-6)
    assert seed_difference_interval(np.full(3, 0.5), np.full(3, 0.25)) == (0.25, 0.25)
    assert seed_difference_interval(first, second[:1]) == (-np.inf, np.inf)


def test_the_worst_tenth_is_measured_by_other_attempts_than_those_that_chose_it():
    """Of twenty equal levels the worst two are no worse; of unequal ones they are those that are."""
    rng = np.random.default_rng(4)
    equal = np.mean([worst_share_rate(attempts_at(np.full(20, 0.5), 8, rng)) for _ in range(300)])
    assert equal == pytest.approx(0.5, abs=0.03)
    # Equally bad levels share a place: two of three by the others, of which one is solved in this attempt.
    assert worst_share_rate(np.array([[0, 0], [0, 1], [1, 1]], bool), 0.1) == pytest.approx((0.5 + 0) / 2)
    solved = np.ones((20, 4), bool)
    solved[[3, 11]] = [[True, False, False, True], [False] * 4]
    assert worst_share_rate(solved) == 0.25
    assert worst_share_rate(solved, share=0.01) == 0 and worst_share_rate(solved, share=1) == solved.mean()
    assert worst_share_rate(np.arange(10)[:, None] > 0) == 0
