"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import uuid
from collections.abc import Iterator


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike, suffix: str = "") -> Iterator[pathlib.Path]:
    """Gives the path of a new file beside a file, which takes its place in one move at the end.

    The old file stays untouched if an exception ends the block. A symbolic link stays a link.

    Args:
      path: file to write.
      suffix: ending of the new file until then, such as `".mp4"` for a writer that goes by it.

    Raises:
      OSError: the file cannot be written.
    """
    target = pathlib.Path(path).resolve()
    part = target.with_name(f".{uuid.uuid4().hex}.part{suffix}")
    try:
        yield part
        with open(part, "rb") as stream:
            os.fsync(stream.fileno())  # or a crash may leave the new name on an empty file
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def atomic_write(path: str | os.PathLike, text: str) -> None:
    """Writes a text file in UTF-8 in one move: its content is the old one or the new one, never a part.

    Raises:
      OSError: the file cannot be written.
    """
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
