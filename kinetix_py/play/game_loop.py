"""The game in real time: 60 physics frames a second while a page is open."""

from __future__ import annotations

import collections
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kinetix_py.play.game import NO_LIMIT, Game
from kinetix_py.play.keys import binding_keys, key_hints
from kinetix_py.play.session import Session
from kinetix_py.rendering.player import room_picture
from kinetix_py.rendering.rule_marks import AGENT_LETTERS, has_two_agents

MAX_DELAY = 0.1  # s; frames that are later are dropped, not made up in a burst
POLL_SECONDS = 1.0  # between checks of an idle loop whether the session was closed


class FrameTimer:
    """Paces frames in real time and measures their rate."""

    def __init__(self, seconds: float):
        """Starts now.

        Args:
          seconds: duration of one frame.
        """
        self.seconds, self._due = seconds, time.perf_counter()
        self._times: collections.deque[float] = collections.deque(maxlen=round(1 / seconds) + 1)

    def wait(self) -> None:
        """Sleeps until the next frame is due."""
        self._due += self.seconds
        now = time.perf_counter()
        if self._due < now - MAX_DELAY:
            self._due = now
        time.sleep(max(self._due - now, 0))
        self._times.append(time.perf_counter())

    def pause(self) -> None:
        """Restarts the clock after a pause."""
        self._due = time.perf_counter()
        self._times.clear()

    @property
    def rate(self) -> float | None:
        """Frames per second over the last second; None before the second frame."""
        if len(self._times) < 2:
            return None
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])


class GameLoop:
    """Runs a game for the pages of a session.

    A new level waits for the first key, so that there is time to look at it; restarted, it runs at once.
    """

    def __init__(
        self, game: Game, session: Session, *, notes: dict[str, Any] | None = None, at_once: bool = False
    ):
        """Publishes the first level.

        Args:
          game: game to run.
          session: session whose pages it is for.
          notes: what else the message about a level tells.
          at_once: whether the first level runs without waiting for a key.
        """
        self.game, self.session, self._notes = game, session, notes or {}
        self._keys = frozenset(key.code for key in binding_keys(game.env.size))
        self._phase = "running" if at_once else self._start()  # ready, running or paused
        self._timer = FrameTimer(game.frame_seconds)
        self._frame_costs: collections.deque[float] = collections.deque([0.0], maxlen=60)
        self._publish({}, new_level=True)

    def _start(self) -> str:
        return "running" if self.game.watching else "ready"

    @property
    def phase(self) -> str:
        """`ready`, `running`, `paused`, or the outcome of the episode (`game.OUTCOMES`)."""
        return self.game.outcome or self._phase

    def run(self, ended: Callable[[], bool] = lambda: False) -> None:
        """Plays until the session is closed, or until `ended` says so."""
        while not (self.session.closed or ended()):
            if self.phase == "running":
                self._timer.wait()
                self.advance()
                waiting = not self.session.wait_for_page(0)
            else:
                waiting = True
            if waiting:  # for a page or for input
                if self.session.wait_for_input(POLL_SECONDS) and not self.session.closed:
                    self.advance()
                self._timer.pause()

    def advance(self) -> None:
        """Handles pending input, plays a frame if the game runs, and publishes it."""
        pending = self.session.take_input()
        new_levels = [self._execute(command) for command in pending.commands]
        if self._phase == "ready" and pending.held & self._keys:
            self._phase = "running"
        running, start = self.phase == "running", time.perf_counter()
        if running:
            self.game.tick(pending.held, pending.drag)
        if running or pending.changed:
            self._publish(pending.numbers, new_level=any(new_levels))
        if running:
            self._frame_costs.append(time.perf_counter() - start)

    def _execute(self, command: str) -> bool:
        """Executes a command; returns whether it changed the level."""
        game = self.game
        if command == "next":
            game.next_level()
            self._phase = self._start()
            return True
        if command == "restart":
            game.restart()
            self._phase = "running"
        elif command in ("watch", "play"):
            game.set_watching(command == "watch")
            if game.watching and self._phase == "ready":
                self._phase = "running"
        elif command == "pause" and self._phase == "running":
            self._phase = "paused"
        elif command == "resume":
            self._phase = "running"
        elif command == "step" and self._phase != "running":
            game.tick(())
            self._phase = "paused"
        return False

    def _publish(self, numbers: dict[str, int], new_level: bool) -> None:
        # The numbers tell a page which of its messages this frame has taken into account.
        frame = frame_message(self.game) | {
            "phase": self.phase,
            "numbers": numbers,
            "rate": self._timer.rate,
            "cost": statistics.median(self._frame_costs),
        }
        self.session.publish(frame, level_message(self.game) | self._notes if new_level else None)


def shown_bodies(game: Game) -> list[int]:
    """Returns the bodies whose pose is sent to pages."""
    return np.flatnonzero(game.scene.sim.active).tolist()


def level_message(game: Game) -> dict[str, Any]:
    """Makes the message that describes a level."""
    joints, thrusters = game.scene.sim.joints.active, game.scene.sim.thrusters.active
    act = np.zeros(len(joints) + len(thrusters))
    return {
        "name": game.name,
        "picture": room_picture(game.scene, act, np.zeros((0, 2))),
        "bodies": shown_bodies(game),
        "joints": len(joints),
        "hints": key_hints(
            game.env.size, game.used, agents_of_bindings(game.scene), signs_of_motors(game.scene)
        ),
        "limit": None if game.time_limit >= NO_LIMIT else game.time_limit * game.frame_seconds,
        "player": None if game.player is None else game.player.name,
    }


def agents_of_bindings(scene: Any) -> list[str] | None:
    """Returns the letter of the agent that each binding belongs to; None in a level for one."""
    if not has_two_agents(scene):
        return None
    agents = np.concatenate([scene.rules.motor_agent, scene.rules.thruster_agent])
    return [AGENT_LETTERS[agent] for agent in agents.tolist()]


def signs_of_motors(scene: Any) -> list[int]:
    """Returns the sign of the speed of the motors of each binding; 0 where they differ, 1 without motors."""
    joints, labels = scene.sim.joints, scene.labels
    driven = joints.active & joints.motor_on & ~joints.weld & ~labels.motor_auto
    signs = np.where(joints.motor_speed < 0, -1, 1)
    found = [set(signs[driven & (labels.motor_binding == i)]) for i in range(scene.size.num_motor_bindings)]
    return [int(next(iter(each))) if len(each) == 1 else int(not each) for each in found]


def frame_message(game: Game) -> dict[str, Any]:
    """Makes the message that describes a frame, in meters, radians and seconds."""
    view, bodies = game.view, shown_bodies(game)
    places = np.concatenate([view.position[bodies], view.rotation[bodies, None]], axis=1)
    rounded = lambda values: np.round(np.nan_to_num(np.asarray(values, float)), 4).tolist()
    return {
        "bodies": rounded(places),
        "contacts": rounded(game.contacts()),
        "controls": rounded(view.controls),
        "goal": game.goal(),
        "on": None if view.progress is None else view.progress.on.tolist(),
        "time": round(int(view.time) * game.frame_seconds, 3),
        "distance": float(rounded(view.distance)),
        "watching": game.watching,
        "value": None if game.value is None else float(rounded(game.value)),
        "action": None if game.action is None else rounded(game.action),
        "relevance": None if game.relevance is None else rounded(game.relevance.weights[bodies]),
        "relevance_kind": None if game.relevance is None else game.relevance.kind,
    }
