"""Curves of a run's metrics, as PNG."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from agents.io.figures import COLORS, make_figure

# Panels of the curves: title, metrics by name, label of the vertical axis. A run has those whose metrics it
# has.
PANELS = (
    (
        "solve rate in training, first attempts",
        {
            "solve_rate": "all",
            "solve_rate_fresh": "fresh levels",
            "solve_rate_replayed": "replayed levels",
            "solve_rate_edited": "edited levels",
        },
        "share",
    ),
    ("solve rate on unseen levels", {"eval/solve_rate": "mean and its 95 % interval over levels"}, "share"),
    ("return of an episode", {"episode_return": "mean"}, "return"),
    ("length of an episode", {"episode_length": "mean"}, "environment steps"),
    ("entropy of the policy", {"loss/entropy": "mean"}, "nats"),
    ("losses", {"loss/policy": "policy", "loss/value": "value"}, "loss"),
    (
        "what the levels are made of",
        {"levels/shapes": "shapes", "levels/joints": "joints", "levels/thrusters": "thrusters"},
        "number in a level",
    ),
    ("speed", {"steps_per_second": "training"}, "environment steps/s"),
)
# Metrics of an evaluation: already means over many episodes, drawn as they are, with this interval.
INTERVALS = {"eval/solve_rate": ("eval/solve_rate_low", "eval/solve_rate_high")}


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Averages over the last `window` values, or over those there are at the start."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    index = np.arange(1, len(values) + 1)
    first = np.maximum(index - window, 0)
    return (total[index] - total[first]) / (index - first)


def series(rows: Sequence[Mapping[str, float]], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads the environment steps and the values of a metric, of the rows that have it."""
    pairs = [(row["env_steps"], row[metric]) for row in rows if metric in row]
    steps, values = np.array(pairs, float).reshape(-1, 2).T
    return steps, values


def plot_curves(rows: Sequence[Mapping[str, float]], path: pathlib.Path, title: str = "") -> None:
    """Draws the metrics of a run over its environment steps.

    Args:
      rows: rows of `agents.io.metrics.read_metrics`, at least one.
      path: PNG file.
      title: title of the figure.
    """
    known = {name for row in rows for name in row}
    panels = [panel for panel in PANELS if known & panel[1].keys()]
    columns = -(-len(panels) // 2)
    figure = make_figure(4.3 * columns, 7)
    axes = figure.subplots(2, columns, squeeze=False)
    window = max(len(rows) // 20, 1)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (name, lines, unit) in zip(axes.flat, panels, strict=False):
        for color, (metric, label) in zip(COLORS, lines.items(), strict=False):
            if metric not in known:
                continue
            steps, values = series(rows, metric)
            if metric in INTERVALS:
                low, high = (series(rows, bound)[1] for bound in INTERVALS[metric])
                axis.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
                axis.plot(steps, values, "o-", color=color, label=label, linewidth=2, markersize=3)
            else:
                if f"{metric}_low" in known:  # of several seeds: the interval of their mean
                    low, high = (
                        smooth(series(rows, f"{metric}_{end}")[1], window) for end in ("low", "high")
                    )
                    axis.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
                axis.plot(steps, values, color=color, alpha=0.25, linewidth=1)
                axis.plot(steps, smooth(values, window), color=color, label=label, linewidth=2)
        axis.set(title=name, xlabel="environment steps", ylabel=unit)
        axis.grid(alpha=0.3)
        if len(lines) > 1 or lines.keys() & INTERVALS.keys():
            axis.legend(fontsize=8)
        axis.locator_params(axis="x", nbins=5)
        if unit == "share":
            axis.set_ylim(0, 1)
        elif name == "speed":
            axis.set_ylim(bottom=0)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
