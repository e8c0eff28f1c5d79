"""What open pages and the game tell each other, across threads: keys one way, frames the other."""

from __future__ import annotations

import json
import threading
from typing import Any, NamedTuple

COMMANDS = ("restart", "next", "play", "watch", "pause", "resume", "step")
MAX_PAGES = 8  # open at once: each has a thread of its own
MAX_HELD, MAX_NAME = 32, 64  # of what a page may send


class Input(NamedTuple):
    """What a page says: the keys that are down, and perhaps a command."""

    page: str
    number: int  # grows with every message of a page
    held: frozenset[str]  # codes of keys
    command: str | None


class Collected(NamedTuple):
    """What all pages said since it was asked last."""

    held: frozenset[str]  # keys that are down, or were for a moment
    commands: tuple[str, ...]
    numbers: dict[str, int]  # the newest message of every page
    changed: bool  # something was said at all


class News(NamedTuple):
    """What a page has not seen yet, as JSON, and the version of what it has seen then."""

    level: str | None
    frame: str | None
    seen: tuple[int, int]


def read_input(content: bytes) -> Input:
    """A page's message.

    Raises:
      ValueError: it is no such message.
    """
    try:
        found = json.loads(content)
    except UnicodeDecodeError:
        raise ValueError("a message must be JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise ValueError(f"a message must be an object, got {type(found).__name__}")
    page, number, held = (found.get(name) for name in ("page", "number", "held"))
    command = found.get("command")
    if not isinstance(page, str) or not 0 < len(page) <= MAX_NAME:
        raise ValueError(f"page must be a text of 1 .. {MAX_NAME} letters, got {page!r}")
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"number must be an integer of at least 0, got {number!r}")
    if not isinstance(held, list) or len(held) > MAX_HELD or not all(isinstance(key, str) for key in held):
        raise ValueError(f"held must be a list of at most {MAX_HELD} codes of keys, got {held!r}")
    if command is not None and command not in COMMANDS:
        raise ValueError(f"command must be one of {', '.join(COMMANDS)}, got {command!r}")
    return Input(page, number, frozenset(held), command)


class Session:
    """The pages that are open, what they said, and what they are to see; safe for any thread."""

    def __init__(self) -> None:
        """No page is open, nothing is to be seen."""
        self._changed = threading.Condition()
        self._held: dict[str, frozenset[str]] = {}  # by page, of those that are open
        self._numbers: dict[str, int] = {}
        self._streams: dict[str, object] = {}
        self._tapped: set[str] = set()
        self._commands: list[str] = []
        self._said = self._closed = False
        self._level, self._frame, self._versions = "", "", (0, 0)

    @property
    def closed(self) -> bool:
        """The game is over for good."""
        return self._closed

    def join(self, page: str) -> object | None:
        """A page opens its stream; returns what `leave` wants, None if too many pages are open."""
        with self._changed:
            if page not in self._held and len(self._held) >= MAX_PAGES:
                return None
            stream = self._streams[page] = object()
            self._held[page], self._numbers[page] = frozenset(), -1
            self._said = True
            self._changed.notify_all()
            return stream

    def leave(self, page: str, stream: object) -> None:
        """A stream ends: the page's keys are up again, unless it opened another one in between."""
        with self._changed:
            if self._streams.get(page) is stream:
                del self._streams[page], self._held[page], self._numbers[page]

    def say(self, said: Input) -> None:
        """Takes a page's message; if some overtook each other, the newest says which keys are down."""
        with self._changed:
            if said.page not in self._held:
                return
            before = self._held[said.page]
            if said.number > self._numbers[said.page]:
                self._numbers[said.page], self._held[said.page] = said.number, said.held
            # A key that goes down and up between two frames works in one frame all the same.
            self._tapped |= said.held - before
            if said.command is not None:
                self._commands.append(said.command)
            self._said = True
            self._changed.notify_all()

    def collect(self) -> Collected:
        """What was said since the last time."""
        with self._changed:
            held = frozenset(self._tapped).union(*self._held.values())
            found = Collected(held, tuple(self._commands), dict(self._numbers), self._said)
            self._tapped.clear()
            self._commands.clear()
            self._said = False
            return found

    def wait_for_news(self, timeout: float | None = None) -> bool:
        """Waits until a page is open and something was said [s]; False if the time is over."""
        ready = lambda: self._closed or (bool(self._held) and self._said)
        with self._changed:
            return self._changed.wait_for(ready, timeout)

    def wait_for_page(self, timeout: float | None = None) -> bool:
        """Waits until a page is open [s]; False if the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or bool(self._held), timeout)

    def publish(self, frame: Any, level: Any = None) -> None:
        """Shows a frame, and with it a level if that is a new one; both are written as JSON."""
        texts = [None if one is None else json.dumps(one, separators=(",", ":")) for one in (level, frame)]
        with self._changed:
            levels, frames = self._versions
            if texts[0] is not None:
                self._level, levels = texts[0], levels + 1
            self._frame = texts[1] or ""
            self._versions = (levels, frames + 1)
            self._changed.notify_all()

    def news(self, seen: tuple[int, int], timeout: float) -> News:
        """What was published after a page saw `seen` (at first (0, 0)); waits for it for some time [s]."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._versions != seen, timeout)
            now = self._versions
            level = self._level if now[0] != seen[0] else None
            return News(level, self._frame if now[1] != seen[1] else None, now)

    def close(self) -> None:
        """Ends all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
