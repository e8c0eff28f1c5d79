"""Programs planned for devices, most of which are not there: those tests need JAX's plugins."""

from __future__ import annotations

import importlib.util
import json

import pytest

from agents.cli.main import main
from agents.plan.targets import GPUS, PLUGINS


def planned(capsys, *arguments):
    """Report of the command."""
    main(["plan", *arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_engine_is_planned_on_a_cpu(compiled_fast, capsys):
    report = planned(
        capsys, "part=engine", "steps=3", "target=cpu", "training.num_envs=64", "training.num_devices=1"
    )
    assert report["steps"] == 3 * 64 and report["fits"] is None and set(report["parts"]) >= {"engine"}
    total = sum(cost["seconds"] for cost in report["operations"])
    assert report["model_steps_per_second"] == pytest.approx(report["steps"] / total, rel=1e-3)
    # A step reads and writes the state at least; actions are an argument, the states one and the result.
    states = report["result_bytes"]
    assert 0 < states < report["argument_bytes"] and report["bytes_per_step"] > 2 * states / 64


def has_plugin(platform):
    return any(map(importlib.util.find_spec, PLUGINS[platform][0]))


TARGETS = [
    pytest.param("cpu"),
    pytest.param("h100", marks=pytest.mark.skipif(not has_plugin("cuda"), reason="jax[cuda13] is missing")),
    pytest.param("v5e:2x2", marks=pytest.mark.skipif(not has_plugin("tpu"), reason="jax[tpu] is missing")),
]


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_engine_and_training_are_planned(target, capsys):
    engine = planned(capsys, "part=engine", f"target={target}", "training.num_envs=1024")
    assert engine["model_steps_per_second"] > 0 and engine["loops_of_unknown_length"] == 0
    size = ("training.num_envs=64", "training.rollout_length=64", "training.num_rollouts=4")
    size += ("ppo.minibatch_size=1024",)
    levels = ("curriculum.num_candidates=64", "curriculum.buffer_size=32", "curriculum.attempts=2")
    training = planned(capsys, f"target={target}", *size, *levels)
    assert {"levels", "play / env", "play / network", "learn"} <= set(training["parts"])
    assert training["parts"]["levels"]["conditional"] > 0  # SFL refreshes its buffer in some updates
    assert training["steps"] == 64 * 64 * 4 // training["devices"]
    if target != "cpu":
        assert training["fits"] is True and training["target_bytes"] > 10**10


@pytest.mark.slow
@pytest.mark.skipif(not has_plugin("cuda"), reason="jax[cuda13] is missing")
@pytest.mark.parametrize("name", GPUS)
def test_every_gpu_is_described_so_that_xla_compiles_for_it(name, capsys):
    report = planned(capsys, "part=engine", f"target={name}", "training.num_envs=64")
    assert report["fits"] is True and report["kernels"] > 100


# The recipe of Kinetix's sizes with hardware=gpu, in one minibatch.
RECIPE = (
    "hardware=gpu",
    "ppo=published",
    "network=transformer",
    "training.num_envs=256",
    "training.num_rollouts=1",
)


@pytest.mark.slow
@pytest.mark.skipif(not has_plugin("cuda"), reason="jax[cuda13] is missing")
def test_learning_by_the_published_recipe_moves_half_of_what_plain_layers_move(capsys):
    """Plain layers in float32 move 18.3 MB a step in 8 epochs, plain ones in bfloat16 9.6."""
    report = planned(capsys, "size=s", "target=h100", *RECIPE)
    assert report["steps"] == 16_384
    assert report["parts"]["learn"]["moved"] / report["steps"] < 9e6


@pytest.mark.slow
@pytest.mark.skipif(not has_plugin("cuda"), reason="jax[cuda13] is missing")
@pytest.mark.parametrize(("size", "least"), [("s", 500_000), ("m", 350_000), ("l", 200_000)])
def test_the_preset_for_a_gpu_is_fast_by_the_model_and_fits(size, least, capsys):
    report = planned(capsys, f"size={size}", "target=h100", "hardware=gpu")
    assert report["fits"] is True and report["model_steps_per_second"] >= least
