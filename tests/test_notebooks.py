"""The notebooks: what is committed is what their sources give, they run, and they show what they say."""

from __future__ import annotations

import importlib.util
import pathlib

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from tools import make_notebooks

ROOT = pathlib.Path(__file__).parent.parent

# What each says, in its own variables; a solve rate may differ between machines, so with room to spare.
CLAIMS = {
    "1_first_steps": "bool(info['solved']) and page.stat().st_size > 1000",
    "2_train_a_specialist": "chance < 0.15 and rate > 0.8 and curve[-1] > 0.8",
    "3_random_levels": "0.1 < rate.mean() < 0.6 and (score[best] > 0.2).all() and (rate[never] == 0).all()",
    "4_engine_alone": "stuck > 1 and found < 1 and landed < 0.25 and both_costs.min() < search_costs[-1]",
    "5_gymnasium_and_torch": "late > early + 0.3",
}


def test_every_notebook_makes_a_claim():
    assert make_notebooks.names() == list(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_committed_is_its_source_with_clean_outputs(name):
    committed = nbformat.read(make_notebooks.FOLDER / f"{name}.ipynb", 4)
    built = make_notebooks.build((make_notebooks.SOURCES / f"{name}.py").read_text())
    assert [cell.source for cell in committed.cells] == [cell.source for cell in built.cells]
    assert all(cell.execution_count for cell in committed.cells if cell.cell_type == "code")
    assert any(cell.outputs for cell in committed.cells if cell.cell_type == "code")
    assert make_notebooks.complaints(committed) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_it_runs_and_its_claim_holds(name):
    if "torch" in name and importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch")
    notebook = make_notebooks.build((make_notebooks.SOURCES / f"{name}.py").read_text())
    notebook.cells.append(new_code_cell(f"assert {CLAIMS[name]}"))
    assert make_notebooks.complaints(make_notebooks.run(notebook)) == []


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
