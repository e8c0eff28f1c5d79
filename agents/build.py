"""From a config to the parts of a run: policy, curriculum, trainer."""

from __future__ import annotations

import kinetix_py as kx
from agents.config import ConfigError, TrainConfig
from agents.curricula import SFL, Curriculum, DomainRandomization, FixedLevels
from agents.levels import read_levels, training_files
from agents.networks.factory import make_network
from agents.networks.normalize import NormalizedPolicy
from agents.policy import Policy
from agents.ppo.ppo import make_optimizer
from agents.training.trainer import Trainer


def make_policy(config: TrainConfig) -> Policy:
    """Makes the network that a config describes, with normalized observations if it says so.

    Raises:
      ConfigError: the network cannot read the observations.
    """
    try:
        network = make_network(config.network, config.env.make())
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None
    return NormalizedPolicy(network) if config.training.normalize_observations else network


def make_curriculum(config: TrainConfig, env: kx.Environment) -> Curriculum:
    """Makes the curriculum that a config describes.

    Raises:
      ConfigError: levels that cannot be read, or numbers that do not fit together.
    """
    chosen, num_envs = config.curriculum, config.training.num_envs
    try:
        if chosen.kind == "domain_randomization":
            return DomainRandomization(env, config.env.params, num_envs)
        if chosen.kind == "levels":
            return FixedLevels(read_levels(training_files(chosen.levels), env.size), num_envs)
        return SFL(
            env,
            config.env.params,
            num_envs,
            num_candidates=chosen.num_candidates,
            attempts=chosen.attempts,
            buffer_size=chosen.buffer_size,
            num_steps=config.training.rollout_length,
            refresh_every=chosen.refresh_every,
            buffer_share=chosen.buffer_share,
        )
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None


def make_trainer(config: TrainConfig) -> Trainer:
    """Makes the training program that a config describes.

    Raises:
      ConfigError: as `make_policy` and `make_curriculum`.
    """
    env = config.env.make(auto_reset=True)
    return Trainer(
        env=env,
        policy=make_policy(config),
        curriculum=make_curriculum(config, env),
        optimizer=make_optimizer(config.ppo, config.training.num_updates),
        ppo=config.ppo,
        num_envs=config.training.num_envs,
        rollout_length=config.training.rollout_length,
    )
