"""The other distribution that installs a package called `jax2d` is noticed, wherever its files lie."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import jax2d
from jax2d import installation

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def other_engine(tmp_path):
    """A folder with a package like PyPI's jax2d 1.0.2."""
    package = tmp_path / "site" / "jax2d"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "sim_state.py").write_text("class SimState: ...\n")
    return package


def error_of_import(module, *path):
    """The last line that a new interpreter prints when it imports a module with these folders on its path."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-c", f"import {module}"]
    folder = path[0]  # the interpreter puts its working directory in front of the path
    out = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return out.stderr.strip().splitlines()[-1]


def test_the_environment_refuses_another_engine_in_front(other_engine):
    message = error_of_import("kinetix_py", other_engine.parent, ROOT)
    assert message.startswith(f"ImportError: jax2d was imported from {other_engine}")
    assert "pip uninstall jax2d" in message


def test_the_engine_refuses_a_folder_with_files_of_both(other_engine, tmp_path):
    mixed = tmp_path / "mixed" / "jax2d"
    shutil.copytree(ROOT / "jax2d", mixed)
    shutil.copy(other_engine / "sim_state.py", mixed)
    message = error_of_import("jax2d", mixed.parent)
    assert message.startswith(f"ImportError: another distribution's jax2d is in {mixed}")


def test_another_engine_further_along_the_path_is_refused(other_engine, monkeypatch):
    installation.refuse_other_engine()
    monkeypatch.setattr(sys, "path", [*sys.path, str(other_engine.parent)])
    with pytest.raises(ImportError, match=r"another distribution's jax2d is in .*site/jax2d"):
        installation.refuse_other_engine()


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert jax2d.__version__ == version("kinetix-py")
