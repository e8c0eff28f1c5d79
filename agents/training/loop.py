"""A run from beginning to end: update, log, checkpoint, stop on request, evaluate, draw."""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from agents.bc.cloner import Cloner
from agents.build import make_cloner, make_policy, make_trainer
from agents.config import ConfigError, TrainConfig, TrainingConfig
from agents.evaluation.evaluate import on_default_device
from agents.evaluation.evaluation import FILE
from agents.io.checkpoint import Checkpoints
from agents.io.curriculum_file import save_curriculum
from agents.io.metrics import MetricLog, check_wandb
from agents.io.run_folder import RunFolder
from agents.levels import load_level_sets
from agents.loading import load_policy, trained_config
from agents.networks.config import NetworkConfig
from agents.networks.heads import scale_actor
from agents.policy import Params
from agents.training.hosts import any_process, is_main, num_processes, topology, wait_for_all
from agents.training.interrupt import graceful_interrupt
from agents.training.keys import RunKeys
from agents.training.periodic import PeriodicEvaluation
from agents.training.report import draw_curves, report_run
from agents.training.seeds import stack_seeds, summarize_rates, training_key
from agents.training.trainer import Trainer, TrainState


class NotFiniteError(RuntimeError):
    """The loss or the parameters are NaN or infinite."""


def make_learner(config: TrainConfig) -> Trainer | Cloner:
    """Makes the program of a run, by its algorithm; errors as of `make_trainer` and `make_cloner`."""
    return make_cloner(config) if config.algorithm == "bc" else make_trainer(config)


def check_same_network(config: TrainConfig, other: TrainConfig) -> None:
    """Checks that parameters of another run fit this one.

    Args:
      config: config of this run.
      other: config of the run that `config.init_from` names.

    Raises:
      ConfigError: naming the field that differs.
    """
    names = [f"network.{field.name}" for field in dataclasses.fields(NetworkConfig)]
    read = ("env.observation_type", "env.action_type", "env.rules", "training.normalize_observations")
    for name in (*names, *read):
        mine, theirs = (operator.attrgetter(name)(each) for each in (config, other))
        if mine != theirs:
            raise ConfigError(
                f"init_from={config.init_from}: its {name} is {theirs!r}, this run's is {mine!r}"
            )


def initial_params(config: TrainConfig) -> Params:
    """Makes the parameters that a run starts from: new ones, or those of `init_from`; of each seed.

    Raises:
      ConfigError, CheckpointError: `init_from` names no checkpoint that fits.
    """
    if config.init_from is None:
        policy = make_policy(config)
        return stack_seeds([policy.init(RunKeys.from_seed(seed).network) for seed in config.training.seeds])
    check_same_network(config, trained_config(config.init_from))
    params = load_policy(config.init_from, config.env.size).params
    return stack_seeds([scale_actor(params, config.init_actor_scale)] * config.training.num_seeds)


def validate_run(config: TrainConfig) -> None:
    """Checks all that can be known to be wrong before a run folder is made.

    Raises:
      ConfigError: as `make_learner`, level files of the evaluation that cannot be read, or Weights & Biases
        was asked for and is not installed.
      ConfigError, CheckpointError: `init_from` names no checkpoint that fits.
    """
    check_wandb(config)
    make_learner(config)
    load_level_sets(config.evaluation.levels, config.env.make().size)
    if config.init_from is not None:
        initial_params(config)


def starting_state(config: TrainConfig, trainer: Trainer | Cloner, folder: RunFolder) -> TrainState:
    """Makes the state of a run before its first update and keeps it in its folder, or reads it from there.

    What is kept stays the same where the run of `init_from` goes on or is deleted.

    Raises:
      ConfigError, CheckpointError: `init_from` names no checkpoint that fits, or the state that is kept is of
        another config.
    """
    with contextlib.closing(Checkpoints(folder.start, create=True)) as kept:
        if kept.steps:
            return trainer.place(kept.restore(trainer.state_shapes()))
        state = trainer.init(training_key(config), initial_params(config))
        kept.save(state)
    return state


def train(config: TrainConfig, folder: RunFolder, resume: bool = False, quiet: bool = False) -> bool:
    """Trains until the run is complete or is asked to stop; then evaluates and draws if it is complete.

    Where several processes train together, all of them call this, and one of them writes.

    Args:
      config: config of the run.
      folder: its folder, from `agents.io.run_folder.new_run`.
      resume: go on from the newest checkpoint, or from the start if there is none, as if the run had never
        stopped.
      quiet: show no progress.

    Returns:
      whether the run is complete and evaluated; False if it was asked to stop.

    Raises:
      ConfigError: the config cannot be run.
      CheckpointError: a checkpoint does not fit the config.
      NotFiniteError: the loss or the parameters are not finite any more; earlier checkpoints remain.
    """
    trainer = make_learner(config)
    quiet = quiet or not is_main()
    state = starting_state(config, trainer, folder)
    start = on_default_device(state.evaluated_params)
    checkpoints = Checkpoints(folder.checkpoints, keep=config.output.keep_checkpoints, create=True)
    if resume and checkpoints.steps:
        state = trainer.place(checkpoints.restore(state))
    log = MetricLog(folder.path, config, int(state.num_updates), writes=is_main())
    evaluation = PeriodicEvaluation(config, folder) if config.evaluation.every else None
    try:
        with graceful_interrupt() as asked:
            state = _train_calls(config, trainer, state, checkpoints, log, evaluation, asked, quiet)
            stopped = any_process(asked())
    finally:
        log.close()
        checkpoints.close()
        if evaluation is not None:
            evaluation.close()
    if is_main() and isinstance(trainer, Trainer):
        save_curriculum(folder.curriculum, trainer.curriculum, state.curriculum, trainer.num_seeds)
    params = on_default_device(state.evaluated_params)
    if not is_main():
        pass
    elif stopped:  # perhaps in the last call: the evaluation would take long as well
        draw_curves(folder)
    elif not (resume and (folder.path / FILE).exists()):
        report_run(config, folder, params, start, progress=not quiet)
    wait_for_all("reported")
    return not stopped


