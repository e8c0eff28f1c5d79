"""`kinetix edit`: an editor of levels in a browser."""

from __future__ import annotations

import argparse
import os
import pathlib
import signal
import webbrowser
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agents.cli.common import CommandError, HelpFormatter, port, use_compilation_cache

if TYPE_CHECKING:
    from kinetix_py.edit.server import EditServer

PORT = 8018
FOLDER = "levels"
DESCRIPTION = """Serves a page on which you draw levels, try them on the engine itself, and find out how hard
they are. What is drawn is kept as a draft at every change; a file changes when you save it."""
EXAMPLES = """examples:
  kinetix edit                           a new level, kept in the folder levels/
  kinetix edit my_levels/ ramp.json      the levels of a folder, and one more
  kinetix edit swing_up                  a copy of a level of the library
  kinetix edit --agent s                 an agent plays and judges what you draw"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix edit", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument(
        "levels",
        nargs="*",
        metavar="LEVEL",
        help="level files, folders of them, names or sets of the library (default: a new level)",
    )
    parser.add_argument(
        "--folder",
        type=pathlib.Path,
        help=f"folder for new levels and drafts (default: the first folder given, or {FOLDER})",
    )
    parser.add_argument("--size", choices=("s", "m", "l"), default="s", help="size of new levels (default s)")
    agent = parser.add_argument_group("agents that play and judge")
    agent.add_argument(
        "--agent",
        dest="agents",
        metavar="AGENT",
        action="append",
        default=[],
        help="a shipped agent, a policy file, a run, or a checkpoint in it",
    )
    page = parser.add_argument_group("the page")
    page.add_argument("--port", type=port, default=PORT, help=f"0 for any that is free (default {PORT})")
    page.add_argument("--open", action="store_true", help="open it in the default browser")
    return parser.parse_args(arguments)


def _folder(options: argparse.Namespace) -> Any:
    import kinetix_py as kx
    from kinetix_py.edit.folder import Folder

    given = [pathlib.Path(level) for level in options.levels if pathlib.Path(level).is_dir()]
    path = options.folder or (given[0] if given else pathlib.Path(FOLDER))
    if path.exists() and not path.is_dir():
        raise CommandError(f"{path} is no folder")
    # A folder to begin with may be empty.
    levels = [level for level in options.levels if pathlib.Path(level) != path or any(path.glob("**/*.json"))]
    try:
        return Folder(path, levels)
    except kx.LevelError as error:
        raise CommandError(str(error)) from None


def _agents(checkpoints: Sequence[str]) -> dict[str, Any]:
    """Loads the agents by name, in the size that each was trained in, so that a wrong path fails at once."""
    if not checkpoints:
        return {}
    from agents.config import ConfigError
    from agents.io.checkpoint import CheckpointError
    from agents.play import AgentOfAnySize

    try:
        agents = [AgentOfAnySize(path) for path in checkpoints]
    except (ConfigError, CheckpointError) as error:
        raise CommandError(str(error)) from None
    return {agent.name: agent for agent in agents}


def _server(options: argparse.Namespace) -> EditServer:
    from kinetix_py.edit.judge import Judging
    from kinetix_py.edit.server import EditServer
    from kinetix_py.edit.trial import Trials
    from kinetix_py.edit.workshop import Workshop
    from kinetix_py.play.session import Session

    folder, agents = _folder(options), _agents(options.agents)
    session = Session()
    trials = Trials(session, {name: agent.player for name, agent in agents.items()})
    workshop = Workshop(folder, trials, Judging(agents), tuple(agents), options.size)
    try:
        return EditServer(session, workshop, options.port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(
            f"port {options.port}: {reason}; choose another with --port, or --port 0"
        ) from None


def main(arguments: Sequence[str]) -> None:
    """Serves the page until Ctrl-C."""
    options = parse(arguments)
    # One small scene: a CPU computes it sooner than a GPU starts its kernels.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    use_compilation_cache()
    # Shells start what runs in the background with SIGINT ignored; this must end by it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    server = _server(options)
    threads = server.run_in_background()
    try:
        print(f"edit at {server.address} (Ctrl-C ends)", flush=True)
        if options.open:
            webbrowser.open(server.address)
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        print()
    finally:
        server.stop()
