"""Comparisons of evaluations: with chance, on the same levels, over seeds; tables, profiles and pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from agents.evaluation.comparison import (
    SeedSummary,
    ahead_of_chance,
    difference,
    differences_from_best,
    strongest_baseline,
    summarize_seeds,
)
from agents.evaluation.evaluation import write_evaluations
from agents.evaluation.report import (
    THRESHOLDS,
    difference_table,
    level_table,
    profile,
    profile_band,
    seed_table,
    solve_rate_table,
)
from agents.evaluation.run import compare_runs
from tests.agents.records import record


def chance(level_set="library/s", **options):
    """Baselines of a set; held actions are the strongest."""
    rates = {"no-op": 0.02, "random": 0.2, "random, held 8": 0.3}
    return [
        record(rate, level_set, name, "", i, baseline=True, **options)
        for i, (name, rate) in enumerate(rates.items())
    ]


def test_chance_is_the_strongest_baseline_on_the_same_levels_under_the_same_physics():
    agent, other = record(0.5), record(0.5, contact_order="kinetix")
    rows = [agent, other, *chance(), record(0.9, "files", "random", "", baseline=True)]
    assert strongest_baseline(agent, rows).policy == "random, held 8"
    assert strongest_baseline(other, rows) is None and ahead_of_chance(other, rows) is None
    ahead = ahead_of_chance(agent, rows)
    assert ahead.value == pytest.approx(agent.solve_rate - rows[4].solve_rate)
    assert ahead.low < ahead.value < ahead.high and ahead.low > 0 and ahead.over == "attempts"
    assert ahead_of_chance(rows[2], rows) is None


def test_differences_are_paired_by_level():
    """Random levels of very different rates, the second policy a little worse on each of them."""
    rates = np.linspace(0.1, 1, 12)
    first, second = (record(rates - d, "random/s", run=f"d{d}", seed=100, attempts=400) for d in (0, 0.1))
    found = difference(first, second)
    assert found.over == "levels" and found.low > 0 and found.low < 0.1 < found.high
    assert found.high - found.low < (first.interval[1] - first.interval[0]) / 3
    assert (found.first, found.second) == ("d0 (agent)", "d0.1 (agent)")
    opposite = difference(second, first)
    assert opposite.value == -found.value and opposite.high == pytest.approx(-found.low, abs=0.01)
    changed = dataclasses.replace(second.levels, checksums=(0.5, *second.levels.checksums[1:]))
    with pytest.raises(
        ValueError, match=r"d0 \(agent\) and d0.1 \(agent\) were evaluated on different levels"
    ):
        difference(first, dataclasses.replace(second, levels=changed))
    certain = [dataclasses.replace(each, deterministic=True) for each in (record(0.5), record(0.3))]
    exact = difference(*certain)
    assert exact.over == "exact" and exact.low == exact.value == exact.high


def seeds(name, rates, config_id, **options):
    """Evaluations of runs of one config, with training seeds 0, 1, .."""
    options |= {"config_id": config_id, "seed": 100}
    return [
        record(rate, "random/s", run=f"{name}_{i}", rng_seed=i, training_seed=i, **options)
        for i, rate in enumerate(rates)
    ]


def test_runs_that_differ_in_their_seed_are_summarized():
    rows = [*seeds("a", (0.4, 0.5, 0.6), "x"), *seeds("b", (0.3,), "y"), record(0.3), *chance()]
    twin = dataclasses.replace(rows[0], run=dataclasses.replace(rows[0].run, name="again"))
    (summary,) = summarize_seeds([*rows, twin])
    assert [member.run.name for member in summary.members] == ["a_0", "a_1", "a_2"]
    assert summary.label == "a (agent, 3 seeds)"
    assert summary.solve_rate == pytest.approx(np.mean([row.solve_rate for row in rows[:3]]))
    low, high = summary.interval
    error = np.std(summary.rates, ddof=1) / np.sqrt(3)
    assert (high - low) / 2 == pytest.approx(4.303 * error, rel=1e-3)
    assert summary.pooled.attempts == 120 and summary.pooled.solve_rate == pytest.approx(summary.solve_rate)
    assert summary.worst_rate == pytest.approx(np.mean([row.worst_rate for row in rows[:3]]))
    line = seed_table([summary]).splitlines()[1]
    assert "a (agent, 3 seeds)" in line and line.endswith(" ".join(f"{rate:.3f}" for rate in summary.rates))
    with pytest.raises(ValueError, match="at least 2 evaluations, got 1"):
        SeedSummary((rows[0],))


def test_the_best_is_compared_with_the_others_of_its_set():
    rows = [*seeds("a", (0.6, 0.65, 0.7), "x"), *seeds("b", (0.3, 0.35, 0.3), "y"), *chance()]
    rows += [record(0.5, "random/s", run="c", seed=100), record(0.4, "files", run="c")]
    found = differences_from_best(rows)
    assert [(one.first, one.second, one.over) for one in found] == [
        ("a (agent, 3 seeds)", "c (agent)", "levels"),
        ("a (agent, 3 seeds)", "b (agent, 3 seeds)", "seeds"),
    ]
    assert all(one.low > 0 for one in found)
    assert len(difference_table(found).splitlines()) == 3
    # Under other conditions: no difference of agents.
    other = [record(rate, contact_order="kinetix", run=run) for rate, run in ((0.9, "k"), (0.2, "l"))]
    pairs = [(one.first, one.second) for one in differences_from_best([*rows, *other])]
    assert pairs == [*[(one.first, one.second) for one in found], ("k (agent)", "l (agent)")]


def test_tables_say_what_was_measured_and_how():
    rows = [
        record(0.5, siblings=(False,) * 9 + (True,) * 3),
        *chance(),
        record(0.6, contact_order="kinetix", run="k"),
    ]
    rows.append(record(0.4, "random/s", seed=100))
    lines = solve_rate_table(rows).splitlines()
    assert [line.split()[0] for line in lines[1:7]] == ["library/s"] * 5 + ["random/s"]
    assert "k (agent)" in lines[1] and lines[1].endswith("kinetix") and "run (agent)" in lines[2]
    assert "attempts" in lines[2] and " +0." in lines[2] and "levels" in lines[6]
    assert lines[2].split()[-2:] == ["2", "parallel"]
    assert sum(line.startswith("measured with contact_order=") for line in lines) == 2
    assert any(line.startswith("ahead of chance: difference from the best baseline") for line in lines)
    assert (
        "warning: run was trained on siblings of 3 levels of library/s: this is no rate on new tasks" in lines
    )
    table = level_table(rows[0])
    assert "level_1 *" in table and "level_11 ~" in table and "level_5  " in table
    assert table.endswith("* trained on\n~ trained on levels of its family")
    assert "*" not in level_table(dataclasses.replace(rows[0], levels=chance()[0].levels)).splitlines()[6]


def test_one_name_for_different_levels_is_told():
    first, second = record(0.5), record(0.5, run="other")
    changed = dataclasses.replace(second.levels, checksums=(0.5,) * 12)
    text = solve_rate_table([first, dataclasses.replace(second, levels=changed)])
    assert (
        "warning: run (agent) and other (agent) were evaluated on different levels, both called library/s"
        in text
    )
    assert differences_from_best([first, dataclasses.replace(second, levels=changed)]) == []


def test_profile_is_the_share_of_levels_solved_at_least_so_often():
    found = profile(np.array([0.0, 0.5, 1.0, 1.0]))
    assert found[0] == 1 and found[-1] == 0.5
    assert found[np.searchsorted(THRESHOLDS, 0.5)] == 0.75 and found[np.searchsorted(THRESHOLDS, 0.51)] == 0.5
    assert (np.diff(found) <= 0).all()


@pytest.mark.parametrize("seed", [None, 100], ids=["given levels", "random levels"])
def test_the_band_of_a_profile_is_about_the_profile(seed):
    """Also near 0 and 1, where resampled attempts alone would leave it."""
    rates = np.array([0.0] * 4 + [0.03] * 2 + [0.97] * 2 + [1.0] * 4)
    row = record(rates, seed=seed, attempts=20)
    low, high = profile_band(row, 400)
    measured = profile(row.level_rates)
    assert (low <= measured).all() and (measured <= high).all()
    assert low[0] == high[0] == 1 and (high - low)[50] == pytest.approx(0 if seed is None else 0.5, abs=0.1)
    # Twelve levels at one half: as many as a binomial share of 12 are above it, by one attempt or another.
    half = record(0.5, seed=seed, attempts=20)
    low, high = profile_band(half, 400)
    assert (high - low)[50] == pytest.approx(2 * 1.96 * np.sqrt(0.24 / 12), abs=0.12)
    certain = dataclasses.replace(record(rates), deterministic=True)
    np.testing.assert_array_equal(*profile_band(certain))


def test_runs_are_compared_in_tables_and_one_picture(tmp_path):
    weak, strong = tmp_path / "weak", tmp_path / "strong"
    (weak / "evaluation").mkdir(parents=True)
    strong.mkdir()
    # The newest evaluation of a run counts, and that at its end where there is no other.
    write_evaluations(weak / "evaluation.json", [record(0.99, run="weak")])
    for rate, path, seed in ((0.2, weak / "evaluation", 0), (0.7, strong, 1)):
        name = "weak" if rate == 0.2 else "strong"
        rows = [record(rate, of_set, run=name, rng_seed=seed) for of_set in ("library/s", "files")]
        start = record(0.1, policy="at the start", run=name)
        write_evaluations(path / "evaluation.json", [*rows, start, *chance()])
    picture = tmp_path / "comparison.png"
    found = compare_runs([weak, strong / "evaluation.json"], picture)
    assert picture.stat().st_size > 10_000
    labels = [(row.level_set, row.label) for row in found.evaluations]
    assert len(set(labels)) == len(labels) == 9  # the baselines once
    assert [(one.level_set, one.first, one.second) for one in found.differences] == [
        (name, "strong (agent)", "weak (agent)") for name in ("library/s", "files")
    ]
    twins = compare_runs([strong, strong / "evaluation.json"]).evaluations
    names = {str(strong), str(strong / "evaluation.json"), ""}
    assert {one.run.name for one in twins} == names
