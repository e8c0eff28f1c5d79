"""Trained policies, loaded from the checkpoints of runs."""

from __future__ import annotations

import dataclasses
import pathlib

import jax

import kinetix_py as kx
from agents.build import make_policy
from agents.config import TrainConfig
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
    """

    policy: Policy
    params: Params
    config: TrainConfig
    run: pathlib.Path
    step: int

    @property
    def name(self) -> str:
        """Run and checkpoint, for people."""
        return f"{self.run.name}, update {self.step}"

    @property
    def env(self) -> kx.Environment:
        """Environment of the run, without auto-reset."""
        return self.config.env.make()

    @property
    def env_params(self) -> kx.EnvParams:
        """Numbers of the game that the policy was trained in."""
        return self.config.env.params


def load_policy(path: str | pathlib.Path, size: str | None = None) -> LoadedPolicy:
    """Loads a trained policy.

    Args:
      path: run folder (its newest checkpoint) or one checkpoint in it.
      size: size of the levels it is to play, `"s"`, `"m"` or `"l"`; that of the run if None.

    Raises:
      ConfigError: the path names no run, or one whose network cannot play this size.
      CheckpointError: there is no such checkpoint, or its parameters do not fit.
    """
    run, step = find_checkpoint(path)
    config = run.config()
    if size is not None:
        config = dataclasses.replace(config, env=dataclasses.replace(config.env, size=size))
    policy = make_policy(config)
    with open_checkpoints(run) as checkpoints:
        step = checkpoints.latest if step is None else step
        params = checkpoints.restore_params(jax.eval_shape(policy.init, jax.random.key(0)), step)
    return LoadedPolicy(policy, params, config, run.path.resolve(), step)
