"""Searches for an action sequence that solves a level, and can keep it in the level's file.

python scripts/solve_level.py my_level.json                 prints how it goes, and the solution
python scripts/solve_level.py swing_up --rounds 100         a level of the library
python scripts/solve_level.py my_level.json --write         also writes it into the file (own format only)

The search plays open-loop plans under the default physics: random ones, then the cross-entropy method and
mutations of the best. It runs wherever jax does; a GPU is used if there is one.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from agents.cli.common import positive, use_compilation_cache


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("level", help="a level file, or a name of the library")
    parser.add_argument(
        "--rounds", type=positive, default=60, help="batches of episodes, at most (default 60)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the search (default 0)")
    parser.add_argument("--write", action="store_true", help="put the solution into the file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Prints the solution; ends with an error if none was found."""
    options = parse(arguments)
    use_compilation_cache()
    import tqdm

    import kinetix_py as kx
    from kinetix_py.levels.search import environment, search

    try:
        file = kx.load_level_file(options.level)
    except kx.LevelError as error:
        sys.exit(f"solve_level.py: {error}")
    if options.write and not pathlib.Path(options.level).is_file():
        sys.exit("solve_level.py: --write needs a file; the library is made by python -m tools.make_library")
    if options.write and "format" not in json.loads(pathlib.Path(options.level).read_text()):
        sys.exit(f"solve_level.py: {options.level} is in Kinetix's format, which has no place for a solution")
    started = time.time()
    with tqdm.tqdm(total=options.rounds, unit="round") as bar:

        def report(text: str) -> None:
            bar.set_description(text.split(": ", 1)[1])
            bar.update()

        found = search(environment(file.spec), file.level, options.rounds, options.seed, report=report)
    if found.noop:
        sys.exit("solve_level.py: doing nothing solves it")
    if found.plan is None:
        sys.exit(f"solve_level.py: not solved in {found.effort} episodes; closest {found.closest:.2f} m")
    print(
        f"solved in {len(found.plan)} steps, first after {found.effort} episodes; {found.robustness:.0%} of "
        f"nudged starts ({time.time() - started:.0f} s)"
    )
    if not options.write:
        print(json.dumps(found.plan.tolist()))
        return
    notes = {name: getattr(file, name) for name in ("name", "author", "description", "env")}
    # Difficulty is left out: its effort and robustness were those of another solution.
    kx.save_level(file.level, options.level, spec=file.spec, solution=found.plan, **notes)


if __name__ == "__main__":
    main()
