"""`kinetix compare`: evaluations of several runs beside each other."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

from agents.cli.common import CommandError, HelpFormatter

DESCRIPTION = """Prints the evaluations of several runs in one table, means over runs that differ in
their training seed alone, and differences from the best on the same levels, with 95 % intervals.
Draws solve rates, and performance profiles, which tell for every solve rate the share of levels
solved at least as often."""
EXAMPLES = """examples:
  kinetix compare runs/A runs/B
  kinetix compare a/evaluation.json runs/B --out comparison.png
  kinetix compare runs/A_*/evaluation_final            several seeds of one config"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix compare", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument(
        "runs", nargs="+", type=pathlib.Path, metavar="RUN", help="run folders, or evaluation.json files"
    )
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path("comparison.png"),
        metavar="FILE.png",
        help="the picture (default comparison.png)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Prints the tables and writes the picture."""
    options = parse(arguments)
    from agents.config import ConfigError
    from agents.evaluation.report import difference_table, seed_table, solve_rate_table
    from agents.evaluation.run import compare_runs

    try:
        found = compare_runs(options.runs, options.out)
    except ConfigError as error:
        raise CommandError(str(error)) from None
    print(solve_rate_table(found.evaluations))
    if found.seeds:
        print(f"\n{seed_table(found.seeds)}")
    if found.differences:
        print(f"\n{difference_table(found.differences)}")
    print(options.out)
