"""Evaluations: what an attempt counts, sets and their names, records, tables, comparisons."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

import kinetix_py as kx
from agents.config import ConfigError
from agents.evaluation.episodes import attempt_levels
from agents.evaluation.evaluation import (
    Evaluation,
    evaluate,
    mean_with_interval,
    read_evaluations,
    write_evaluations,
)
from agents.evaluation.report import THRESHOLDS, level_table, profile, profile_band, solve_rate_table
from agents.evaluation.run import compare_runs
from agents.levels import LevelSet, load_level_sets
from agents.policy import UniformPolicy
from kinetix_py import SIZES, list_levels
from tests.agents.policies import Thrust
from tests.kinetix_py.small_levels import TINY, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
LEVELS = (falling(), falling(red=True), falling(gravity=0.0), rocket())
POLICY, PARAMS = Thrust(), kx.EnvParams(max_timesteps=40)


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete")


def test_attempts_count_the_first_episode_only(env):
    levels, options = kx.stack_levels(LEVELS), {"attempts": 3, "max_steps": 40}
    always, never = np.float32(99), np.float32(-99)
    results = attempt_levels(KEY, POLICY, always, env, levels, PARAMS, **options)
    solved, length = results.solved, results.length
    np.testing.assert_array_equal(solved, np.array([1, 0, 0, 1], bool)[:, None].repeat(3, 1))
    assert (np.ptp(length, axis=1) == 0).all() and length[2, 0] == 40 and 12 <= length[0, 0] <= 16
    assert not attempt_levels(KEY, POLICY, never, env, levels, PARAMS, **options).solved[3].any()
    with pytest.raises(ValueError, match="auto_reset"):
        attempt_levels(KEY, POLICY, always, kx.make(TINY, auto_reset=True), levels, PARAMS)


def test_large_sets_are_evaluated_in_parts(env, monkeypatch):
    """Six levels in calls of four: each is counted once, in its place."""
    monkeypatch.setattr("agents.evaluation.evaluation.EPISODES_PER_CALL", 12)
    levels = kx.stack_levels([*LEVELS, *LEVELS[:2]])
    names = ("a", "b", "c", "d", "e", "f")
    marks = (True, False, False, False, False, False)
    chosen, counts = LevelSet("set", names, levels, marks), []
    result = evaluate(
        KEY, POLICY, np.float32(99), env, chosen, PARAMS, attempts=3, run="r", progress=counts.append
    )
    np.testing.assert_array_equal(result.level_rates, [1, 0, 0, 1, 1, 0])
    assert result.solved.shape == (6, 3) and result.interval == (0.5, 0.5) and counts == [12, 6]
    assert result.label == "r (agent)" and result.trained_on[0] and not any(result.trained_on[1:])
    assert "a *" in level_table(result) and "0.500" in solve_rate_table([result])


def test_intervals_narrow_with_attempts():
    """Ten levels solved half the time: the standard error is sqrt(0.25 / (10 n))."""
    for tries in (20, 320):
        solved = np.tile(np.arange(tries) % 2, (10, 1))
        mean, low, high = mean_with_interval(solved)
        width = 2 * 1.96 * np.sqrt(0.25 / (10 * tries))
        assert mean == 0.5 and low < 0.5 < high and high - low == pytest.approx(width, rel=0.15)
    assert mean_with_interval(np.ones((3, 5))) == (1, 1, 1)


def test_the_random_policy_is_uniform_among_what_a_level_allows():
    for action in ("multi_discrete", "discrete", "continuous"):
        env = kx.make("s", observation_type="blind", action_type=action)
        _, state = env.reset_to_level(rocket())
        mask = env.action_mask(state)[None]
        policy = UniformPolicy(env)
        distribution = policy.step(policy.init(KEY), policy.initial_carry(1), (), np.ones(1, bool), mask)[1]
        drawn = np.asarray(distribution.sample(seed=jax.random.key(1), sample_shape=(512,)))[:, 0]
        if action == "multi_discrete":  # one thruster is bound
            assert set(drawn[:, 4]) == {0, 1} and abs(drawn[:, 4].mean() - 0.5) < 0.1
            assert (drawn[:, [0, 1, 2, 3, 5]] == 0).all()
        elif action == "discrete":
            assert set(drawn) == {8, 9} and abs((drawn == 9).mean() - 0.5) < 0.1
        else:
            assert 0 <= drawn[:, 4].min() < 0.05 and 0.95 < drawn[:, 4].max() <= 1
    with pytest.raises(ValueError, match="action mask"):
        policy.step((), (), (), np.ones(1, bool))


def record(rate, level_set="library/s", policy="agent", run="run", seed=0):
    """A record with a solve rate on 12 levels, two of which were trained on."""
    rng = np.random.default_rng(seed)
    names = tuple(f"level_{i}" for i in range(12))
    solved, length = rng.random((12, 40)) < rate, rng.integers(1, 256, (12, 40))
    return Evaluation(policy, level_set, names, solved, length, (True,) * 2 + (False,) * 10, run)


def test_records_are_written_and_read_back(tmp_path):
    records = [record(0.3), record(0.9, "random/s", "random", "", 1)]
    path = tmp_path / "evaluation.json"
    write_evaluations(path, records)
    for before, after in zip(records, read_evaluations(path), strict=True):
        assert (after.policy, after.level_set, after.run) == (before.policy, before.level_set, before.run)
        assert after.level_names == before.level_names and after.trained_on == before.trained_on
        np.testing.assert_array_equal(after.solved, before.solved)
        np.testing.assert_array_equal(after.length, before.length)
    row = json.loads(path.read_text())[0]
    assert row["levels"][0]["successes"] == records[0].solved[0].sum() and row["levels"][0]["attempts"] == 40
    assert row["solve_rate"] == records[0].solve_rate and tuple(row["interval_95"]) == records[0].interval


def test_profile_is_the_share_of_levels_solved_at_least_so_often():
    found = profile(np.array([0.0, 0.5, 1.0, 1.0]))
    assert found[0] == 1 and found[-1] == 0.5
    assert found[np.searchsorted(THRESHOLDS, 0.5)] == 0.75 and found[np.searchsorted(THRESHOLDS, 0.51)] == 0.5
    assert (np.diff(found) <= 0).all()
    low, high = profile_band(record(0.5), 200)
    assert (low <= high).all() and low[0] == high[0] == 1


def test_runs_are_compared_in_one_table_and_picture(tmp_path):
    weak, strong = tmp_path / "weak", tmp_path / "strong"
    (weak / "evaluation").mkdir(parents=True)
    strong.mkdir()
    # The newest evaluation of a run counts, and that at its end where there is no other.
    write_evaluations(weak / "evaluation.json", [record(0.99, run="weak")])
    for rate, path, seed in ((0.2, weak / "evaluation", 0), (0.7, strong, 1)):
        records = [record(rate, name, run=path.name, seed=seed) for name in ("library/s", "files")]
        write_evaluations(path / "evaluation.json", records)
    picture = tmp_path / "comparison.png"
    found = compare_runs([weak, strong / "evaluation.json"], picture)
    lines = solve_rate_table(found).splitlines()
    assert len(lines) == 5 and picture.stat().st_size > 10_000
    assert [line.split()[0] for line in lines[1:]] == ["library/s"] * 2 + ["files"] * 2
    assert "strong (agent)" in lines[1] and lines[1].endswith(" 2")  # the better one first; 2 trained on
    twins = compare_runs([strong, strong / "evaluation.json"])
    assert {one.run for one in twins} == {str(strong), str(strong / "evaluation.json")}


def test_what_no_evaluation_wrote_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no evaluation\.json; `kinetix evaluate` writes one"):
        read_evaluations(tmp_path)
    for text in ('{"a": 1}', "[", '[{"policy": "agent"}]'):
        (tmp_path / "evaluation.json").write_text(text)
        with pytest.raises(ConfigError, match="not an evaluation that kinetix wrote"):
            read_evaluations(tmp_path)
    (tmp_path / "evaluation.json").write_text("[]")
    with pytest.raises(ConfigError, match="holds no evaluation"):
        read_evaluations(tmp_path)


def test_each_set_has_one_name_and_knows_what_was_trained_on(tmp_path, level_file):
    for folder in ("mine", "other/mine"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "rocket.json").write_text(level_file.read_text())
    paths = ["library/s", "swing_up", str(tmp_path / "mine"), "library/s", str(level_file)]
    paths.append(str(tmp_path / "other" / "mine"))
    trained = ["weak_thrust", str(tmp_path / "mine" / "rocket.json")]
    sets = {one.name: one for one in load_level_sets(paths, SIZES["s"], trained)}
    assert list(sets) == ["library/s", "files", "mine", "other/mine"]
    assert list(sets["library/s"].level_names) == list_levels("library/s")
    assert sets["files"].level_names == ("swing_up", "rocket") and not any(sets["files"].trained_on)
    marked = [
        name
        for name, mark in zip(sets["library/s"].level_names, sets["library/s"].trained_on, strict=True)
        if mark
    ]
    assert marked == ["weak_thrust"]
    assert sets["mine"].trained_on == (True,) and sets["other/mine"].trained_on == (False,)
    with pytest.raises(ConfigError, match=r"fit this size"):
        load_level_sets(["library/l"], SIZES["s"])
