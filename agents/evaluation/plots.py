"""Pictures of evaluations, as PNG."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

from agents.evaluation.comparison import SeedSummary
from agents.evaluation.evaluation import Evaluation
from agents.evaluation.report import THRESHOLDS, marked_names, profile, profile_band
from agents.io.figures import COLORS, LINE_STYLES, make_figure


def plot_solve_rates(evaluations: Sequence[Evaluation], path: pathlib.Path, title: str = "") -> None:
    """Draws bars of the solve rates of policies on sets of levels, with their intervals.

    Of several runs of a policy on a set, the mean, its interval over seeds, and a dot for each.
    """
    sets = list(dict.fromkeys(evaluation.level_set for evaluation in evaluations))
    policies = list(dict.fromkeys(evaluation.policy for evaluation in evaluations))
    figure = make_figure(2.5 + 2.2 * len(sets), 4)
    axis = figure.subplots()
    wide = 0.8 / len(policies)
    for place, policy in enumerate(policies):
        groups: dict[str, list[Evaluation]] = {}
        for evaluation in evaluations:
            if evaluation.policy == policy:
                groups.setdefault(evaluation.level_set, []).append(evaluation)
        rows = [SeedSummary(tuple(group)) if len(group) > 1 else group[0] for group in groups.values()]
        offset = (place - (len(policies) - 1) / 2) * wide
        x = np.array([sets.index(name) for name in groups]) + offset
        rate = np.array([row.solve_rate for row in rows])
        low, high = np.array([row.interval for row in rows]).T
        error = np.maximum([rate - low, high - rate], 0)
        axis.bar(x, rate, 0.9 * wide, yerr=error, color=COLORS[place % len(COLORS)], capsize=4, label=policy)
        for where, group in zip(x, groups.values(), strict=True):
            if len(group) > 1:
                axis.plot([where] * len(group), [one.solve_rate for one in group], "k.", markersize=4)
        for where, value, top in zip(x, rate, high, strict=True):
            axis.text(where, top + 0.015, f"{value:.2f}", ha="center", fontsize=9)
    axis.set(title=title, ylabel="solve rate", ylim=(0, 1.08), xticks=range(len(sets)), xticklabels=sets)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axis.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)


def plot_levels(evaluation: Evaluation, path: pathlib.Path, title: str = "") -> None:
    """Draws the solve rate of every level of a set: bars with names, or, of many levels, sorted rates."""
    rates = evaluation.level_rates
    if len(rates) > 60:
        figure = make_figure(6, 4)
        axis = figure.subplots()
        share = (np.arange(len(rates)) + 0.5) / len(rates)
        axis.plot(share, np.sort(rates)[::-1], color=COLORS[0], linewidth=2)
        axis.set(xlabel="share of levels", ylabel="solve rate", title=title, ylim=(-0.02, 1.02), xlim=(0, 1))
    else:
        figure = make_figure(7, 1.2 + 0.26 * len(rates))
        axis = figure.subplots()
        axis.barh(range(len(rates)), rates, color=COLORS[0])
        axis.set(yticks=range(len(rates)), yticklabels=marked_names(evaluation))
        axis.set(xlim=(0, 1), xlabel="solve rate")
        axis.invert_yaxis()
        axis.set_title(title)
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def plot_profiles(evaluations: Sequence[Evaluation], path: pathlib.Path) -> None:
    """Draws bars and performance profiles with 95 % intervals, a row for each set of levels."""
    sets = list(dict.fromkeys(evaluation.level_set for evaluation in evaluations))
    labels = list(dict.fromkeys(evaluation.label for evaluation in evaluations))
    figure = make_figure(12, max(3.2, 0.5 * len(labels)) * len(sets))
    for (bars, lines), name in zip(figure.subplots(len(sets), 2, squeeze=False), sets, strict=True):
        rows = [evaluation for evaluation in evaluations if evaluation.level_set == name]
        for place, row in enumerate(rows):
            number = labels.index(row.label)
            color, style = COLORS[number % len(COLORS)], LINE_STYLES[number // len(COLORS) % len(LINE_STYLES)]
            low, high = row.interval
            error = [[max(row.solve_rate - low, 0)], [max(high - row.solve_rate, 0)]]
            bars.barh(place, row.solve_rate, xerr=error, color=color, capsize=4)
            lines.plot(THRESHOLDS, profile(row.level_rates), style, color=color, label=row.label, linewidth=2)
            lower, upper = profile_band(row)
            lines.fill_between(THRESHOLDS, lower, upper, color=color, alpha=0.2, linewidth=0)
        bars.set(yticks=range(len(rows)), yticklabels=[row.label for row in rows], xlim=(0, 1))
        bars.set(title=name, xlabel="solve rate")
        bars.invert_yaxis()
        lines.set(title=name, xlabel="solve rate of a level, at least", ylabel="share of levels")
        lines.set(xlim=(0, 1), ylim=(-0.02, 1.02))
        lines.legend(fontsize=8)
        lines.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
