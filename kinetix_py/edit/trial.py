"""Trying a level out: the game of `kinetix_py.play` on whatever is drawn."""

from __future__ import annotations

import dataclasses
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kinetix_py.actions import ActionAdapter
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.levels.level import pad_level
from kinetix_py.play.game import Game, Player
from kinetix_py.play.game_loop import GameLoop
from kinetix_py.play.levels import NamedLevel, smallest_size
from kinetix_py.play.session import Session
from kinetix_py.sizes import SIZES, LevelSize

FRAME_SKIP = 2  # frames of one action of a solution

# Makes a player for levels of a size; ValueError if it cannot play them.
MakePlayer = Callable[[LevelSize], Player]


@dataclasses.dataclass(frozen=True)
class Trial:
    """A level to try.

    Attributes:
      key: text by which its page knows it.
      level: level and its name.
      agent: name of the agent that plays; None for a person.
      solution: actions `[steps][bindings]` to play instead; None without.
    """

    key: str
    level: NamedLevel
    agent: str | None = None
    solution: list[list[int]] | None = None


class SolutionPlayer:
    """Plays multi-discrete actions `[steps][bindings]` in their order, as a `Player`."""

    name, frame_skip, value, relevance = "the solution", FRAME_SKIP, None, None

    def __init__(self, actions: Sequence[Sequence[int]], size: LevelSize):
        adapter = ActionAdapter("multi_discrete", size)
        self._values = [np.asarray(adapter.binding_values(jnp.asarray(row, jnp.int32))) for row in actions]
        self._noop = np.zeros(size.num_bindings, np.float32)

    def begin(self) -> int:
        """Returns the number of the first action."""
        return 0

    def act(self, memory: int, state: EnvState, first: bool) -> tuple[int, np.ndarray]:
        """Returns the number of the next action, and the values of the current one."""
        return memory + 1, self._values[memory] if memory < len(self._values) else self._noop


class Trials:
    """Runs one trial at a time for the pages of a session.

    Games are compiled once for each size and agent, and kept.
    """

    def __init__(self, session: Session, agents: Mapping[str, MakePlayer] | None = None):
        """Starts without a trial.

        Args:
          session: session whose pages try levels.
          agents: makers of players, by name.
        """
        self._session, self._agents = session, dict(agents or {})
        self._changed = threading.Condition()
        self._pending: Trial | None = None
        self._failed: dict[str, str] = {}  # of the last trial that failed
        self._games: dict[tuple[LevelSize, str | None], Game] = {}
        self._level: NamedLevel | None = None

    def request(self, key: str, level: NamedLevel, agent: str | None = None, solution: Any = None) -> None:
        """Asks for a trial in place of the one that runs; arguments as for `Trial`.

        Raises:
          ValueError: an agent of no such name.
        """
        if agent is not None and agent not in self._agents:
            raise ValueError(f"agent must be one of {', '.join(self._agents) or 'none'}, got {agent!r}")
        with self._changed:
            self._pending = Trial(key, level, agent, solution)
            self._changed.notify_all()
        self._session.nudge()

    def failure(self, key: str) -> str:
        """Returns why a trial did not begin; empty if it did, or may yet."""
        with self._changed:
            return self._failed.get(key, "")

    def close(self) -> None:
        """Ends `run`; the session must be closed before."""
        with self._changed:
            self._changed.notify_all()

    def run(self) -> None:
        """Runs trials until the session is closed."""
        while not self._session.closed:
            with self._changed:
                self._changed.wait_for(lambda: self._session.closed or self._pending is not None)
                trial, self._pending = self._pending, None
            if trial is None:
                return
            try:
                loop = GameLoop(self._game(trial), self._session, notes={"trial": trial.key}, at_once=True)
                loop.run(ended=lambda: self._pending is not None)
            except Exception as error:
                if not isinstance(error, ValueError):
                    traceback.print_exc()
                with self._changed:
                    self._failed = {trial.key: f"{type(error).__name__}: {error}"}

    def _game(self, trial: Trial) -> Game:
        size = smallest_size([trial.level.level])
        if size.num_bindings != trial.level.level.size.num_bindings:
            size = trial.level.level.size  # or a solution would not fit
        if trial.agent is not None and size not in SIZES.values():
            raise ValueError(f"agents play levels of the sizes {', '.join(SIZES)}, got {size}")
        key = size, trial.agent
        self._level = NamedLevel(trial.level.name, pad_level(trial.level.level, size))
        player: Player | None = None
        if trial.solution is not None:
            player = SolutionPlayer(trial.solution, size)
        if key not in self._games:
            player = self._agents[trial.agent](size) if trial.agent is not None else player
            # An endless supply of whatever level is drawn.
            levels: Any = iter(lambda: self._level, None)
            self._games[key] = Game(size, levels, _params(player), player, watching=player is not None)
            return self._games[key]
        game = self._games[key]
        if trial.agent is None:
            game.player = player
        game.watching = game.player is not None
        game.next_level()
        return game


def _params(player: Any) -> EnvParams:
    """Returns the numbers of a game, with a time limit in frames: those of the agent, or the defaults."""
    params = getattr(player, "env_params", EnvParams())
    frame_skip = getattr(player, "frame_skip", FRAME_SKIP)
    return dataclasses.replace(params, max_timesteps=int(params.max_timesteps) * frame_skip)
