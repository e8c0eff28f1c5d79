"""Trainings of a policy on one level each, of which those of one size share a compiled program."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from omegaconf import OmegaConf

import kinetix_py as kx
from agents.build import make_trainer, num_devices
from agents.config import (
    ConfigError,
    TrainConfig,
    TrainingConfig,
    read_config,
)
from agents.curricula import FixedLevels
from agents.curricula.config import CurriculumConfig
from agents.evaluation.evaluate import evaluate
from agents.evaluation.evaluation import RunInfo
from agents.evaluation.keys import EvaluationKeys
from agents.loading import LoadedPolicy
from agents.networks.heads import scale_actor
from agents.policy import Params
from agents.presets import compose_config
from agents.training.keys import RunKeys
from kinetix_py.atomic import atomic_write

# Steps that each environment plays before the policy learns: short, for many improvements from few steps.
ROLLOUT_LENGTH = 64
# What a training begins with.
TABULA_RASA, FINE_TUNED = "tabula rasa", "fine-tuned"


class Stopped(Exception):
    """A training was asked to stop; it left nothing behind."""


def specialist_config(
    agent: TrainConfig, budget: int, num_envs: int, overrides: Sequence[str] = ()
) -> TrainConfig:
    """Makes the config of trainings on one level: the agent's network and game, and `ppo=fast`.

    An update plays whole episodes in all environments, so that its solve rate counts all of them.

    Args:
      agent: config of the agent.
      budget: environment steps of a training.
      num_envs: environments of a training.
      overrides: changes of `ppo` and `training`, such as `"ppo.learning_rate=1e-3"`.

    Raises:
      ConfigError: values that cannot be run, or an override that is no `FIELD=VALUE` of these.
    """
    limit = agent.env.max_timesteps
    length = min(ROLLOUT_LENGTH, limit)
    fast = compose_config("ppo=fast").ppo
    for text in overrides:
        if "=" not in text or not text.startswith(("ppo.", "training.")):
            raise ConfigError(f"{text}: not ppo.FIELD=VALUE or training.FIELD=VALUE")
    training = TrainingConfig(
        total_steps=budget,
        num_envs=num_envs,
        rollout_length=length,
        num_rollouts=-(-limit // length),
        updates_per_call=1,
        normalize_observations=agent.training.normalize_observations,
    )
    try:
        whole = TrainConfig(
            env=agent.env,
            network=agent.network,
            ppo=dataclasses.replace(fast, minibatch_size=min(fast.minibatch_size, num_envs * length)),
            curriculum=CurriculumConfig(kind="domain_randomization"),  # in whose place levels are given
            training=training,
        )
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None
    changes = OmegaConf.from_dotlist(list(overrides))
    return read_config(OmegaConf.merge(OmegaConf.to_container(OmegaConf.structured(whole)), changes))


@dataclasses.dataclass(frozen=True)
class LevelTraining:
    """Training of a policy on one level, and the evaluation of what came of it.

    Attributes:
      level: name of the level.
      start: what it began with, `TABULA_RASA` or `FINE_TUNED`.
      seed: seed of the training.
      steps_per_update: environment steps of an update.
      solve_rate: float `[updates]`, share of the environments that solved the level in the first episode of
        each update; 0 from where numbers were not finite any more.
      solved: bool `[attempts]`, attempts at the end.
      length: int `[attempts]`, their environment steps.
      finite: loss and parameters were finite to the end.
      seconds: duration, without compiling.
    """

    level: str
    start: str
    seed: int
    steps_per_update: int
    solve_rate: np.ndarray
    solved: np.ndarray
    length: np.ndarray
    finite: bool
    seconds: float

    @property
    def steps(self) -> np.ndarray:
        """Environment steps after each update: int `[updates]`."""
        return self.steps_per_update * np.arange(1, len(self.solve_rate) + 1)

    def as_dict(self) -> dict[str, Any]:
        """Converts to JSON's types."""
        data = dict(vars(self))
        data["solve_rate"] = [round(float(value), 6) for value in self.solve_rate]
        data |= {"solved": self.solved.astype(int).tolist(), "length": self.length.tolist()}
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LevelTraining:
        """Reads the result of `as_dict`."""
        arrays = {"solve_rate": float, "solved": bool, "length": np.int32}
        return cls(**data | {name: np.array(data[name], dtype) for name, dtype in arrays.items()})


