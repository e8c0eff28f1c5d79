"""Puts evaluations beside each other: a table of solve rates, and a picture with performance profiles.

python scripts/compare_runs.py runs/A runs/B               what their evaluations found
python scripts/compare_runs.py a/evaluation.json runs/B --out comparison.png

A performance profile tells, for every solve rate, which share of the levels is solved at least that often.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="+", type=pathlib.Path, help="run folders, or evaluation.json files")
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("comparison.png"), help="the picture"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the picture."""
    options = parse(arguments)
    from agents.config import ConfigError
    from agents.io.plots import plot_profiles
    from agents.training.compare import comparison_table, read_results

    try:
        results = [result for path in options.runs for result in read_results(path)]
    except ConfigError as error:
        sys.exit(f"compare_runs.py: {error}")
    print(comparison_table(results))
    plot_profiles(results, options.out)
    print(options.out)


if __name__ == "__main__":
    main()
