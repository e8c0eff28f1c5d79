"""`kinetix record`: episodes of an agent as data."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence

from agents.cli.common import CommandError, HelpFormatter, natural, positive, use_compilation_cache

DESCRIPTION = """Records episodes of an agent as levels, actions and key frames, from which observations of
any kind are computed again. Run again after a kill, it goes on where it stopped."""
EXAMPLES = """examples:
  kinetix record --agent s --random 4096 --out data/s
  kinetix record --agent runs/NAME@best --levels library/m my_levels/ --attempts 16 --out data/mine
  kinetix record --solutions --levels library/s --size s --out data/solutions"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix record", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument("--agent", help="a shipped agent, a policy file, a run, or a checkpoint in it")
    parser.add_argument(
        "--solutions",
        action="store_true",
        help="the solutions of --levels in place of an agent; needs --size",
    )
    parser.add_argument(
        "--levels", nargs="+", metavar="LEVEL", default=[], help="level files, folders, names of the library"
    )
    parser.add_argument("--random", type=positive, metavar="N", help="so many random levels instead")
    parser.add_argument("--size", choices=("s", "m", "l"), help="size of the levels (default: the agent's)")
    parser.add_argument(
        "--attempts", type=positive, default=4, metavar="N", help="episodes of each level (default 4)"
    )
    parser.add_argument(
        "--key-every", type=positive, metavar="K", help="steps between key frames (default 16)"
    )
    parser.add_argument("--mode", action="store_true", help="the most likely actions, not sampled ones")
    parser.add_argument(
        "--seed", type=natural, default=0, metavar="K", help="seed of random levels and actions (default 0)"
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="DIR", help="folder of the files")
    parser.add_argument(
        "--export", type=pathlib.Path, metavar="FILE", help="also write all transitions, NAME.npz"
    )
    options = parser.parse_args(arguments)
    if bool(options.levels) == bool(options.random):
        parser.error("give either --levels or --random")
    if options.solutions == bool(options.agent):
        parser.error("give either --agent or --solutions")
    if options.solutions and not (options.levels and options.size):
        parser.error("--solutions needs --levels and --size")
    return options


def main(arguments: Sequence[str]) -> None:
    """Records, and prints how much."""
    options = parse(arguments)
    use_compilation_cache()
    from agents.config import ConfigError
    from agents.io.checkpoint import CheckpointError
    from kinetix_py.experience.shard import ShardError

    try:
        if options.solutions:
            _record_solutions(options)
        else:
            _record(options)
        _tell(options)
    except (ConfigError, CheckpointError, ShardError, OSError) as error:
        raise CommandError(str(error)) from None


def _record(options: argparse.Namespace) -> None:

    from agents.levels import (
        LevelSet,
        distinct_files,
        level_files,
        make_level_set,
        random_level_set,
        read_levels,
        unique_names,
    )
    from agents.loading import load_policy
    from agents.record import Recording, record, recording_keys
    from kinetix_py.experience.recorder import KEY_EVERY

    loaded = load_policy(options.agent, options.size)
    if options.random:
        size, key = loaded.config.env.size, recording_keys(options.seed)[0]
        levels = random_level_set(key, options.random, size, options.seed)
        # Evaluations draw others of the same seed.
        levels = LevelSet(dataclasses.replace(levels.info, name=f"recorded/{size}"), levels.levels)
    else:
        files = distinct_files(level_files(options.levels))
        levels = make_level_set("given", read_levels(files, loaded.env.size), unique_names(files))
    recording = Recording(
        loaded,
        levels,
        options.attempts,
        options.seed,
        options.mode,
        options.key_every or KEY_EVERY,
        tuple(options.levels),
    )
    record(recording, options.out, lambda line: print(line, flush=True))


def _record_solutions(options: argparse.Namespace) -> None:
    from agents.demonstrations import record_solutions
    from agents.levels import distinct_files, level_files
    from kinetix_py.experience.recorder import KEY_EVERY
    from kinetix_py.levels.library.sets import is_held_out
    from kinetix_py.sizes import SIZES

    named, every = distinct_files(level_files(options.levels)), options.key_every or KEY_EVERY
    files = [file for file in named if not is_held_out(file)]
    found = record_solutions(files, SIZES[options.size], options.out, every)
    print(
        f"{len(found.recorded)} of {len(named)} levels solved by their solutions, {len(found.failing)} not, "
        f"{len(found.without)} without one, {len(named) - len(files)} held out by the library"
    )


def _tell(options: argparse.Namespace) -> None:
    """Prints how much the folder holds, and exports it if asked."""
    from kinetix_py.experience import Experience, export_npz

    data = Experience(options.out)
    size = sum(path.stat().st_size for path in options.out.glob("shard_*.npz"))
    steps = data.num_steps
    print(f"{options.out}: {steps} steps, {size / 1e6:.1f} MB, {size / steps:.2f} bytes a step")
    if options.export:
        export_npz(data, options.export)
        print(f"{options.export}: {options.export.stat().st_size / 1e6:.1f} MB")
