"""Requests of the editor's page: drawings, files, trials, judgements and random levels."""

from __future__ import annotations

import dataclasses
import functools
import json
import threading
from typing import Any

import jax
import numpy as np

from kinetix_py.edit.folder import Folder, level_text, native_text
from kinetix_py.edit.judge import Judging
from kinetix_py.edit.problems import find_problems
from kinetix_py.edit.trial import Trials
from kinetix_py.generator.mutations import mutate_level
from kinetix_py.generator.sample import sample_filtered_levels
from kinetix_py.levels.files import level_from_json
from kinetix_py.levels.json_node import LevelError
from kinetix_py.levels.level import Level, empty_level
from kinetix_py.levels.level_file import LevelFile
from kinetix_py.levels.python_code import level_to_python
from kinetix_py.play.levels import NamedLevel
from kinetix_py.rendering.host import to_host
from kinetix_py.rendering.player import room_picture
from kinetix_py.rendering.svg import render_svg
from kinetix_py.roles import ROLES
from kinetix_py.sizes import SIZES

FORMATS = ("native", "kinetix", "python")
THUMBNAIL_WIDTH = 150
MAX_TEXT = 1_000_000  # letters of a level's text
Message = dict[str, Any]


class Workshop:
    """Answers the messages of a page; each answer is made of plain values.

    Every method that is named in `REQUESTS` takes a message and raises ValueError (`LevelError` among them)
    for one that is wrong.
    """

    REQUESTS = (
        "start",
        "levels",
        "load",
        "reserve",
        "draw",
        "keep",
        "save",
        "discard",
        "read",
        "write",
        "attempt",
        "attempted",
        "mutate",
        "random",
        "judge",
        "judged",
        "cancel",
    )

    def __init__(
        self,
        folder: Folder,
        trials: Trials,
        judging: Judging,
        agents: tuple[str, ...] = (),
        new_size: str = "s",
    ):
        """Makes a workshop.

        Args:
          folder: folder that levels are kept in.
          trials: trials.
          judging: judgements.
          agents: names of the agents of both.
          new_size: size of new levels.
        """
        self.folder, self.trials, self.judging, self.agents = folder, trials, judging, agents
        self._new = self._document(LevelFile(empty_level(new_size)))
        self.newest: Level | None = None  # level that was kept last
        self._writing = threading.Lock()  # versions of a level are kept in the order in which they come

    def answer(self, request: str, content: bytes) -> Any:
        """Answers a message.

        Raises:
          ValueError: an unknown request, or a message that is wrong.
          OSError: a file cannot be written.
        """
        if request not in self.REQUESTS:
            raise ValueError(f"request must be one of {', '.join(self.REQUESTS)}, got {request!r}")
        try:
            message = json.loads(content)
        except UnicodeDecodeError:
            raise ValueError("a message must be JSON in UTF-8") from None
        if not isinstance(message, dict):
            raise ValueError(f"a message must be an object, got {type(message).__name__}")
        return getattr(self, request)(message)

    def start(self, message: Message) -> Message:
        """Tells what the page needs to know at first."""
        return {
            "sizes": {name: vars(size) for name, size in SIZES.items()},
            "roles": list(ROLES),
            "agents": list(self.agents),
            "folder": str(self.folder.path.resolve()),
            "opened": self.folder.opened,
            "new": self._new,
        }

    def levels(self, message: Message) -> Message:
        """Lists the levels of the folder."""
        return {
            "levels": [{"name": name, "draft": self.folder.has_draft(name)} for name in self.folder.names()]
        }

    def load(self, message: Message) -> Message:
        """Returns a level, its newest version or the one that was saved."""
        name = _text(message, "name")
        file = self.folder.load(name, saved=message.get("saved") is True)
        draft, format = self.folder.has_draft(name), self.folder.format(name)
        return {"level": self._document(file), "draft": draft, "format": format}

    def reserve(self, message: Message) -> Message:
        """Returns a name for a new level."""
        return {"name": self.folder.reserve(_text(message, "name"))}

    def draw(self, message: Message) -> Message:
        """Draws a level and names its problems."""
        return self._drawn(_level(message))

    def keep(self, message: Message) -> Message:
        """Keeps a level as a draft, and draws it."""
        file = _level(message)
        with self._writing:
            self.folder.keep(_text(message, "name"), file)
            self.newest = file.level
        return self._drawn(file)

    def save(self, message: Message) -> Message:
        """Saves a level; an `unused` name is made one that no level has."""
        file, name = _level(message), _text(message, "name")
        format = _choice(message, "format", ("native", "kinetix"))
        with self._writing:
            if message.get("unused") is True:
                name = self.folder.free_name(name)
            path = self.folder.save(name, file, format)
            self.newest = file.level
        return {"name": name, "path": str(path)}

    def discard(self, message: Message) -> Message:
        """Removes a draft and returns the level that was saved."""
        name = _text(message, "name")
        file = self.folder.load(name, saved=True)
        with self._writing:
            self.folder.discard(name)
        return {"level": self._document(file)}

    def read(self, message: Message) -> Message:
        """Reads a level from a text of either format."""
        return {"level": self._document(level_from_json(_text(message, "text", MAX_TEXT)))}

    def write(self, message: Message) -> Message:
        """Writes a level as JSON of either format, or as Python."""
        file, format = _level(message), _choice(message, "format", FORMATS)
        if format == "python":
            return {"text": level_to_python(file.level)}
        return {"text": level_text(file, format)}

    def attempt(self, message: Message) -> Message:
        """Begins to try a level."""
        file, agent = _level(message), message.get("agent")
        if agent is not None and not isinstance(agent, str):
            raise ValueError(f"agent must be a name or null, got {agent!r}")
        solution = file.solution if message.get("solution") is True else None
        if message.get("solution") is True and not solution:
            raise ValueError("the level has no solution to play")
        level = NamedLevel(file.name or "untitled", file.level)
        self.trials.request(_text(message, "trial"), level, agent, solution)
        return {}

    def attempted(self, message: Message) -> Message:
        """Tells whether a trial failed to begin."""
        return {"failure": self.trials.failure(_text(message, "trial"))}

    def mutate(self, message: Message) -> Message:
        """Returns a level after a few random edits."""
        file = _level(message)
        edited = _mutate(jax.random.key(_integer(message, "seed")), file.level)
        return {"level": self._document(LevelFile(edited, env=file.env))}

    def random(self, message: Message) -> Message:
        """Returns a random level that doing nothing does not solve."""
        size = _choice(message, "size", tuple(SIZES))
        levels, _ = sample_filtered_levels(jax.random.key(_integer(message, "seed")), 1, SIZES[size])
        return {"level": self._document(LevelFile(jax.tree.map(lambda value: value[0], levels)))}

    def judge(self, message: Message) -> Message:
        """Begins a judgement."""
        return {"number": self.judging.start(_level(message).level)}

    def judged(self, message: Message) -> Message:
        """Tells how far the judgement is."""
        return self.judging.status()

    def cancel(self, message: Message) -> Message:
        """Ends the judgement."""
        self.judging.cancel()
        return self.judging.status()

    def thumbnail(self, name: str) -> str:
        """Draws a level of the folder in small: an SVG document; errors as for `Folder.load`."""
        return render_svg(self.folder.load(name).level, width=THUMBNAIL_WIDTH)

    def _document(self, file: LevelFile) -> Any:
        """Returns the level as the page keeps it: the content of a file of this package's format."""
        return json.loads(native_text(file))

    def _drawn(self, file: LevelFile) -> Message:
        host = to_host(file.level)
        problems = [dataclasses.asdict(one) for one in find_problems(host)]
        return {"picture": room_picture(host, None, np.zeros((0, 2))), "problems": problems}


@functools.partial(jax.jit)
def _mutate(key: jax.Array, level: Level) -> Level:
    return mutate_level(key, level)


def _text(message: Message, field: str, most: int = 200) -> str:
    value = message.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise ValueError(f"{field} must be a text of 1 .. {most} letters, got {str(value)[:60]!r}")
    return value


def _choice(message: Message, field: str, choices: tuple[str, ...]) -> Any:
    value = message.get(field)
    if value not in choices:
        raise ValueError(f"{field} must be one of {', '.join(choices)}, got {str(value)[:60]!r}")
    return value


def _integer(message: Message, field: str) -> int:
    value = message.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(f"{field} must be an integer in 0 .. {2**31 - 1}, got {str(value)[:60]!r}")
    return value


def _level(message: Message) -> LevelFile:
    row = message.get("level")
    if not isinstance(row, dict):
        raise LevelError(f"level must be an object, got {type(row).__name__}")
    return level_from_json(row)
