"""Detection of the other distribution that installs a package called `jax2d`.

PyPI's `jax2d` is the engine of Kinetix. Both distributions own the folder `jax2d`, so that one environment
cannot hold both: the one installed last overwrites files of the other.
"""

from __future__ import annotations

import pathlib
import sys

# A module of PyPI's `jax2d`, and none of this project's.
OTHER_MODULE = "sim_state.py"

ADVICE = (
    "PyPI's jax2d (Kinetix's engine) and kinetix-py both install a package called jax2d and cannot share an "
    "environment. Uninstall it and repair this package: `pip uninstall jax2d`, then "
    "`pip install --force-reinstall --no-deps kinetix-py`; or give each an environment of its own."
)


def other_engines() -> list[pathlib.Path]:
    """Lists the folders along `sys.path` that hold modules of the other `jax2d`."""
    folders = [pathlib.Path(entry or ".") / "jax2d" for entry in sys.path]
    return [folder for folder in folders if (folder / OTHER_MODULE).is_file()]


def refuse_other_engine() -> None:
    """Checks that no module of the other `jax2d` is in this package's folder or anywhere on the path.

    Raises:
      ImportError: naming the first such folder and the remedy.
    """
    own = pathlib.Path(__file__).resolve().parent
    found = [own] if (own / OTHER_MODULE).is_file() else other_engines()
    if found:
        raise ImportError(f"another distribution's jax2d is in {found[0].resolve()}. {ADVICE}")
