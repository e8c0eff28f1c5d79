"""The studies of `kinetix reproduce`: what they count, and each command's path on tiny levels."""

from __future__ import annotations

import dataclasses
import json
import math

import jax
import numpy as np
import pytest

import kinetix_py as kx
from agents.cli.main import main
from agents.config import ConfigError, TrainConfig
from agents.reproduce import study as study_module
from agents.reproduce.fine_tuning import (
    FINE_TUNED,
    TABULA_RASA,
    Comparison,
    FineTuning,
    choose_levels,
    fine_tuning_table,
    run_fine_tuning,
    steps_to_solve,
)
from agents.reproduce.plots import plot_fine_tuning, plot_zero_shot
from agents.reproduce.specialists import LevelTraining, Specialists, specialist_config
from agents.reproduce.study import Study, StudyConfig
from agents.reproduce.tasks import family_of, group_levels, solutions_solve
from agents.reproduce.zero_shot import LevelResult, ZeroShot, zero_shot_table
from agents.training.trainer import Trainer
from tests.kinetix_py.small_levels import falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

NEVER = math.inf


def training(rates, start=TABULA_RASA, seed=0, final=0.0, finite=True):
    """A training with a solve rate for each update of 100 steps, and a share of 10 attempts at the end."""
    solved = np.arange(10) < 10 * final
    length = np.full(10, 20, np.int32)
    return LevelTraining("level", start, seed, 100, np.array(rates, float), solved, length, finite, 1.0)


def test_steps_are_counted_to_the_end_of_the_first_updates_that_solve():
    assert steps_to_solve(training([0, 0.9, 0.9, 0.9, 1])) == 400
    assert steps_to_solve(training([1, 0.8, 0.9, 0])) == 300  # a mean of 0.9
    assert steps_to_solve(training([1, 1, 0, 1, 1])) == NEVER
    assert steps_to_solve(training([1, 1, 0]), window=1) == 100
    assert steps_to_solve(training([0.95]), window=3) == 100  # a shorter training than the window


def comparison(name, fine_tuned, tabula_rasa):
    """A level with a curve for each seed of both starts."""
    trainings = {
        start: tuple(training(rates, start, seed, rates[-1]) for seed, rates in enumerate(curves))
        for start, curves in ((FINE_TUNED, fine_tuned), (TABULA_RASA, tabula_rasa))
    }
    return Comparison(name, "s", "family", 0.2, trainings)


@pytest.fixture(scope="module")
def compared():
    soon, late, never = [1.0] * 8, [0.0] * 3 + [1.0] * 5, [0.5] * 8
    levels = (
        comparison("both", [soon, soon, never], [late] * 3),
        comparison("tuned", [soon] * 3, [never, never, soon]),
        comparison("neither", [never] * 3, [never] * 3),
    )
    return FineTuning("agent", 0.5, 3, levels, 4)


def test_a_level_is_solved_if_most_seeds_solve_it(compared):
    both, tuned, neither = compared.levels
    assert (both.steps_to_solve(FINE_TUNED), both.steps_to_solve(TABULA_RASA)) == (300, 600)
    assert tuned.is_solved(FINE_TUNED) and not tuned.is_solved(TABULA_RASA)
    assert both.final(FINE_TUNED) == pytest.approx((1 + 1 + 0.5) / 3)
    assert compared.solved_by(True, False) == ["tuned"] and compared.solved_by(False, False) == ["neither"]
    assert compared.speedup == pytest.approx(2) and compared.num_diverged == 0
    assert neither.curves(FINE_TUNED).shape == (3, 8) and neither.steps[-1] == 800


