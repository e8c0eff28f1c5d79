"""Configs: what is refused, in which words, and that every file under configs/ is one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from omegaconf import OmegaConf

import kinetix_py as kx
from agents.build import make_curriculum, make_trainer
from agents.config import ConfigError, TrainConfig, TrainingConfig, as_yaml, defaults, read_config
from agents.curricula import ACCEL, PLR, SFL, MapElites, minimal_levels
from agents.curricula.scores import learnability
from agents.levels import level_files, read_levels
from agents.presets import compose_config, config_folder
from kinetix_py.chunks import suited_chunks
from kinetix_py.sizes import SIZES

GROUPS = {
    group.name: sorted(file.stem for file in group.glob("*.yaml"))
    for group in config_folder().iterdir()
    if group.is_dir()
}


def test_defaults_are_a_config():
    assert read_config({}) == TrainConfig()
    assert read_config(defaults()) == TrainConfig()


@pytest.mark.parametrize("group, choice", [(g, c) for g, choices in GROUPS.items() for c in choices])
def test_every_choice_is_a_config(group, choice):
    more = ["curriculum.levels=[some.json]"] if choice == "levels" else []
    config = compose_config(f"{group}={choice}", *more)
    assert read_config(OmegaConf.create(as_yaml(config))) == config


def test_a_choice_on_the_command_line_wins_over_the_hardware():
    config = TrainConfig.preset("gpu", "network=set_mlp", "size=l", "env.frame_skip=4")
    assert config.network.kind == "set_mlp" and config.network.width == 64
    assert config.ppo.learning_rate == 5e-4 and config.training.num_envs == 8192
    assert config.env.size == "l" and config.env.frame_skip == 4


def test_kinetix_recipe_is_a_choice_on_a_gpu():
    sizes = ("training.num_envs=2048", "training.rollout_length=256", "training.num_rollouts=1")
    recipe = ("ppo=published", "network=kinetix", "network.dtype=float32")
    config, own = TrainConfig.preset("gpu", *sizes, *recipe), TrainConfig.preset("gpu")
    assert config.network.kind == "kinetix" and config.network.dtype == "float32"
    assert config.ppo.learning_rate == 5e-5 and config.ppo.num_epochs == 8 and config.num_minibatches() == 32
    # Levels are refreshed after as many steps, and a rollout has as many.
    assert own.network.dtype == "bfloat16" and own.num_minibatches() * own.ppo.minibatch_size == 2048 * 256
    assert (
        own.curriculum.refresh_every * own.training.steps_per_update == 128 * config.training.steps_per_update
    )


def test_the_defaults_are_those_that_the_first_file_names():
    config = compose_config()
    assert config == TrainConfig.preset("cpu", "network=relational", "ppo=fast", "size=s", "curriculum=sfl")
    assert config.network.actor == "per_binding" and config.training.num_envs == 512


@pytest.mark.parametrize("hardware", GROUPS["hardware"])
def test_the_curriculum_of_every_preset_can_tell_levels_apart(hardware):
    """A level that is attempted once is solved always or never: its learnability is 0 whatever it is."""
    config = TrainConfig.preset(hardware)
    rates = np.arange(config.curriculum.attempts + 1) / config.curriculum.attempts
    assert config.curriculum.kind == "sfl" and learnability(rates).max() > 0
    curriculum = make_curriculum(
        dataclasses.replace(config, training=TrainingConfig(rollout_length=64)), config.env.make()
    )
    assert curriculum.num_steps == config.env.max_timesteps  # no solution is missed
    assert curriculum.candidates_at_once * config.curriculum.attempts <= suited_chunks().attempted


def test_curricula_have_the_numbers_of_their_files_and_of_one_device():
    """The hardware's numbers are SFL's; a curriculum that is chosen has its own."""
    make = lambda *overrides: make_curriculum(
        config := TrainConfig.preset("cpu", *overrides, "training.num_devices=2"), config.env.make()
    )
    sfl, plr = make(), make("curriculum=plr", "curriculum.score=l1_value_loss")
    assert (
        type(sfl) is SFL
        and sfl.buffer_size == 512
        and sfl.score == "learnability"
        and sfl.num_replayed == 192
    )
    assert type(plr) is PLR and plr.buffer_size == 2000 and plr.score == "l1_value_loss" and plr.learn_fresh
    robust = make("curriculum=robust_plr")
    assert robust == dataclasses.replace(plr, score="max_mc", learn_fresh=False)
    accel = make("curriculum=accel", "curriculum.start=minimal")
    assert type(accel) is ACCEL and accel.generator == minimal_levels() and accel.num_edits == 5
    assert (accel.num_fresh, accel.num_edited, accel.num_replayed) == (85, 84, 87)
    elites = make("curriculum=map_elites")
    assert type(elites) is MapElites and elites.buffer_size == 5 * 4 * 3 * 5 * 4
    assert elites == MapElites(
        elites.env, elites.env_params, 256, buffer_share=0.34, edited_share=0.33, history_decay=0.9
    )
    assert make("curriculum=map_elites", "curriculum.bins={shapes: 3}").bins[0] == ("shapes", 3)
    assert sfl.generator == kx.GeneratorParams()
    walking = make("curriculum.distributions=[locomotion]")
    assert walking == dataclasses.replace(sfl, generator=kx.LocomotionParams())
    names, weights = "curriculum.distributions=[random,locomotion]", "curriculum.weights=[3,1]"
    mixed = make("curriculum=domain_randomization", names, weights)
    parts = kx.GeneratorParams(), kx.LocomotionParams()
    assert mixed.generator == kx.LevelMixture(parts, (3.0, 1.0))
    sizes = make("curriculum.box={max_shapes: [3, 6]}")
    assert sizes == dataclasses.replace(
        sfl, generator=kx.BoxLevels(kx.GeneratorBox(("max_shapes",), (3,), (6,)))
    )


def test_the_learning_rate_falls_over_the_gradients_that_there_are(monkeypatch):
    """Half of the levels of robust PLR are not learnt from, and are in no minibatch."""
    counts = []
    monkeypatch.setattr("agents.build.make_optimizer", lambda config, count: counts.append(count))
    for choice in ("plr", "robust_plr"):
        make_trainer(TrainConfig.preset("cpu", f"curriculum={choice}", "training.num_devices=1"))
    assert counts[0] == 2 * counts[1]


@pytest.mark.parametrize("hardware", GROUPS["hardware"])
def test_every_preset_plays_whole_episodes(hardware):
    config = TrainConfig.preset(hardware)
    assert config.training.rollout_length * config.training.num_rollouts >= config.env.max_timesteps


@pytest.mark.parametrize(
    ("hardware", "overrides", "message"),
    [
        ("tpu", (), "tpu"),
        ("cpu", ("netwrok=mlp",), "netwrok"),
        ("cpu", ("training.sed=1",), "training.sed|sed"),
        ("cpu", ("training.num_envs=0",), "num_envs must be at least 1, got 0"),
    ],
)
def test_presets_refuse_unknown_names(hardware, overrides, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig.preset(hardware, *overrides)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ppo": {"clip_esp": 0.1}}, r"there is no 'ppo.clip_esp'; did you mean 'clip_eps'\?"),
        ({"qqqq": 1}, "there is no 'qqqq': there are .*'training'"),
        (
            {"ppo": {"clip_eps": "wide"}},
            "ppo.clip_eps: Value 'wide' of type 'str' could not be converted to Float",
        ),
        ({"ppo": {"clip_eps": -1}}, "PPOConfig.clip_eps must be above 0, got -1"),
        (
            {"ppo": {"entropy_coef": float("nan")}},
            "PPOConfig.entropy_coef must be finite and at least 0, got nan",
        ),
        ({"ppo": {"value_coef": -0.5}}, "PPOConfig.value_coef must be finite and at least 0, got -0.5"),
        (
            {"curriculum": {"kind": "paired", "num_tasks": 10}, "training": {"num_devices": 4}},
            "curriculum.num_tasks must be a multiple of training.num_devices, 4, got 10",
        ),
        ({"env": {"size": "xl"}}, "size must be one of .*, got 'xl'"),
        ({"env": {"frame_skip": 0}}, "frame_skip must be an integer of at least 1, got 0"),
        ({"training": {"num_envs": 0}}, "TrainingConfig.num_envs must be at least 1, got 0"),
        ({"training": {"rollout_length": 300}}, "at most EnvConfig.max_timesteps 256, got 300"),
        ({"training": {"num_envs": 5, "rollout_length": 5}}, "minibatch_size must divide the 25 steps"),
        ({"curriculum": {"attempts": 1}}, "CurriculumConfig.attempts must be at least 2, got 1"),
        (
            {"training": {"num_devices": 3}},
            "num_envs must be a multiple of .*num_devices, 3, got 2048",
        ),
        ({"curriculum": {"kind": "levels"}}, r"levels must name files for kind 'levels'.*got \[\]"),
        ({"curriculum": {"levels": ["a"]}}, r"got \['a'\] with kind 'sfl'"),
        (
            {"network": {"recurrent": True}, "training": {"num_envs": 6}},
            "minibatch_size must divide",
        ),
        (
            {"network": {"kind": "mlp", "relative_features": True}},
            "relative_features need one of the kinds .* got 'mlp'",
        ),
        (
            {"curriculum": {"distributions": ["maze"]}},
            r"distributions must be some of \('random', .*, got \['maze'\]",
        ),
        ({"curriculum": {"weights": [0.0]}}, r"weights must be 1 numbers above 0, got \[0.0\]"),
        (
            {"curriculum": {"distributions": ["locomotion"], "start": "minimal"}},
            r"start='minimal' is for random levels alone, got \['locomotion'\]",
        ),
        (
            {"curriculum": {"kind": "accel", "start": "minimal", "box": {"gravity": [-15, 0]}}},
            r"box must be null for kind 'levels' and for start 'minimal', got {'gravity': \[-15, 0\]}",
        ),
        ({"evaluation": {"attempts": 0}}, "EvaluationConfig.attempts must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(given, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(given)
    assert "\n" not in str(caught.value)


def test_a_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().init_from = "x"


def test_levels_are_named_when_they_cannot_be_read(tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    with pytest.raises(ConfigError, match=r"bad\.json"):
        read_levels([str(bad)], SIZES["s"])
    with pytest.raises(ConfigError, match="no level files were named"):
        read_levels([], SIZES["s"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty: a folder without level files"):
        level_files([str(tmp_path / "empty")])
