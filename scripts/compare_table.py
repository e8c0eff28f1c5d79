"""Prints the results of scripts/compare_upstream.sh as a table in Markdown."""

from __future__ import annotations

import json
import pathlib
import sys

HEADER = (
    "| size | environments | Jax2D 1.0.2 | this engine | ratio | in Kinetix's order | ratio "
    "| compile: Jax2D | this engine |"
)


def row(ours: pathlib.Path) -> str:
    """One line of the table, from the files of one size and number of environments."""
    read = lambda suffix: json.loads(ours.with_suffix(suffix).read_text())
    suffixes = [s for s in (".upstream", ".single") if ours.with_suffix(s).exists()]
    upstream = max((read(s) for s in suffixes), key=lambda report: report["steps_per_second"])
    own, exact = read(".ours"), read(".exact")
    base = upstream["steps_per_second"]
    seconds = lambda report: f"{report['trace_seconds'] + report['compile_seconds']:.0f} s"
    speed = lambda report: f"{report['steps_per_second']:,} | **{report['steps_per_second'] / base:.0f}**"
    return (
        f"| {own['size'].upper()} | {own['num_envs']:,} | {base:,} | {speed(own)} "
        f"| {speed(exact)} | {seconds(upstream)} | {seconds(own)} |"
    )


def main(folder: str) -> None:
    """Reads all results in a folder and prints the table, and what it was measured on."""
    files = pathlib.Path(folder).glob("*.ours")
    order = lambda path: ("sml".index(path.name[0]), int(path.name.split(".")[1]))
    rows = sorted(files, key=order)
    print("\n".join([HEADER, "|" + " --- |" * HEADER.count(" | ") + " --- |", *map(row, rows)]))
    one = json.loads(rows[0].read_text())
    print(
        f"\nPhysics steps/s; {one['device']}, {one['cores']} cores, jax {one['jax']}, Python {one['python']}"
    )


if __name__ == "__main__":
    main(sys.argv[1])
