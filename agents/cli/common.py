"""Parts shared by the subcommands: types of arguments, errors for the user, the compilation cache."""

from __future__ import annotations

import argparse
import os
import pathlib


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


def positive(text: str) -> int:
    """Reads an integer of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def several(text: str) -> int:
    """Reads an integer of at least 2, for argparse."""
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"must be at least 2, got {value}")
    return value


def natural(text: str) -> int:
    """Reads an integer of at least 0, for argparse."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {value}")
    return value


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
