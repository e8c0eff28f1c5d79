"""Trained policies, loaded from the checkpoints of runs."""

from __future__ import annotations

import dataclasses
import pathlib
import warnings
from typing import Any

import jax

import kinetix_py as kx
from agents.build import make_policy
from agents.config import ConfigError, TrainConfig
from agents.io.run_folder import find_checkpoint, open_checkpoints
from agents.policy import Params, Policy


@dataclasses.dataclass(frozen=True)
class LoadedPolicy:
    """A trained policy, ready to act.

    Attributes:
      policy, params: policy and its parameters.
      config: config of the run that trained it; `env.size` is the size asked for.
      run: path of the run folder.
      step: number of updates of the checkpoint.
      is_best: it is the best checkpoint by the evaluation during training.
    """

    policy: Policy
    params: Params
    config: TrainConfig
    run: pathlib.Path
    step: int
    is_best: bool = False

    @property
    def name(self) -> str:
        """Run and checkpoint, for people."""
        return f"{self.run.name}, {'best, ' if self.is_best else ''}update {self.step}"

    @property
    def env(self) -> kx.Environment:
        """Environment of the run, without auto-reset."""
        return self.config.env.make()

    @property
    def env_params(self) -> kx.EnvParams:
        """Numbers of the game that the policy was trained in."""
        return self.config.env.params


def load_policy(
    path: str | pathlib.Path, size: str | None = None, *, contact_order: str | None = None
) -> LoadedPolicy:
    """Loads a trained policy.

    Args:
      path: run folder (its newest checkpoint), `RUN@best` (the best one by the evaluation during training),
        or one checkpoint.
      size: size of the levels it is to play, `"s"`, `"m"` or `"l"`; that of the run if None.
      contact_order: order of contacts it is to play under, as in `kinetix_py.Environment`; that of the run if
        None.

    Raises:
      ConfigError: the path names no run, or one whose network cannot play this size, or an unknown contact
        order.
      CheckpointError: there is no such checkpoint, or its parameters do not fit.
    """
    run, step, is_best = find_checkpoint(path)
    config = run.config()
    changes: dict[str, Any] = {"size": size, "contact_order": contact_order}
    try:
        env = dataclasses.replace(config.env, **{k: v for k, v in changes.items() if v is not None})
    except ValueError as error:
        raise ConfigError(str(error)) from None
    config = dataclasses.replace(config, env=env)
    policy = make_policy(config)
    with open_checkpoints(run, is_best) as checkpoints:
        step = checkpoints.latest if step is None else step
        params = checkpoints.restore_params(jax.eval_shape(policy.init, jax.random.key(0)), step)
    return LoadedPolicy(policy, params, config, run.path.resolve(), step, is_best)


def levels_trained_on(config: TrainConfig) -> list[str]:
    """Lists the paths of the levels that a run was trained on, and the runs that it started from.

    Args:
      config: config of the run.

    Returns:
      paths as in `CurriculumConfig.levels`. A run that `init_from` names and that is gone adds nothing, of
      which a warning tells.
    """
    paths = list(config.curriculum.levels)
    if config.init_from is None:
        return paths
    try:
        parent = find_checkpoint(config.init_from).run.config()
    except ConfigError as error:
        warnings.warn(f"levels that it was trained on are not marked: {error}", stacklevel=2)
        return paths
    return [*paths, *levels_trained_on(parent)]
