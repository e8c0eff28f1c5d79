"""`kinetix evaluate`: how often a trained agent solves levels."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Sequence

from agents.cli.common import CommandError, HelpFormatter, natural, positive, use_compilation_cache

DESCRIPTION = """Measures how often a trained agent, and a uniformly random one, solve levels. Prints tables,
and writes evaluation.json and pictures. Solve rates have 95 % stratified bootstrap intervals."""
EXAMPLES = """examples:
  kinetix evaluate runs/NAME                           512 unseen random levels
  kinetix evaluate runs/NAME --levels library/held-out --attempts 50
  kinetix evaluate runs/NAME/checkpoints/52 --levels my_levels/ level.json --random 512 --out here"""


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
    from agents.build import given_sets, initial_params, make_policy
    from agents.io.plots import plot_judgements, plot_levels
    from agents.io.run_folder import find_checkpoint, open_checkpoints, write_whole
    from agents.training.judge import UniformPolicy, judge, level_table, random_levels, table
    from agents.training.loop import AGENT, RANDOM, Keys, no_carry

    run, step = find_checkpoint(options.run)
    config = run.config()
    seed = config.training.seed if options.seed is None else options.seed
    if options.size is not None:
        config = dataclasses.replace(config, env=dataclasses.replace(config.env, size=options.size))
    keys, env = Keys.of(seed), config.env.make()
    sets = []
    if options.levels:
        sets += given_sets(options.levels, env.size)
    checkpoints = open_checkpoints(run)
    step = checkpoints.latest if step is None else step
    params = checkpoints.restore_params(initial_params(config, keys.network), step)
    checkpoints.close()
    if options.random:
        sets.append(random_levels(keys.levels, options.random, env.size))
    network, normalized = make_policy(config)
    policy = network.apply if normalized is None else normalized
    agents = ((AGENT, policy, params, network.initial_carry), (RANDOM, UniformPolicy(env), (), no_carry))
    rest = (options.attempts, config.env.max_timesteps)
    judgements = [
        judge(keys.attempts, name, policy, values, env, config.env.params, levels, *rest, carry)
        for levels in sets
        for name, policy, values, carry in agents
    ]
    out = options.out or run.path / "evaluation"
    out.mkdir(parents=True, exist_ok=True)
    title = f"{run.path.name}, update {step}"
    for judgement in judgements:
        if judgement.policy == AGENT:
            if len(judgement.names) <= 100:
                print(level_table(judgement) + "\n")
            plot_levels(
                judgement, out / f"{judgement.level_set.replace(' ', '_').replace('/', '_')}.png", title
            )
    print(table(judgements))
    write_whole(out / "evaluation.json", json.dumps([j.as_dict() for j in judgements], indent=1))
    plot_judgements(judgements, out / "evaluation.png", title)
    print(f"results: {out}")
