"""Fine-tuning: training from a general agent's parameters beside training from nothing, with equal steps.

Matthews et al., "Kinetix: investigating the training of general agents through open-ended physics-based
control tasks" (2025), claim that a general agent learns a level that it does not solve from fewer steps than
an agent that begins from nothing, and learns some that the latter never does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.config import ConfigError
from agents.evaluation.report import format_table
from agents.reproduce.specialists import FINE_TUNED, TABULA_RASA, LevelTraining
from agents.reproduce.study import Study, Wanted

STARTS = (FINE_TUNED, TABULA_RASA)
SOLVED = 0.9  # solve rate at which a level counts as solved
WINDOW = 3  # updates over which a solve rate is averaged before it is compared with `SOLVED`


def steps_to_solve(training: LevelTraining, rate: float = SOLVED, window: int = WINDOW) -> float:
    """Counts the environment steps until the mean solve rate of some updates in a row reaches a rate.

    Args:
      training: training on one level.
      rate: solve rate to be reached.
      window: number of updates that are averaged, so that chance does not reach it.

    Returns:
      steps at the end of the first such updates; infinity if there are none.
    """
    window = min(window, len(training.solve_rate))
    means = np.convolve(training.solve_rate, np.full(window, 1 / window), "valid")
    reached = np.flatnonzero(means >= rate - 1e-9)
    return float(training.steps[reached[0] + window - 1]) if len(reached) else math.inf


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Both trainings of one level, each with several seeds.

    Attributes:
      level, size, family: name of the level, of its size and of its family.
      zero_shot: solve rate of the agent before it is trained on the level.
      trainings: trainings by what they began with, one for each seed.
    """

    level: str
    size: str
    family: str
    zero_shot: float
    trainings: dict[str, tuple[LevelTraining, ...]]

    @property
    def steps(self) -> np.ndarray:
        """Environment steps after each update, of all trainings: int `[updates]`."""
        return self.trainings[FINE_TUNED][0].steps

    def curves(self, start: str) -> np.ndarray:
        """Solve rates `[seeds, updates]` of the trainings with a start."""
        return np.stack([training.solve_rate for training in self.trainings[start]])

    def final(self, start: str) -> float:
        """Mean over the seeds of the solve rate after training."""
        return float(np.mean([training.solved.mean() for training in self.trainings[start]]))

    def steps_to_solve(self, start: str) -> float:
        """Median over the seeds of `steps_to_solve`; infinity if most seeds never do."""
        ordered = sorted(steps_to_solve(training) for training in self.trainings[start])
        return ordered[len(ordered) // 2]

    def is_solved(self, start: str) -> bool:
        """Tells whether most seeds with a start solve the level."""
        return math.isfinite(self.steps_to_solve(start))


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """Results of the whole study.

    Attributes:
      agent: name of the agent.
      threshold: solve rate below which the agent does not solve a level.
      seeds: number of seeds.
      levels: comparisons of the levels that are complete.
      num_wanted: number of levels of the study.
    """

    agent: str
    threshold: float
    seeds: int
    levels: tuple[Comparison, ...]
    num_wanted: int

    def solved_by(self, fine_tuned: bool, tabula_rasa: bool) -> list[str]:
        """Names of the levels that exactly these two trainings solve or do not solve."""
        wanted = (fine_tuned, tabula_rasa)
        return [each.level for each in self.levels if tuple(map(each.is_solved, STARTS)) == wanted]

    @property
    def speedup(self) -> float | None:
        """Geometric mean, over levels that both solve, of how many times fewer steps fine-tuning takes."""
        both = [each for each in self.levels if all(map(each.is_solved, STARTS))]
        ratios = [each.steps_to_solve(TABULA_RASA) / each.steps_to_solve(FINE_TUNED) for each in both]
        return float(np.exp(np.mean(np.log(ratios)))) if ratios else None

    @property
    def num_diverged(self) -> int:
        """Number of trainings whose numbers did not stay finite, which count as unsolved from there on."""
        return sum(
            not training.finite
            for each in self.levels
            for trainings in each.trainings.values()
            for training in trainings
        )

    def as_dict(self) -> dict[str, Any]:
        """Converts to JSON's types; steps that were never enough are null."""

        def of_start(each: Comparison, start: str) -> dict[str, Any]:
            steps = [steps_to_solve(training) for training in each.trainings[start]]
            return {
                "final": [float(training.solved.mean()) for training in each.trainings[start]],
                "steps_to_solve": [int(value) if math.isfinite(value) else None for value in steps],
                "solves": each.is_solved(start),
                "curve_mean": [round(float(value), 4) for value in each.curves(start).mean(0)],
            }

        levels = [
            {
                "level": each.level,
                "size": each.size,
                "family": each.family,
                "zero_shot": each.zero_shot,
                "steps": each.steps.tolist(),
                **{start: of_start(each, start) for start in STARTS},
            }
            for each in self.levels
        ]
        return {
            "agent": self.agent,
            "threshold": self.threshold,
            "solved_at": SOLVED,
            "seeds": self.seeds,
            "complete": len(self.levels) == self.num_wanted,
            "solved_by_both": self.solved_by(True, True),
            "solved_by_fine_tuning_only": self.solved_by(True, False),
            "solved_by_tabula_rasa_only": self.solved_by(False, True),
            "solved_by_neither": self.solved_by(False, False),
            "speedup": self.speedup,
            "diverged": self.num_diverged,
            "levels": levels,
        }


def choose_levels(rates: np.ndarray, threshold: float, least: int, most: int | None) -> list[int]:
    """Chooses the levels that an agent does not solve.

    Args:
      rates: solve rates of the agent `[L]`.
      threshold: rate below which a level is not solved.
      least: number of levels that there must be.
      most: number of levels to choose at most, evenly spaced in the order of their rates; all if None.

    Returns:
      their indices, in order.

    Raises:
      ConfigError: there are fewer than `least`.
    """
    below = [int(i) for i in np.argsort(rates, kind="stable") if rates[i] < threshold]
    if len(below) < least:
        raise ConfigError(
            f"the agent solves all but {len(below)} of {len(rates)} levels in at least {threshold:g} of its "
            f"attempts, and {least} are needed: give more levels, another threshold, or a smaller number"
        )
    if most is not None and most < len(below):
        below = [below[i] for i in np.linspace(0, len(below) - 1, most).round().astype(int)]
    return sorted(below)


def run_fine_tuning(
    study: Study, threshold: float = 0.5, seeds: int = 3, least: int = 12, most: int | None = None
) -> FineTuning:
    """Runs the study, or as much of it as is not in its folder yet.

    Args:
      study: agent and levels.
      threshold, least, most: as for `choose_levels`.
      seeds: number of trainings of each kind on each level.

    Returns:
      the results on the levels whose trainings are all done.

    Raises:
      ConfigError: too few levels that the agent does not solve.
    """
    places = [(group, row) for group in study.groups for row in range(len(group))]
    rates = np.concatenate([study.evaluations(group)[0].level_rates for group in study.groups])
    chosen = choose_levels(rates, threshold, least, most)
    wanted = [
        Wanted(*places[index], start, seed) for index in chosen for start in STARTS for seed in range(seeds)
    ]
    trainings = iter(study.train(wanted))
    levels = []
    for index in chosen:
        found = {start: [next(trainings) for _ in range(seeds)] for start in STARTS}
        complete = {
            start: tuple(training for training in of_start if training is not None)
            for start, of_start in found.items()
        }
        if all(len(of_start) == seeds for of_start in complete.values()):
            group, row = places[index]
            names = (group.names[row], group.size, group.families[row])
            levels.append(Comparison(*names, float(rates[index]), complete))
    return FineTuning(study.name, threshold, seeds, tuple(levels), len(chosen))


def _steps(value: float) -> str:
    return f"{value / 1000:,.0f} k" if math.isfinite(value) else "never"


def fine_tuning_table(results: FineTuning) -> str:
    """Formats the results by level, then what they come to."""
    rows = [
        (
            each.level,
            each.size,
            each.family,
            f"{each.zero_shot:.2f}",
            *(f"{each.final(start):.2f}" for start in STARTS),
            *(_steps(each.steps_to_solve(start)) for start in STARTS),
        )
        for each in results.levels
    ]
    header = ("level", "size", "family", "zero-shot", *STARTS, *(f"steps, {start}" for start in STARTS))
    lines = [format_table(header, rows, num_left=3)]
    lines.append(
        f"zero-shot: before training; then solve rates after {_budget(results.levels)} steps, means over "
        f"{results.seeds} seeds; steps until {SOLVED:.0%} are solved, medians over seeds"
    )
    counts = [("both", (True, True)), ("fine-tuning only", (True, False))]
    counts += [("tabula rasa only", (False, True)), ("neither", (False, False))]
    for label, which in counts:
        names = results.solved_by(*which)
        lines.append(f"solved by {label}: {len(names)} of {len(results.levels)}  {', '.join(names)}".rstrip())
    if results.speedup is not None:
        lines.append(f"where both solve it, fine-tuning takes {results.speedup:.2f} times fewer steps")
    if results.num_diverged:
        lines.append(f"warning: {results.num_diverged} trainings did not stay finite and count as unsolved")
    return "\n".join(lines)


def _budget(levels: Sequence[Comparison]) -> str:
    return f"{max(int(each.steps[-1]) for each in levels):,}"
