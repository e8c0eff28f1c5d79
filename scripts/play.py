"""Play levels by hand in a browser, or watch a checkpoint play them.

python scripts/play.py library/s levels/ my_level.json    these levels in turn
python scripts/play.py --size m                           random levels of size M
python scripts/play.py levels/ --checkpoint runs/NAME     P hands over to the agent and back

The keys are shown on the page: arrows and WASD turn motors, 1 and 2 fire thrusters.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import random
import signal
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from agents.cli.common import use_compilation_cache

if TYPE_CHECKING:
    from kinetix_py.play.server import PlayServer
    from kinetix_py.play.session import Session

PORT = 8017


class PlayError(ValueError):
    """Something that the user can put right."""


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"must be in 0 .. 65535, got {value}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"must be in 0 .. 1e6, got {text}")
    return value


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "levels", nargs="*", metavar="LEVEL", help="level files, or folders of them (default: random levels)"
    )
    parser.add_argument(
        "--size", choices=("s", "m", "l"), help="size of the levels (default: what fits, or s)"
    )
    parser.add_argument("--checkpoint", metavar="RUN", help="a run folder, or one checkpoint in it, to watch")
    parser.add_argument("--watch", action="store_true", help="let the checkpoint begin")
    parser.add_argument(
        "--seed", type=int, help="of random levels and of the agent (default: another each time)"
    )
    parser.add_argument(
        "--time-limit",
        type=_seconds,
        metavar="S",
        help="of an episode; 0: none (default: the game's, 8.53 s)",
    )
    parser.add_argument("--port", type=_port, default=PORT, help=f"0: any that is free (default {PORT})")
    parser.add_argument("--open", action="store_true", help="open the page in the default browser")
    options = parser.parse_args(arguments)
    if options.watch and not options.checkpoint:
        parser.error("--watch needs a --checkpoint")
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


def _server(session: Session, port: int) -> PlayServer:
    from kinetix_py.play.server import PlayServer

    try:
        return PlayServer(session, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PlayError(f"port {port}: {reason}; choose another with --port, or --port 0") from None


def _pilot(options: argparse.Namespace) -> Any:
    """The checkpoint's policy, if one is asked for."""
    if options.checkpoint is None:
        return None
    try:
        from agents.config import ConfigError
        from agents.io.checkpoint import CheckpointError
        from agents.pilot import load_pilot
    except ModuleNotFoundError as error:
        raise PlayError(f"--checkpoint needs {error.name}: pip install '.[agents]'") from None
    try:
        return load_pilot(options.checkpoint, options.size, options.seed)
    except (ConfigError, CheckpointError) as error:
        raise PlayError(str(error)) from None


def _params(options: argparse.Namespace, pilot: Any) -> Any:
    """Numbers of the game; the time limit in frames."""
    import kinetix_py as kx
    from kinetix_py.play.game import NO_LIMIT

    params, frame_skip = kx.EnvParams(), 2
    if pilot is not None:
        params, frame_skip = pilot.env_params, pilot.frame_skip
    frames = int(params.max_timesteps) * frame_skip
    if options.time_limit is not None:
        frames = round(options.time_limit / float(params.sim.dt)) or NO_LIMIT
    return dataclasses.replace(params, max_timesteps=frames)


def _play(options: argparse.Namespace, session: Session) -> None:
    from kinetix_py.levels.checks import LevelError
    from kinetix_py.play.game import Game
    from kinetix_py.play.levels import in_turn, random_levels, read_levels
    from kinetix_py.play.live import Live
    from kinetix_py.spec import SIZES

    server = _server(session, options.port)
    try:
        pilot = _pilot(options)
        spec = SIZES[options.size] if options.size else None
        spec = pilot.env.spec if pilot else spec
        if options.levels:
            try:
                found, spec = read_levels(options.levels, spec)
            except LevelError as error:
                raise PlayError(str(error)) from None
            levels = in_turn(found)
        else:
            spec = spec or SIZES["s"]
            levels = random_levels(options.seed, spec)
        print("compiling ...", flush=True)
        live = Live(Game(spec, levels, _params(options, pilot), pilot, options.watch), session)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"play at {server.address} (Ctrl-C ends)", flush=True)
        if options.open:
            webbrowser.open(server.address)
        try:
            live.run()
        finally:
            session.close()
            server.shutdown()
    finally:
        server.server_close()


def main(arguments: list[str] | None = None) -> None:
    """Serves the page until Ctrl-C."""
    options = parse(arguments)
    # One small scene: a CPU computes it sooner than a GPU starts its kernels.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    use_compilation_cache()
    # Shells start what runs in the background with SIGINT ignored; this must end by it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from kinetix_py.play.session import Session

    session = Session()
    try:
        _play(options, session)
    except PlayError as error:
        sys.exit(f"play.py: {error}")
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
