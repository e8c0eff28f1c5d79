"""The notebooks: what is committed is what their sources give, they run, and they show what they say."""

from __future__ import annotations

import importlib.util
import pathlib

import nbformat
import pytest

from tools import make_notebooks

ROOT = pathlib.Path(__file__).parent.parent


def test_every_notebook_makes_a_claim():
    assert make_notebooks.names() == list(make_notebooks.CLAIMS)


@pytest.mark.parametrize("name", make_notebooks.CLAIMS)
def test_what_is_committed_is_its_source_with_clean_outputs(name):
    committed = nbformat.read(make_notebooks.FOLDER / f"{name}.ipynb", 4)
    built = make_notebooks.build((make_notebooks.SOURCES / f"{name}.py").read_text())
    assert [cell.source for cell in committed.cells] == [cell.source for cell in built.cells]
    assert all(cell.execution_count for cell in committed.cells if cell.cell_type == "code")
    assert any(cell.outputs for cell in committed.cells if cell.cell_type == "code")
    assert make_notebooks.complaints(committed) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", make_notebooks.CLAIMS)
def test_it_runs_and_its_claim_holds(name):
    if "torch" in name and importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch")
    assert make_notebooks.complaints(make_notebooks.run(name)) == []


def test_a_source_without_a_first_cell_is_refused():
    with pytest.raises(ValueError, match="must begin with a cell"):
        make_notebooks.build("import jax\n# %%\n")


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("stdout", "wrote /tmp/x.gif", "'/tmp'"),
        ("stdout", "UserWarning: old", "'Warning:'"),
        ("stderr", "something", "stderr: something"),
        ("stdout", "x" * make_notebooks.MAX_BYTES, "bytes, at most"),
    ],
)
def test_outputs_that_tell_of_a_machine_are_found(name, text, wrong):
    notebook = make_notebooks.build("# %%\nprint()\n")
    notebook.cells[0].outputs = [nbformat.v4.new_output("stream", name=name, text=text)]
    assert wrong in "".join(make_notebooks.complaints(notebook))
