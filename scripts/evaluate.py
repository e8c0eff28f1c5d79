"""How often a trained agent solves levels.

python scripts/evaluate.py runs/NAME                                   512 unseen random levels
python scripts/evaluate.py runs/NAME/checkpoints/100 --levels my_levels/ other.json --random 0
python scripts/evaluate.py runs/NAME --attempts 20 --size m --out here
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from agents.cli.common import positive, use_compilation_cache


def natural(text: str) -> int:
    """An integer of at least 0, for argparse."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {value}")
    return value


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", help="a run folder (its newest checkpoint) or one checkpoint in it")
    parser.add_argument(
        "--levels",
        nargs="+",
        default=[],
        metavar="PATH",
        help="level files, folders of them, or sets of the library, such as library/s",
    )
    parser.add_argument("--random", type=natural, default=None, metavar="N", help="unseen random levels")
    parser.add_argument("--attempts", type=positive, default=20, help="episodes of each level (default 20)")
    parser.add_argument("--size", choices=("s", "m", "l"), help="size of the levels (default: the run's)")
    parser.add_argument(
        "--seed", type=natural, default=None, help="of levels and attempts (default: the run's)"
    )
    parser.add_argument("--out", type=pathlib.Path, help="folder of the results (default: RUN/evaluation)")
    options = parser.parse_args(arguments)
    if options.random is None:
        options.random = 0 if options.levels else 512
    if not options.levels and not options.random:
        parser.error("nothing to evaluate: give --levels, or --random of at least 1")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Prints tables, and writes evaluation.json and pictures."""
    options = parse(arguments)
    use_compilation_cache()
    from agents.config import ConfigError
    from agents.io.checkpoint import CheckpointError

    try:
        _evaluate(options)
    except (ConfigError, CheckpointError) as error:
        sys.exit(f"evaluate.py: {error}")


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


if __name__ == "__main__":
    main()
