"""`kinetix evaluate`: how often a trained agent solves levels."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

from agents.cli.common import CommandError, HelpFormatter, natural, positive, use_compilation_cache

DESCRIPTION = """Measures how often a trained agent, and a uniformly random one, solve levels. Prints tables,
and writes evaluation.json and pictures. Solve rates have 95 % stratified bootstrap intervals."""
EXAMPLES = """examples:
  kinetix evaluate runs/NAME                           512 unseen random levels
  kinetix evaluate runs/NAME --levels library/held-out --attempts 50
  kinetix evaluate runs/NAME/checkpoints/52 --levels my_levels/ level.json --random 512 --out here"""

# Sets of more levels are shown without a table of their levels.
LONGEST_TABLE = 100


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix evaluate", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument(
        "run", metavar="RUN", help="a run folder (its newest checkpoint), or a checkpoint in it"
    )
    levels = parser.add_argument_group("levels")
    levels.add_argument(
        "--levels",
        nargs="+",
        default=[],
        metavar="LEVEL",
        help="level files, folders of them, names or sets of the library",
    )
    levels.add_argument(
        "--random", type=natural, metavar="N", help="unseen random levels (default: 512 without --levels)"
    )
    levels.add_argument("--size", choices=("s", "m", "l"), help="size of the levels (default: the run's)")
    parser.add_argument(
        "--attempts", type=positive, default=20, metavar="N", help="episodes of each level (default 20)"
    )
    parser.add_argument(
        "--seed", type=natural, metavar="K", help="seed of random levels and actions (default: the run's)"
    )
    parser.add_argument(
        "--out", type=pathlib.Path, metavar="FOLDER", help="folder of the results (default: RUN/evaluation)"
    )
    options = parser.parse_args(arguments)
    if options.random is None:
        options.random = 0 if options.levels else 512
    if not options.levels and not options.random:
        parser.error("nothing to evaluate: give --levels, or --random of at least 1")
    return options


def main(arguments: Sequence[str]) -> None:
    """Prints tables, and writes evaluation.json and pictures."""
    options = parse(arguments)
    use_compilation_cache()
    from agents.config import ConfigError
    from agents.io.checkpoint import CheckpointError

    try:
        _evaluate(options)
    except (ConfigError, CheckpointError) as error:
        raise CommandError(str(error)) from None


def _evaluate(options: argparse.Namespace) -> None:
    from agents.evaluation.report import level_table, solve_rate_table
    from agents.evaluation.run import AGENT, evaluate_run

    results = evaluate_run(
        options.run,
        levels=options.levels,
        num_random=options.random,
        attempts=options.attempts,
        size=options.size,
        seed=options.seed,
        folder=options.out,
    )
    for evaluation in results.evaluations:
        if evaluation.policy == AGENT and evaluation.num_levels <= LONGEST_TABLE:
            print(level_table(evaluation) + "\n")
    print(solve_rate_table(results.evaluations))
    print(f"results: {results.folder}")
