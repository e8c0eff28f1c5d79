"""Solve rates of a policy on a set of levels: measured, written and read as one record."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

import kinetix_py as kx
from agents.config import ConfigError
from agents.evaluation.episodes import attempt_levels
from agents.levels import LevelSet
from agents.policy import Params, Policy
from kinetix_py.atomic import atomic_write

# Largest number of episodes that are played in one call, which bounds memory.
EPISODES_PER_CALL = 4096
FILE = "evaluation.json"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Results of one policy on one set of levels.

    Attributes:
      policy: name of the policy, such as "agent" or "random".
      level_set: name of the set.
      level_names: one for each level.
      solved: bool `[L, attempts]`.
      length: int `[L, attempts]`, environment steps until the end of each episode.
      trained_on: one for each level, True if the policy was trained on it.
      run: name of the run that trained the policy; empty if there is none.
    """

    policy: str
    level_set: str
    level_names: tuple[str, ...]
    solved: np.ndarray
    length: np.ndarray
    trained_on: tuple[bool, ...]
    run: str = ""

    @property
    def label(self) -> str:
        """Run and policy, for tables and pictures."""
        return f"{self.run} ({self.policy})" if self.run else self.policy

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
    def interval(self) -> tuple[float, float]:
        """95 % interval of the solve rate, as in `mean_with_interval`."""
        _, low, high = mean_with_interval(self.solved)
        return low, high

    def as_dict(self) -> dict[str, Any]:
        """Converts to JSON's types; `from_dict` reads all but the derived rates back."""
        levels = [
            {
                "level": name,
                "trained_on": trained,
                "attempts": len(solved),
                "successes": int(solved.sum()),
                "solved": solved.astype(int).tolist(),
                "length": length.tolist(),
            }
            for name, trained, solved, length in zip(
                self.level_names, self.trained_on, self.solved, self.length, strict=True
            )
        ]
        return {
            "run": self.run,
            "policy": self.policy,
            "level_set": self.level_set,
            "solve_rate": self.solve_rate,
            "interval_95": list(self.interval),
            "levels": levels,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """Reads the result of `as_dict`.

        Raises:
          KeyError, TypeError, ValueError: it is none.
        """
        levels = data["levels"]
        return cls(
            policy=str(data["policy"]),
            level_set=str(data["level_set"]),
            level_names=tuple(str(level["level"]) for level in levels),
            solved=np.array([level["solved"] for level in levels], bool),
            length=np.array([level["length"] for level in levels], np.int32),
            trained_on=tuple(bool(level["trained_on"]) for level in levels),
            run=str(data["run"]),
        )


def evaluate(
    key: jax.Array,
    policy: Policy,
    params: Params,
    env: kx.Environment,
    levels: LevelSet | kx.Level,
    env_params: kx.EnvParams | None = None,
    *,
    attempts: int = 20,
    policy_name: str = "agent",
    run: str = "",
    progress: Callable[[int], Any] | None = None,
) -> Evaluation:
    """Attempts every level of a set; large sets in several calls of one compiled program.

    Args:
      key: random key of the actions; policies that are given the same one see the same random numbers.
      policy, params: policy that acts; actions are sampled, as in training.
      env: environment without auto-reset.
      levels: set of levels, or a batch of them, of the environment's size.
      env_params: numbers of the game; an episode that reaches the time limit counts as unsolved.
      attempts: episodes of each level.
      policy_name, run: names for the record.
      progress: function that is called with the number of episodes after each call.
    """
    params_of_game = env.default_params if env_params is None else env_params
    if isinstance(levels, kx.Level):
        names = tuple(f"level_{i}" for i in range(levels.batch_shape[0]))
        levels = LevelSet("levels", names, levels, (False,) * len(names))
    count = len(levels.level_names)
    size = min(max(EPISODES_PER_CALL // attempts, 1), count)
    parts, host_levels = [], jax.device_get(levels.levels)
    for first in range(0, count, size):
        index = np.arange(first, first + size) % count  # the last call is padded with levels seen before
        results = attempt_levels(
            jax.random.fold_in(key, first),
            policy,
            params,
            env,
            jax.tree.map(lambda value, index=index: value[index], host_levels),
            params_of_game,
            attempts=attempts,
            max_steps=int(params_of_game.max_timesteps),
        )
        parts.append(jax.device_get(results))
        if progress is not None:
            progress(min(size, count - first) * attempts)
    return Evaluation(
        policy=policy_name,
        level_set=levels.name,
        level_names=levels.level_names,
        solved=np.concatenate([part.solved for part in parts])[:count],
        length=np.concatenate([part.length for part in parts])[:count],
        trained_on=levels.trained_on,
        run=run,
    )


def mean_with_interval(
    solved: np.ndarray, confidence: float = 0.95, num_resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Computes the mean solve rate of a set of levels, with a stratified bootstrap interval.

    Attempts are resampled within each level, as Agarwal et al., "Deep reinforcement learning at the edge of
    the statistical precipice" (2021), section 4, do with runs within tasks: the levels are fixed, only the
    attempts are random.

    Args:
      solved: bool `[L, attempts]`.
      confidence: coverage of the interval, in 0 .. 1.
      num_resamples: number of resamples.
      seed: seed of the resamples.

    Returns:
      mean, lower and upper bound, in 0 .. 1.
    """
    solved = np.asarray(solved, float)
    rng = np.random.default_rng(seed)
    tries = solved.shape[1]
    # Resampling 0/1 outcomes with replacement is drawing how many of them are 1.
    means = rng.binomial(tries, solved.mean(1), (num_resamples, len(solved))).mean(1) / tries
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(solved.mean()), float(low), float(high)


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
