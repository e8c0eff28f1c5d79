"""Measures in the background how hard a level is: the no-op, random actions, agents, and a search."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from kinetix_py.levels.level import Level, pad_level
from kinetix_py.levels.search import baseline, batch_size, search, search_environment
from kinetix_py.play.levels import smallest_size

RANDOM_BATCHES = 4  # batches of episodes of random actions
SEARCH_ROUNDS = 60
AGENT_EPISODES = 64


class Judge(Protocol):
    """An agent whose skill at a level is measured."""

    def solve_rate(self, level: Level, episodes: int) -> float:
        """Returns the share of episodes that it solves, 0 .. 1."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Result of one measurement.

    Attributes:
      name: what was measured.
      text: result for people.
      good: whether it is what an author wants; None for a plain number.
    """

    name: str
    text: str
    good: bool | None = None


@dataclasses.dataclass
class Status:
    """State of a judgement, as a page sees it.

    Attributes:
      number: number of the judgement; 0 before the first.
      state: `"idle"`, `"running"`, `"done"`, `"cancelled"` or `"failed"`.
      progress: share of the work that is done, 0 .. 1.
      line: what is going on, or what failed.
      verdicts: results so far.
      solution: actions `[steps][bindings]` that solve the level, of the level's own size.
      difficulty: numbers of `kinetix_py.levels.difficulty.Difficulty` without the label.
    """

    number: int = 0
    state: str = "idle"
    progress: float = 0.0
    line: str = ""
    verdicts: list[Verdict] = dataclasses.field(default_factory=list)
    solution: list[list[int]] | None = None
    difficulty: dict[str, Any] | None = None


class Cancelled(Exception):
    """End of a judgement that is not wanted any more."""


class Judging:
    """Runs one judgement at a time, in a thread of its own; safe for any thread."""

    def __init__(self, agents: Mapping[str, Judge] | None = None, *, rounds: int = SEARCH_ROUNDS):
        """Starts without a judgement.

        Args:
          agents: agents by name.
          rounds: rounds of the search, at most.
        """
        self._agents, self._rounds = dict(agents or {}), rounds
        self._lock = threading.Lock()
        self._status = Status()
        self._thread: threading.Thread | None = None

    def start(self, level: Level) -> int:
        """Begins a judgement in place of the one that runs, and returns its number."""
        with self._lock:
            self._status = status = Status(number=self._status.number + 1, state="running", line="starting")
            self._thread = threading.Thread(
                target=self._run, args=(level, status, self._thread), daemon=True, name="judging"
            )
            self._thread.start()
            return status.number

    def cancel(self) -> None:
        """Ends the judgement that runs, as soon as its current batch of episodes is over."""
        with self._lock:
            if self._status.state == "running":
                self._status.state = "cancelled"

    def status(self) -> dict[str, Any]:
        """Returns the state of the newest judgement, as plain values."""
        with self._lock:
            return dataclasses.asdict(self._status)

    def wait(self, timeout: float | None = None) -> None:
        """Waits until no judgement runs [s]."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self, level: Level, status: Status, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # at most one batch of episodes
        try:
            self._judge(level, status)
        except Cancelled:
            return
        except Exception as error:
            with self._lock:
                status.state, status.line = "failed", f"{type(error).__name__}: {error}"
            raise
        with self._lock:
            if status.state == "running":
                status.state, status.progress, status.line = "done", 1.0, ""

    def _tell(self, status: Status, progress: float, line: str, *verdicts: Verdict) -> None:
        with self._lock:
            if status is not self._status or status.state != "running":
                raise Cancelled
            status.progress, status.line = progress, line
            status.verdicts = [*status.verdicts, *verdicts]

    def _judge(self, level: Level, status: Status) -> None:
        size = smallest_size([level])
        if size.num_bindings == level.size.num_bindings:  # a size that is compiled once for all levels
            level = pad_level(level, size)
        env = search_environment(level.size)
        self._tell(status, 0.0, "playing the no-op and random actions")
        noop, solved, episodes = False, 0.0, 0
        for number in range(RANDOM_BATCHES):
            found = baseline(env, level, batch_size(env), seed=number)
            noop = noop or found.noop_solves
            solved += found.random_solve_rate * found.random_episodes
            episodes += found.random_episodes
            share = 0.3 * (number + 1) / RANDOM_BATCHES
            self._tell(status, share, f"random actions: {round(solved)} of {episodes} episodes solved")
        rate = round(solved) / episodes
        self._tell(
            status,
            0.3,
            "",
            Verdict("doing nothing", "solves the level" if noop else "does not solve it", not noop),
            Verdict("random actions", f"solve {rate:.1%} of {episodes} episodes"),
        )
        for number, (name, agent) in enumerate(self._agents.items()):
            self._tell(status, 0.3 + 0.2 * number / len(self._agents), f"{name} plays")
            try:
                text = f"solves {agent.solve_rate(level, AGENT_EPISODES):.0%} of {AGENT_EPISODES} episodes"
            except ValueError as error:  # such as a size that its network cannot play
                text = str(error)
            self._tell(status, 0.3 + 0.2 * (number + 1) / len(self._agents), "", Verdict(name, text))
        if not noop:
            self._search(env, level, status, rate, episodes)

    def _search(self, env: Any, level: Level, status: Status, rate: float, episodes: int) -> None:
        begun = [0]

        def report(line: str) -> None:
            begun[0] += 1
            self._tell(status, 0.5 + 0.5 * begun[0] / self._rounds, f"searching a solution: {line}")

        self._tell(status, 0.5, "searching a solution")
        found = search(env, level, self._rounds, report=report)
        if found.actions is None:
            text = f"no solution in {found.search_episodes} episodes; closest {found.closest:.2f} m"
            self._tell(status, 1.0, "", Verdict("search", text, False))
            return
        text = (
            f"solution of {len(found.actions)} steps after {found.search_episodes} episodes; "
            f"it works from {found.robustness:.0%} of perturbed starts"
        )
        with self._lock:
            status.solution = found.actions.tolist()
            status.difficulty = {
                "noop_solves": False,
                "random_solve_rate": rate,
                "random_episodes": episodes,
                "search_episodes": found.search_episodes,
                "robustness": found.robustness,
            }
        self._tell(status, 1.0, "", Verdict("search", text, True))
