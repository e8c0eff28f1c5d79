"""Configs by the names of `configs/`, for Hydra and for programs that are not started by it."""

from __future__ import annotations

import pathlib

from agents.config import TrainConfig, defaults, read_config

_PACKAGED = pathlib.Path(__file__).resolve().parent / "configs"
# In a checkout, the folder lies beside the packages.
CONFIGS = _PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parent.parent / "configs"


def register_defaults() -> None:
    """Gives every field a value before `configs/` changes some, so that any can be set by its name."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store("defaults", defaults())


def compose_config(*overrides: str) -> TrainConfig:
    """Returns the config that `kinetix train` makes of its arguments.

    Raises:
      ConfigError, or Hydra's own errors: an argument is wrong.
    """
    from hydra import compose, initialize_config_dir

    register_defaults()
    with initialize_config_dir(str(CONFIGS), version_base=None):
        return read_config(compose("train", list(overrides)))
