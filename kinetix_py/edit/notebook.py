"""The editor in a notebook."""

from __future__ import annotations

import html
import pathlib
import tempfile
import weakref

from kinetix_py.edit.folder import Folder
from kinetix_py.edit.judge import Judging
from kinetix_py.edit.server import EditServer
from kinetix_py.edit.trial import Trials
from kinetix_py.edit.workshop import Workshop
from kinetix_py.levels.files import save_level
from kinetix_py.levels.level import Level
from kinetix_py.play.session import Session
from kinetix_py.validation import check_integer

NAME = "level"


class LevelEditor:
    """The editor on one level; a notebook shows its page in a frame.

    Attributes:
      address: address of the page, for a browser.
    """

    def __init__(self, level: Level, *, folder: str | pathlib.Path | None = None, height: int = 720):
        """Starts a server on this machine.

        Args:
          level: level to begin with.
          folder: folder for the files; one that is removed in the end if None.
          height: height of the frame [pixels], 200 .. 10,000.

        Raises:
          ValueError: a height out of its bounds, or a level that is not valid.
        """
        check_integer("height", height, 200, 10_000)
        self._height = height
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="kinetix-")
            folder = self._temporary.name
        place = pathlib.Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        session = Session()
        kept = Folder(place)
        name = kept.free_name(NAME)
        save_level(level, place / f"{name}.json")
        kept.opened = [name]
        self._workshop = Workshop(kept, Trials(session), Judging())
        self._level = level
        self._server = EditServer(session, self._workshop, 0, in_notebook=True)
        self._server.run_in_background()
        self.address = self._server.address
        self._end = weakref.finalize(self, self._server.stop)

    @property
    def level(self) -> Level:
        """The level as it is drawn now."""
        newest = self._workshop.newest
        return self._level if newest is None else newest

    def close(self) -> None:
        """Ends the server; `level` stays what it was."""
        self._end()

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{html.escape(self.address)}" width="100%" height="{self._height}" '
            'style="border: 1px solid #999" allow="clipboard-write"></iframe>'
        )
