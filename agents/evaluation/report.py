"""Tables of evaluations, and performance profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.evaluation.evaluation import Evaluation

# Solve rates at which performance profiles are computed.
THRESHOLDS = np.linspace(0, 1, 101)


def solve_rate_table(evaluations: Sequence[Evaluation]) -> str:
    """Formats solve rates with their 95 % intervals: a line for each record, the best of a set first."""
    wide = max(len(evaluation.label) for evaluation in evaluations)
    sets = list(dict.fromkeys(evaluation.level_set for evaluation in evaluations))
    set_wide = max(len(name) for name in ["levels", *sets])
    columns = "solve rate  95 % interval   number  attempts  trained on"
    lines = [f"{'levels':<{set_wide}}  {'policy':<{wide}}  {columns}"]
    for name in sets:
        rows = [evaluation for evaluation in evaluations if evaluation.level_set == name]
        for row in sorted(rows, key=lambda row: -row.solve_rate):
            low, high = row.interval
            trained = sum(row.trained_on)
            lines.append(
                f"{name:<{set_wide}}  {row.label:<{wide}}  {row.solve_rate:10.3f}  {low:.3f} .. {high:.3f}  "
                f"{row.num_levels:6d}  {row.attempts:8d}  {trained or 'none':>10}"
            )
    return "\n".join(lines)


def level_table(evaluation: Evaluation) -> str:
    """Formats the solve rate of every level of a set, a line each; levels trained on are starred."""
    names = [
        name + (" *" if trained else "")
        for name, trained in zip(evaluation.level_names, evaluation.trained_on, strict=True)
    ]
    wide = max(len(name) for name in ["level", *names])
    rows = zip(names, evaluation.level_rates, evaluation.length.mean(1), strict=True)
    lines = [f"{'level':<{wide}}  solve rate  mean length"]
    lines += [f"{name:<{wide}}  {rate:10.2f}  {steps:11.1f}" for name, rate, steps in rows]
    return "\n".join(lines + (["* trained on"] if any(evaluation.trained_on) else []))


def profile(rates: np.ndarray) -> np.ndarray:
    """Computes a performance profile: the share of levels with at least each solve rate.

    Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (2021),
    section 4.2.

    Args:
      rates: float `[..., L]`, solve rate of each level.

    Returns:
      float `[..., 101]`, at `THRESHOLDS`.
    """
    return (rates[..., None] >= THRESHOLDS - 1e-9).mean(-2)


def profile_band(
    evaluation: Evaluation, num_resamples: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Computes a 95 % band of a profile, point by point, by resampling attempts within each level.

    Returns:
      lower and upper bound, float `[101]` each.
    """
    rng = np.random.default_rng(seed)
    size, attempts = (num_resamples, evaluation.num_levels), evaluation.attempts
    rates = rng.binomial(attempts, evaluation.level_rates, size) / attempts
    profiles = np.stack([profile(row) for row in rates])
    low, high = np.quantile(profiles, [0.025, 0.975], axis=0)
    return low, high
