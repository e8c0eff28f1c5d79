"""`kinetix reproduce`: what Matthews et al. (2025) claim about general agents, for an agent of yours."""

from __future__ import annotations

import argparse
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agents.cli.common import (
    CommandError,
    HelpFormatter,
    add_subcommand,
    natural,
    positive,
    several,
    use_compilation_cache,
)

if TYPE_CHECKING:
    from agents.reproduce.study import Study

DESCRIPTION = """Measures what Matthews et al., "Kinetix" (2025), claim about general agents. Prints tables,
and writes a figure and JSON. Trainings are kept one by one: after Ctrl-C or a kill, the same
command goes on."""
EXAMPLES = """examples:
  kinetix reproduce zero-shot runs/NAME                        the library's levels of its size
  kinetix reproduce zero-shot runs/NAME@best --levels library/held-out --budget 1_000_000
  kinetix reproduce fine-tuning runs/NAME --levels library/s library/m --jobs 2
  kinetix reproduce fine-tuning runs/NAME --most 12 --set ppo.learning_rate=1e-3"""
ZERO_SHOT = "a general agent on levels that it has never seen, beside chance, specialists and own solutions"
FINE_TUNING = "trains on levels that the agent does not solve, from its parameters and from nothing"


def _rate(text: str) -> float:
    """Reads a solve rate above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number above 0 and at most 1, got {text}")
    return value


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Adds the options of both studies."""
    parser.add_argument(
        "agent", metavar="AGENT", help="a run folder (the newest checkpoint), RUN@best, or a checkpoint in it"
    )
    parser.add_argument(
        "--levels",
        nargs="+",
        default=[],
        metavar="LEVEL",
        help="level files, folders of them, names or sets of the library "
        "(default: the library's levels of the agent's size)",
    )
    parser.add_argument(
        "--size", choices=("s", "m", "l"), help="pad all levels to it (default: each its own)"
    )
    parser.add_argument(
        "--attempts",
        type=several,
        default=64,
        metavar="N",
        help="episodes of each level, at least 2 (default 64)",
    )
    parser.add_argument(
        "--budget",
        type=positive,
        default=500_000,
        metavar="STEPS",
        help="environment steps of each training (default 500000)",
    )
    parser.add_argument(
        "--num-envs", type=positive, default=64, metavar="N", help="environments of each (default 64)"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        dest="overrides",
        metavar="FIELD=VALUE",
        help="changes to ppo.* and training.* of the trainings, which learn with ppo=fast",
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="trainings at once, about a core each (default 1)",
    )
    parser.add_argument(
        "--seed", type=natural, metavar="K", help="seed of the evaluations' actions (default 100)"
    )
    parser.add_argument(
        "--out", type=pathlib.Path, metavar="FOLDER", help="folder of the results (default: RUN/reproduce)"
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix reproduce", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    studies = parser.add_subparsers(dest="study", required=True, metavar="STUDY")
    add = functools.partial(add_subcommand, studies)
    zero_shot = add("zero-shot", ZERO_SHOT)
    _add_common(zero_shot)
    zero_shot.add_argument("--no-specialists", action="store_true", help="train nothing, take minutes")
    fine_tuning = add("fine-tuning", FINE_TUNING)
    _add_common(fine_tuning)
    fine_tuning.add_argument(
        "--threshold",
        type=_rate,
        default=0.5,
        metavar="RATE",
        help="a level that the agent solves less often is not solved (default 0.5)",
    )
    fine_tuning.add_argument(
        "--least", type=positive, default=12, metavar="N", help="levels that there must be (default 12)"
    )
    fine_tuning.add_argument(
        "--most", type=positive, metavar="N", help="levels to take, from hard to easy (default: all)"
    )
    fine_tuning.add_argument(
        "--seeds", type=positive, default=3, metavar="N", help="trainings of each kind (default 3)"
    )
    fine_tuning.add_argument(
        "--actor-scale",
        type=_rate,
        default=1.0,
        metavar="X",
        help="factor on the last layers of the agent's actor before training; below 1, it explores more",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Runs a study, or goes on with it."""
    options = parse(arguments)
    use_compilation_cache()
    from agents.config import ConfigError
    from agents.evaluation.seeds import SEED
    from agents.io.checkpoint import CheckpointError
    from agents.reproduce.study import Study, StudyConfig

    config = StudyConfig(
        agent=options.agent,
        levels=tuple(options.levels),
        size=options.size,
        attempts=options.attempts,
        budget=options.budget,
        num_envs=options.num_envs,
        overrides=tuple(options.overrides),
        seed=SEED if options.seed is None else options.seed,
        jobs=options.jobs,
        actor_scale=getattr(options, "actor_scale", 1.0),
        folder=options.out,
    )
    run: dict[str, Callable[[Study, argparse.Namespace], Any]] = {
        "zero-shot": _zero_shot,
        "fine-tuning": _fine_tuning,
    }
    try:
        run[options.study](Study(config), options)
    except (ConfigError, CheckpointError) as error:
        raise CommandError(str(error)) from None


def _zero_shot(study: Study, options: argparse.Namespace) -> None:
    from agents.reproduce.plots import plot_zero_shot
    from agents.reproduce.zero_shot import run_zero_shot, zero_shot_table

    results = run_zero_shot(study, specialists=not options.no_specialists)
    if results is None:
        raise CommandError(f"stopped; what is done is in {study.folder}, the same command goes on")
    print(zero_shot_table(results))
    study.write("zero_shot.json", results.as_dict())
    plot_zero_shot(results, study.folder / "zero_shot.png")
    print(f"results: {study.folder / 'zero_shot.png'}, zero_shot.json")


def _fine_tuning(study: Study, options: argparse.Namespace) -> None:
    from agents.reproduce.fine_tuning import fine_tuning_table, run_fine_tuning
    from agents.reproduce.plots import plot_fine_tuning

    results = run_fine_tuning(study, options.threshold, options.seeds, options.least, options.most)
    if results.levels:
        print(fine_tuning_table(results))
        study.write("fine_tuning.json", results.as_dict())
        plot_fine_tuning(results, study.folder / "fine_tuning.png")
        print(f"results: {study.folder / 'fine_tuning.png'}, fine_tuning.json")
    if len(results.levels) < results.num_wanted:
        raise CommandError(
            f"stopped with {len(results.levels)} of {results.num_wanted} levels complete; what is done is in "
            f"{study.folder}, the same command goes on"
        )
