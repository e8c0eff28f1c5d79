"""The folder that levels are kept in: files, and beside them drafts that hold what is not saved yet."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any, Literal

from kinetix_py.atomic import atomic_write
from kinetix_py.levels.files import LIBRARY, level_from_json, level_to_json, load_level_file
from kinetix_py.levels.json_node import LevelError
from kinetix_py.levels.level_file import LevelFile
from kinetix_py.levels.library.sets import find_level_files

DRAFTS = ".drafts"
FileFormat = Literal["native", "kinetix"]
# Names of files that every file system takes, and that lead nowhere else.
_NAME = re.compile(r"[\w+()-](?:[\w+(), .-]{0,78}[\w+()-])?", re.ASCII)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def check_name(name: Any) -> str:
    """Returns the name of a level if it can name a file in a folder.

    Raises:
      LevelError: it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise LevelError(
            f"a name must be 1 .. 80 letters, digits, spaces or +(),.- without a dot or space at an end, "
            f"got {name!r}"
        )
    return name


def notes(file: LevelFile) -> dict[str, Any]:
    """Returns what a file says beside its level, as `level_to_json` takes it."""
    fields = ("name", "author", "description", "solution", "env", "difficulty", "extra")
    return {field: getattr(file, field) for field in fields}


def native_text(file: LevelFile) -> str:
    """Returns the text of a file in this package's format."""
    return level_to_json(file.level, **notes(file))


class Folder:
    """Levels by name: those of one folder, and files from elsewhere that were opened.

    A draft holds the newest version of a level until that is saved. Both are written in one move, so that
    whatever ends the editor leaves one whole version or the other.
    """

    def __init__(self, path: str | os.PathLike, opened: Sequence[str | os.PathLike] = ()):
        """Opens a folder; nothing is created before something is kept.

        Args:
          path: folder.
          opened: level files, folders of them, or names of the library, to begin with.

        Raises:
          LevelError: one of them is wrong.
        """
        self.path = pathlib.Path(path)
        self._elsewhere: dict[str, pathlib.Path] = {}
        self._read_only: dict[str, LevelFile] = {}
        self._reserved: set[str] = set()
        self.opened = [self._add(source) for source in find_level_files(opened)]

    def _add(self, source: str) -> str:
        """Registers a level that was asked for, and returns its name here."""
        file, path = load_level_file(source), pathlib.Path(source)
        of_library = not path.is_file() or LIBRARY.resolve() in path.resolve().parents
        stem = re.sub(r"[^\w+(), .-]", "_", path.stem, flags=re.ASCII).strip(" .") or "level"
        if of_library:
            name = self.free_name(stem)
            self._read_only[name] = file
        elif path.resolve().parent == self.path.resolve() and check_name(stem) == path.stem:
            name = stem
        else:
            name = self.free_name(stem)
            self._elsewhere[name] = path.resolve()
        return name

    def names(self) -> list[str]:
        """Lists all levels: those opened from elsewhere, then those of the folder and of its drafts."""
        inside = {file.stem for folder in (self.path, self.path / DRAFTS) for file in folder.glob("*.json")}
        known = [*self._elsewhere, *self._read_only]
        return known + sorted(name for name in inside - set(known) if _NAME.fullmatch(name))

    def free_name(self, wanted: str) -> str:
        """Returns a name that no level has yet: the one wanted, or one with a number behind it."""
        wanted, taken = check_name(wanted[:70].strip(" .") or "level"), {*self.names(), *self._reserved}
        number, name = 1, wanted
        while name in taken:
            number += 1
            name = f"{wanted} {number}"
        return name

    def reserve(self, wanted: str) -> str:
        """Returns a name as `free_name` does, and never returns it again."""
        name = self.free_name(wanted)
        self._reserved.add(name)
        return name

    def file(self, name: str) -> pathlib.Path:
        """Returns the path of a level's file, which need not exist.

        Raises:
          LevelError: no such name can be.
        """
        return self._elsewhere.get(name) or self.path / f"{check_name(name)}.json"

    def draft(self, name: str) -> pathlib.Path:
        """Returns the path of a level's draft, which need not exist; errors as for `file`."""
        return self.path / DRAFTS / f"{check_name(name)}.json"

    def has_draft(self, name: str) -> bool:
        """Tells whether a level has changes that are not saved."""
        return self.draft(name).is_file()

    def load(self, name: str, saved: bool = False) -> LevelFile:
        """Loads the newest version of a level.

        Args:
          name: name.
          saved: rather the one that was saved last.

        Raises:
          LevelError: there is none, or it is wrong.
        """
        draft, path = self.draft(name), self.file(name)
        if draft.is_file() and not saved:
            return level_from_json(draft.read_bytes())
        if path.is_file():
            return level_from_json(path.read_bytes())
        if name in self._read_only:
            return self._read_only[name]
        raise LevelError(f"there is no level {name!r}")

    def keep(self, name: str, file: LevelFile) -> None:
        """Writes a draft.

        Raises:
          LevelError: a name that no file can have, or a level that no file can hold.
          OSError: it cannot be written.
        """
        path = self.draft(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, native_text(file))

    def format(self, name: str) -> FileFormat:
        """Returns the format of a level's file, the native one where there is no file.

        Raises:
          LevelError: no such name can be.
        """
        path = self.file(name)
        return "kinetix" if path.is_file() and b'"env_state"' in path.read_bytes() else "native"

    def save(self, name: str, file: LevelFile, format: FileFormat) -> pathlib.Path:
        """Writes a level's file and removes its draft; errors as for `keep`.

        Raises:
          LevelError: also for something that a file of Kinetix has no place for.
        """
        path = self.file(name)
        text = level_to_json(file.level, format=format, **notes(file))
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, text)
        self.discard(name)
        self._read_only.pop(name, None)
        return path

    def discard(self, name: str) -> None:
        """Removes a level's draft, if there is one."""
        draft = self.draft(name)
        draft.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are in it
            draft.parent.rmdir()


def level_text(file: LevelFile, format: FileFormat) -> str:
    """Returns the text of a file; Kinetix's format has no place for notes, solution and difficulty."""
    if format == "native":
        return native_text(file)
    return level_to_json(file.level, format=format, env=file.env, extra=file.extra)
