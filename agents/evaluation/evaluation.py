"""Record of the solve rates of a policy on a set of levels, as it is written and read."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

import kinetix_py as kx
from agents.config import ConfigError, TrainConfig, as_yaml
from agents.evaluation.intervals import attempt_interval, level_interval, worst_share_rate
from agents.levels import LevelSetInfo
from kinetix_py.atomic import atomic_write

FILE = "evaluation.json"
# Share of the levels whose mean solve rate is told beside that of all.
WORST_SHARE = 0.1

IntervalKind = Literal["levels", "attempts", "exact"]


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Physics and numbers of the game under which a rate was measured.

    Attributes:
      contact_order, solver_iterations, warm_start, frame_skip: fields of `kinetix_py.Environment`.
      action_type: likewise; it is what random actions are drawn from.
      max_timesteps: environment steps after which an episode counts as unsolved.
      physics: fields of `jax2d.SimParams`, by name.
    """

    contact_order: str
    solver_iterations: int
    warm_start: bool
    frame_skip: int
    action_type: str
    max_timesteps: int
    physics: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, env: kx.Environment, params: kx.EnvParams) -> Conditions:
        """Reads the conditions of an environment and its numbers."""
        names = [field.name for field in dataclasses.fields(params.sim)]
        return cls(
            contact_order=env.contact_order,
            solver_iterations=env.solver_iterations,
            warm_start=env.warm_start,
            frame_skip=env.frame_skip,
            action_type=env.action_type,
            max_timesteps=int(params.max_timesteps),
            physics=tuple((name, float(getattr(params.sim, name))) for name in names),
        )

    def __str__(self) -> str:
        """Names the conditions that differ between studies, for tables."""
        return (
            f"contact_order={self.contact_order}, solver_iterations={self.solver_iterations}, "
            f"frame_skip={self.frame_skip}, at most {self.max_timesteps} steps, {self.action_type} actions"
        )


