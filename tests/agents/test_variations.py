"""Studies of variations of a training: what they compute, and the commands' path on a tiny run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agents.benchmark.variations import (
    Effect,
    Training,
    Variation,
    VariationResult,
    VariationStudy,
    curricula_variations,
    effect,
    probability_of_improvement,
    trainings_of,
)
from agents.benchmark.variations_report import markdown_table, rates_table
from agents.cli.benchmark_learning import random_level_curricula
from agents.cli.main import main
from agents.config import ConfigError
from tests.agents.records import record

pytestmark = pytest.mark.usefixtures("compiled_fast")


def test_probability_of_improvement_counts_pairs_and_halves_ties():
    assert probability_of_improvement(np.array([0.5, 0.7]), np.array([0.4, 0.7])) == (1 + 0 + 1 + 0.5) / 4
    assert probability_of_improvement(np.array([0.2]), np.array([0.3, 0.4])) == 0


def test_a_verdict_needs_the_interval_on_one_side_of_zero():
    assert Effect(0.1, 0.01, 0.2, (0.0, 0.2), 1.0).verdict == "better"
    assert Effect(-0.1, -0.2, -0.01, (-0.2, 0.0), 0.0).verdict == "worse"
    assert Effect(0.1, -0.01, 0.2, (0.05, 0.15), 0.9).verdict == "not told apart"


def results_of(name, rates, seconds):
    """A variation whose seeds solve given shares of the levels of a random set, in given times."""
    trainings = [
        Training(i, (record(rate, "random/s", seed=7, rng_seed=i),), [{"policy_steps": 1e6, "seconds": time}])
        for i, (rate, time) in enumerate(zip(rates, seconds, strict=True))
    ]
    return VariationResult(Variation(name), tuple(trainings))


def test_an_effect_by_hand():
    """All levels are solved, or half of the twelve: the same half by both seeds of the first."""
    half = np.arange(12) % 2
    base, other = results_of("base", (half, half), (60.0, 90.0)), results_of("other", (1.0, 1.0), (9.0, 6.0))
    found = effect(other, base, "random/s")
    assert (found.value, found.low, found.high, found.improvement) == (0.5, 0.5, 0.5, 1.0)  # seeds agree
    # Over levels: the mean of twelve zeros and ones, as many of each, deviates by sqrt(1/4 / 12) = 0.14.
    assert found.by_level == pytest.approx((0.5 - 1.96 * 0.144, 0.5 + 1.96 * 0.144), abs=0.07)
    row = rates_table([base, other], "random/s").splitlines()[-1]
    assert row.startswith("| other | 1.000 (1.000 .. 1.000) | 1.000 1.000 |") and row.endswith(
        "| 1.00 | 0.1 |"
    )
    assert "| +0.500 (+0.500 .. +0.500) |" in row and "| 1.00 | better |" in row


def test_seeds_that_were_trained_at_once_are_taken_apart():
    rows = [
        {"seconds": 6.0, "loss/kl": 0.5, "solve_rate": 0.3, "solve_rate@seed4": 0.2, "solve_rate@seed5": 0.4}
    ]
    evaluations = [record(0.5, run=f"run@seed{seed}", training_seed=seed) for seed in (4, 5)]
    chance = record(0.1, policy="random", baseline=True)
    first, second = trainings_of(range(4, 6), [*evaluations, chance], rows)
    assert first.metrics == [{"seconds": 3.0, "loss/kl": 0.5, "solve_rate": 0.2}] and first.seed == 4
    assert second.metrics[0]["solve_rate"] == 0.4 and second.evaluations == (evaluations[1], chance)
    assert trainings_of(range(1), evaluations, rows)[0].metrics == rows


def test_variations_are_read_from_the_command_line():
    assert Variation.parse("base") == Variation("base")
    both = Variation.parse("a.b-c:network=graph,ppo.mirror=0.5")
    box = Variation.parse("box:curriculum.box={gravity: [-15, 0], red_weight: [0, 1]},ppo.mirror=0.5")
    assert box.overrides == ("curriculum.box={gravity: [-15, 0], red_weight: [0, 1]}", "ppo.mirror=0.5")
    assert both == Variation("a.b-c", ("network=graph", "ppo.mirror=0.5"))
    with pytest.raises(ConfigError, match=r"a variation's name is of letters.*'size=m'"):
        Variation.parse("size=m")


def test_a_study_refuses_what_cannot_be_compared(tmp_path):
    base = Variation("base")
    with pytest.raises(ConfigError, match="at least 2 seeds, got 1"):
        VariationStudy(tmp_path, (base,), seeds=1)
    with pytest.raises(ConfigError, match="two variations are called 'base'"):
        VariationStudy(tmp_path, (base, base))
    with pytest.raises(ConfigError, match=r"evaluation\.num_levels must be at least 1, got 0"):
        VariationStudy(tmp_path, (base,), overrides=("evaluation.num_levels=0",))
    with pytest.raises(ConfigError, match="mirro"):  # before anything is trained
        VariationStudy(tmp_path, (base, Variation("typo", ("ppo.mirro=0.5",))))


def test_all_curricula_on_random_levels_are_compared_with_domain_randomization():
    names = random_level_curricula()
    assert names[0] == "domain_randomization" and len(names) == len(set(names))
    assert {"sfl", "plr", "accel", "paired", "alp_gmm"} <= set(names) and not {"levels", "again"} & set(names)


def test_curricula_get_as_many_policy_steps():
    """A call is of two updates of 2 x 64 x 512 steps; SFL attempts 512 levels 8 times in each 20th."""
    call, attempts = 2 * 2 * 64 * 512, 512 * 8 * 128
    names = ["domain_randomization", "accel", "paired", "sfl"]
    study = curricula_variations(names, ["training.total_steps=3_000_000"])
    shared, shorter = study[:2], study[2:]
    assert [each.overrides for each in shared] == [(f"curriculum={each.name}",) for each in shared]
    assert [each.overrides[1] for each in shorter] == [
        f"training.total_steps={11 * call}",  # twice as many are played; 23 calls are the budget
        f"training.total_steps={15 * call}",  # 30 updates, two of which attempt candidates
    ]
    assert 15 * call + 2 * attempts <= 23 * call < 16 * call + 2 * attempts
    with pytest.raises(ConfigError, match=r"total_steps=1 is too few for one call with curriculum=paired"):
        curricula_variations(["paired"], ["training.total_steps=1"])


def test_tables_are_markdown():
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.fixture(scope="module")
def tiny_fields(level_file):
    """Fields of a run that takes a second; its dense reward is no part of its program."""
    return [
        "env.observation_type=blind",
        "env.action_type=discrete",
        "env.max_timesteps=20",
        "env.frame_skip=2",
        "network=mlp",
        "network.width=8",
        "network.layers=1",
        "network.head_width=8",
        "ppo.minibatch_size=80",
        "curriculum=levels",
        f"curriculum.levels=[{level_file}]",
        "training.total_steps=640",
        "training.num_envs=8",
        "training.rollout_length=20",
        "training.num_rollouts=1",
        "training.num_devices=1",
        "evaluation.num_levels=4",
        "evaluation.attempts=2",
        "evaluation.every=2",
        "evaluation.every_levels=4",
        "evaluation.every_attempts=2",
    ]


@pytest.mark.slow
def test_the_command_trains_compares_and_goes_on(tmp_path, tiny_fields, capsys):
    arguments = ["benchmark", "learning", *tiny_fields, "--out", str(tmp_path), "--seeds", "2"]
    arguments += ["--try", "base", "sparse:env.dense_reward_scale=0.0"]
    main(arguments)
    printed = capsys.readouterr().out
    assert "4 of 4: sparse, seed 1" in printed
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report) == ["base", "sparse"] and report["base"]["policy_steps"] == 640
    (name,) = [each for each in report["base"]["level_sets"] if each.startswith("random/")]
    base, sparse = (report[each]["level_sets"][name] for each in ("base", "sparse"))
    assert base["difference"][0] == 0 and base["probability_of_improvement"] == 0.5
    assert sparse["difference"][0] == pytest.approx(np.mean(sparse["rates"]) - np.mean(base["rates"]))
    text = (tmp_path / "report.md").read_text()
    assert "- sparse: `env.dense_reward_scale=0.0`" in text and "| base |" in text
    pictures = ("curves.png", "taught.png", "taught_levels.png")
    assert all((tmp_path / name).stat().st_size > 10_000 for name in pictures)

    # A training that is complete is read, not run again; the stopped one would go on.
    before = (tmp_path / "runs" / "base_0" / "metrics.jsonl").stat().st_mtime_ns
    (tmp_path / "runs" / "sparse_1" / "evaluation.json").unlink()
    main(arguments)
    assert (tmp_path / "runs" / "base_0" / "metrics.jsonl").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "report.json").read_text()) == report

    # At once, each seed learns as it does alone.
    main([*arguments[:-3], "--at-once", "--try", "base", "--out", str(tmp_path / "at_once")])
    together = json.loads((tmp_path / "at_once" / "report.json").read_text())["base"]["level_sets"][name]
    assert together["rates"] == pytest.approx(base["rates"], abs=0.13)  # of 8 episodes
    assert (tmp_path / "at_once" / "taught_levels.png").stat().st_size > 10_000

    with pytest.raises(SystemExit, match="base_0: is a run with another config"):
        main([*arguments[:2], "ppo.clip_eps=0.1", *arguments[2:]])
