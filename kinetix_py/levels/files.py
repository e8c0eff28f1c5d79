"""Level files: loading by path or by name, and saving in one move."""

from __future__ import annotations

import dataclasses
import difflib
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

from kinetix_py.atomic import atomic_write
from kinetix_py.levels import kinetix_format, native_reader, native_writer
from kinetix_py.levels.difficulty import Difficulty
from kinetix_py.levels.json_node import JsonNode, LevelError, listed, parse, parse_dict
from kinetix_py.levels.level import Level
from kinetix_py.levels.level_file import MAX_SLOTS, LevelFile, check_level

LIBRARY = pathlib.Path(__file__).parent / "library"

FileFormat = Literal["native", "kinetix"]
READERS = {"native": native_reader.read, "kinetix": kinetix_format.read}
WRITERS = {"native": native_writer.write, "kinetix": kinetix_format.write}


def load_level(name_or_path: str | os.PathLike) -> Level:
    """Loads a level from a file of either format, or by its name from the library.

    Args:
      name_or_path: a path; or the name of a level of the library, with or without its folder.

    Raises:
      LevelError: no such file or name, or a file that is wrong.
    """
    return load_level_file(name_or_path).level


def load_level_file(name_or_path: str | os.PathLike) -> LevelFile:
    """Loads a level as `load_level` does, with its solution and what else the file says."""
    path = _find(name_or_path)
    return _read(parse(path.read_bytes(), str(path)))


def level_from_json(content: str | bytes | dict) -> LevelFile:
    """Reads a level from a text, or from parsed content, of either format.

    Raises:
      LevelError: naming the field that is wrong, its value and its bound.
    """
    return _read(parse_dict(content, "level") if isinstance(content, dict) else parse(content, "level"))


def level_to_json(
    level: Level,
    *,
    format: FileFormat = "native",
    name: str | None = None,
    author: str | None = None,
    description: str | None = None,
    solution: Sequence[Sequence[int]] | None = None,
    env: dict | None = None,
    difficulty: Difficulty | None = None,
    extra: dict[str, Any] | None = None,
) -> str:
    """Makes the text of a level's file; arguments and errors as for `save_level`."""
    file = LevelFile(level, name, author, description, _rows(solution), env, difficulty, extra)
    return _text(file, format, "level")


def save_level(
    level: Level,
    path: str | os.PathLike,
    *,
    format: FileFormat = "native",
    name: str | None = None,
    author: str | None = None,
    description: str | None = None,
    solution: Sequence[Sequence[int]] | None = None,
    env: dict | None = None,
    difficulty: Difficulty | None = None,
    extra: dict[str, Any] | None = None,
) -> None:
    """Writes one level to a file, in one move: the file is the old one or the new one, never a part.

    Args:
      format: "native", or "kinetix" for Kinetix and its browser editor.
      name, author, description: notes; `format="native"` only.
      solution: multi-discrete actions `[steps, bindings]` that solve it; `format="native"` only.
      env: `LevelFile.env` of the file that the level came from.
      difficulty: as measured; `format="native"` only.
      extra: `LevelFile.extra` of the file that the level came from.

    Raises:
      LevelError: the level is not valid, or the format cannot hold it; nothing is touched.
      OSError: the file cannot be written.
    """
    file = LevelFile(level, name, author, description, _rows(solution), env, difficulty, extra)
    atomic_write(path, _text(file, format, os.fspath(path)))


def _read(root: JsonNode) -> LevelFile:
    if "env_state" in root:  # first, since files of other versions of Kinetix may have any other field
        return READERS["kinetix"](root)
    if "format" in root:
        return READERS["native"](root)
    root.fail(f"has neither {'format'!r} nor {'env_state'!r}: it is no level of a known format")


def _text(file: LevelFile, format: str, where: str) -> str:
    """Makes the text of a valid level and checks that it can be read back."""
    if format not in WRITERS:
        raise LevelError(f"{where}: format must be one of {', '.join(WRITERS)}, got {format!r}")
    for field, count in dataclasses.asdict(file.level.size).items():
        if count > MAX_SLOTS:
            raise LevelError(f"{where}: {field} must be at most {MAX_SLOTS}, got {count}")
    check_level(file.level, where)
    if format == "kinetix":
        kinetix_format.check_writable(file, where)
    try:
        text = WRITERS[format](file)
        text.encode()
    except (TypeError, ValueError) as error:
        raise LevelError(f"{where}: its notes, solution, env or extra is not JSON: {error}") from None
    READERS[format](parse(text, where))  # what cannot be read is not written
    return text


def _rows(solution: Any) -> Any:
    """Converts a solution, which may be an array, to lists."""
    return solution.tolist() if hasattr(solution, "tolist") else solution


def _find(name_or_path: str | os.PathLike) -> pathlib.Path:
    path = pathlib.Path(name_or_path)
    if path.is_file():
        return path
    names = {file.relative_to(LIBRARY).with_suffix("").as_posix(): file for file in LIBRARY.rglob("*.json")}
    name = os.fspath(name_or_path)
    found = [key for key, file in names.items() if name in (key, file.stem)]
    if len(found) == 1:
        return names[found[0]]
    if found:
        raise LevelError(f"{name}: the library has {len(found)} levels of that name: {listed(found)}")
    near = difflib.get_close_matches(name, {file.stem for file in names.values()}, 3)
    if near:
        hint = f"did you mean {listed(near)}?"
    else:
        hint = f"the library has {len(names)} levels, none of a name near it"
    raise LevelError(f"{name}: no such level file, and no level of that name in the library; {hint}")