@dataclasses.dataclass(frozen=True)
class RunInfo:
    """The training run that a policy comes from.

    Attributes:
      name: name of the run; empty if there is none.
      update: number of updates of the checkpoint.
      training_seed: seed of the run.
      config_id: a text that is equal for runs whose configs differ in nothing but seed, devices and output.
    """

    name: str = ""
    update: int | None = None
    training_seed: int | None = None
    config_id: str = ""

    @classmethod
    def of(cls, name: str, config: TrainConfig, update: int) -> RunInfo:
        """Describes a checkpoint of a run."""
        default = TrainConfig()
        names = ("seed", "num_seeds", "num_devices", "distributed")
        usual = {name: getattr(default.training, name) for name in names}
        training = dataclasses.replace(config.training, **usual)
        same = dataclasses.replace(
            config, training=training, output=default.output, evaluation=default.evaluation
        )
        digest = hashlib.sha256(as_yaml(same).encode()).hexdigest()[:12]
        return cls(name, update, config.training.seed, digest)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Results of one policy on one set of levels.

    Attributes:
      policy: name of the policy, such as "agent" or "random".
      levels: description of the set of levels.
      solved: bool `[L, attempts]`.
      length: int `[L, attempts]`, environment steps until the end of each episode.
      conditions: physics and numbers of the game.
      run: run that trained the policy.
      deterministic: nothing was random, so that one attempt at each level tells all.
      baseline: the policy is one that agents are compared with, and learned nothing.
    """

    policy: str
    levels: LevelSetInfo
    solved: np.ndarray
    length: np.ndarray
    conditions: Conditions
    run: RunInfo = RunInfo()
    deterministic: bool = False
    baseline: bool = False

    @property
    def label(self) -> str:
        """Run and policy, for tables and pictures."""
        return f"{self.run.name} ({self.policy})" if self.run.name else self.policy

    @property
    def level_set(self) -> str:
        """Name of the set of levels."""
        return self.levels.name

    @property
    def num_levels(self) -> int:
        """Number of levels."""
        return self.solved.shape[0]

    @property
    def attempts(self) -> int:
        """Episodes of each level."""
        return self.solved.shape[1]

    @property
    def level_rates(self) -> np.ndarray:
        """Share of attempts that solved each level: `[L]`."""
        return self.solved.mean(axis=1)

    @property
    def solve_rate(self) -> float:
        """Mean over the levels."""
        return float(self.solved.mean())

    @property
    def worst_rate(self) -> float:
        """Mean over the worst tenth of the levels, as in `worst_share_rate`."""
        return worst_share_rate(self.solved, WORST_SHARE)

    @functools.cached_property
    def attempt_interval(self) -> tuple[float, float]:
        """95 % interval of the solve rate on these levels: only the attempts are random."""
        if self.deterministic:
            return self.solve_rate, self.solve_rate
        return attempt_interval(self.solved)

    @functools.cached_property
    def level_interval(self) -> tuple[float, float]:
        """95 % interval of the solve rate on the distribution of the levels, which are a sample of it.

        It is at least as wide as that over attempts, also where all levels of the sample happen to be alike.
        """
        low, high = level_interval(self.solved)
        return min(low, self.attempt_interval[0]), max(high, self.attempt_interval[1])

    @property
    def interval_kind(self) -> IntervalKind:
        """Source of chance in `interval`: `"levels"`, `"attempts"`, or nothing: `"exact"`."""
        if self.levels.is_random:
            return "levels"
        return "exact" if self.deterministic else "attempts"

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval: `level_interval` of random levels, `attempt_interval` of given ones."""
        return self.level_interval if self.levels.is_random else self.attempt_interval

    def as_dict(self) -> dict[str, Any]:
        """Converts to JSON's types; `from_dict` reads all but what follows from it back."""
        info = self.levels
        columns = zip(info.level_names, info.trained_on, info.siblings, info.checksums, strict=True)
        levels = [
            {
                "level": name,
                "trained_on": trained,
                "sibling": sibling,
                "checksum": checksum,
                "attempts": len(solved),
                "successes": int(solved.sum()),
                "solved": solved.astype(int).tolist(),
                "length": length.tolist(),
            }
            for (name, trained, sibling, checksum), solved, length in zip(
                columns, self.solved, self.length, strict=True
            )
        ]
        return {
            "run": dataclasses.asdict(self.run),
            "policy": self.policy,
            "baseline": self.baseline,
            "deterministic": self.deterministic,
            "level_set": info.name,
            "level_seed": info.seed,
            "conditions": dataclasses.asdict(self.conditions) | {"physics": dict(self.conditions.physics)},
            "solve_rate": self.solve_rate,
            "attempt_interval_95": list(self.attempt_interval),
            "level_interval_95": list(self.level_interval),
            "worst_tenth": self.worst_rate,
            "levels": levels,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """Reads the result of `as_dict`.

        Raises:
          KeyError, TypeError, ValueError: it is none.
        """
        rows, seed = data["levels"], data["level_seed"]
        conditions = dict(data["conditions"])
        physics = tuple((str(name), float(value)) for name, value in conditions.pop("physics").items())
        return cls(
            policy=str(data["policy"]),
            levels=LevelSetInfo(
                name=str(data["level_set"]),
                level_names=tuple(str(row["level"]) for row in rows),
                checksums=tuple(float(row["checksum"]) for row in rows),
                trained_on=tuple(bool(row["trained_on"]) for row in rows),
                siblings=tuple(bool(row["sibling"]) for row in rows),
                seed=None if seed is None else int(seed),
            ),
            solved=np.array([row["solved"] for row in rows], bool),
            length=np.array([row["length"] for row in rows], np.int32),
            conditions=Conditions(physics=physics, **conditions),
            run=RunInfo(**data["run"]),
            deterministic=bool(data["deterministic"]),
            baseline=bool(data["baseline"]),
        )


def write_evaluations(path: pathlib.Path, evaluations: Sequence[Evaluation]) -> None:
    """Writes records to a JSON file, a line for each level."""
    rows = []
    for data in (evaluation.as_dict() for evaluation in evaluations):
        levels = ",\n".join(f"   {json.dumps(level)}" for level in data.pop("levels"))
        head = json.dumps(data)[1:-1]
        rows.append(f' {{{head},\n  "levels": [\n{levels}\n  ]}}')
    atomic_write(path, "[\n" + ",\n".join(rows) + "\n]\n")


def read_evaluations(path: pathlib.Path) -> list[Evaluation]:
    """Reads the records of a file, or those of a run folder.

    Args:
      path: a file that `write_evaluations` wrote; or a run folder, of which the evaluation of
        `kinetix evaluate` is read, or else the one at the end of training.

    Raises:
      ConfigError: there is no such file, or it holds something else.
    """
    files = [path / "evaluation" / FILE, path / FILE] if path.is_dir() else [path]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise ConfigError(f"{path}: no {FILE}; `kinetix evaluate` writes one")
    try:
        found = [Evaluation.from_dict(data) for data in json.loads(file.read_text(encoding="utf-8"))]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: not an evaluation that kinetix wrote: {error!r}") from None
    if not found:
        raise ConfigError(f"{file}: holds no evaluation")
    return found
