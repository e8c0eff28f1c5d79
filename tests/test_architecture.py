"""Imports go one way: scripts, tools -> agents -> kinetix_py -> jax2d -> jax, numpy."""

from __future__ import annotations

import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECT = {"jax2d", "kinetix_py", "agents", "scripts", "tools", "tests", "examples"}
ALLOWED = {
    "jax2d": {"jax", "numpy", "jax2d"},
    "kinetix_py": {"jax", "numpy", "jax2d", "kinetix_py"},
    # What only those who ask for it import.
    "kinetix_py/wrappers/gymnasium.py": {"gymnasium"},
    "kinetix_py/wrappers/pettingzoo.py": {"gymnasium", "pettingzoo"},
    "kinetix_py/experience/minari_export.py": {"minari"},
    "kinetix_py/experience/zarr_arrays.py": {"numcodecs"},
    "kinetix_py/rendering/video.py": {"imageio", "tqdm"},
    "agents": {"jax2d", "kinetix_py", "agents"},
    "scripts": {"agents"},
    "tools": {"jax2d", "kinetix_py", "agents", "tools"},
}


def imports(path):
    """Top-level packages that a file names, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


STANDARD = set(sys.stdlib_module_names)
ROOMS = [room for room in ALLOWED if "/" not in room]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_follow_the_arrows(room):
    files = sorted((ROOT / room).rglob("*.py"))
    found = {(path, name) for path in files for name in imports(path)}
    strict = room in ("jax2d", "kinetix_py")
    checked = found if strict else {pair for pair in found if pair[1] in PROJECT}
    stray = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in checked
        if name not in ALLOWED[room] | ALLOWED.get(str(path.relative_to(ROOT)), set()) | STANDARD
    }
    assert not stray
    assert files or room == "agents"


def test_files_are_short_and_functions_documented():
    """Files of the packages under about 400 lines; every public function and class has a docstring."""
    for path in [path for room in ("jax2d", "kinetix_py", "agents") for path in (ROOT / room).rglob("*.py")]:
        text = path.read_text()
        assert len(text.splitlines()) <= 420, path
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                trivial = isinstance(node, ast.ClassDef) and any(
                    isinstance(base, ast.Name) and base.id == "NamedTuple" for base in node.bases
                )
                assert ast.get_docstring(node) or trivial, f"{path.name}: {node.name}"
