"""Compiled programs are kept on disk: the second run of the same sizes starts at once."""

from __future__ import annotations

import os
import pathlib


def use_compilation_cache() -> None:
    """Sets JAX's cache to the project's, unless the environment names another."""
    import jax

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = pathlib.Path(__file__).resolve().parent.parent / ".cache" / "jax"
        jax.config.update("jax_compilation_cache_dir", str(folder))
