"""Makes the files of the level library and its index from the families.

python -m tools.make_library                     checks all levels, and updates descriptions, labels and index
python -m tools.make_library --solve             searches for missing solutions
python -m tools.make_library --solve swing_up    for some levels; --anew also where there is a solution

A file keeps its solution and difficulty as long as its level stays the same, bit for bit. A level without a
solution, or one that the no-op solves, gets no file; the tool then ends with an error that names it.
"""

from __future__ import annotations

import argparse
import difflib
import sys

from agents.cli.common import use_compilation_cache


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="levels (default: all)")
    parser.add_argument("--solve", action="store_true", help="search where there is no solution")
    parser.add_argument("--anew", action="store_true", help="search although there is a solution")
    parser.add_argument(
        "--measure", action="store_true", help="measure random actions where it was done in fewer episodes"
    )
    parser.add_argument("--rounds", type=int, default=60, help="batches of episodes for each level")
    parser.add_argument(
        "--episodes", type=int, default=1024, help="episodes of random actions for each level"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the search")
    return parser.parse_args(arguments)


def chosen(names: list[str]):
    """Returns the levels of some names, or all.

    Raises:
      SystemExit: an unknown name.
    """
    from kinetix_py.levels.library.registry import library_levels

    known = library_levels()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3)
            sys.exit(f"make_library.py: there is no level {name!r}" + (f"; near it: {near}" if near else ""))
    return [known[name] for name in (names or known)]


def main(arguments: list[str] | None = None) -> None:
    """Writes the files; ends with an error that names the levels without a solution."""
    options = parse(arguments)
    use_compilation_cache()
    from tools.library_files import find_faults, find_problem, measure, refresh, solve, write_index

    wrong = []
    for member in chosen(options.names):
        problems = find_faults(member)
        if not problems and options.solve and (options.anew or find_problem(member)):
            problems = solve(member, options.rounds, options.episodes, options.seed)
        if not problems and find_problem(member):
            problems = [find_problem(member)]
        if problems:
            wrong.append(member.path)
            print(f"{member.path}: {'; '.join(problems)}", flush=True)
            continue
        refresh(member)
        if options.measure:
            measure(member, options.episodes)
    write_index()
    if wrong:
        sys.exit(f"make_library.py: {len(wrong)} levels are not in the library: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