def test_results_of_fine_tuning_are_a_table_a_figure_and_json(compared, tmp_path):
    table = fine_tuning_table(compared)
    assert "solved by fine-tuning only: 1 of 3  tuned" in table and "2.00 times fewer steps" in table
    assert "0.30 k" not in table and "never" in table
    plot_fine_tuning(compared, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    data = json.loads(json.dumps(compared.as_dict()))
    assert data["levels"][1][TABULA_RASA]["steps_to_solve"] == [None, None, 300] and not data["complete"]
    assert data["solved_by_both"] == ["both"] and data["levels"][0][TABULA_RASA]["curve_mean"][2:4] == [0, 1]


def test_levels_below_the_threshold_are_chosen_from_hard_to_easy():
    rates = np.array([0.4, 0.9, 0.0, 0.5, 0.2, 0.1])
    assert choose_levels(rates, 0.5, 4, None) == [0, 2, 4, 5]
    assert choose_levels(rates, 0.5, 2, 2) == [0, 2]  # the hardest and the easiest
    with pytest.raises(ConfigError, match=r"all but 4 of 6 levels in at least 0\.5 .* and 12 are needed"):
        choose_levels(rates, 0.5, 12, None)


def test_trainings_learn_fast_and_play_whole_episodes():
    agent = TrainConfig.preset("gpu", "training.normalize_observations=true")
    config = specialist_config(agent, 100_000, 64, ["ppo.learning_rate=1e-3", "training.num_rollouts=5"])
    assert config.network == agent.network and config.training.normalize_observations
    assert (config.ppo.learning_rate, config.ppo.minibatch_size, config.ppo.num_epochs) == (1e-3, 2048, 2)
    assert config.training.num_rollouts == 5 and config.training.rollout_length == 64
    assert specialist_config(agent, 1, 64).training.steps_per_update == 64 * 256
    for override, match in (
        ("ppo.learning_rat=1", "did you mean 'learning_rate'"),
        ("fast", "fast: not ppo.FIELD=VALUE"),
        ("env.size=l", "env.size=l: not ppo.FIELD=VALUE or training.FIELD=VALUE"),
    ):
        with pytest.raises(ConfigError, match=match):
            specialist_config(agent, 1, 64, [override])


def test_levels_are_grouped_by_the_size_that_holds_them(tmp_path):
    kx.save_level(rocket(), tmp_path / "rocket.json")
    groups = group_levels(["car_left_hard", "swing_up", str(tmp_path), "swing_up"], trained_on=["swing_up"])
    assert [(group.size, group.names) for group in groups] == [
        ("s", ("swing_up", "rocket")),
        ("m", ("car_left_hard",)),
    ]
    assert groups[0].families == ("swing-up", tmp_path.name) and groups[1].families == ("locomotion",)
    assert groups[0].levels.info.trained_on == (True, False)
    (one,) = group_levels(["car_left_hard", "swing_up"], "l")
    assert one.size == "l" and one.levels.levels.size == kx.SIZES["l"]
    assert family_of("lunar_lander") == "thrusters"


@pytest.fixture(scope="module")
def levels(tmp_path_factory, level_file):
    """Levels: the rocket, which the agent was trained on, again under another path, and balls that fall."""
    folder = tmp_path_factory.mktemp("tasks")
    thrust, wait = [0, 0, 0, 0, 1, 0], [0] * 6
    kx.save_level(falling(), folder / "falls.json", solution=[wait])
    kx.save_level(falling(red=True), folder / "fails.json", solution=[wait])
    kx.save_level(falling(red=True, height=1.5), folder / "fails_too.json")
    kx.save_level(rocket(), folder / "rocket.json", solution=[thrust] * 20)
    return [str(level_file), str(folder)]


def test_own_solutions_are_played(levels):
    (group,) = group_levels(levels)
    found = solutions_solve(group)
    assert [name.split("/")[-1] for name in group.names] == [
        "rocket",
        "fails",
        "fails_too",
        "falls",
        "rocket",
    ]
    assert found == [None, False, None, True, True]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Folder of results that both commands use."""
    return tmp_path_factory.mktemp("results")


def words(study, folder, levels, out, *more):
    """Arguments of the command for trainings of three updates of 160 steps."""
    sizes = ["--attempts", "8", "--budget", "480", "--num-envs", "8", "--out", str(out)]
    return ["reproduce", study, str(folder.path), "--levels", *levels, *sizes, *more]


@pytest.fixture(scope="module")
def zero_shot(finished, levels, out):
    """Results of the command `zero-shot`, and the number of programs that it compiled for training."""
    compiled, lower = [], Trainer.lower
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Trainer, "lower", lambda *given: compiled.append(1) or lower(*given))
        main(words("zero-shot", finished[1], levels, out))
    return json.loads((out / "zero_shot.json").read_text()), len(compiled)


def test_zero_shot_compares_an_agent_with_chance_specialists_and_solutions(zero_shot, out):
    data, compiled = zero_shot
    assert compiled == 1 and data["specialist_budget"] == 480
    rows = {row["level"]: row for row in data["levels"]}
    assert len(rows) == 5 and sum(row["trained_on"] for row in rows.values()) == 1
    falls, fails = rows["falls"], rows["fails"]
    assert falls["agent"] == falls["specialist"] == 1 and falls["solution"]
    assert fails["agent"] == fails["specialist"] == 0 and fails["solution"] is False
    rockets = [row for name, row in rows.items() if "rocket" in name]
    chance = data["strongest_chance"]
    assert all(row["agent"] > row["chance"][chance] for row in rockets)
    assert data["families"][-1]["family"] == "all" and data["families"][-1]["levels"] == 5
    assert (out / "zero_shot.png").stat().st_size > 5_000


def test_what_is_done_is_not_done_again(zero_shot, finished, levels, out, monkeypatch, capsys):
    monkeypatch.setattr(Specialists, "train", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(study_module, "evaluate_policies", lambda *_, **__: pytest.fail("evaluated again"))
    main(words("zero-shot", finished[1], levels, out))
    assert json.loads((out / "zero_shot.json").read_text()) == zero_shot[0]
    assert "own solutions" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="attempts are 8, now asked for 9; choose another --out"):
        main(words("zero-shot", finished[1], levels, out, "--attempts", "9"))


def test_a_training_is_read_for_its_own_level_and_evaluation_alone(zero_shot, study, out):
    (path,) = out.glob("trainings/*/fails.*")
    specialists, checksum = study.specialists("s"), json.loads(path.read_text())["checksum"]
    assert specialists.load(path, checksum).level == "fails"
    assert specialists.load(path.with_name("none.json"), checksum) is None
    with pytest.raises(ConfigError, match=r"fails\..*: is of another level of this name; choose another"):
        specialists.load(path, checksum + 1)
    other = Specialists(study.agent("s"), specialists.config, 9, 100)
    with pytest.raises(ConfigError, match=r"its attempts is 8, now asked for 9; choose another --out"):
        other.load(path, checksum)


def test_results_are_in_the_run_or_else_beside_the_user(study, finished, monkeypatch):
    agent = study.agent("s")
    assert study_module._default_folder(agent, f"{finished[1].path}@best") == agent.path / "reproduce"
    assert str(study_module._default_folder(agent, "name-of-an-agent")) == "reproduce/name-of-an-agent"


def test_wrong_options_are_refused_before_anything_is_compiled(finished, levels, out, monkeypatch, capsys):
    monkeypatch.setattr(study_module, "evaluate_policies", lambda *_, **__: pytest.fail("evaluated"))
    with pytest.raises(SystemExit, match="learning_rate must be above 0, got -1"):
        main(words("fine-tuning", finished[1], levels, out, "--seed", "1", "--set", "ppo.learning_rate=-1"))
    with pytest.raises(SystemExit, match="2"):
        main(words("fine-tuning", finished[1], levels, out, "--threshold", "1.5"))
    assert "must be a number above 0 and at most 1, got 1.5" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="nowhere: neither a run folder nor a checkpoint"):
        main(["reproduce", "zero-shot", "nowhere"])


@pytest.mark.slow
def test_fine_tuning_goes_on_where_it_was_stopped(zero_shot, finished, levels, out, monkeypatch, capsys):
    """Stopped in one training; the first seeds from nothing are the specialists of `zero-shot`."""
    arguments = words("fine-tuning", finished[1], levels, out, "--least", "2", "--seeds", "2", "--jobs", "2")
    trained, train, stops = [], Specialists.train, [("fails_too", FINE_TUNED, 0)]

    def counted(self, name, level, start, seed, progress):
        if (name, start, seed) in stops:
            stops.clear()
            raise study_module.Stopped
        trained.append((name, start, seed))
        return train(self, name, level, start, seed, progress)

    monkeypatch.setattr(Specialists, "train", counted)
    with pytest.raises(SystemExit, match="stopped with 1 of 2 levels complete"):
        main(arguments)
    assert not json.loads((out / "fine_tuning.json").read_text())["complete"]
    main(arguments)
    data = json.loads((out / "fine_tuning.json").read_text())
    assert data["complete"] and [row["level"] for row in data["levels"]] == ["fails", "fails_too"]
    assert len(trained) == len(set(trained)) == 6
    assert ("fails", TABULA_RASA, 0) not in trained
    assert data["levels"][0][FINE_TUNED]["final"] == [0, 0] and len(data["solved_by_neither"]) == 2
    assert (out / "fine_tuning.png").stat().st_size > 10_000
    assert "solved by neither" in capsys.readouterr().out


@pytest.fixture(scope="module")
def study(finished, levels, tmp_path_factory):
    """Study of the rocket, which the agent was trained on."""
    folder = tmp_path_factory.mktemp("study")
    sizes = {"attempts": 8, "budget": 480, "num_envs": 8}
    config = StudyConfig(str(finished[1].path), tuple(levels[:1]), folder=folder, **sizes)
    return Study(config, progress=False)


@pytest.mark.slow
def test_fine_tuning_begins_from_the_agent(study):
    (rocket_level,) = run_fine_tuning(study, threshold=1.01, seeds=2, least=1).levels
    tuned, new = (rocket_level.curves(start)[:, 0].mean() for start in (FINE_TUNED, TABULA_RASA))
    assert rocket_level.zero_shot > 0.5 and tuned > new + 0.3
    assert not np.array_equal(*rocket_level.curves(TABULA_RASA))  # of two seeds


def test_a_training_that_does_not_stay_finite_counts_as_unsolved(study, monkeypatch):
    specialists, steps = study.specialists("s"), []
    nothing = jax.tree.map(lambda leaf: leaf * np.nan, specialists.agent.params)
    monkeypatch.setattr(specialists, "agent", dataclasses.replace(specialists.agent, params=nothing))
    result = specialists.train("rocket", rocket(), FINE_TUNED, 0, steps.append)
    assert not result.finite and not result.solve_rate.any() and not result.solved.any() and steps == [160]


def test_zero_shot_means_and_the_strongest_chance():
    def result(name, family, agent, noop, random, specialist):
        tries = lambda rate, count=4: np.arange(count) < rate * count
        chance = {"no-op": tries(noop, 1), "random": tries(random)}
        own = None if specialist is None else tries(specialist)
        return LevelResult(name, "s", family, False, False, tries(agent), chance, own, specialist is not None)

    levels = (
        result("a", "x", 0.5, 0, 0.25, 1),
        result("b", "y", 1, 1, 0.5, None),
        result("c", "x", 0.0, 0, 0.5, 0.5),
    )
    results = ZeroShot("agent", levels, "random", 100)
    first, second, whole = results.families
    assert (first.family, first.levels, second.family, whole.family) == ("x", 2, "y", "all")
    assert first.agent[0] == 0.25 and first.chance[0] == 0.375 and first.specialist[0] == 0.75
    assert second.specialist is None and whole.specialist is None and whole.agent[0] == 0.5
    assert whole.agent[1] < 0.5 < whole.agent[2] and (first.proven, first.with_solution) == (2, 2)
    assert "0.250 (" in zero_shot_table(results)


def test_the_figure_of_zero_shot_is_drawn_without_specialists(tmp_path):
    solved = np.arange(4) < 2
    level = LevelResult("a", "s", "x", False, False, solved, {"random": solved}, None, None)
    plot_zero_shot(ZeroShot("agent", (level,), "random", 100), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000
