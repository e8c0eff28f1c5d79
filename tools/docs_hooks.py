"""Hooks of mkdocs: `results/` is part of the documentation where it is."""

from __future__ import annotations

import pathlib

from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).resolve().parent.parent


def on_files(files: Files, config) -> Files:
    """Adds the tables and pictures of `results/`, so that there is one copy of each."""
    for path in sorted((ROOT / "results").rglob("*")):
        if path.suffix in (".md", ".png", ".gif"):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files
