"""Parts shared by the subcommands: types of arguments, errors for the user, the compilation cache."""

from __future__ import annotations

import argparse
import os
import pathlib
from collections.abc import Callable


class CommandError(Exception):
    """An error that the user can put right; the command prints its message alone."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions and examples, and leaves room for long options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def add_subcommand(commands: argparse._SubParsersAction, name: str, help: str) -> argparse.ArgumentParser:
    """Adds a subcommand whose description is its line in the list of all, as a sentence."""
    description = f"{help[0].upper()}{help[1:]}."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=description, formatter_class=HelpFormatter
    )
    return parser


def at_least(low: int) -> Callable[[str], int]:
    """Returns a function that reads an integer of at least `low`, for argparse."""

    def integer(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, got {value}")
        return value

    return integer


natural, positive, several = at_least(0), at_least(1), at_least(2)


def port(text: str) -> int:
    """Reads the number of a port, for argparse."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"must be in 0 .. 65535, got {value}")
    return value


def use_compilation_cache() -> None:
    """Keeps compiled programs on disk, so that the second run of the same sizes starts at once.

    The folder is `kinetix-py/jax` in the user's cache folder, unless JAX_COMPILATION_CACHE_DIR names another.
    """
    import jax

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(base) / "kinetix-py" / "jax"))
