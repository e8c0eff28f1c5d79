"""The entry point of the command `kinetix`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from agents.cli.common import CommandError, HelpFormatter

COMMANDS = {
    "train": "train an agent, or go on with a run",
    "evaluate": "measure how often a trained agent solves levels",
    "compare": "put the evaluations of several runs beside each other",
    "reproduce": "test what the Kinetix paper claims about general agents",
    "record": "record episodes of a trained agent as data",
    "export": "write a trained policy to one file",
    "play": "play levels in a browser, or watch an agent play them",
    "edit": "draw levels in a browser, try and judge them",
    "solve": "search for an action sequence that solves a level",
    "levels": "list, show, check and convert levels",
    "plan": "tell memory and modeled speed on a GPU or TPU without having one",
    "benchmark": "time the engine, the environment, the generator, pictures or training",
}
# Modules that come with the extra `agents`.
AGENTS_EXTRA = frozenset(
    (
        "distrax",
        "flax",
        "hydra",
        "imageio",
        "matplotlib",
        "omegaconf",
        "optax",
        "orbax",
        "tensorboardX",
        "tqdm",
    )
)


def _parser() -> argparse.ArgumentParser:
    wide = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{wide}}  {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="kinetix",
        description="Open-ended 2D physics tasks for reinforcement learning: make green touch blue.",
        epilog=f"commands:\n{commands}\n\n`kinetix COMMAND --help` describes each of them.",
        formatter_class=HelpFormatter,
        usage="kinetix [--help] [--version] COMMAND ...",
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    parser.add_argument("command", nargs="?", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a subcommand.

    Args:
      arguments: words after `kinetix`; those of the process if None.

    Raises:
      SystemExit: with a message, where the arguments are wrong or the command fails.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.version:
        from importlib.metadata import version

        print(f"kinetix-py {version('kinetix-py')}")
    elif options.command is None:
        parser.print_help()
    else:
        _run(options.command, options.arguments)


def _run(command: str, arguments: list[str]) -> None:
    try:
        importlib.import_module(f"agents.cli.{command}").main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except CommandError as error:
        sys.exit(f"kinetix {command}: {error}")
    except RuntimeError as error:
        from jax2d import KernelError  # imported already, if it was raised

        if not isinstance(error, KernelError):
            raise
        sys.exit(f"kinetix {command}: {error}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in AGENTS_EXTRA:
            raise
        sys.exit(f"kinetix {command}: {missing} is not installed: pip install 'kinetix-py[agents]'")


if __name__ == "__main__":
    main()
