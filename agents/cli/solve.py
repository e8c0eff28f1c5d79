"""`kinetix solve`: searches for an action sequence that solves a level."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time
from collections.abc import Sequence

from agents.cli.common import CommandError, HelpFormatter, positive, use_compilation_cache

DESCRIPTION = """Searches for a sequence of actions that solves a level and prints it, or keeps it in the
file of the level. It plays random sequences first, then the cross-entropy method and mutations of
the best, and prefers a sequence that still works when bodies start a little off their places."""
EXAMPLES = """examples:
  kinetix solve swing_up --rounds 100    a level of the library
  kinetix solve my_level.json --write    a file, which then holds the solution"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix solve", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument("level", metavar="LEVEL", help="a level file, or a name of the library")
    parser.add_argument(
        "--rounds", type=positive, default=60, help="batches of episodes, at most (default 60)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the search (default 0)")
    parser.add_argument("--write", action="store_true", help="put the solution into the file")
    return parser.parse_args(arguments)


def _check_writable(path: pathlib.Path) -> None:
    """Checks that a file has a place for a solution."""
    if not path.is_file():
        raise CommandError("--write needs a file; levels of the library have solutions already")
    if "format" not in json.loads(path.read_text(encoding="utf-8")):
        raise CommandError(f"{path} is in Kinetix's format, which has no place for a solution")


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    """Prints or writes the solution; fails if none was found."""
    options = parse(arguments)
    use_compilation_cache()
    import kinetix_py as kx
    from kinetix_py.levels.search import search, search_environment

    try:
        file = kx.load_level_file(options.level)
    except kx.LevelError as error:
        raise CommandError(str(error)) from None
    if options.write:
        _check_writable(pathlib.Path(options.level))
    started = time.time()
    found = search(
        search_environment(file.level.size), file.level, options.rounds, options.seed, report=_report
    )
    if found.noop_solves:
        raise CommandError("the no-op solves it")
    if found.actions is None and found.search_episodes == 1:
        raise CommandError("the no-op does not solve it, and there is nothing to control")
    if found.actions is None:
        raise CommandError(f"not solved in {found.search_episodes} episodes; closest {found.closest:.2f} m")
    _report(
        f"solved in {len(found.actions)} steps, first after {found.search_episodes} episodes; "
        f"{found.robustness:.0%} of perturbed starts ({time.time() - started:.0f} s)"
    )
    if not options.write:
        print(json.dumps(found.actions.tolist()))
        return
    notes = {name: getattr(file, name) for name in ("name", "author", "description", "env")}
    # Difficulty is left out: it was measured with another solution.
    kx.save_level(file.level, options.level, solution=found.actions.tolist(), extra=file.extra, **notes)
    print(options.level)
