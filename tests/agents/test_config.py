"""Configs: what is refused, in which words, and that every file under configs/ is one."""

from __future__ import annotations

import dataclasses

import pytest
from omegaconf import OmegaConf

from agents.build import load_levels
from agents.config import ConfigError, TrainConfig, as_yaml, defaults, read_config
from agents.presets import CONFIGS, compose_config
from kinetix_py.sizes import SIZES

GROUPS = {
    group.name: sorted(file.stem for file in group.glob("*.yaml"))
    for group in CONFIGS.iterdir()
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
    config = compose_config("hardware=cpu", "network=transformer", "size=l", "env.frame_skip=4")
    assert config.network.kind == "transformer" and config.network.width == 128
    assert config.env.size == "l" and config.env.frame_skip == 4
    assert compose_config("hardware=gpu").training.num_envs == 2048


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ppo": {"clipp": 0.1}}, r"there is no 'ppo.clipp'; did you mean 'clip'\?"),
        ({"qqqq": 1}, "there is no 'qqqq': there are .*'training'"),
        ({"ppo": {"clip": "wide"}}, "ppo.clip: Value 'wide' of type 'str' could not be converted to Float"),
        ({"ppo": {"clip": -1}}, "PPOConfig.clip must be above 0, got -1"),
        ({"env": {"size": "xl"}}, "size must be one of .*, got 'xl'"),
        ({"env": {"frame_skip": 0}}, "frame_skip must be an integer of at least 1, got 0"),
        ({"training": {"num_envs": 0}}, "TrainingConfig.num_envs must be at least 1, got 0"),
        ({"training": {"rollout_length": 300}}, "at most EnvConfig.max_timesteps 256, got 300"),
        ({"training": {"num_envs": 5, "rollout_length": 5}}, "25 steps cannot be cut into 8 equal"),
        ({"curriculum": {"kind": "levels"}}, r"levels must name files for kind 'levels'.*got \[\]"),
        ({"curriculum": {"levels": ["a"]}}, r"got \['a'\] with kind 'sfl'"),
        ({"network": {"recurrent": True}}, "must agree, got True and False"),
        ({"network": {"kind": "mlp", "geometry": True}}, "geometry need one of the kinds .* got 'mlp'"),
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
        load_levels([str(bad)], SIZES["s"])
    with pytest.raises(ConfigError, match="no level files were named"):
        load_levels([], SIZES["s"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty: a folder without level files"):
        load_levels([str(tmp_path / "empty")], SIZES["s"])
