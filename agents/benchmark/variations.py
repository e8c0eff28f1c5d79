"""Variations of one training config, each trained with several seeds and judged on the same levels."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from agents.config import ConfigError, TrainConfig, as_yaml
from agents.evaluation.comparison import SeedSummary, difference
from agents.evaluation.evaluation import FILE, Evaluation, read_evaluations
from agents.evaluation.intervals import seed_difference_interval
from agents.evaluation.run import AGENT
from agents.io.metrics import read_metrics
from agents.io.run_folder import RunFolder, new_run
from agents.presets import compose_config

Rows = list[dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Variation:
    """A change to a config.

    Attributes:
      name: name, of letters, digits, `-` and `.`; those of run folders begin with it.
      overrides: choices and fields, as for `kinetix train`; none for the config itself.

    Raises:
      ConfigError: another character in the name.
    """

    name: str
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or not all(letter.isalnum() or letter in "-._" for letter in self.name):
            raise ConfigError(
                f"a variation's name is of letters, digits, '-', '_' and '.', got {self.name!r}"
            )

    @classmethod
    def parse(cls, text: str) -> Variation:
        """Reads `NAME` or `NAME:OVERRIDE,OVERRIDE...`, such as `mirror:ppo.mirror=0.5`.

        Raises:
          ConfigError: as the class.
        """
        name, _, overrides = text.partition(":")
        return cls(name, tuple(each for each in split_outside_brackets(overrides) if each))


def split_outside_brackets(text: str) -> list[str]:
    """Splits a text at commas, except those of a list or a mapping: `"a=[1,2],b=3"` has two parts."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def curricula_variations(names: Sequence[str], overrides: Sequence[str]) -> tuple[Variation, ...]:
    """Makes a variation of each curriculum, with the same budget of policy steps.

    Args:
      names: names of the curricula.
      overrides: changes to the config that all share; `training.total_steps` is the budget, rounded up to
        whole calls of the compiled program, of which each curriculum gets as many as fit.

    Raises:
      ConfigError: a config that cannot be run, or a budget that is too small for one call.
    """
    variations = []
    for name in names:
        choice = f"curriculum={name}"
        config = compose_config(*overrides, choice)
        training = config.training
        budget, calls = training.num_calls * training.steps_per_call, training.num_calls
        while config.policy_steps(calls * training.updates_per_call) > budget:
            calls -= 1
        if calls == 0:
            raise ConfigError(
                f"training.total_steps={training.total_steps} is too few for one call with {choice}, which "
                f"takes {config.policy_steps(training.updates_per_call)} policy steps"
            )
        shorter = (f"training.total_steps={calls * training.steps_per_call}",)
        variations.append(Variation(name, (choice, *(shorter if calls < training.num_calls else ()))))
    return tuple(variations)


