"""Tables of evaluations, and performance profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.evaluation.comparison import Difference, SeedSummary, ahead_of_chance
from agents.evaluation.evaluation import Evaluation

# Solve rates at which performance profiles are computed.
THRESHOLDS = np.linspace(0, 1, 101)


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], num_left: int = 1) -> str:
    """Formats a table; the first `num_left` columns are aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        cells = [
            f"{cell:<{width}}" if place < num_left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _signed(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} ({low:+.3f} .. {high:+.3f})"


def solve_rate_table(evaluations: Sequence[Evaluation]) -> str:
    """Formats solve rates: a line for each record, the best of a set first; then notes on them."""
    header = ["levels", "policy", "solve rate", "95 % interval", "over", "ahead of chance"]
    header += ["worst tenth", "number", "attempts", "trained on", "contacts"]
    rows = []
    for name in dict.fromkeys(evaluation.level_set for evaluation in evaluations):
        of_set = [evaluation for evaluation in evaluations if evaluation.level_set == name]
        for row in sorted(of_set, key=lambda row: -row.solve_rate):
            low, high = row.interval
            ahead = ahead_of_chance(row, evaluations)
            rows.append(
                (
                    name,
                    row.label,
                    f"{row.solve_rate:.3f}",
                    f"{low:.3f} .. {high:.3f}",
                    row.interval_kind,
                    "" if ahead is None else _signed(ahead.value, ahead.low, ahead.high),
                    f"{row.worst_rate:.3f}",
                    str(row.num_levels),
                    str(row.attempts),
                    str(sum(row.levels.trained_on) or "none"),
                    row.conditions.contact_order,
                )
            )
    return "\n".join([format_table(header, rows, num_left=2), *notes(evaluations)])


def notes(evaluations: Sequence[Evaluation]) -> list[str]:
    """Says how rates were measured, and warns of levels that are not as new to an agent as they seem."""
    lines = [f"measured with {text}" for text in dict.fromkeys(str(each.conditions) for each in evaluations)]
    if any(each.baseline for each in evaluations):
        lines.append("ahead of chance: difference from the best baseline on the same levels")
    for each in evaluations:
        if any(each.levels.siblings):
            lines.append(
                f"warning: {each.run.name or each.label} was trained on siblings of "
                f"{sum(each.levels.siblings)} levels of {each.level_set}: this is no rate on new tasks"
            )
        of_set = next(other for other in evaluations if other.level_set == each.level_set)
        if not of_set.levels.same_levels(each.levels):
            lines.append(
                f"warning: {of_set.label} and {each.label} were evaluated on different levels, "
                f"both called {each.level_set}"
            )
    return list(dict.fromkeys(lines))


def level_table(evaluation: Evaluation) -> str:
    """Formats the solve rate of every level of a set, a line each.

    Levels trained on are marked by a star, those whose family was trained on by a tilde.
    """
    info = evaluation.levels
    rows = zip(
        marked_names(evaluation),
        (f"{rate:.2f}" for rate in evaluation.level_rates),
        (f"{steps:.1f}" for steps in evaluation.length.mean(1)),
        strict=True,
    )
    lines = [format_table(("level", "solve rate", "mean length"), list(rows))]
    lines += ["* trained on"] if any(info.trained_on) else []
    lines += ["~ trained on levels of its family"] if any(info.siblings) else []
    return "\n".join(lines)


def marked_names(evaluation: Evaluation) -> list[str]:
    """Returns the names of levels, with a star if trained on, with a tilde if their family was."""
    info = evaluation.levels
    return [
        name + (" *" if trained else " ~" if sibling else "")
        for name, trained, sibling in zip(info.level_names, info.trained_on, info.siblings, strict=True)
    ]


def seed_table(summaries: Sequence[SeedSummary]) -> str:
    """Formats means over training seeds: a line for each summary."""
    header = ("levels", "policy", "mean", "95 % over seeds", "worst tenth", "each seed")
    rows = [
        (
            each.levels.name,
            each.label,
            f"{each.solve_rate:.3f}",
            "{:.3f} .. {:.3f}".format(*each.interval),
            f"{each.worst_rate:.3f}",
            " ".join(f"{rate:.3f}" for rate in each.rates),
        )
        for each in summaries
    ]
    return format_table(header, rows, num_left=2)


def difference_table(differences: Sequence[Difference]) -> str:
    """Formats paired differences: a line each."""
    rows = [
        (each.level_set, each.first, each.second, _signed(each.value, each.low, each.high), each.over)
        for each in differences
    ]
    return format_table(("levels", "policy", "minus", "difference (95 %)", "over"), rows, num_left=3)


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
    """Computes a 95 % band of a profile, point by point.

    Random levels are resampled, each with its attempts. Of given levels the attempts are drawn anew, with the
    Jeffreys estimate (k + 1/2) / (n + 1) of each level's rate. Attempt noise is in the measured profile
    already and moves a resampled one further the same way; so the band is made of deviations from the mean
    of the resamples, about the measured profile.

    Returns:
      lower and upper bound, float `[101]` each.
    """
    rng, measured = np.random.default_rng(seed), profile(evaluation.level_rates)
    count, attempts = evaluation.num_levels, evaluation.attempts
    if evaluation.levels.is_random:
        reached = evaluation.level_rates[:, None] >= THRESHOLDS - 1e-9
        profiles = rng.multinomial(count, np.full(count, 1 / count), num_resamples) @ reached / count
    elif evaluation.deterministic:
        return measured, measured
    else:
        estimate = (evaluation.solved.sum(axis=1) + 0.5) / (attempts + 1)
        drawn = rng.binomial(attempts, estimate, (num_resamples, count)) / attempts
        profiles = np.stack([profile(row) for row in drawn])
    low, high = np.quantile(profiles - profiles.mean(axis=0), [0.025, 0.975], axis=0)
    # At 0 every level counts, so that nothing is random there; elsewhere the measured profile is within.
    return np.clip(measured + np.minimum(low, 0), 0, 1), np.clip(measured + np.maximum(high, 0), 0, 1)
