"""Makes the files of the level library from the functions that draw them.

python -m tools.make_library                     checks all, and rewrites what is only described anew
python -m tools.make_library --solve             searches for the proofs that are missing
python -m tools.make_library --solve swing_up    of some levels; --anew also where there is one

A file keeps its solution and difficulty as long as its level stays the same, bit for bit. A level that
nothing solves, or that doing nothing solves, gets no file; the script then ends with an error that names it.
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
    parser.add_argument("--solve", action="store_true", help="search where there is no proof")
    parser.add_argument("--anew", action="store_true", help="search although there is a proof")
    parser.add_argument(
        "--measure", action="store_true", help="random actions, where it was in fewer episodes"
    )
    parser.add_argument("--rounds", type=int, default=60, help="batches of episodes for each level")
    parser.add_argument("--episodes", type=int, default=1024, help="of random actions for each level")
    parser.add_argument("--seed", type=int, default=0, help="of the search")
    return parser.parse_args(arguments)


def chosen(names: list[str]):
    """The levels of some names, or all.

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
    """Writes the files; ends with an error that names the levels without a proof."""
    options = parse(arguments)
    use_compilation_cache()
    from tools.library_files import faults, measure, problem_of, prove, refresh, write_index

    wrong = []
    for member in chosen(options.names):
        problems = faults(member)
        if not problems and options.solve and (options.anew or problem_of(member)):
            problems = prove(member, options.rounds, options.episodes, options.seed)
        if not problems and problem_of(member):
            problems = [problem_of(member)]
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
