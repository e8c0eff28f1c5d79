"""`kinetix levels`: lists, shows, checks and converts levels."""

from __future__ import annotations

import argparse
import functools
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agents.cli.common import CommandError, HelpFormatter, add_subcommand

if TYPE_CHECKING:
    import kinetix_py as kx

DESCRIPTION = "Works with level files and with the library of levels."
EXAMPLES = """examples:
  kinetix levels list                     all levels of the library
  kinetix levels list --sets              its sets, such as library/s
  kinetix levels list library/held-out    the levels of a set
  kinetix levels show swing_up --out swing_up.svg
  kinetix levels validate my_levels/ level.json
  kinetix levels convert level.json for_kinetix.json --format kinetix"""
FORMATS = ("native", "kinetix")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix levels", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = functools.partial(add_subcommand, actions)
    listing = add("list", "print the names of levels, one a line")
    listing.add_argument(
        "set", nargs="?", metavar="SET", help="a set of the library, or a folder (default: all)"
    )
    listing.add_argument(
        "--sets", action="store_true", help="print the names of sets, and how many levels each has"
    )
    show = add("show", "describe a level, and draw it")
    show.add_argument("level", metavar="LEVEL", help="a level file, or a name of the library")
    show.add_argument("--out", type=pathlib.Path, metavar="FILE.svg", help="write a picture of it")
    validate = add("validate", "check level files; fails if one is wrong")
    validate.add_argument("files", nargs="+", metavar="FILE", help="level files, or folders of them")
    convert = add("convert", "write a level in another format")
    convert.add_argument("source", metavar="IN", help="a level file, or a name of the library")
    convert.add_argument("target", metavar="OUT", type=pathlib.Path, help="the file to write")
    convert.add_argument(
        "--format",
        choices=FORMATS,
        default="native",
        help="native, or kinetix for Kinetix and its browser editor (default native)",
    )
    for each in (show, convert):
        each.add_argument("--force", action="store_true", help="overwrite a file")
    options = parser.parse_args(arguments)
    if options.action == "list" and options.set and options.sets:
        parser.error("give a SET or --sets, not both")
    return options


def _list(options: argparse.Namespace) -> None:
    import kinetix_py as kx

    if options.sets:
        for name in kx.list_level_sets():
            print(f"{name:<24}  {len(kx.list_levels(name)):3d} levels")
        return
    for name in kx.list_levels(options.set) if options.set else kx.list_levels():
        print(name)


def _slots(file: kx.LevelFile) -> str:
    """Formats the number of slots in use and of slots, kind by kind."""
    import numpy as np

    sim, size = file.level.sim, file.level.size
    active = np.asarray(sim.active)
    bodies = {"polygons": active[size.num_walls : size.num_polygons], "circles": active[size.num_polygons :]}
    parts = bodies | {"joints": np.asarray(sim.joints.active), "thrusters": np.asarray(sim.thrusters.active)}
    return ", ".join(f"{int(used.sum())} of {len(used)} {name}" for name, used in parts.items())


def _show(options: argparse.Namespace) -> None:
    import kinetix_py as kx

    file = kx.load_level_file(options.level)
    rows: dict[str, Any] = {
        "name": file.name,
        "author": file.author,
        "description": file.description,
        "slots": _slots(file) + ", beside the walls",
        "solution": f"{len(file.solution)} steps" if file.solution else None,
    }
    rows |= vars(file.difficulty) if file.difficulty else {}
    for name, value in rows.items():
        if value is not None:
            text = f"{value:.3g}" if isinstance(value, float) else value
            print(f"{name.replace('_', ' ')}: {text}")
    if options.out:
        _check_target(options.out, options.force)
        file.level.show(legend=True, scale_bar=True).save(options.out)
        print(options.out)


def _validate(options: argparse.Namespace) -> None:
    import kinetix_py as kx
    from kinetix_py.levels.library.sets import find_level_files

    wrong = 0
    files = find_level_files(options.files)
    for path in files:
        try:
            kx.load_level_file(path)
        except kx.LevelError as error:
            wrong += 1
            print(error, file=sys.stderr)
        else:
            print(f"{path}: ok")
    if wrong:
        raise CommandError(f"{wrong} of {len(files)} files are wrong")


def _convert(options: argparse.Namespace) -> None:
    import kinetix_py as kx

    file = kx.load_level_file(options.source)
    _check_target(options.target, options.force)
    notes = {
        name: getattr(file, name) for name in ("name", "author", "description", "solution", "difficulty")
    }
    if options.format == "kinetix":
        lost = [name for name, value in notes.items() if value is not None]
        if lost:
            print(f"left out, since Kinetix's format has no place for it: {', '.join(lost)}", file=sys.stderr)
        notes = {}
    kx.save_level(file.level, options.target, format=options.format, env=file.env, extra=file.extra, **notes)
    print(options.target)


def _check_target(path: pathlib.Path, force: bool) -> None:
    """Checks that a file may be written."""
    if not path.parent.is_dir():
        raise CommandError(f"{path.parent}: no such folder")
    if path.exists() and not force:
        raise CommandError(f"{path} exists already; --force overwrites it")


def main(arguments: Sequence[str]) -> None:
    """Does what the action says."""
    options = parse(arguments)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import kinetix_py as kx

    chosen = {"list": _list, "show": _show, "validate": _validate, "convert": _convert}[options.action]
    try:
        chosen(options)
    except kx.LevelError as error:
        raise CommandError(str(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{error.strerror}: {error.filename}") from None