def _train_calls(
    config: TrainConfig,
    trainer: Trainer | Cloner,
    state: TrainState,
    checkpoints: Checkpoints,
    log: MetricLog,
    evaluation: PeriodicEvaluation | None,
    asked: Callable[[], bool],
    quiet: bool,
) -> TrainState:
    """Calls the compiled program until the last update or until asked to stop; ends with a checkpoint."""
    sizes, env_params = config.training, config.env.params
    first, steps_per_update = int(state.num_updates), sizes.steps_per_update
    if first >= sizes.num_updates:
        return state
    started = time.perf_counter()
    program = trainer.lower(state, env_params, sizes.updates_per_call).compile()
    wait_for_all("compiled")
    if not quiet:
        if num_processes() > 1:
            tqdm.write(topology())
        tqdm.write(f"compiled in {time.perf_counter() - started:.0f} s")
    seconds, unseen = log.last.get("seconds", 0.0), ""
    total, done = sizes.num_updates * steps_per_update, first * steps_per_update
    with tqdm(total=total, initial=done, unit="step", unit_scale=True, disable=quiet) as bar:
        for call in range(first // sizes.updates_per_call + 1, sizes.num_calls + 1):
            started = time.perf_counter()
            state, metrics = program(state, env_params)
            metrics = jax.device_get(metrics)
            taken = time.perf_counter() - started
            seconds += taken
            timing = {
                "seconds": round(seconds, 2),
                "steps_per_second": round(sizes.num_seeds * sizes.steps_per_call / taken, 1),
            }
            spoiled = _not_finite(metrics, state)
            due = spoiled is None and evaluation is not None and evaluation.is_due(call)
            evaluated = evaluation.evaluate(state) if due and evaluation is not None else {}
            _log_call(log, metrics, int(state.num_updates), sizes, timing, evaluated)
            if spoiled is not None:
                update, kept = int(state.num_updates), f"{checkpoints.folder}: {checkpoints.steps or 'none'}"
                raise NotFiniteError(
                    f"{spoiled} not finite after update {update}; checkpoints from before: {kept}"
                )
            last = any_process(asked()) or call == sizes.num_calls
            if last or call % config.output.checkpoint_every == 0:
                checkpoints.save(state)
            shown = {
                k.removeprefix("solve_rate_"): f"{v[-1].mean():.2f}"
                for k, v in metrics.items()
                if "solve" in k
            }
            if evaluated:
                unseen = f"{evaluated['eval/solve_rate']:.2f}"
            shown |= {"unseen": unseen} if unseen else {}
            shown["policy_steps"] = tqdm.format_sizeof(log.last["policy_steps"])
            bar.set_postfix(shown, refresh=False)
            bar.update(sizes.steps_per_call)
            if last:
                break
    return state


def _log_call(
    log: MetricLog,
    metrics: Mapping[str, np.ndarray],
    num_updates: int,
    sizes: TrainingConfig,
    timing: Mapping[str, float],
    evaluated: Mapping[str, float],
) -> None:
    """Writes one row for each update of a call; the last with its evaluation.

    Metrics are `[count]`, or `[count, num_seeds]`.
    """
    count = len(next(iter(metrics.values())))
    for i in range(count):
        number = num_updates - count + 1 + i
        row: dict[str, float] = {"update": number, "env_steps": number * sizes.steps_per_update}
        row |= summarize_rates({name: value[i] for name, value in metrics.items()}, sizes.seeds)
        row |= dict(timing)
        row["policy_steps"] += log.last.get("policy_steps", 0.0)  # of the whole run
        log.write(row | dict(evaluated) if i == count - 1 else row)


def _floats(tree: Any) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]


@jax.jit
def _all_finite(tree: Any) -> jax.Array:
    """Tells whether all floating point numbers of a tree are finite; bool `[]`."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in _floats(tree)]).all()


@jax.jit
def _any_nan(tree: Any) -> jax.Array:
    """Tells whether a tree holds a NaN; infinity may stand for a score that is not there; bool `[]`."""
    return jnp.stack([jnp.array(False), *(jnp.isnan(leaf).any() for leaf in _floats(tree))]).any()


def _not_finite(metrics: Mapping[str, np.ndarray], state: TrainState) -> str | None:
    """Names what is not finite: the loss, or what the next update begins with; None if all is.

    The last gradient of a call may spoil parameters that no loss of this call was computed from.
    """
    if not np.isfinite(metrics["loss/total"]).all():
        return "the loss is"
    if not _all_finite((state.params, state.opt_state, state.average)):
        return "the parameters, or the state of their optimizer, are"
    if _any_nan(state.curriculum):
        return "what the curriculum learns is"
    return None
