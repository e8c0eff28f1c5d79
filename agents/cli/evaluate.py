"""`kinetix evaluate`: how often a trained agent solves levels."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

from agents.cli.common import CommandError, HelpFormatter, natural, positive, use_compilation_cache
from agents.evaluation.seeds import FINAL_SEED, SEED

DESCRIPTION = """Measures how often a trained agent solves levels, and how often doing nothing and
random actions do. Prints tables, and writes evaluation.json and pictures. Intervals (95 %) are over
levels for random ones, which stand for all others, and over attempts for given ones."""
EXAMPLES = """examples:
  kinetix evaluate runs/NAME                           512 unseen random levels
  kinetix evaluate runs/NAME@best --levels library/held-out --attempts 50
  kinetix evaluate runs/A_0 runs/A_1 runs/A_2 --final  for the table of a paper
  kinetix evaluate runs/NAME/checkpoints/52 --levels my_levels/ level.json --random 512 --out here"""

# Sets of more levels are shown without a table of their levels.
LONGEST_TABLE = 100


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix evaluate", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="run folders (the newest checkpoint), RUN@best, or checkpoints in them; of a run of several "
        "seeds all of them, or one: RUN@seed3",
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
    parser.add_argument("--mode", action="store_true", help="also play the most likely actions")
    parser.add_argument(
        "--contact-order", choices=("parallel", "kinetix"), help="order of contacts (default: the run's)"
    )
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument(
        "--seed",
        type=natural,
        default=SEED,
        metavar="K",
        help=f"seed of random levels and actions (default {SEED}, for all runs)",
    )
    seeds.add_argument(
        "--final",
        dest="seed",
        action="store_const",
        const=FINAL_SEED,
        help=f"seed {FINAL_SEED}: levels kept for final tables, on which nothing should be tuned",
    )
    parser.add_argument(
        "--out", type=pathlib.Path, metavar="FOLDER", help="folder of the results (default: RUN/evaluation)"
    )
    options = parser.parse_args(arguments)
    if options.random is None:
        options.random = 0 if options.levels else 512
    if not options.levels and not options.random:
        parser.error("nothing to evaluate: give --levels, or --random of at least 1")
    if options.out and len(options.runs) > 1:
        parser.error("--out is the folder of one run; results of several are in their own")
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
    from agents.evaluation.comparison import summarize_seeds
    from agents.evaluation.report import level_table, seed_table, solve_rate_table
    from agents.evaluation.run import compared, evaluate_run
    from agents.loading import paths_of_seeds

    runs = [path for run in options.runs for path in paths_of_seeds(run)]
    if options.out and len(runs) > 1:
        raise CommandError(f"--out is the folder of one seed; name it: {runs[0]}")
    found = {}
    for run in runs:
        found[run] = evaluate_run(
            run,
            levels=options.levels,
            num_random=options.random,
            attempts=options.attempts,
            size=options.size,
            seed=options.seed,
            contact_order=options.contact_order,
            mode=options.mode,
            folder=options.out,
        )
    evaluations = compared({run: results.evaluations for run, results in found.items()})
    for evaluation in evaluations:
        if not evaluation.baseline and evaluation.num_levels <= LONGEST_TABLE:
            print(f"{evaluation.label}, {evaluation.level_set}\n{level_table(evaluation)}\n")
    print(solve_rate_table(evaluations))
    summaries = summarize_seeds(evaluations)
    if summaries:
        print(f"\n{seed_table(summaries)}")
    for results in found.values():
        print(f"results: {results.folder}")
