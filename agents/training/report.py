"""Results at the end of a run: curves, evaluation, a film."""

from __future__ import annotations

import jax
import numpy as np

import kinetix_py as kx
from agents.build import make_policy
from agents.config import TrainConfig
from agents.evaluation.comparison import strongest_baseline, summarize_seeds
from agents.evaluation.episodes import play_levels
from agents.evaluation.evaluate import NamedPolicy, evaluate_policies
from agents.evaluation.evaluation import FILE, Evaluation, RunInfo, write_evaluations
from agents.evaluation.keys import EvaluationKeys
from agents.evaluation.report import seed_table, solve_rate_table
from agents.evaluation.run import AGENT, START
from agents.io.metrics import read_metrics
from agents.io.run_folder import RunFolder
from agents.levels import LevelSet, load_level_sets, random_level_set
from agents.loading import levels_trained_on
from agents.policy import Params, Policy
from agents.training.seeds import by_seed, config_of_seed, seed_name

# Episodes of each level from which a solved one is chosen for the film.
FILM_ATTEMPTS = 4


def draw_curves(folder: RunFolder) -> None:
    """Draws the metrics of a run, if there are any."""
    from agents.training.curves import plot_curves

    rows = read_metrics(folder.metrics)
    if rows:
        plot_curves(rows, folder.path / "curves.png", folder.path.name)


def evaluation_sets(config: TrainConfig) -> list[LevelSet]:
    """Makes the sets that a run is evaluated on: unseen random levels, given ones, those it is trained on."""
    numbers, sets = config.evaluation, []
    if numbers.num_levels:
        key = EvaluationKeys.from_seed(numbers.seed).levels
        sets.append(random_level_set(key, numbers.num_levels, config.env.size, numbers.seed))
    paths = [*numbers.levels, *config.curriculum.levels]
    return sets + load_level_sets(paths, config.env.make().size, levels_trained_on(config))


def report_run(
    config: TrainConfig, folder: RunFolder, params: Params, start: Params, progress: bool = True
) -> list[Evaluation]:
    """Draws a complete run, and evaluates the agent beside itself at the start and beside the baselines.

    Args:
      config: config of the run.
      folder: its folder, to which everything is written.
      params, start: parameters of the agent at the end and at the start, with a leading axis if there are
        several seeds.
      progress: show a progress bar, and print the solve rates.

    Returns:
      the evaluations.
    """
    from agents.evaluation.plots import plot_solve_rates

    draw_curves(folder)
    sets = evaluation_sets(config)
    if not sets:
        return []
    env, policy, name = config.env.make(), make_policy(config), folder.path.resolve().name
    params, start = by_seed(config, params), by_seed(config, start)
    evaluations: list[Evaluation] = []
    for seed, of_seed in params.items():
        own = config_of_seed(config, seed)
        found = evaluate_policies(
            EvaluationKeys.from_seed(config.evaluation.seed).actions,
            [NamedPolicy(AGENT, policy, of_seed), NamedPolicy(START, policy, start[seed])],
            sets,
            env,
            config.env.params,
            attempts=config.evaluation.attempts,
            run=RunInfo.of(seed_name(name, config, seed), own, config.training.num_updates),
            progress=progress,
        )
        # Baselines are the same for all seeds.
        evaluations += found if not evaluations else [each for each in found if not each.baseline]
    if progress:
        print(solve_rate_table(evaluations))
    summaries = summarize_seeds([each for each in evaluations if each.policy == AGENT])
    if progress and summaries:
        print(f"\n{seed_table(summaries)}")
    write_evaluations(folder.path / FILE, evaluations)
    plot_solve_rates(evaluations, folder.path / "evaluation.png", folder.path.name)
    if config.output.num_animations:
        film_solved_levels(config, folder, policy, params[config.training.seed], sets[0], evaluations)
    return evaluations


def film_solved_levels(
    config: TrainConfig,
    folder: RunFolder,
    policy: Policy,
    params: Params,
    levels: LevelSet,
    evaluations: list[Evaluation],
) -> None:
    """Writes `solved.gif`: episodes that the agent solved, of the levels on which it is most ahead of chance.

    Of several seeds, it shows the first.

    Args:
      config: config of the run.
      folder: its folder.
      policy, params: agent.
      levels: set of levels to choose from.
      evaluations: evaluations of the agent and of the baselines on this set, among others.
    """
    agent = next(each for each in evaluations if each.policy == AGENT and each.level_set == levels.name)
    chance = strongest_baseline(agent, evaluations)
    ahead = agent.level_rates - (0 if chance is None else chance.level_rates)
    count = config.output.num_animations
    # Twice as many levels as are shown, because the agent may fail to solve some of them now.
    index = np.repeat(np.argsort(-ahead)[: 2 * count], FILM_ATTEMPTS)
    results = play_levels(
        EvaluationKeys.from_seed(config.evaluation.seed).actions,
        policy,
        params,
        config.env.make(),
        jax.tree.map(lambda value: value[index], jax.device_get(levels.levels)),
        config.env.params,
        max_steps=config.env.max_timesteps,
        keep_states=True,
    )
    solved = np.asarray(results.solved).reshape(-1, FILM_ATTEMPTS)
    shown = [FILM_ATTEMPTS * i + int(np.argmax(row)) for i, row in enumerate(solved) if row.any()][:count]
    if shown:
        states = jax.tree.map(lambda value: value[:, shown], jax.device_get(results.states))
        kx.save_video(
            states,
            folder.path / "solved.gif",
            solved=np.ones(len(shown), bool),
            length=np.asarray(results.length)[shown],
            size=200,
            columns=len(shown),
            fps=20,
            progress=False,
        )
