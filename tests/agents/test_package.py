"""The names that `agents` exports."""

from __future__ import annotations

import subprocess
import sys

import pytest

import agents


def test_every_exported_name_exists_and_no_other_one():
    assert set(agents.__all__) == set(agents._MODULES) == set(dir(agents))
    for name in agents.__all__:
        assert getattr(agents, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = agents.nothing


def test_importing_the_package_needs_no_library():
    code = "import sys, agents; print({'jax', 'flax', 'distrax', 'hydra'} & sys.modules.keys())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
