"""Prints the results of tools/compare_upstream.sh as a table in Markdown."""

from __future__ import annotations

import json
import pathlib
import sys

HEADER = (
    "| size | environments | Jax2D, 1 device | Jax2D, split | this engine, split | against 1 | against split "
    "| Kinetix's order, split | against 1 | against split | compile: Jax2D | this engine |"
)


def row(ours: pathlib.Path) -> str:
    """One line of the table, from the files of one size and number of environments."""
    read = lambda suffix: json.loads(ours.with_suffix(suffix).read_text())
    own, exact, single, split = (read(s) for s in (".ours", ".exact", ".single", ".upstream"))
    rate = lambda report: report["steps_per_second"]
    seconds = lambda report: f"{report['trace_seconds'] + report['compile_seconds']:.0f} s"

    def compared(report: dict) -> str:
        ratios = [f"{rate(report) / rate(peer):.1f}" for peer in (single, split)]
        return f"{rate(report):,} | **{ratios[0]}** | **{ratios[1]}**"

    return (
        f"| {own['size'].upper()} | {own['num_envs']:,} | {rate(single):,} | {rate(split):,} "
        f"| {compared(own)} | {compared(exact)} | {seconds(single)} | {seconds(own)} |"
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