@dataclasses.dataclass(frozen=True)
class VariationStudy:
    """Trainings of several variations.

    Attributes:
      folder: folder of results; each training has a run folder `runs/NAME_SEED` in it, or `runs/NAME` if it
        is of all seeds at once.
      variations: what is compared; the first is what the others are compared with.
      seeds: number of training seeds of each: 0, 1, ...; at least 2.
      overrides: changes to the config that all share.
      at_once: train the seeds of a variation side by side, in one program.

    Raises:
      ConfigError: fewer than two seeds, two variations of one name, or a config that cannot be run.
    """

    folder: pathlib.Path
    variations: tuple[Variation, ...]
    seeds: int = 3
    overrides: tuple[str, ...] = ()
    at_once: bool = False

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ConfigError(f"a study needs at least 2 seeds, got {self.seeds}")
        names = [variation.name for variation in self.variations]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two variations are called {name!r}")
        for variation in self.variations:
            if not self.config(variation, 0).evaluation.num_levels:
                raise ConfigError("evaluation.num_levels must be at least 1, got 0")

    @property
    def first_seeds(self) -> range:
        """First seed of each run of a variation."""
        return range(0, self.seeds, self.seeds if self.at_once else 1)

    def run_folder(self, variation: Variation, seed: int) -> RunFolder:
        """Returns the folder of a run, by its first seed."""
        name = variation.name if self.at_once else f"{variation.name}_{seed}"
        return RunFolder(self.folder / "runs" / name)

    def config(self, variation: Variation, seed: int) -> TrainConfig:
        """Makes the config of a run, by its first seed.

        Raises:
          ConfigError: it cannot be run.
        """
        folder = self.run_folder(variation, seed).path
        own = (f"training.seed={seed}", f"output.folder={folder.parent}", f"output.name={folder.name}")
        seeds = (f"training.num_seeds={self.seeds}",) if self.at_once else ()
        shared = ("output.num_animations=0", "output.keep_checkpoints=1")
        return compose_config(*shared, *self.overrides, *variation.overrides, *own, *seeds)

    def run(self, variation: Variation, seed: int, train: Callable[..., bool]) -> list[Training]:
        """Trains, or reads what a former call left; a training that was stopped goes on.

        Args:
          variation: what to train.
          seed: first seed of the run.
          train: `agents.training.loop.train`.

        Returns:
          the trainings, one for each seed of the run; none if it was asked to stop.

        Raises:
          ConfigError: the folder holds a run of this name with another config.
        """
        config = self.config(variation, seed)
        folder = self.run_folder(variation, seed)
        if folder.path.exists():
            if as_yaml(folder.config()) != as_yaml(config):
                raise ConfigError(f"{folder.path}: is a run with another config; choose another --out")
        else:
            new_run(config)
        if not (folder.path / FILE).exists() and not train(config, folder, resume=True):
            return []
        evaluations, rows = read_evaluations(folder.path / FILE), read_metrics(folder.metrics)
        return trainings_of(config.training.seeds, evaluations, rows)


@dataclasses.dataclass(frozen=True)
class Training:
    """A complete training.

    Attributes:
      seed: its seed.
      evaluations: of the agent and of the baselines, on unseen random levels first.
      metrics: rows of the run's metrics.
    """

    seed: int
    evaluations: tuple[Evaluation, ...]
    metrics: Rows

    @property
    def agent(self) -> dict[str, Evaluation]:
        """Evaluations of the agent at the end, by the names of the sets."""
        return {each.level_set: each for each in self.evaluations if each.policy == AGENT}

    @property
    def policy_steps(self) -> float:
        """Steps that the policy took, attempts at candidates included."""
        return self.metrics[-1]["policy_steps"]

    @property
    def seconds(self) -> float:
        """Seconds of the training, without compilation and the evaluation at the end."""
        return self.metrics[-1]["seconds"]


def trainings_of(seeds: range, evaluations: Sequence[Evaluation], rows: Rows) -> list[Training]:
    """Takes the seeds of a run apart.

    Args:
      seeds: seeds of the run.
      evaluations: evaluations that the run left.
      rows: its metrics; those that are told of several seeds together are taken as each one's.

    Returns:
      a training for each seed, whose seconds are its share of those of the run.
    """
    if len(seeds) == 1:
        return [Training(seeds[0], tuple(evaluations), rows)]
    found = []
    for seed in seeds:
        suffix, own = f"@seed{seed}", []
        for row in rows:
            shared = {name: value for name, value in row.items() if "@seed" not in name}
            told = {k.removesuffix(suffix): value for k, value in row.items() if k.endswith(suffix)}
            own.append(shared | told | {"seconds": row["seconds"] / len(seeds)})
        of_seed = tuple(each for each in evaluations if each.baseline or each.run.training_seed == seed)
        found.append(Training(seed, of_seed, own))
    return found


