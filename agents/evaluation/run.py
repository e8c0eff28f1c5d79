"""Evaluation of trained runs, and comparison of evaluations: the work of `kinetix evaluate` and `compare`."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from agents.config import ConfigError
from agents.evaluation.comparison import Difference, SeedSummary, differences_from_best, summarize_seeds
from agents.evaluation.evaluate import NamedPolicy, evaluate_policies
from agents.evaluation.evaluation import FILE, Evaluation, RunInfo, read_evaluations, write_evaluations
from agents.evaluation.keys import EvaluationKeys
from agents.evaluation.seeds import FINAL_SEED, SEED
from agents.levels import LevelSet, load_level_sets, random_level_set
from agents.loading import LoadedPolicy, load_policy

# Names of policies in evaluations.
AGENT, START = "agent", "at the start"


class RunResults(NamedTuple):
    """Evaluations of a run, and the folder that they were written to."""

    evaluations: list[Evaluation]
    folder: pathlib.Path


def evaluate_run(
    path: str | pathlib.Path,
    *,
    levels: Sequence[str] = (),
    num_random: int | None = None,
    attempts: int = 20,
    size: str | None = None,
    seed: int = SEED,
    contact_order: str | None = None,
    mode: bool = False,
    folder: pathlib.Path | None = None,
    progress: bool = True,
) -> RunResults:
    """Evaluates a trained run beside the baselines; writes `evaluation.json` and pictures.

    Runs that are evaluated with one seed play the same random levels, whatever they were trained with; the
    baselines of these are played once in a process.

    Args:
      path: as for `agents.load_policy`.
      levels: level files, folders of them, or names of the library or its sets, such as `library/s`.
      num_random: number of unseen random levels; 512 if None and no `levels` are given, else 0.
      attempts: episodes of each level.
      size: size of the levels, `"s"`, `"m"` or `"l"`; that of the run if None.
      seed: seed of random levels and of the actions; `agents.evaluation.seeds.FINAL_SEED` for final tables.
      contact_order: order of contacts, `"parallel"` or `"kinetix"`; that of the run if None.
      mode: also evaluate the agent's most likely actions.
      folder: folder of the results; if None, `evaluation` in the run folder (for a policy file, in a folder
        of its name under `runs/`), with `_seedK`, `_best` and `_final` after it.
      progress: show a progress bar.

    Returns:
      the evaluations, set by set, and the folder of the results.

    Raises:
      ConfigError, CheckpointError: no such run, checkpoint or level, an unknown contact order, or nothing to
        evaluate.
    """
    from agents.evaluation.plots import plot_levels, plot_solve_rates

    loaded = load_policy(path, size, contact_order=contact_order)
    keys = EvaluationKeys.from_seed(seed)
    sets = _level_sets(loaded, levels, num_random, seed)
    suffix = f", {contact_order} contacts" if contact_order is not None else ""
    name = ("best" if loaded.is_best else AGENT) + suffix
    policies = [NamedPolicy(name, loaded.policy, loaded.params)]
    if mode:
        policies.append(NamedPolicy(f"{name}, mode", loaded.policy, loaded.params, mode=True))
    evaluations = evaluate_policies(
        keys.actions,
        policies,
        sets,
        loaded.env,
        loaded.env_params,
        attempts=attempts,
        run=RunInfo.of(loaded.run, loaded.trained_config, loaded.step),
        progress=progress,
    )
    of_seed = [] if loaded.seed is None else [f"seed{loaded.seed}"]
    parts = ["evaluation", *of_seed, *["best"] * loaded.is_best, *["final"] * (seed == FINAL_SEED)]
    if folder is None:
        of_file = pathlib.Path(loaded.config.output.folder) / loaded.path.stem
        folder = (loaded.path if loaded.path.is_dir() else of_file) / "_".join(parts)
    folder.mkdir(parents=True, exist_ok=True)
    write_evaluations(folder / FILE, evaluations)
    plot_solve_rates(evaluations, folder / "evaluation.png", loaded.name)
    for evaluation in evaluations:
        if evaluation.policy == name:
            stem = evaluation.level_set.replace("/", "_").replace(" ", "_")
            plot_levels(evaluation, folder / f"{stem}.png", loaded.name)
    return RunResults(evaluations, folder)


def _level_sets(
    loaded: LoadedPolicy, levels: Sequence[str], num_random: int | None, seed: int
) -> list[LevelSet]:
    """Sets that a policy is evaluated on: named ones, then random levels."""
    count = (0 if levels else 512) if num_random is None else num_random
    sets = load_level_sets(levels, loaded.env.size, loaded.levels)
    if count:
        key = EvaluationKeys.from_seed(seed).levels
        sets.append(random_level_set(key, count, loaded.config.env.size, seed))
    if not sets:
        raise ConfigError("nothing to evaluate: name levels, or ask for random ones")
    return sets


class Comparison(NamedTuple):
    """Evaluations of several runs beside each other.

    Where two runs have one name, they are called by their paths. Baselines that were played alike are listed
    once.
    """

    evaluations: list[Evaluation]
    seeds: list[SeedSummary]  # of runs that differ in their training seed alone
    differences: list[Difference]  # the best of each set minus the others


def compare_runs(paths: Sequence[str | pathlib.Path], picture: pathlib.Path | None = None) -> Comparison:
    """Reads evaluations of several runs, compares them, and draws them beside each other.

    Args:
      paths: run folders, or files that an evaluation wrote.
      picture: PNG file of bars and performance profiles; none if None.

    Raises:
      ConfigError: a path without an evaluation.
    """
    from agents.evaluation.plots import plot_profiles

    found = {str(path): read_evaluations(pathlib.Path(path)) for path in paths}
    evaluations = compared(found)
    learned = [each for each in evaluations if each.policy != START]
    if picture is not None:
        plot_profiles(evaluations, picture)
    return Comparison(evaluations, summarize_seeds(learned), differences_from_best(learned))


def compared(found: dict[str, list[Evaluation]]) -> list[Evaluation]:
    """Makes one list of the evaluations of several runs, in which every label means one thing.

    Args:
      found: evaluations by the path that they were read from.

    Returns:
      the evaluations; where two paths have one name of a run, with their path in its place; baselines that
      were played alike once.
    """
    names = [{each.run.name for each in records if not each.baseline} for records in found.values()]
    evaluations: list[Evaluation] = []
    for path, records in found.items():
        for record in records:
            double = sum(record.run.name in of_path for of_path in names) > 1
            if record.baseline:
                alike = [each for each in evaluations if each.baseline and each.label == record.label]
                if any(_played_alike(each, record) for each in alike):
                    continue
            elif double:
                record = dataclasses.replace(record, run=dataclasses.replace(record.run, name=path))
            evaluations.append(record)
    return evaluations


def _played_alike(first: Evaluation, second: Evaluation) -> bool:
    """Tells whether two evaluations of one baseline are the same but for chance."""
    return (
        first.level_set == second.level_set
        and first.conditions == second.conditions
        and first.levels.same_levels(second.levels)
    )
