"""From a config to what a run is made of."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import jax

import kinetix_py as kx
from agents.config import ConfigError, TrainConfig
from agents.curricula import SFL, Curriculum, DomainRandomization, FixedLevels
from agents.networks.factory import Network, make_network
from agents.ppo.normalize import NormalizedPolicy
from agents.ppo.update import make_optimizer
from agents.training.judge import LevelSet
from agents.training.update import Trainer
from kinetix_py.levels.library.sets import HELD_OUT, PREFIX, find_level_files, is_held_out


def training_files(paths: Sequence[str]) -> list[str]:
    """As `level_files`, for training.

    Raises:
      ConfigError: a level that the library holds out.
    """
    files = level_files(paths)
    kept = sorted({pathlib.Path(file).stem for file in files if is_held_out(file)})
    if kept:
        raise ConfigError(f"{', '.join(kept)}: held out by the library ({HELD_OUT}), so not to be trained on")
    return files


def level_files(paths: Sequence[str]) -> list[str]:
    """As `find_level_files`, with the errors of a config.

    Raises:
      ConfigError: a folder without level files, or an unknown set.
    """
    try:
        return find_level_files(paths)
    except kx.LevelError as error:
        raise ConfigError(str(error)) from None


def load_levels(paths: Sequence[str], size: kx.LevelSize) -> tuple[list[str], kx.Level]:
    """Reads level files and pads them to a size.

    Args:
      paths: files, folders, or names of the library or its sets; at least one.

    Returns:
      a name for each level, and the levels with a leading axis.

    Raises:
      ConfigError: a file that cannot be read or does not fit, or no file.
    """
    files = level_files(paths)
    if not files:
        raise ConfigError("no level files were named")
    levels = []
    for file in files:
        try:
            levels.append(kx.pad_level(kx.load_level(file), size))
        except ValueError as error:
            text = str(error)
            raise ConfigError(text if file in text else f"{file}: {text}") from None
    return [pathlib.Path(file).stem for file in files], kx.stack_levels(levels)


def given_sets(paths: Sequence[str], size: kx.LevelSize) -> list[LevelSet]:
    """What a policy is to be judged on: each set of the library by itself, all other levels together.

    Raises:
      ConfigError: as `load_levels`.
    """
    named = [path for path in paths if path.startswith(PREFIX)]
    rest = [path for path in paths if not path.startswith(PREFIX)]
    groups = [(name, [name]) for name in dict.fromkeys(named)] + ([("given levels", rest)] if rest else [])
    loaded = [(name, *load_levels(group, size)) for name, group in groups]
    return [LevelSet(name, tuple(names), levels) for name, names, levels in loaded]


def make_policy(config: TrainConfig) -> tuple[Network, NormalizedPolicy | None]:
    """The network, and its wrapper if observations are normalized."""
    try:
        network = make_network(config.network, config.env.make())
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None
    return network, NormalizedPolicy(network) if config.training.normalize_observations else None


def make_curriculum(config: TrainConfig, env: kx.Environment, network: Network) -> Curriculum:
    """The curriculum that a config describes."""
    chosen, num_envs = config.curriculum, config.training.num_envs
    if chosen.kind == "domain_randomization":
        return DomainRandomization(env.size, num_envs)
    if chosen.kind == "levels":
        return FixedLevels(load_levels(training_files(chosen.levels), env.size)[1], num_envs)
    return SFL(
        env,
        config.env.params,
        num_envs,
        network.initial_carry,
        num_candidates=chosen.num_candidates,
        attempts=chosen.attempts,
        buffer_size=chosen.buffer_size,
        num_steps=config.training.rollout_length,
        refresh_every=chosen.refresh_every,
        buffer_share=chosen.buffer_share,
    )


def make_trainer(config: TrainConfig) -> Trainer:
    """The training program that a config describes.

    Raises:
      ConfigError: levels that cannot be read, a network that cannot read the observations, or numbers of
        the curriculum that do not fit together.
    """
    env = config.env.make(auto_reset=True)
    network, normalized = make_policy(config)
    try:
        curriculum = make_curriculum(config, env, network)
    except ValueError as error:
        raise error if isinstance(error, ConfigError) else ConfigError(f"config: {error}") from None
    return Trainer(
        env=env,
        policy=network.apply if normalized is None else normalized,
        curriculum=curriculum,
        optimizer=make_optimizer(config.ppo, config.training.num_updates),
        ppo=config.ppo,
        num_envs=config.training.num_envs,
        rollout_length=config.training.rollout_length,
        initial_carry=network.initial_carry,
    )


def initial_params(config: TrainConfig, key: jax.Array):
    """Parameters of a run that starts anew: what `Trainer.policy` takes."""
    network, normalized = make_policy(config)
    return network.init(key) if normalized is None else normalized.init(key)
