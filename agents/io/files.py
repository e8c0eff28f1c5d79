"""Files that are written whole or not at all."""

from __future__ import annotations

import pathlib
import uuid


def atomic_write(path: pathlib.Path, text: str) -> None:
    """Writes a file in one move: readers see the old file or the new one, never a part."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
