"""Builds and runs the notebooks.

python -m tools.make_notebooks                 all of them
python -m tools.make_notebooks 1_first_steps   one of them

A source in `notebooks/sources/` is a Python file whose cells begin with `# %%`; `# %% [markdown]` begins
text. The notebook, with its outputs, goes to `notebooks/`.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import resource
import sys
import tempfile
import time

import nbclient
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
SOURCES = FOLDER / "sources"
MAX_BYTES = 500_000
# What tells of the machine that a notebook was run on, or of trouble on it.
PLACES = (ROOT, pathlib.Path.home(), pathlib.Path(tempfile.gettempdir()))
TROUBLE = ("site-packages", "Warning:", "Traceback (most")
UNWANTED = re.compile("|".join(map(re.escape, (*map(str, PLACES), *TROUBLE))))
# What each notebook says, in its own variables, with room to spare: rates may differ between machines.
CLAIMS = {
    "1_first_steps": "bool(info['solved']) and page.stat().st_size > 1000",
    "2_train_a_specialist": "chance < 0.15 and rate > 0.8 and curve[-1] > 0.8",
    "3_random_levels": "0.1 < rate.mean() < 0.6 and (score[best] > 0.2).all() and (rate[never] == 0).all()",
    "4_engine_alone": "stuck > 1 and found < 1 and landed < 0.25 and both_costs.min() < search_costs[-1]",
    "5_gymnasium_and_torch": "late > early + 0.3",
}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def names() -> list[str]:
    """The notebooks, in their order."""
    return sorted(path.stem for path in SOURCES.glob("*.py"))


def build(text: str) -> nbformat.NotebookNode:
    """A notebook without outputs.

    Raises:
      ValueError: something comes before the first cell.
    """
    before, *parts = re.split(r"^# %%", text, flags=re.MULTILINE)
    if before.strip():
        raise ValueError(f"a source must begin with a cell (# %%), got {before.splitlines()[0]!r}")
    cells = []
    for number, part in enumerate(parts):
        head, _, body = part.partition("\n")
        if head.strip() == "[markdown]":
            lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines()]
            cell = new_markdown_cell("\n".join(lines))
        else:
            cell = new_code_cell(body.strip())
        cell["id"] = f"cell-{number}"  # not a random one: the same source gives the same file
        cells.append(cell)
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


def run(name: str, timeout: int = 300) -> nbformat.NotebookNode:
    """Builds a notebook and runs every cell, in an empty folder, then checks what the notebook claims.

    Args:
      name: of the source, without `.py`.
      timeout: of each cell [s].

    Returns:
      the notebook with its outputs.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell failed, or the claim does not hold.
    """
    notebook = build((SOURCES / f"{name}.py").read_text())
    notebook.cells.append(new_code_cell(f"assert {CLAIMS[name]}"))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # XLA's chatter about the processor goes to stderr, which a notebook would show.
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = nbclient.NotebookClient(
            notebook, timeout=timeout, kernel_name="python3", resources=resources
        )
        client.execute(env=env)
    notebook.cells.pop()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which would differ in every version
    return notebook


def complaints(notebook: nbformat.NotebookNode) -> list[str]:
    """Lists faults of outputs: messages on stderr, paths of one machine, too many bytes."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = nbformat.v4.writes(new_notebook(cells=[new_code_cell(outputs=[output])]))
            if output.get("name") == "stderr":
                found.append(f"{cell.id}: stderr: {output['text'][:300]}")
            found += [f"{cell.id}: {match!r}" for match in UNWANTED.findall(text)]
    size = len(nbformat.writes(notebook).encode())
    return found + ([f"{size} bytes, at most {MAX_BYTES}"] if size > MAX_BYTES else [])


def main() -> None:
    """Builds, runs and writes notebooks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="without .py (default: all)")
    for name in parser.parse_args().names or names():
        begun, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        notebook = run(name)
        wrong = complaints(notebook)
        if wrong:
            sys.exit(f"make_notebooks.py: {name}: " + "\n".join(wrong))
        path = FOLDER / f"{name}.ipynb"
        nbformat.write(notebook, path)
        seconds = time.perf_counter() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        work = used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime
        size = path.stat().st_size / 1000
        print(f"{path.relative_to(ROOT)}: {seconds:.0f} s ({work:.0f} s of processor time), {size:.0f} kB")


if __name__ == "__main__":
    main()
