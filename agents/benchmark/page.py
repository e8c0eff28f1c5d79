"""One page of tables and plots of the results of `kinetix benchmark gpu`."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from agents.io.figures import COLORS, make_figure
from kinetix_py.atomic import atomic_write

PAGE, PLOTS = "report.md", "report.png"
Results = Mapping[str, Mapping[str, Any]]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Writes a table of Markdown; numbers get separators of thousands."""
    text = lambda cell: f"{cell:,}" if isinstance(cell, int | float) else str(cell)
    lines = [header, ["---"] * len(header), *([text(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def measured(results: Results, kind: str) -> list[Mapping[str, Any]]:
    """Reports of one kind that were measured, by size and number of environments."""
    found = [each for each in results.values() if each.get("benchmark") == kind]
    count = lambda each: each.get("num_envs", each.get("num_levels", 0))
    return sorted(found, key=lambda each: ("sml".index(each["size"]), count(each)))


def training_rows(results: Results) -> list[list[object]]:
    """Speeds and memory of the trainings, beside their plans."""
    rows: list[list[object]] = []
    for name, report in results.items():
        if report.get("benchmark") != "train":
            continue
        plan = results.get(f"plan_{name.removeprefix('train_')}", {})
        three = report.get("steps_per_second_of", {})
        memory = [report.get("program_bytes"), plan.get("needed_bytes"), report.get("peak_memory_bytes")]
        rows.append(
            [
                name.removeprefix("train_"),
                *(three.get(part, "") for part in ("environment", "policy", "learning")),
                plan.get("model_steps_per_second", ""),
                *("" if each is None else f"{each / 1e9:.2f}" for each in memory),
            ]
        )
    return rows


def page_text(results: Results, device: str) -> str:
    """Writes the page.

    Args:
      results: reports by name of the part.
      device: name of the device.
    """
    lines = [f"# Benchmarks on {device}", ""]
    head: tuple[str, ...]
    engine = measured(results, "engine")
    theirs = {name: each for name, each in results.items() if name.startswith("upstream_")}
    if engine:
        rows = []
        for each in engine:
            size, count = each["size"], each["num_envs"]
            other = theirs.get(f"upstream_{size}_{count}", {}).get("steps_per_second")
            ratio = f"{each['steps_per_second'] / other:.1f}" if other else ""
            memory = f"{each['peak_memory_bytes'] / 1e9:.2f}"
            kernels, speed = each["kernels_per_step"], each["steps_per_second"]
            rows.append([size, each["backend"], count, speed, other or "", ratio, kernels, memory])
        head = (
            "size",
            "backend",
            "environments",
            "steps/s",
            "published engine",
            "ratio",
            "kernels a step",
            "memory [GB]",
        )
        lines += ["## Engine", "", markdown_table(head, rows), ""]
    rows = [
        [each[name] for name in ("size", "backend", "num_envs", "steps_per_second", "cost_over_physics")]
        for each in measured(results, "env")
    ]
    if rows:
        head = ("size", "backend", "environments", "steps/s", "time over that of physics")
        lines += ["## Environment, entity observations", "", markdown_table(head, rows), ""]
    for kind, unit, title in (("generator", "levels", "Random levels"), ("pixels", "frames", "Pictures")):
        rows = [
            [each["size"], each.get("num_envs", each.get("num_levels")), each[f"{unit}_per_second"]]
            for each in measured(results, kind)
        ]
        if rows:
            lines += [f"## {title}", "", markdown_table(("size", "at once", f"{unit}/s"), rows), ""]
    rows = training_rows(results)
    if rows:
        head = ("training", "environment", "+ policy", "+ learning", "plan's model")
        head += ("program [GB]", "planned [GB]", "peak [GB]")
        lines += ["## Training, steps/s and memory", "", markdown_table(head, rows), ""]
    curve = results.get("learning", {}).get("rows")
    if curve:
        last = curve[-1]
        lines += [
            "## Learning",
            "",
            f"After {last['env_steps']:,.0f} steps and {last['seconds']:.0f} s, {last['solve_rate']:.2f} of "
            "the levels in training are solved at the first attempt.",
            "",
        ]
    lines += [f"![plots]({PLOTS})", ""]
    missing = {name: each["error"] for name, each in results.items() if "error" in each}
    if missing:
        lines += ["## Missing", "", *(f"- {name}: {error}" for name, error in missing.items()), ""]
    return "\n".join(lines)


def plot_page(results: Results, path: pathlib.Path) -> None:
    """Draws speeds of the engine over the number of environments, and the learning curve."""
    figure = make_figure(9, 3.5)
    left, right = figure.subplots(1, 2)
    engine = measured(results, "engine")
    for color, size in zip(COLORS, "sml", strict=False):
        for backend, style in (("xla", "o-"), ("cuda", "s--")):
            mine = [each for each in engine if (each["size"], each["backend"]) == (size, backend)]
            points = [(each["num_envs"], each["steps_per_second"]) for each in mine]
            if points:
                label = f"size {size.upper()}, {backend}"
                left.plot(*zip(*points, strict=True), style, color=color, label=label)
    left.set(title="engine", xlabel="environments", ylabel="steps/s")
    if engine:
        left.set(xscale="log", yscale="log")
        left.legend(fontsize=8)
    rows = results.get("learning", {}).get("rows", [])
    for color, (name, label) in zip(
        COLORS, {"solve_rate": "in training", "eval/solve_rate": "unseen levels"}.items(), strict=False
    ):
        points = [(row["env_steps"], row[name]) for row in rows if name in row]
        if points:
            right.plot(*zip(*points, strict=True), "o-", color=color, label=label, markersize=3)
    right.set(title="learning", xlabel="environment steps", ylabel="solve rate", ylim=(0, 1))
    if rows:
        right.legend(fontsize=8)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def write_page(results: Results, out: pathlib.Path, device: str) -> pathlib.Path:
    """Writes the page and its plots into the folder of the results, and returns the page's path."""
    plot_page(results, out / PLOTS)
    atomic_write(out / PAGE, page_text(results, device))
    return out / PAGE
