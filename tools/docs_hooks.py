"""Hooks of mkdocs: `results/` is part of the documentation where it is."""

from __future__ import annotations

import pathlib

from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).resolve().parent.parent


def on_files(files: Files, config) -> Files:
    """Adds the tables and pictures of `results/`, so that there is one copy of each."""
    for path in sorted((ROOT / "results").iterdir()):
        if path.suffix in (".md", ".png", ".gif"):
            files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files
