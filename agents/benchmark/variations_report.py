"""Report on variations of a training config: tables in Markdown, curves, and the same as JSON."""

from __future__ import annotations

import datetime
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents.benchmark.measure import machine
from agents.benchmark.variations import VariationResult, effect
from agents.io.figures import COLORS, LINE_STYLES, make_figure
from agents.reproduce.tasks import family_of
from kinetix_py.atomic import atomic_write

# Panels of the curves, and of those of what is taught: titles and metrics.
PANELS = {
    "unseen random levels": "eval/solve_rate",
    "levels trained on, first attempts": "solve_rate",
    "fresh levels in training": "solve_rate_fresh",
    "replayed levels in training": "solve_rate_replayed",
    "length of an episode [steps]": "episode_length",
    "entropy of the policy [nats]": "loss/entropy",
}
TAUGHT_PANELS = {
    "shapes in a level": "levels/shapes",
    "static shapes": "levels/static_shapes",
    "joints": "levels/joints",
    "motors": "levels/motors",
    "thrusters": "levels/thrusters",
    "distance of green and blue [m]": "levels/goal_distance",
}


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval(low: float, high: float, sign: str = "+") -> str:
    """Formats an interval of rates."""
    return f"({low:{sign}.3f} .. {high:{sign}.3f})"


def rates_table(results: Sequence[VariationResult], level_set: str) -> str:
    """Solve rates on a set of levels, and differences from the first variation: a line for each variation."""
    rows = []
    for result in results:
        summary = result.summary(level_set)
        row = [
            result.variation.name,
            f"{summary.solve_rate:.3f} {interval(*summary.interval, sign='')}",
            " ".join(f"{rate:.3f}" for rate in summary.rates),
            f"{summary.worst_rate:.3f}",
        ]
        if result is results[0]:
            row += ["", "", "", ""]
        else:
            found = effect(result, results[0], level_set)
            row += [f"{found.value:+.3f} {interval(found.low, found.high)}", interval(*found.by_level)]
            row += [f"{found.improvement:.2f}", found.verdict]
        rows.append([*row, f"{result.policy_steps / 1e6:.2f}", f"{result.seconds / 60:.1f}"])
    header = ["variation", "mean (over seeds)", "each seed", "worst tenth"]
    header += [f"minus {results[0].variation.name} (over seeds)", "paired by level", "P(better)", "verdict"]
    header += ["policy steps (M)", "minutes"]
    return markdown_table(header, rows)


def family_table(results: Sequence[VariationResult], level_set: str) -> str:
    """Mean solve rates by family of levels of the library: a line for each variation."""
    names = results[0].summary(level_set).levels.level_names
    families = np.array([family_of(name) for name in names])
    columns = list(dict.fromkeys(families))
    header = ["variation", *(f"{name} ({(families == name).sum()})" for name in columns)]
    rows = []
    for result in results:
        rates = np.mean([member.level_rates for member in result.summary(level_set).members], axis=0)
        rows.append([result.variation.name, *(f"{rates[families == name].mean():.2f}" for name in columns)])
    return markdown_table(header, rows)


def chance_line(result: VariationResult, level_set: str) -> str:
    """Tells what the baselines solve of a set."""
    rates = [
        f"{each.policy} {each.solve_rate:.3f}"
        for each in result.trainings[0].evaluations
        if each.baseline and each.level_set == level_set
    ]
    return f"Baselines: {', '.join(rates)}."


