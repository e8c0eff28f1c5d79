"""`kinetix export`: a trained policy as one file."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

from agents.cli.common import CommandError, HelpFormatter

DESCRIPTION = """Writes a trained policy to one file: its parameters, and the config of its run. The file
stands for the run wherever a command or agents.load_policy asks for one."""
EXAMPLES = """examples:
  kinetix export runs/NAME agent.npz
  kinetix export runs/NAME@best agent.npz
  kinetix play --agent agent.npz"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix export", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="run folder, RUN@best, or one checkpoint in it")
    parser.add_argument("file", metavar="FILE", type=pathlib.Path, help="file to write, NAME.npz")
    parser.add_argument("--force", action="store_true", help="replace a file that exists")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Writes the file, and prints its name and size."""
    options = parse(arguments)
    from agents.config import ConfigError
    from agents.io.checkpoint import CheckpointError
    from agents.loading import export_policy

    if options.file.exists() and not options.force:
        raise CommandError(f"{options.file}: exists already; --force replaces it")
    try:
        file = export_policy(options.run, options.file)
    except (ConfigError, CheckpointError, ValueError, OSError) as error:
        raise CommandError(str(error)) from None
    print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")
