"""Intervals of solve rates: over attempts, over levels, over training seeds, and of paired differences."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

# Resamples behind every interval.
NUM_RESAMPLES = 2000


def _quantiles(draws: np.ndarray, confidence: float) -> tuple[float, float]:
    """Central interval of draws `[R]`."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def attempt_deviations(
    solved: np.ndarray, rng: np.random.Generator, num_resamples: int = NUM_RESAMPLES
) -> np.ndarray:
    """Draws errors of a mean solve rate that come from the attempts alone; the levels are fixed.

    The rate of a level solved in k of n attempts is drawn from its Jeffreys posterior Beta(k + 1/2, n - k +
    1/2) (Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", 2001), so
    that a level solved in none of them is uncertain too. Deviations from the posterior mean are widened by
    sqrt((n + 2) / n), which makes their variance that of a share of n attempts, p (1 - p) / n.

    Args:
      solved: bool `[L, attempts]`.
      rng: random numbers.
      num_resamples: number of draws.

    Returns:
      float `[num_resamples]`, of mean 0.
    """
    count, attempts = solved.sum(axis=1), solved.shape[1]
    draws = rng.beta(count + 0.5, attempts - count + 0.5, (num_resamples, len(solved))).mean(axis=1)
    return (draws - draws.mean()) * math.sqrt((attempts + 2) / attempts)


def attempt_interval(
    solved: np.ndarray, confidence: float = 0.95, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Computes an interval of the mean solve rate of these levels, whose attempts alone are random.

    Args:
      solved: bool `[L, attempts]`.
      confidence: coverage of the interval, in 0 .. 1.
      num_resamples, seed: number and seed of the draws of `attempt_deviations`.

    Returns:
      lower and upper bound, in 0 .. 1.
    """
    solved = np.asarray(solved, bool)
    deviations = attempt_deviations(solved, np.random.default_rng(seed), num_resamples)
    low, high = _quantiles(solved.mean() + deviations, confidence)
    return max(low, 0.0), min(high, 1.0)


def _resampled_means(values: np.ndarray, num_resamples: int, seed: int) -> np.ndarray:
    """Means of resamples of values `[L]` with replacement: `[num_resamples]`."""
    count = len(values)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), num_resamples)
    return weights @ values / count


def level_interval(
    solved: np.ndarray, confidence: float = 0.95, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Computes an interval of the mean solve rate over the distribution that the levels were drawn from.

    Levels are resampled, each with its attempts. Attempts are not resampled again within a level, which would
    count their noise twice (Davison and Hinkley, "Bootstrap methods and their application", 1997, section
    3.8).

    Args:
      solved: bool `[L, attempts]`.
      confidence: coverage of the interval, in 0 .. 1.
      num_resamples, seed: number and seed of the resamples.

    Returns:
      lower and upper bound, in 0 .. 1.
    """
    rates = np.asarray(solved, float).mean(axis=1)
    return _quantiles(_resampled_means(rates, num_resamples, seed), confidence)


def level_difference_interval(
    differences: np.ndarray, confidence: float = 0.95, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Computes an interval of the mean paired difference over the distribution of the levels.

    Args:
      differences: float `[L]`, difference of two solve rates of each level.
      confidence: coverage of the interval, in 0 .. 1.
      num_resamples, seed: number and seed of the resamples of levels.

    Returns:
      lower and upper bound, in -1 .. 1.
    """
    return _quantiles(_resampled_means(np.asarray(differences, float), num_resamples, seed), confidence)


def attempt_difference_interval(
    first: np.ndarray | None,
    second: np.ndarray | None,
    difference: float,
    confidence: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Computes an interval of the difference of two mean solve rates on the same, fixed levels.

    Attempts of the two are taken as independent; if they share random numbers, the interval is too wide.

    Args:
      first, second: bool `[L, attempts]`; None for a policy without randomness.
      difference: mean of the first minus that of the second.
      confidence: coverage of the interval, in 0 .. 1.
      num_resamples, seed: number and seed of the draws of `attempt_deviations`.

    Returns:
      lower and upper bound, in -1 .. 1.
    """
    rng, draws = np.random.default_rng(seed), np.full(num_resamples, difference)
    for sign, solved in ((1, first), (-1, second)):
        if solved is not None:
            draws = draws + sign * attempt_deviations(np.asarray(solved, bool), rng, num_resamples)
    low, high = _quantiles(draws, confidence)
    return max(low, -1.0), min(high, 1.0)


def seed_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Computes Student's interval of the mean of independent training runs.

    Args:
      values: float `[S]`, one result for each run.
      confidence: coverage of the interval, in 0 .. 1.

    Returns:
      lower and upper bound; infinite for a single run, of which nothing follows for another one.
    """
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return -math.inf, math.inf
    error = values.std(ddof=1) / math.sqrt(len(values))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error)
    return mean - reach, mean + reach


def seed_difference_interval(
    first: np.ndarray, second: np.ndarray, confidence: float = 0.95
) -> tuple[float, float]:
    """Computes Welch's interval of the difference of two means over independent training runs.

    Welch, "The generalization of 'Student's' problem when several different population variances are
    involved" (1947).

    Args:
      first, second: float `[S]` and `[S']`, one result for each run.
      confidence: coverage of the interval, in 0 .. 1.

    Returns:
      lower and upper bound; infinite if either has a single run.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    difference = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2:
        return -math.inf, math.inf
    terms = [values.var(ddof=1) / len(values) for values in (first, second)]
    variance = sum(terms)
    if variance == 0:
        return difference, difference
    freedom = variance**2 / sum(
        term**2 / (len(values) - 1) for term, values in zip(terms, (first, second), strict=True)
    )
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom) * math.sqrt(variance))
    return difference - reach, difference + reach


def worst_share_rate(solved: np.ndarray, share: float = 0.1) -> float:
    """Computes the mean solve rate on the worst share of the levels, the conditional value at risk.

    Rutherford et al., "No regrets" (2024), compare curricula by it. Choosing the worst levels by the same
    attempts that measure them would make them look worse than they are: each attempt is measured on the
    levels that are the worst by all other attempts. Levels that are equally bad share the places left.

    Args:
      solved: bool `[L, attempts]`; a single attempt is taken as certain, chooses and measures.
      share: share of the levels, in 0 .. 1; at least one level is taken.

    Returns:
      the mean solve rate of these levels, in 0 .. 1.
    """
    solved = np.asarray(solved, float)
    attempts, places = solved.shape[1], max(math.ceil(share * len(solved) - 1e-9), 1)
    # For each attempt, successes in the others: whole numbers, so that ties are exact.
    others = solved.sum(axis=1, keepdims=True) - solved if attempts > 1 else solved
    last = np.sort(others, axis=0)[places - 1]
    worse, tied = others < last, others == last
    weights = worse + tied * (places - worse.sum(axis=0)) / tied.sum(axis=0)
    return float((weights * solved).sum() / (places * attempts))
