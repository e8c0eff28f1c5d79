"""The documentation: it builds without a warning, and every example in it runs."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import kinetix_py as kx

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
# Examples, and what they print.
QUICK = {"level_in_python": ""}
SLOW = {
    "many_scenes": r"\[m\]: 0\.\d+ 0\.\d+ 1\.\d+$",
    "play": r"\d+ steps, return -?\d",
    "new_observation": r"\(1,\)$",
    "judge_a_policy": r"of 8 attempts at each of 64 levels",
    "new_curriculum": r"allowed_distance \[\d",
    "new_teacher": r"task/gravity \[-\d",
}


def run(*arguments, cwd=ROOT):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_the_pages_build_without_a_warning(tmp_path):
    out = run("-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site")
    assert out.returncode == 0, out.stderr
    assert (tmp_path / "site" / "results" / "make_train_curves.png").is_file()
    pages = sorted(path.stem for path in DOCS.glob("*.md"))
    assert all((tmp_path / "site" / page / "index.html").is_file() for page in pages if page != "index")


def test_every_example_is_on_a_page_and_tested():
    text = "\n".join(path.read_text() for path in DOCS.glob("*.md"))
    shown = set(re.findall(r'^--8<-- "(.+)"$', text, flags=re.MULTILINE))
    assert shown == {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == QUICK.keys() | SLOW.keys()


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_the_example_runs(name, tmp_path):
    out = run(EXAMPLES / f"{name}.py", cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert re.search((QUICK | SLOW)[name], out.stdout.strip()), out.stdout
    if name == "level_in_python":  # the page shows both as the same level
        both = kx.load_level(tmp_path / "wheel_and_bar.json"), kx.load_level(EXAMPLES / "wheel_and_bar.json")
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *both)


def test_pictures_are_those_that_the_script_draws():
    script = (ROOT / "tools" / "make_docs_pictures.py").read_text()
    pictures = {path.name for path in (DOCS / "pictures").iterdir()}
    named = set(re.findall(r'out / f?"([\w{}]+\.\w+)"', script))
    assert pictures == {name.format(size=size) for name in named for size in kx.SIZES}
    assert sum(path.stat().st_size for path in (DOCS / "pictures").iterdir()) < 500_000


def test_inline_code_uses_names_that_exist():
    """Snippets that are too short to run alone: every `kx.` and `jax2d.` name in the pages is public."""
    import jax2d

    for path in DOCS.glob("*.md"):
        for package, name in re.findall(r"\b(kx|jax2d)\.([A-Za-z_]+)\b(?!\.py|/)", path.read_text()):
            module = kx if package == "kx" else jax2d
            assert hasattr(module, name), f"{path.name}: {package}.{name}"
