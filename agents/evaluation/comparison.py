"""Comparison of evaluations: with chance, with each other on the same levels, and over training seeds."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.evaluation.evaluation import Conditions, Evaluation
from agents.evaluation.intervals import (
    attempt_difference_interval,
    level_difference_interval,
    seed_difference_interval,
    seed_interval,
)
from agents.levels import LevelSetInfo


@dataclasses.dataclass(frozen=True)
class SeedSummary:
    """Evaluations of one policy of several training runs that differ in their seed alone.

    Attributes:
      members: one evaluation for each run, all on the same levels.

    Raises:
      ValueError: fewer than two evaluations, or different levels.
    """

    members: tuple[Evaluation, ...]

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError(f"a summary over seeds needs at least 2 evaluations, got {len(self.members)}")
        for member in self.members:
            check_same_levels(self.members[0], member)

    @property
    def policy(self) -> str:
        """Name of the policy."""
        return self.members[0].policy

    @property
    def levels(self) -> LevelSetInfo:
        """Description of the set of levels."""
        return self.members[0].levels

    @property
    def conditions(self) -> Conditions:
        """Physics and numbers of the game, the same for all."""
        return self.members[0].conditions

    @property
    def label(self) -> str:
        """Common beginning of the names of the runs, and their number."""
        names = [member.run.name for member in self.members]
        pairs = zip(min(names), max(names), strict=False)  # what these share, all names share
        shared = "".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        name = shared.removesuffix("@seed").rstrip("_-. ") or names[0]
        return f"{name} ({self.policy}, {len(names)} seeds)"

    @property
    def rates(self) -> np.ndarray:
        """Solve rate of each run: `[S]`."""
        return np.array([member.solve_rate for member in self.members])

    @property
    def solve_rate(self) -> float:
        """Mean over the runs."""
        return float(self.rates.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean over training seeds, on these levels; see `seed_interval`."""
        low, high = seed_interval(self.rates)
        return max(low, 0.0), min(high, 1.0)

    @property
    def worst_rate(self) -> float:
        """Mean over the runs of the solve rate on the worst tenth of the levels."""
        return float(np.mean([member.worst_rate for member in self.members]))

    @property
    def pooled(self) -> Evaluation:
        """Attempts of all runs as one evaluation: intervals of the mean of exactly these runs."""
        solved = np.concatenate([member.solved for member in self.members], axis=1)
        length = np.concatenate([member.length for member in self.members], axis=1)
        return dataclasses.replace(self.members[0], solved=solved, length=length)


class Difference(NamedTuple):
    """Difference of two mean solve rates on the same levels, with its 95 % interval."""

    level_set: str
    first: str  # label of the minuend
    second: str
    value: float
    low: float
    high: float
    over: str  # what the interval takes as random: "seeds", "levels", "attempts" or "exact"


def check_same_levels(first: Evaluation | SeedSummary, second: Evaluation | SeedSummary) -> None:
    """Checks that two evaluations can be compared level by level.

    Raises:
      ValueError: they are of different levels.
    """
    if not first.levels.same_levels(second.levels):
        raise ValueError(
            f"{first.label} and {second.label} were evaluated on different levels "
            f"({first.levels.name}, {len(first.levels.level_names)}, and "
            f"{second.levels.name}, {len(second.levels.level_names)})"
        )


def difference(first: Evaluation | SeedSummary, second: Evaluation | SeedSummary) -> Difference:
    """Computes the difference of two mean solve rates, paired by level.

    Args:
      first, second: evaluations on the same levels, or summaries over seeds. Of two summaries, the interval
        is over training seeds; otherwise over levels if these are random, or else over attempts.

    Raises:
      ValueError: the levels are not the same.
    """
    check_same_levels(first, second)
    names = (first.levels.name, first.label, second.label)
    value = first.solve_rate - second.solve_rate
    if isinstance(first, SeedSummary) and isinstance(second, SeedSummary):
        low, high = seed_difference_interval(first.rates, second.rates)
        return Difference(*names, value, max(low, -1.0), min(high, 1.0), "seeds")
    one, two = (each.pooled if isinstance(each, SeedSummary) else each for each in (first, second))
    minuend, subtrahend = (None if each.deterministic else each.solved for each in (one, two))
    low, high = attempt_difference_interval(minuend, subtrahend, value)
    if not first.levels.is_random:
        exact = one.deterministic and two.deterministic
        return Difference(*names, value, low, high, "exact" if exact else "attempts")
    # As with `Evaluation.level_interval`, at least as wide as that over attempts.
    wide_low, wide_high = level_difference_interval(one.level_rates - two.level_rates)
    return Difference(*names, value, min(low, wide_low), max(high, wide_high), "levels")


def strongest_baseline(evaluation: Evaluation, evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """Finds the baseline that solves most of an evaluation's levels under its conditions, if there is one."""
    found = [
        each
        for each in evaluations
        if each.baseline
        and each.level_set == evaluation.level_set
        and each.conditions == evaluation.conditions
        and each.levels.same_levels(evaluation.levels)
    ]
    return max(found, key=lambda each: each.solve_rate, default=None)


def ahead_of_chance(evaluation: Evaluation, evaluations: Sequence[Evaluation]) -> Difference | None:
    """Computes the difference from the strongest baseline; None of baselines, or where there is none."""
    baseline = None if evaluation.baseline else strongest_baseline(evaluation, evaluations)
    return None if baseline is None else difference(evaluation, baseline)


def summarize_seeds(evaluations: Sequence[Evaluation]) -> list[SeedSummary]:
    """Groups evaluations of runs whose configs differ in the training seed alone.

    Args:
      evaluations: evaluations of any policies on any sets.

    Returns:
      a summary for each set, policy and config that was trained with at least two seeds, in the order in
      which they come; of two runs with one seed, the first one counts.
    """
    groups: dict[tuple[object, ...], dict[int, Evaluation]] = {}
    for each in evaluations:
        if each.run.config_id and each.run.training_seed is not None:
            # Levels are told by their names here, and by their numbers when the summary is made.
            key = (each.level_set, each.levels.level_names, each.policy, each.conditions, each.run.config_id)
            groups.setdefault(key, {}).setdefault(each.run.training_seed, each)
    return [SeedSummary(tuple(group.values())) for group in groups.values() if len(group) > 1]


def differences_from_best(evaluations: Sequence[Evaluation]) -> list[Difference]:
    """Compares, on each set of levels, the best policy with every other one that learned.

    Args:
      evaluations: evaluations of any policies on any sets. Runs that differ in their seed alone count as one.

    Returns:
      the best minus each of the others with the same levels under the same conditions, set by set.
    """
    summaries = summarize_seeds(evaluations)
    summarized = {id(member) for summary in summaries for member in summary.members}
    singles = [each for each in evaluations if not each.baseline and id(each) not in summarized]
    units: list[Evaluation | SeedSummary] = [*summaries, *singles]
    found = []
    for name, conditions in dict.fromkeys((each.level_set, each.conditions) for each in evaluations):
        rows = [unit for unit in units if (unit.levels.name, unit.conditions) == (name, conditions)]
        rows.sort(key=lambda unit: -unit.solve_rate)
        found += [difference(rows[0], row) for row in rows[1:] if row.levels.same_levels(rows[0].levels)]
    return found
