"""Results at the end of a run: curves, evaluation, a film."""

from __future__ import annotations

import jax
import numpy as np

import kinetix_py as kx
from agents.build import make_policy
from agents.config import TrainConfig
from agents.evaluation.episodes import play_levels
from agents.evaluation.evaluation import FILE, Evaluation, write_evaluations
from agents.evaluation.report import solve_rate_table
from agents.evaluation.run import AGENT, RANDOM, START, NamedPolicy, evaluate_policies
from agents.io.metrics import read_metrics
from agents.io.run_folder import RunFolder
from agents.levels import LevelSet, load_level_sets, random_level_set
from agents.policy import Params, Policy, UniformPolicy
from agents.training.keys import RunKeys

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
    env, sets = config.env.make(), []
    if config.evaluation.num_levels:
        key = RunKeys.from_seed(config.training.seed).levels
        count, size = config.evaluation.num_levels, config.env.size
        sets.append(random_level_set(key, count, env, config.env.params, size))
    paths = [*config.evaluation.levels, *config.curriculum.levels]
    return sets + load_level_sets(paths, env.size, config.curriculum.levels)


def report_run(
    config: TrainConfig, folder: RunFolder, params: Params, start: Params, progress: bool = True
) -> list[Evaluation]:
    """Draws a complete run, and evaluates the agent beside a random policy and itself at the start.

    Args:
      config: config of the run.
      folder: its folder, to which everything is written.
      params, start: parameters of the agent at the end and at the start.
      progress: show a progress bar.

    Returns:
      the evaluations.
    """
    from agents.evaluation.plots import plot_solve_rates

    draw_curves(folder)
    sets = evaluation_sets(config)
    if not sets:
        return []
    env, policy = config.env.make(), make_policy(config)
    evaluations = evaluate_policies(
        RunKeys.from_seed(config.training.seed).attempts,
        [
            NamedPolicy(AGENT, policy, params),
            NamedPolicy(START, policy, start),
            NamedPolicy(RANDOM, UniformPolicy(env), ()),
        ],
        sets,
        env,
        config.env.params,
        attempts=config.evaluation.attempts,
        run=folder.path.resolve().name,
        progress=progress,
    )
    print(solve_rate_table(evaluations))
    write_evaluations(folder.path / FILE, evaluations)
    plot_solve_rates(evaluations, folder.path / "evaluation.png", folder.path.name)
    if config.output.num_animations:
        film_solved_levels(config, folder, policy, params, sets[0], evaluations)
    return evaluations


def film_solved_levels(
    config: TrainConfig,
    folder: RunFolder,
    policy: Policy,
    params: Params,
    levels: LevelSet,
    evaluations: list[Evaluation],
) -> None:
    """Writes `solved.gif`: episodes that the agent solved, of the levels on which it is most ahead of random.

    Args:
      config: config of the run.
      folder: its folder.
      policy, params: agent.
      levels: set of levels to choose from.
      evaluations: evaluations of the agent and of the random policy on this set, among others.
    """
    rates = {each.policy: each.level_rates for each in evaluations if each.level_set == levels.name}
    count = config.output.num_animations
    # Twice as many levels as are shown, because the agent may fail to solve some of them now.
    chosen = np.argsort(-(rates[AGENT] - rates[RANDOM]))[: 2 * count]
    index = np.repeat(chosen, FILM_ATTEMPTS)
    results = play_levels(
        RunKeys.from_seed(config.training.seed).attempts,
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
