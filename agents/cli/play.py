"""`kinetix play`: levels in a browser, by hand or by an agent."""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import signal
import threading
import webbrowser
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agents.cli.common import CommandError, HelpFormatter, port, use_compilation_cache

if TYPE_CHECKING:
    from kinetix_py.play.server import PlayServer
    from kinetix_py.play.session import Session

PORT = 8017
DESCRIPTION = """Serves a page on which you play levels by hand, or watch a trained agent play them.
The keys are shown on the page: arrows and WASD turn motors, 1 and 2 fire thrusters."""
EXAMPLES = """examples:
  kinetix play                                 random levels of size S
  kinetix play --size m                        random levels of size M
  kinetix play library/s levels/ level.json    these levels in turn
  kinetix play --agent s                       P hands over to a trained agent and back
  kinetix play levels/ --agent runs/NAME       an agent of your own"""


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"must be in 0 .. 1e6, got {text}")
    return value


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix play", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument(
        "levels",
        nargs="*",
        metavar="LEVEL",
        help="level files, folders of them, names or sets of the library (default: random levels)",
    )
    parser.add_argument(
        "--size", choices=("s", "m", "l"), help="size of the levels (default: what fits, or s)"
    )
    parser.add_argument(
        "--seed", type=int, help="seed of random levels and of the agent (default: a new one)"
    )
    parser.add_argument(
        "--time-limit", type=_seconds, metavar="S", help="seconds of an episode, 0 for none (default 8.53)"
    )
    agent = parser.add_argument_group("an agent that plays")
    agent.add_argument(
        "--agent",
        metavar="AGENT",
        help="a shipped agent, a policy file, a run, or a checkpoint in it",
    )
    agent.add_argument("--watch", action="store_true", help="let the agent begin")
    page = parser.add_argument_group("the page")
    page.add_argument("--port", type=port, default=PORT, help=f"0 for any that is free (default {PORT})")
    page.add_argument("--open", action="store_true", help="open it in the default browser")
    options = parser.parse_args(arguments)
    if options.watch and not options.agent:
        parser.error("--watch needs an --agent")
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


def _server(session: Session, port: int) -> PlayServer:
    from kinetix_py.play.server import PlayServer

    try:
        return PlayServer(session, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(f"port {port}: {reason}; choose another with --port, or --port 0") from None


def _player(options: argparse.Namespace) -> Any:
    """The agent, if one is asked for."""
    if options.agent is None:
        return None
    from agents.config import ConfigError
    from agents.io.checkpoint import CheckpointError
    from agents.play import PolicyPlayer

    try:
        return PolicyPlayer.load(options.agent, options.size, options.seed)
    except (ConfigError, CheckpointError) as error:
        raise CommandError(str(error)) from None


def _params(options: argparse.Namespace, player: Any) -> Any:
    """Numbers of the game; the time limit in frames."""
    import kinetix_py as kx
    from kinetix_py.play.game import NO_LIMIT

    params, frame_skip = kx.EnvParams(), 2
    if player is not None:
        params, frame_skip = player.env_params, player.frame_skip
    frames = int(params.max_timesteps) * frame_skip
    if options.time_limit is not None:
        frames = round(options.time_limit / float(params.sim.dt)) or NO_LIMIT
    return dataclasses.replace(params, max_timesteps=frames)


def _play(options: argparse.Namespace, session: Session) -> None:
    import kinetix_py as kx
    from kinetix_py.play.game import Game
    from kinetix_py.play.game_loop import GameLoop
    from kinetix_py.play.levels import in_turn, random_levels, read_levels

    server = _server(session, options.port)
    try:
        player = _player(options)
        size = kx.SIZES[options.size] if options.size else None
        size = player.env.size if player else size
        if options.levels:
            try:
                found, size = read_levels(options.levels, size)
            except kx.LevelError as error:
                raise CommandError(str(error)) from None
            levels = in_turn(found)
        else:
            size = size or kx.SIZES["s"]
            levels = random_levels(options.seed, size)
        print("compiling ...", flush=True)
        loop = GameLoop(Game(size, levels, _params(options, player), player, options.watch), session)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"play at {server.address} (Ctrl-C ends)", flush=True)
        if options.open:
            webbrowser.open(server.address)
        try:
            loop.run()
        finally:
            session.close()
            server.shutdown()
    finally:
        server.server_close()


def main(arguments: Sequence[str]) -> None:
    """Serves the page until Ctrl-C."""
    options = parse(arguments)
    # One small scene: a CPU computes it sooner than a GPU starts its kernels.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    use_compilation_cache()
    # Shells start what runs in the background with SIGINT ignored; this must end by it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from kinetix_py.play.session import Session

    try:
        _play(options, Session())
    except KeyboardInterrupt:
        print()
