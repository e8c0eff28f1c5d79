"""Curves of a run's metrics, as PNG."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from agents.io.figures import COLORS, make_figure

# Panels of the curves: title, metrics by name, label of the vertical axis.
PANELS = (
    (
        "solve rate in training, first attempts",
        {
            "solve_rate": "all",
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


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Averages over the last `window` values, or over those there are at the start."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    index = np.arange(1, len(values) + 1)
    first = np.maximum(index - window, 0)
    return (total[index] - total[first]) / (index - first)


def plot_curves(rows: Sequence[Mapping[str, float]], path: pathlib.Path, title: str = "") -> None:
    """Draws the metrics of a run over its environment steps.

    Args:
      rows: rows of `agents.io.metrics.read_metrics`, at least one.
      path: PNG file.
      title: title of the figure.
    """
    figure = make_figure(13, 7)
    axes = figure.subplots(2, 3)
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
