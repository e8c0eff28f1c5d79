"""Checks, before anything else is imported, that `jax2d` is this project's engine."""

from __future__ import annotations

import pathlib

import jax2d

if not hasattr(jax2d, "SimSpec"):
    # A namespace package has no `jax2d.__file__`.
    _folder = pathlib.Path(next(iter(jax2d.__path__))).resolve()
    raise ImportError(
        f"jax2d was imported from {_folder}, which is not kinetix-py's engine. PyPI's jax2d (Kinetix's "
        "engine) and kinetix-py both install a package called jax2d and cannot share an environment. "
        "Uninstall it and repair this package: `pip uninstall jax2d`, then "
        "`pip install --force-reinstall --no-deps kinetix-py`; or give each an environment of its own."
    )

VERSION = jax2d.__version__
