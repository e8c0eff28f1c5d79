"""Zero-shot performance: a general agent on levels it has never seen, beside chance, specialists and proofs.

Matthews et al., "Kinetix: investigating the training of general agents through open-ended physics-based
control tasks" (2025), claim that an agent trained on random levels solves unseen levels made by people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.evaluation.intervals import attempt_interval
from agents.evaluation.report import format_table
from agents.reproduce.specialists import TABULA_RASA
from agents.reproduce.study import Study, Wanted
from agents.reproduce.tasks import TaskGroup, solutions_solve

ALL = "all"  # name of the row of all families
Interval = tuple[float, float, float]  # mean, lower and upper bound


@dataclasses.dataclass(frozen=True)
class LevelResult:
    """Results on one level.

    Attributes:
      level, size, family: name of the level, of its size and of its family.
      trained_on, sibling: whether the agent was trained on it, or on levels of its family.
      agent: bool `[attempts]`, attempts of the agent.
      chance: attempts of each baseline by its name, likewise.
      specialist: attempts of the policy that was trained on this level alone; None if there is none.
      solution: whether the level's own solution solves it; None if it has none.
    """

    level: str
    size: str
    family: str
    trained_on: bool
    sibling: bool
    agent: np.ndarray
    chance: dict[str, np.ndarray]
    specialist: np.ndarray | None
    solution: bool | None


@dataclasses.dataclass(frozen=True)
class FamilyResult:
    """Mean solve rates on the levels of a family, each with its 95 % interval over attempts.

    Attributes:
      family: name of the family, or `ALL`.
      levels: number of levels.
      agent, chance, specialist: mean, lower and upper bound; None of a specialist that is missing somewhere.
      with_solution, proven: number of levels that have a solution of their own, and of those that it solves.
    """

    family: str
    levels: int
    agent: Interval
    chance: Interval
    specialist: Interval | None
    with_solution: int
    proven: int


@dataclasses.dataclass(frozen=True)
class ZeroShot:
    """Results of the whole study.

    Attributes:
      agent: name of the agent.
      levels: results by level.
      chance: name of the baseline that solves most of all levels.
      budget: environment steps of each specialist.
    """

    agent: str
    levels: tuple[LevelResult, ...]
    chance: str
    budget: int

    @property
    def families(self) -> list[FamilyResult]:
        """Results by family, the largest first, and of all together at the end."""
        names = [result.family for result in self.levels]
        order = sorted(dict.fromkeys(names), key=lambda name: -names.count(name))
        rows = [
            self._mean(name, [result for result in self.levels if result.family == name]) for name in order
        ]
        return [*rows, self._mean(ALL, self.levels)]

    def _mean(self, name: str, results: Sequence[LevelResult]) -> FamilyResult:
        specialists = [result.specialist for result in results if result.specialist is not None]
        return FamilyResult(
            family=name,
            levels=len(results),
            agent=mean_and_interval([result.agent for result in results]),
            chance=mean_and_interval([result.chance[self.chance] for result in results]),
            specialist=mean_and_interval(specialists) if len(specialists) == len(results) else None,
            with_solution=sum(result.solution is not None for result in results),
            proven=sum(bool(result.solution) for result in results),
        )

    def as_dict(self) -> dict[str, Any]:
        """Converts to JSON's types."""
        levels = []
        for result in self.levels:
            row = dict(vars(result)) | {"agent": float(result.agent.mean())}
            row["chance"] = {name: float(solved.mean()) for name, solved in result.chance.items()}
            row["specialist"] = None if result.specialist is None else float(result.specialist.mean())
            levels.append(row)
        families = [vars(family) for family in self.families]
        head = {"agent": self.agent, "strongest_chance": self.chance, "specialist_budget": self.budget}
        return head | {"attempts": len(self.levels[0].agent), "families": families, "levels": levels}


def mean_and_interval(solved: Sequence[np.ndarray]) -> Interval:
    """Computes the mean solve rate of levels, bool `[attempts]` each, and its 95 % interval over attempts."""
    outcomes = np.stack(solved)
    if outcomes.shape[1] == 1:  # a policy without chance, of which one attempt tells all
        return float(outcomes.mean()), float(outcomes.mean()), float(outcomes.mean())
    low, high = attempt_interval(outcomes)
    return float(outcomes.mean()), low, high


def run_zero_shot(study: Study, specialists: bool = True) -> ZeroShot | None:
    """Runs the study, or as much of it as is not in its folder yet.

    Args:
      study: agent and levels.
      specialists: train a specialist on each level, from nothing.

    Returns:
      the results; None if it was asked to stop before they were complete.
    """
    wanted = [Wanted(group, row, TABULA_RASA, 0) for group in study.groups for row in range(len(group))]
    evaluations = {group.size: study.evaluations(group) for group in study.groups}
    trainings = study.train(wanted) if specialists else [None] * len(wanted)
    if specialists and None in trainings:
        return None
    solved = iter([None if training is None else training.solved for training in trainings])
    results: list[LevelResult] = []
    for group in study.groups:
        agent, *baselines = evaluations[group.size]
        proofs = solutions_solve(group)
        for row in range(len(group)):
            results.append(_level_result(group, row, agent, baselines, next(solved), proofs[row]))
    means = {
        name: float(np.mean([result.chance[name].mean() for result in results])) for name in results[0].chance
    }
    return ZeroShot(study.name, tuple(results), max(means, key=means.__getitem__), study.config.budget)


def _level_result(group: TaskGroup, row: int, agent, baselines, specialist, proof) -> LevelResult:
    info = group.levels.info
    return LevelResult(
        level=info.level_names[row],
        size=group.size,
        family=group.families[row],
        trained_on=info.trained_on[row],
        sibling=info.siblings[row],
        agent=agent.solved[row],
        chance={each.policy: each.solved[row] for each in baselines},
        specialist=specialist,
        solution=proof,
    )


def zero_shot_table(results: ZeroShot) -> str:
    """Formats the results by level, then by family."""

    def rate(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    rows = []
    for each in sorted(results.levels, key=lambda each: (each.family, each.size)):
        mark = " *" if each.trained_on else " ~" if each.sibling else ""
        specialist = None if each.specialist is None else float(each.specialist.mean())
        proof = "" if each.solution is None else "solves" if each.solution else "fails"
        chance = float(each.chance[results.chance].mean())
        row = (each.level + mark, each.size, each.family, rate(float(each.agent.mean())), rate(chance))
        rows.append((*row, rate(specialist), proof))
    header = ("level", "size", "family", "agent", "chance", "specialist", "own solution")
    text = [format_table(header, rows, num_left=3)]
    if any(each.trained_on for each in results.levels):
        text.append("* the agent was trained on it")
    if any(each.sibling for each in results.levels):
        text.append("~ the agent was trained on levels of its family")

    def interval(value: Interval | None) -> str:
        return "" if value is None else "{:.3f} ({:.3f} .. {:.3f})".format(*value)

    lines = [
        (
            family.family,
            str(family.levels),
            interval(family.agent),
            interval(family.chance),
            interval(family.specialist),
            f"{family.proven} of {family.with_solution}",
        )
        for family in results.families
    ]
    names = ("family", "levels", "agent", f"chance ({results.chance})", "specialist", "own solutions")
    text += ["", format_table(names, lines), "intervals: 95 %, over attempts"]
    return "\n".join(text)
