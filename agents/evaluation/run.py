"""Evaluation of trained runs, and comparison of evaluations: the work of `kinetix evaluate` and `compare`."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
from tqdm import tqdm

import kinetix_py as kx
from agents.evaluation.evaluation import FILE, Evaluation, evaluate, read_evaluations, write_evaluations
from agents.levels import LevelSet, load_level_sets, random_level_set
from agents.loading import load_policy
from agents.policy import Params, Policy, UniformPolicy
from agents.training.keys import RunKeys

# Names of policies in evaluations.
AGENT, START, RANDOM = "agent", "at the start", "random"


class RunResults(NamedTuple):
    """Evaluations of a run, and the folder that they were written to."""

    evaluations: list[Evaluation]
    folder: pathlib.Path


class NamedPolicy(NamedTuple):
    """A policy to evaluate, with its parameters."""

    name: str
    policy: Policy
    params: Params


def evaluate_policies(
    key: jax.Array,
    policies: Sequence[NamedPolicy],
    level_sets: Sequence[LevelSet],
    env: kx.Environment,
    env_params: kx.EnvParams,
    *,
    attempts: int,
    run: str = "",
    progress: bool = True,
) -> list[Evaluation]:
    """Evaluates every policy on every set of levels, all with the same random numbers.

    Args:
      key: random key of the actions.
      policies: policies with their parameters.
      level_sets: sets of levels, of the environment's size.
      env, env_params: environment without auto-reset, and numbers of the game.
      attempts: episodes of each level.
      run: name of the run, for the records.
      progress: show a progress bar.
    """
    episodes = len(policies) * attempts * sum(len(levels.level_names) for levels in level_sets)
    evaluations = []
    with tqdm(total=episodes, desc="evaluating", unit="episode", disable=not progress) as bar:
        for levels in level_sets:
            for name, policy, params in policies:
                bar.set_postfix_str(f"{name}, {levels.name}")
                evaluations.append(
                    evaluate(
                        key,
                        policy,
                        params,
                        env,
                        levels,
                        env_params,
                        attempts=attempts,
                        policy_name=name,
                        run=run,
                        progress=bar.update,
                    )
                )
    return evaluations


def evaluate_run(
    path: str | pathlib.Path,
    *,
    levels: Sequence[str] = (),
    num_random: int | None = None,
    attempts: int = 20,
    size: str | None = None,
    seed: int | None = None,
    folder: pathlib.Path | None = None,
    progress: bool = True,
) -> RunResults:
    """Evaluates a trained run beside a random policy; writes `evaluation.json` and pictures.

    Args:
      path: run folder (its newest checkpoint) or one checkpoint in it.
      levels: level files, folders of them, or names of the library or its sets, such as `library/s`.
      num_random: number of unseen random levels; 512 if None and no `levels` are given, else 0.
      attempts: episodes of each level.
      size: size of the levels, `"s"`, `"m"` or `"l"`; that of the run if None.
      seed: seed of random levels and of the actions; that of the run if None.
      folder: folder of the results; `evaluation` in the run folder if None.
      progress: show a progress bar.

    Returns:
      the evaluations, set by set, and the folder of the results.

    Raises:
      ConfigError, CheckpointError: no such run, checkpoint or level, or nothing to evaluate.
    """
    from agents.evaluation.plots import plot_levels, plot_solve_rates

    loaded = load_policy(path, size)
    config, env, env_params = loaded.config, loaded.env, loaded.env_params
    keys = RunKeys.from_seed(config.training.seed if seed is None else seed)
    if num_random is None:
        num_random = 0 if levels else 512
    sets = load_level_sets(levels, env.size, config.curriculum.levels)
    if num_random:
        sets.append(random_level_set(keys.levels, num_random, env, env_params, config.env.size))
    evaluations = evaluate_policies(
        keys.attempts,
        [
            NamedPolicy(AGENT, loaded.policy, loaded.params),
            NamedPolicy(RANDOM, UniformPolicy(env), ()),
        ],
        sets,
        env,
        env_params,
        attempts=attempts,
        run=loaded.run.name,
        progress=progress,
    )
    folder = loaded.run / "evaluation" if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    write_evaluations(folder / FILE, evaluations)
    plot_solve_rates(evaluations, folder / "evaluation.png", loaded.name)
    for evaluation in evaluations:
        if evaluation.policy == AGENT:
            name = evaluation.level_set.replace("/", "_").replace(" ", "_")
            plot_levels(evaluation, folder / f"{name}.png", loaded.name)
    return RunResults(evaluations, folder)


def compare_runs(
    paths: Sequence[str | pathlib.Path], picture: pathlib.Path | None = None
) -> list[Evaluation]:
    """Reads evaluations of several runs, and draws them beside each other.

    Args:
      paths: run folders, or files that an evaluation wrote.
      picture: PNG file of bars and performance profiles; none if None.

    Returns:
      the evaluations; where two runs have one name, they are called by their paths.

    Raises:
      ConfigError: a path without an evaluation.
    """
    from agents.evaluation.plots import plot_profiles

    found = {str(path): read_evaluations(pathlib.Path(path)) for path in paths}
    names = [records[0].run for records in found.values()]
    evaluations = [
        dataclasses.replace(record, run=path) if names.count(record.run) > 1 else record
        for path, records in found.items()
        for record in records
    ]
    if picture is not None:
        plot_profiles(evaluations, picture)
    return evaluations