class Specialists:
    """Trains and evaluates policies, on one level each, with one compiled program for all."""

    def __init__(
        self, agent: LoadedPolicy, config: TrainConfig, attempts: int, seed: int, actor_scale: float = 1.0
    ):
        """Prepares the program, which is compiled when it is first needed.

        Args:
          agent: agent whose parameters fine-tuning begins with.
          config: config from `specialist_config`, of the levels' size.
          attempts: attempts of the evaluation at the end.
          seed: seed of the actions in it.
          actor_scale: factor on the last layers of the agent's actor, from which fine-tuning begins.

        Raises:
          ConfigError: as `make_trainer`.
        """
        self.agent, self.config, self.attempts = agent, config, attempts
        self._actor_scale = actor_scale
        self._key = EvaluationKeys.from_seed(seed).actions
        empty = kx.stack_levels([kx.empty_level(config.env.size)])
        self.trainer = make_trainer(config, self._curriculum(empty))
        self.identity = {
            "config": RunInfo.of("", config, 0).config_id,
            "agent": f"{agent.run}, {'best ' if agent.is_best else ''}update {agent.step}, "
            f"actor times {actor_scale:g}",
            "attempts": attempts,
            "evaluation_seed": seed,
        }

    @functools.cached_property
    def program(self) -> Callable[..., Any]:
        """Compiled program of one update."""
        state = self.trainer.state_shapes()
        return self.trainer.lower(state, self.config.env.params, 1).compile()

    @property
    def num_steps(self) -> int:
        """Environment steps of one training."""
        return self.config.training.num_updates * self.config.training.steps_per_update

    def _curriculum(self, levels: kx.Level) -> FixedLevels:
        """Makes the curriculum of one device."""
        devices = num_devices(self.config)
        return FixedLevels(levels, self.config.training.num_envs // devices, devices)

    def _start(self, start: str, seed: int) -> Params:
        if start == FINE_TUNED:
            return scale_actor(self.agent.params, self._actor_scale)
        return self.trainer.policy.init(RunKeys.from_seed(seed).network)

    def train(
        self, name: str, level: kx.Level, start: str, seed: int, progress: Callable[[int], Any]
    ) -> LevelTraining:
        """Trains on one level.

        Args:
          name: name of the level.
          level: the level, without a leading axis.
          start: what to begin with, `TABULA_RASA` or `FINE_TUNED`.
          seed: seed of the training.
          progress: function that is called with the steps of each update; it may raise `Stopped`.
        """
        levels = kx.stack_levels([level])
        trainer = dataclasses.replace(self.trainer, curriculum=self._curriculum(levels))
        state = trainer.init(RunKeys.from_seed(seed).training, self._start(start, seed))
        updates, begin = self.config.training.num_updates, time.perf_counter()
        rates, finite = np.zeros(updates), True
        for update in range(updates):
            state, metrics = self.program(state, self.config.env.params)
            finite = bool(np.isfinite([metrics["loss/total"][0], metrics["loss/param_norm"][0]]).all())
            progress(trainer.steps_per_update)
            if not finite:
                break
            rates[update] = float(metrics["solve_rate"][0])
        seconds = time.perf_counter() - begin
        solved, length = np.zeros(self.attempts, bool), np.full(self.attempts, self.config.env.max_timesteps)
        if finite:
            env, game = self.config.env.make(), self.config.env.params
            result = evaluate(
                self._key,
                trainer.policy,
                state.evaluated_params,
                env,
                levels,
                game,
                attempts=self.attempts,
            )
            solved, length = result.solved[0], result.length[0]
        seconds = round(seconds, 2)
        return LevelTraining(
            name, start, seed, trainer.steps_per_update, rates, solved, length, finite, seconds
        )

    def path(self, folder: pathlib.Path, name: str, start: str, seed: int) -> pathlib.Path:
        """Returns the file of a training, in a folder of those with one config."""
        file = f"{name.replace('/', '__')}.{start.replace(' ', '_')}.seed{seed}.json"
        return folder / f"{self.config.env.size}_{self.identity['config']}" / file

    def load(self, path: pathlib.Path, checksum: float) -> LevelTraining | None:
        """Reads a training that is done; None if there is none.

        Args:
          path: file of the training.
          checksum: checksum of the level.

        Raises:
          ConfigError: it is of another agent, level or evaluation.
        """
        if not path.is_file():
            return None
        data = json.loads(path.read_text(encoding="utf-8"))
        training = LevelTraining.from_dict(data["training"])
        if not math.isclose(data["checksum"], checksum, rel_tol=1e-4, abs_tol=1e-2):
            raise ConfigError(f"{path}: is of another level of this name; choose another --out")
        for name, value in self.identity.items():
            new = name == "agent" and training.start == TABULA_RASA  # it began without the agent
            if data["of"][name] != value and not new:
                raise ConfigError(
                    f"{path}: its {name} is {data['of'][name]}, now asked for {value}; choose another --out"
                )
        return training

    def save(self, path: pathlib.Path, checksum: float, training: LevelTraining) -> None:
        """Writes a training in one move."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {"of": self.identity, "checksum": checksum, "training": training.as_dict()}
        atomic_write(path, json.dumps(data) + "\n")
