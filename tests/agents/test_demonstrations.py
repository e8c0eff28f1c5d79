"""Solutions of level files as recorded episodes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import kinetix_py as kx
from agents.cli.main import main
from agents.config import ConfigError
from agents.demonstrations import record_solutions
from kinetix_py.chunks import suited_chunks, use_chunks
from kinetix_py.experience import Experience
from tests.kinetix_py.small_levels import TINY, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")
ON, OFF = [0, 0, 0, 0, 1, 0], [0] * 6


@pytest.fixture(scope="module", autouse=True)
def few_at_once():
    """Programs for a few episodes."""
    with use_chunks(dataclasses.replace(suited_chunks(), replayed=4)):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A rocket that is fired to the blue ball, one that is not, a ball that falls, and one without a word."""
    path = tmp_path_factory.mktemp("levels")
    given = {"fired": (rocket(), [ON] * 200), "idle": (rocket(), [OFF] * 200)}
    given |= {"falls": (falling(), [OFF] * 60), "unsolved": (falling(), None)}
    for name, (level, solution) in given.items():
        kx.save_level(level, path / f"{name}.json", solution=solution)
    return path


@pytest.mark.slow
def test_solutions_that_solve_are_recorded_to_their_end(folder, tmp_path):
    files = [str(file) for file in sorted(folder.glob("*.json"))]
    found = record_solutions(files, TINY, tmp_path / "out", 16)
    stems = lambda group: [file.rsplit("/")[-1] for file in group]
    assert stems(found.recorded) == ["falls.json", "fired.json"]
    assert stems(found.failing) == ["idle.json"] and stems(found.without) == ["unsolved.json"]
    data = Experience(tmp_path / "out", observation_type="blind")
    assert data.outcomes.tolist() == [1, 1] and data.header["paths"] == list(found.recorded)
    batch = data.batch(np.arange(len(data)))
    chosen = np.asarray(batch["action"])[np.asarray(batch["valid"])]
    second = np.repeat(np.asarray(batch["episode"]), data.key_every)[np.asarray(batch["valid"]).reshape(-1)]
    assert (chosen[second == 1] == ON).all() and (chosen[second == 0] == OFF).all()
    # 0.2 * 10 N push 0.126 kg over 1.6 m in 0.45 s: 13 or 14 steps of a thirtieth.
    assert np.asarray(batch["solved"]).sum() == 2 and 13 <= (second == 1).sum() <= 15
    with pytest.raises(ConfigError, match="holds recorded episodes already"):
        record_solutions(files, TINY, tmp_path / "out")


@pytest.mark.slow
def test_the_command_tells_what_it_records(folder, tmp_path, capsys):
    held_out = next(
        level for level in kx.list_levels("library/held-out") if kx.load_level(level).size == TINY
    )
    words = ["record", "--solutions", "--size", "s", "--levels"]
    main([*words, str(folder), held_out, "--out", str(tmp_path / "a")])
    told = capsys.readouterr().out
    assert (
        "2 of 5 levels solved by their solutions, 1 not, 1 without one, 1 held out by the library\n" in told
    )
    assert "bytes a step" in told
    wrongly = [str(folder), "--out", "b"]
    for wrong in (["record", "--solutions", "--levels", *wrongly], [*words, *wrongly, "--agent", "s"]):
        with pytest.raises(SystemExit):
            main(wrong)
    with pytest.raises(SystemExit, match="none of 1 level files has a solution that solves it"):
        main([*words, str(folder / "idle.json"), "--out", str(tmp_path / "c")])
