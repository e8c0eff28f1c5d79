"""Figures of the studies, as PNG."""

from __future__ import annotations

import pathlib

import numpy as np
from matplotlib.axes import Axes

from agents.io.figures import COLORS, make_figure
from agents.reproduce.fine_tuning import SOLVED, STARTS, FineTuning
from agents.reproduce.zero_shot import Interval, ZeroShot

COLUMNS = 4


def plot_zero_shot(results: ZeroShot, path: pathlib.Path) -> None:
    """Draws solve rates by family: the agent, chance, specialists, and the share that own solutions prove."""
    families = results.families
    lines: dict[str, list[Interval | None]] = {
        f"{results.agent}, zero-shot": [family.agent for family in families],
        f"chance ({results.chance})": [family.chance for family in families],
        f"specialist, {results.budget:,} steps": [family.specialist for family in families],
    }
    figure = make_figure(3 + 1.3 * len(families), 4.2)
    axis = figure.subplots()
    wide = 0.8 / len(lines)
    for place, ((label, values), color) in enumerate(zip(lines.items(), COLORS, strict=False)):
        shown = [(i, value) for i, value in enumerate(values) if value is not None]
        if not shown:
            continue
        x = np.array([i for i, _ in shown]) + (place - (len(lines) - 1) / 2) * wide
        mean, low, high = np.array([interval for _, interval in shown]).T
        error = np.maximum([mean - low, high - mean], 0)
        axis.bar(x, mean, 0.9 * wide, yerr=error, color=color, capsize=3, label=label)
    proven = [family for family in families if family.with_solution]
    for i, family in enumerate(families):
        if family.with_solution:
            share = family.proven / family.with_solution
            name = "solved by their own solutions" if family is proven[0] else ""
            axis.hlines(share, i - 0.42, i + 0.42, color="black", linestyles=":", label=name)
    names = [f"{family.family}\n{family.levels}" for family in families]
    axis.set(ylabel="solve rate", ylim=(0, 1.05), xticks=range(len(families)), xticklabels=names)
    axis.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=4, fontsize=9)
    figure.savefig(path, dpi=110)


def _draw_curves(axis: Axes, steps: np.ndarray, curves: dict[str, np.ndarray]) -> None:
    """Draws the mean over seeds of curves `[seeds, updates]`, and a band from the lowest to the highest."""
    for (start, values), color in zip(curves.items(), COLORS, strict=False):
        axis.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)
        axis.plot(steps, values.mean(0), color=color, linewidth=2, label=start)
    axis.axhline(SOLVED, color="gray", linewidth=0.8, linestyle=":")
    axis.set(ylim=(-0.02, 1.02), xlim=(0, steps[-1]))
    axis.grid(alpha=0.3)


def plot_fine_tuning(results: FineTuning, path: pathlib.Path) -> None:
    """Draws solve rates over environment steps: the mean over all levels, then each level.

    Args:
      results: results, with at least one level, all of whose trainings have equal steps.
      path: PNG file.
    """
    count = 1 + len(results.levels)
    rows = -(-count // COLUMNS)
    figure = make_figure(3.2 * COLUMNS, 2.4 * rows + 0.5)
    axes = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    first, *others = axes.flat
    shortest = min(len(each.steps) for each in results.levels)
    steps = results.levels[0].steps[:shortest]
    means = {
        start: np.mean([each.curves(start)[:, :shortest] for each in results.levels], axis=0)
        for start in STARTS
    }
    _draw_curves(first, steps, means)
    first.set_title(f"mean of {len(results.levels)} levels", fontsize=10, fontweight="bold")
    for axis, each in zip(others, results.levels, strict=False):
        _draw_curves(axis, each.steps, {start: each.curves(start) for start in STARTS})
        axis.plot(0, each.zero_shot, "o", color=COLORS[0], clip_on=False)
        axis.set_title(f"{each.level} ({each.size})", fontsize=10)
    for axis in others[len(results.levels) :]:
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_ylabel("solve rate")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    figure.supxlabel(f"environment steps; mean and range of {results.seeds} seeds")
    figure.savefig(path, dpi=110)
