"""Configs by the names of the files under `configs/`, for Hydra and for other programs."""

from __future__ import annotations

import pathlib

from agents.config import ConfigError, TrainConfig, defaults, read_config


def config_folder() -> pathlib.Path:
    """Finds the folder of configs: in the installed package, or at the root of the checkout.

    Raises:
      ConfigError: there is neither.
    """
    package = pathlib.Path(__file__).resolve().parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"{package}: was installed without its folder of configs")


def register_defaults() -> None:
    """Gives every field a value before `configs/` changes some, so that any can be set by its name."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store("defaults", defaults())


def compose_config(*overrides: str) -> TrainConfig:
    """Makes a config of overrides, as `kinetix train` does of its arguments.

    Args:
      overrides: choices and fields, such as `"size=m"`, `"training.seed=1"`.

    Raises:
      ConfigError: an unknown name, or values that cannot be run.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    register_defaults()
    try:
        with initialize_config_dir(str(config_folder()), version_base=None):
            return read_config(compose("train", list(overrides)))
    except HydraException as error:
        raise ConfigError(f"config: {error}") from None