@dataclasses.dataclass(frozen=True)
class VariationResult:
    """All trainings of a variation.

    Attributes:
      variation: the variation.
      trainings: a training for each seed.
    """

    variation: Variation
    trainings: tuple[Training, ...]

    @property
    def level_sets(self) -> list[str]:
        """Names of the sets that its agents were evaluated on."""
        return list(self.trainings[0].agent)

    def summary(self, level_set: str) -> SeedSummary:
        """Summarizes the evaluations on a set over the seeds."""
        return SeedSummary(tuple(training.agent[level_set] for training in self.trainings))

    @property
    def policy_steps(self) -> float:
        """Steps that the policy took, mean over the seeds."""
        return float(np.mean([training.policy_steps for training in self.trainings]))

    @property
    def seconds(self) -> float:
        """Seconds of the fastest training: whatever else ran on the machine only made the others slower."""
        return min(training.seconds for training in self.trainings)

    def curve(self, metric: str, over: str = "policy_steps") -> tuple[np.ndarray, np.ndarray]:
        """Reads a metric in the course of all trainings.

        Args:
          metric: name of the metric.
          over: name of the metric that it is a function of; its mean over the seeds is returned.

        Returns:
          float `[N]` and float `[S, N]`, at the rows that have the metric.
        """
        rows = [[row for row in training.metrics if metric in row] for training in self.trainings]
        read = lambda name: np.array([[row[name] for row in of_seed] for of_seed in rows], float)
        return read(over).mean(0), read(metric)


@dataclasses.dataclass(frozen=True)
class Effect:
    """Difference of a variation from the first one, on a set of levels.

    Attributes:
      value: difference of the means over seeds.
      low, high: Welch's 95 % interval over training seeds.
      by_level: 95 % interval of exactly these agents, paired by level: over levels if these are random, or
        else over attempts.
      improvement: probability of improvement.
    """

    value: float
    low: float
    high: float
    by_level: tuple[float, float]
    improvement: float

    @property
    def verdict(self) -> str:
        """Conclusion that the interval allows: `"better"`, `"worse"` or `"not told apart"`."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not told apart"


def probability_of_improvement(first: np.ndarray, second: np.ndarray) -> float:
    """Computes how often a run of the first kind is better than one of the second; a tie counts half.

    Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (2021), section
    4.3, with the solve rate on a set of levels as the only task.

    Args:
      first, second: float `[S]` and `[S']`, one result for each run.
    """
    pairs = np.asarray(first)[:, None] - np.asarray(second)[None]
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def effect(result: VariationResult, baseline: VariationResult, level_set: str) -> Effect:
    """Compares a variation with the first one on a set of levels."""
    one, two = result.summary(level_set), baseline.summary(level_set)
    low, high = seed_difference_interval(one.rates, two.rates)
    paired = difference(one.pooled, two.pooled)
    improvement = probability_of_improvement(one.rates, two.rates)
    return Effect(one.solve_rate - two.solve_rate, low, high, (paired.low, paired.high), improvement)


def run_study(
    study: VariationStudy, train: Callable[..., bool], progress: Callable[[str], Any] = print
) -> list[VariationResult]:
    """Runs a study, or as much of it as is not in its folder yet: seed by seed, so that all stay comparable.

    Args:
      study: the study.
      train: `agents.training.loop.train`.
      progress: function that is called with a line after each training.

    Returns:
      results of the variations of which at least two seeds are complete, on the seeds that all of them have.

    Raises:
      ConfigError: the folder holds other runs.
    """
    found: dict[str, list[Training]] = {variation.name: [] for variation in study.variations}
    total, done = study.seeds * len(study.variations), 0
    for seed in study.first_seeds:
        for variation in study.variations:
            trainings = study.run(variation, seed, train)
            if not trainings:
                return _results(study, found)
            found[variation.name] += trainings
            jax.clear_caches()  # the next variation is another program; all of them together fill the memory
            for training in trainings:
                done += 1
                rates = (f"{name} {each.solve_rate:.3f}" for name, each in training.agent.items())
                progress(f"{done} of {total}: {variation.name}, seed {training.seed}: {', '.join(rates)}")
    return _results(study, found)


def _results(study: VariationStudy, found: dict[str, list[Training]]) -> list[VariationResult]:
    """Results on the seeds that all variations have."""
    common = min(map(len, found.values()))
    if common < 2:
        return []
    return [VariationResult(each, tuple(found[each.name][:common])) for each in study.variations]
