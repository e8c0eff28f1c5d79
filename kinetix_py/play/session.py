"""Exchange between open pages and the game across threads: keys one way, frames the other."""

from __future__ import annotations

import json
import threading
from typing import Any, NamedTuple

COMMANDS = ("restart", "next", "play", "watch", "pause", "resume", "step")
MAX_PAGES = 8  # open at once: each has a thread of its own
MAX_HELD_KEYS = 32  # in a page's message
MAX_NAME_LENGTH = 64  # of a page


class Drag(NamedTuple):
    """A body that a pointer drags, and where to."""

    body: int
    x: float  # m, of the body's center
    y: float


class PageInput(NamedTuple):
    """A page's message: the keys that are down, and perhaps a command or a body that is dragged."""

    page: str
    number: int  # grows with every message of a page
    held: frozenset[str]  # codes of keys
    command: str | None
    drag: Drag | None = None


class PendingInput(NamedTuple):
    """Input of all pages since it was last taken."""

    held: frozenset[str]  # keys that are down, or were for a moment
    commands: tuple[str, ...]
    numbers: dict[str, int]  # number of the newest message of every page
    changed: bool  # whether any message arrived or a page opened
    drag: Drag | None = None  # of the newest message


class Update(NamedTuple):
    """Level and frame that a page has not seen yet, as JSON."""

    level: str | None  # None if the page has seen it
    frame: str | None
    versions: tuple[int, int]  # of the newest level and frame


def read_input(content: bytes) -> PageInput:
    """Parses a page's message.

    Raises:
      ValueError: the content is no such message.
    """
    try:
        message = json.loads(content)
    except UnicodeDecodeError:
        raise ValueError("a message must be JSON in UTF-8") from None
    except RecursionError:
        raise ValueError("a message must not be nested") from None
    if not isinstance(message, dict):
        raise ValueError(f"a message must be an object, got {type(message).__name__}")
    page, number, held = (message.get(name) for name in ("page", "number", "held"))
    command = message.get("command")
    if not isinstance(page, str) or not 0 < len(page) <= MAX_NAME_LENGTH:
        raise ValueError(f"page must be a text of 1 .. {MAX_NAME_LENGTH} letters, got {page!r}")
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"number must be an integer of at least 0, got {number!r}")
    if not isinstance(held, list) or len(held) > MAX_HELD_KEYS or not all(isinstance(k, str) for k in held):
        raise ValueError(f"held must be a list of at most {MAX_HELD_KEYS} codes of keys, got {held!r}")
    if command is not None and command not in COMMANDS:
        raise ValueError(f"command must be one of {', '.join(COMMANDS)}, got {command!r}")
    return PageInput(page, number, frozenset(held), command, _read_drag(message.get("drag")))


def _read_drag(value: Any) -> Drag | None:
    if value is None:
        return None
    numbers = isinstance(value, list) and all(type(part) in (int, float) for part in value)
    if not numbers or len(value) != 3 or not all(abs(part) < 1e6 for part in value) or int(value[0]) < 0:
        raise ValueError(f"drag must be a body and a place, [index, x, y] with x and y in m, got {value!r}")
    return Drag(int(value[0]), float(value[1]), float(value[2]))


class Session:
    """Open pages with their pending input, and the newest level and frame; safe for any thread."""

    def __init__(self) -> None:
        """Starts without pages, levels and frames."""
        self._changed = threading.Condition()
        self._held: dict[str, frozenset[str]] = {}  # by page, of those that are open
        self._numbers: dict[str, int] = {}
        self._streams: dict[str, object] = {}
        self._tapped: set[str] = set()
        self._commands: list[str] = []
        self._drag: Drag | None = None
        self._dragging = ""  # page that drags
        self._has_input = self._closed = False
        self._level, self._frame, self._versions = "", "", (0, 0)

    @property
    def closed(self) -> bool:
        """Tells whether the session was closed."""
        return self._closed

    def join(self, page: str) -> object | None:
        """Registers a page's stream.

        Returns:
          the argument of `leave`; None if too many pages are open.
        """
        with self._changed:
            if page not in self._held and len(self._held) >= MAX_PAGES:
                return None
            stream = self._streams[page] = object()
            self._held[page], self._numbers[page] = frozenset(), -1
            self._has_input = True
            self._changed.notify_all()
            return stream

    def leave(self, page: str, stream: object) -> None:
        """Ends a stream and releases the page's keys, unless it opened another stream in between."""
        with self._changed:
            if self._streams.get(page) is stream:
                del self._streams[page], self._held[page], self._numbers[page]
                if self._dragging == page:
                    self._drag = None

    def submit(self, message: PageInput) -> None:
        """Adds a page's message; of messages out of order the newest one decides which keys are down."""
        with self._changed:
            if message.page not in self._held:
                return
            before = self._held[message.page]
            if message.number > self._numbers[message.page]:
                self._numbers[message.page], self._held[message.page] = message.number, message.held
                if message.drag is not None or self._dragging == message.page:
                    self._drag, self._dragging = message.drag, message.page
            # A key that goes down and up between two frames works in one frame all the same.
            self._tapped |= message.held - before
            if message.command is not None:
                self._commands.append(message.command)
            self._has_input = True
            self._changed.notify_all()

    def take_input(self) -> PendingInput:
        """Returns the pending input and clears it; keys that are still down stay."""
        with self._changed:
            held = frozenset(self._tapped).union(*self._held.values())
            pending = PendingInput(
                held, tuple(self._commands), dict(self._numbers), self._has_input, self._drag
            )
            self._tapped.clear()
            self._commands.clear()
            self._has_input = False
            return pending

    def nudge(self) -> None:
        """Ends a wait for input."""
        with self._changed:
            self._has_input = True
            self._changed.notify_all()

    def wait_for_input(self, timeout: float | None = None) -> bool:
        """Waits until a page is open and input is pending; returns False after the timeout [s]."""
        ready = lambda: self._closed or (bool(self._held) and self._has_input)
        with self._changed:
            return self._changed.wait_for(ready, timeout)

    def wait_for_page(self, timeout: float | None = None) -> bool:
        """Waits until a page is open; returns False after the timeout [s]."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or bool(self._held), timeout)

    def publish(self, frame: Any, level: Any = None) -> None:
        """Publishes a frame, and with it a level if that is a new one; both are encoded as JSON."""
        encode = lambda value: json.dumps(value, separators=(",", ":"))
        new_frame, new_level = encode(frame), None if level is None else encode(level)
        with self._changed:
            levels, frames = self._versions
            if new_level is not None:
                self._level, levels = new_level, levels + 1
            self._frame = new_frame
            self._versions = (levels, frames + 1)
            self._changed.notify_all()

    def wait_for_update(self, seen: tuple[int, int], timeout: float) -> Update:
        """Waits until something newer than a page has seen is published, or for the timeout [s].

        Args:
          seen: versions of the level and frame that the page has seen, at first (0, 0).
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._versions != seen, timeout)
            newest = self._versions
            level = self._level if newest[0] != seen[0] else None
            return Update(level, self._frame if newest[1] != seen[1] else None, newest)

    def close(self) -> None:
        """Closes the session and ends all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
