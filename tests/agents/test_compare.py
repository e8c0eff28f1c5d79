"""Evaluations of several runs in one table and picture."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agents.build import given_sets
from agents.cli import compare
from agents.config import ConfigError
from agents.training.compare import THRESHOLDS, comparison_table, profile, profile_band, read_results
from agents.training.judge import Judgement
from kinetix_py import SIZES, list_levels


def judged(folder, rate, seed=0):
    """A run folder whose evaluation found a solve rate on 12 levels of two sets."""
    rng = np.random.default_rng(seed)
    names = tuple(f"level_{i}" for i in range(12))
    rows = []
    for name in ("library/s", "given levels"):
        solved = rng.random((12, 40)) < rate
        rows.append(Judgement("agent", name, names, solved, np.full((12, 40), 7)).as_dict())
    (folder / "evaluation").mkdir(parents=True)
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps(rows))
    return folder


def test_profile_is_the_share_of_levels_solved_at_least_so_often():
    found = profile(np.array([0.0, 0.5, 1.0, 1.0]))
    assert found[0] == 1 and found[-1] == 0.5
    assert found[np.searchsorted(THRESHOLDS, 0.5)] == 0.75 and found[np.searchsorted(THRESHOLDS, 0.51)] == 0.5
    assert (np.diff(found) <= 0).all()


def test_runs_are_compared_in_one_table_and_picture(tmp_path, capsys):
    weak, strong = judged(tmp_path / "weak", 0.2), judged(tmp_path / "strong", 0.7, 1)
    picture = tmp_path / "comparison.png"
    compare.main([str(weak), str(strong / "evaluation" / "evaluation.json"), "--out", str(picture)])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 6 and picture.stat().st_size > 10_000
    assert [line.split()[0] for line in said[1:3]] == ["library/s"] * 2
    assert "strong (agent)" in said[1] and "weak (agent)" in said[2]  # the better one first
    result = read_results(weak)[0]
    low, high = profile_band(result, 200)
    assert (low <= high).all() and result.interval[0] <= result.solve_rate <= result.interval[1]
    assert comparison_table([result]).count("\n") == 1


def test_what_no_evaluation_wrote_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no evaluation"):
        read_results(tmp_path)
    (tmp_path / "evaluation.json").write_text('{"a": 1}')
    with pytest.raises(ConfigError, match="not what"):
        read_results(tmp_path)


def test_each_set_of_the_library_is_judged_by_itself():
    sets = given_sets(["library/s", "swing_up", "library/s"], SIZES["s"])
    assert [one.name for one in sets] == ["library/s", "given levels"]
    assert list(sets[0].names) == list_levels("library/s") and sets[1].names == ("swing_up",)
    with pytest.raises(ConfigError, match=r"fit this size"):
        given_sets(["library/l"], SIZES["s"])
