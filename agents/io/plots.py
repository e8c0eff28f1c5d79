"""Curves of a run, and bars of an evaluation, as PNG."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

from agents.training.compare import THRESHOLDS, Result, profile, profile_band
from agents.training.judge import Judgement

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Panels of the curves: title, metrics by name, label of the vertical axis.
PANELS = (
    (
        "solve rate in training",
        {
            "solve_rate": "episodes that ended",
            "solve_rate_fresh": "fresh levels",
            "solve_rate_replayed": "learnable levels",
        },
        "share",
    ),
    ("return of an episode", {"episode_return": "mean"}, "return"),
    ("length of an episode", {"episode_length": "mean"}, "environment steps"),
    ("entropy of the policy", {"loss/entropy": "mean"}, "nats"),
    ("losses", {"loss/policy": "policy", "loss/value": "value"}, "loss"),
    ("speed", {"steps_per_second": "training"}, "environment steps/s"),
)
# Distinct without color vision too (Okabe and Ito, 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Running mean over the last `window` values, as many as there are at the start."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    index = np.arange(1, len(values) + 1)
    first = np.maximum(index - window, 0)
    return (total[index] - total[first]) / (index - first)


def plot_curves(rows: Sequence[Mapping[str, float]], path: pathlib.Path, title: str = "") -> None:
    """Draws the metrics of a run over its environment steps.

    Args:
      rows: from `agents.io.metrics.read_metrics`, at least one.
    """
    figure, axes = plt.subplots(2, 3, figsize=(13, 7), constrained_layout=True)
    steps = np.array([row["env_steps"] for row in rows])
    window = max(len(rows) // 20, 1)
    for axis, (name, lines, unit) in zip(axes.flat, PANELS, strict=True):
        for color, (metric, label) in zip(COLORS, lines.items(), strict=False):
            if metric not in rows[0]:
                continue
            values = np.array([row[metric] for row in rows], float)
            axis.plot(steps, values, color=color, alpha=0.25, linewidth=1)
            axis.plot(steps, smooth(values, window), color=color, label=label, linewidth=2)
        axis.set(title=name, xlabel="environment steps", ylabel=unit)
        axis.grid(alpha=0.3)
        if len(lines) > 1:
            axis.legend(fontsize=8)
    axes.flat[0].set_ylim(0, 1)
    axes.flat[5].set_ylim(bottom=0)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_judgements(judgements: Sequence[Judgement], path: pathlib.Path, title: str = "") -> None:
    """Bars of the solve rates of policies on sets of levels, with their intervals."""
    sets = list(dict.fromkeys(j.level_set for j in judgements))
    policies = list(dict.fromkeys(j.policy for j in judgements))
    figure, axis = plt.subplots(figsize=(2.5 + 2.2 * len(sets), 4), constrained_layout=True)
    wide = 0.8 / len(policies)
    for place, policy in enumerate(policies):
        chosen = [j for j in judgements if j.policy == policy]
        x = np.array([sets.index(j.level_set) for j in chosen]) + (place - (len(policies) - 1) / 2) * wide
        rate = np.array([j.solve_rate for j in chosen])
        error = np.array([[j.solve_rate - j.low, j.high - j.solve_rate] for j in chosen]).T
        color = COLORS[place % len(COLORS)]
        axis.bar(x, rate, 0.9 * wide, yerr=np.maximum(error, 0), color=color, capsize=4, label=policy)
        for where, value, top in zip(x, rate, [j.high for j in chosen], strict=True):
            axis.text(where, top + 0.015, f"{value:.2f}", ha="center", fontsize=9)
    axis.set(title=title, ylabel="solve rate", ylim=(0, 1.08), xticks=range(len(sets)), xticklabels=sets)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axis.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_levels(judgement: Judgement, path: pathlib.Path, title: str = "") -> None:
    """Solve rate of every level of a set: bars with names, or, of many levels, the sorted rates."""
    rates = judgement.level_rates
    if len(rates) > 60:
        figure, axis = plt.subplots(figsize=(6, 4), constrained_layout=True)
        share = (np.arange(len(rates)) + 0.5) / len(rates)
        axis.plot(share, np.sort(rates)[::-1], color=COLORS[0], linewidth=2)
        axis.set(xlabel="share of levels", ylabel="solve rate", title=title, ylim=(-0.02, 1.02), xlim=(0, 1))
    else:
        figure, axis = plt.subplots(figsize=(7, 1.2 + 0.26 * len(rates)), constrained_layout=True)
        axis.barh(range(len(rates)), rates, color=COLORS[0])
        axis.set(yticks=range(len(rates)), yticklabels=judgement.names, xlim=(0, 1), xlabel="solve rate")
        axis.invert_yaxis()
        axis.set_title(title)
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_profiles(results: Sequence[Result], path: pathlib.Path) -> None:
    """Bars and performance profiles of several results, a row for each set of levels, with 95 % intervals."""
    sets = list(dict.fromkeys(result.level_set for result in results))
    labels = list(dict.fromkeys(result.label for result in results))
    height = max(3.2, 0.5 * len(labels))
    figure, axes = plt.subplots(
        len(sets), 2, figsize=(12, height * len(sets)), constrained_layout=True, squeeze=False
    )
    for (bars, lines), name in zip(axes, sets, strict=True):
        rows = [result for result in results if result.level_set == name]
        for place, row in enumerate(rows):
            color = COLORS[labels.index(row.label) % len(COLORS)]
            style = ("-", "--", ":")[labels.index(row.label) // len(COLORS) % 3]
            low, high = row.interval
            error = [[max(row.solve_rate - low, 0)], [max(high - row.solve_rate, 0)]]
            bars.barh(place, row.solve_rate, xerr=error, color=color, capsize=4)
            lines.plot(THRESHOLDS, profile(row.rates), style, color=color, label=row.label, linewidth=2)
            lines.fill_between(THRESHOLDS, *profile_band(row), color=color, alpha=0.2, linewidth=0)
        bars.set(yticks=range(len(rows)), yticklabels=[row.label for row in rows], xlim=(0, 1))
        bars.set(title=name, xlabel="solve rate")
        bars.invert_yaxis()
        lines.set(title=name, xlabel="solve rate of a level, at least", ylabel="share of levels")
        lines.set(xlim=(0, 1), ylim=(-0.02, 1.02))
        lines.legend(fontsize=8)
        lines.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