def report_text(title: str, command: str, results: Sequence[VariationResult]) -> str:
    """Writes the report in Markdown."""
    seeds = len(results[0].trainings)
    found = machine()
    versions = ", ".join(f"{name} {found[name]}" for name in ("python", "jax", "jaxlib"))
    parts = [f"# {title}", f"{datetime.date.today()}, {versions}.", f"```bash\n{command}\n```"]
    for level_set in results[0].level_sets:
        summary = results[0].summary(level_set)
        member = summary.members[0]
        parts += [
            f"## `{level_set}`",
            f"{member.num_levels} levels, {member.attempts} attempts at each by the agent of each of {seeds} "
            f"seeds. {chance_line(results[0], level_set)}",
            rates_table(results, level_set),
        ]
        if level_set.startswith("library/"):
            parts += ["By family (number of levels), means over seeds:", family_table(results, level_set)]
    changes = []
    for variation in (result.variation for result in results):
        fields = " ".join(f"`{text}`" for text in variation.overrides)
        changes.append(f"- {variation.name}: {fields or 'no change'}")
    parts += [
        "All intervals are of 95 %. That of a mean is Student's over training seeds, that of a difference "
        "Welch's: they say what other seeds would bring on these levels. *Better* and *worse* say that the "
        "latter is on one side of 0; of many variations, one in forty would be called better by chance. The "
        "interval paired by level is of exactly these agents: over levels where they are random, else over "
        "attempts. *Worst tenth* is the solve rate on the tenth of the levels that an agent solves least. "
        "*P(better)* is the probability that a run of the variation solves more than one of the first "
        "(Agarwal et al., 2021). *Policy steps* include attempts at candidates and those of a second agent; "
        "*minutes* are those of the fastest training, without compilation.",
        "\n".join(changes),
        "![curves](curves.png)",
        "What the levels that were learnt from are made of, means over seeds; below, levels of the update "
        "that would follow, of the first seed.",
        "![parts of the levels](taught.png)",
        "![levels at the end](taught_levels.png)",
    ]
    return "\n\n".join(parts) + "\n"


def as_dict(results: Sequence[VariationResult]) -> dict[str, Any]:
    """Converts the results to JSON's types."""

    def of_set(result: VariationResult, level_set: str) -> dict[str, Any]:
        summary, found = result.summary(level_set), effect(result, results[0], level_set)
        return {
            "rates": summary.rates.tolist(),
            "mean": summary.solve_rate,
            "interval": list(summary.interval),
            "worst_tenth": summary.worst_rate,
            "difference": [found.value, found.low, found.high],
            "difference_by_level": list(found.by_level),
            "probability_of_improvement": found.improvement,
            "verdict": found.verdict,
        }

    return {
        result.variation.name: {
            "overrides": list(result.variation.overrides),
            "policy_steps": result.policy_steps,
            "seconds": result.seconds,
            "level_sets": {name: of_set(result, name) for name in result.level_sets},
        }
        for result in results
    }


def plot_variations(
    results: Sequence[VariationResult], path: pathlib.Path, panels: Mapping[str, str] = PANELS
) -> None:
    """Draws means over seeds of metrics over policy steps, with the range of the seeds for solve rates."""
    known = {name for result in results for row in result.trainings[0].metrics for name in row}
    panels = {title: metric for title, metric in panels.items() if metric in known}
    columns = -(-len(panels) // 2)
    figure = make_figure(4.6 * columns, 7.5)
    axes = figure.subplots(2, columns, squeeze=False).flat
    for unused in axes[len(panels) :]:
        unused.set_visible(False)
    for axis, (title, metric) in zip(axes, panels.items(), strict=False):
        for place, result in enumerate(results):
            steps, values = result.curve(metric)
            if not len(steps):
                continue
            style = {
                "color": COLORS[place % len(COLORS)],
                "linestyle": LINE_STYLES[place // len(COLORS) % len(LINE_STYLES)],
            }
            label = result.variation.name if axis is figure.axes[0] else None
            axis.plot(steps, values.mean(0), label=label, linewidth=1.8, **style)
            if metric.startswith("eval/"):
                axis.fill_between(steps, values.min(0), values.max(0), color=style["color"], alpha=0.12)
        axis.set(title=title, xlabel="policy steps")
        axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=6, fontsize=9)
    figure.savefig(path, dpi=110)


def write_report(
    folder: pathlib.Path, title: str, command: str, results: Sequence[VariationResult]
) -> pathlib.Path:
    """Writes `report.md`, `report.json`, `curves.png` and `taught.png`; returns the path of the first."""
    atomic_write(folder / "report.json", json.dumps(as_dict(results), indent=1) + "\n")
    plot_variations(results, folder / "curves.png")
    plot_variations(results, folder / "taught.png", TAUGHT_PANELS)
    atomic_write(folder / "report.md", report_text(title, command, results))
    return folder / "report.md"
