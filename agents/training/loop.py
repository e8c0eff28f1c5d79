"""A run from beginning to end: update, log, checkpoint, stop on request, judge, draw."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import operator
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import kinetix_py as kx
from agents.build import initial_params, load_levels, make_policy, make_trainer
from agents.config import ConfigError, TrainConfig
from agents.io.checkpoint import Checkpoints
from agents.io.metrics import MetricLog, read_metrics
from agents.io.run_folder import RunFolder, find_checkpoint, open_checkpoints, write_whole
from agents.networks.config import NetworkConfig
from agents.training.evaluate import episodes
from agents.training.judge import Judgement, LevelSet, UniformPolicy, judge, random_levels, table
from agents.training.update import Trainer, TrainState

EVALUATION = "evaluation.json"
AGENT, START, RANDOM = "agent", "at the start", "random"


class NotFiniteError(RuntimeError):
    """Learning has left the finite numbers."""


@dataclasses.dataclass(frozen=True)
class Keys:
    """Random keys of a run, one for each purpose."""

    network: jax.Array
    training: jax.Array
    levels: jax.Array  # of the random levels it is judged on
    attempts: jax.Array

    @classmethod
    def of(cls, seed: int) -> Keys:
        """All of them, from the seed."""
        return cls(*jax.random.split(jax.random.key(seed), 4))


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """While open, the first Ctrl-C (or SIGTERM) is a request and the second one interrupts at once.

    Yields:
      a function that says whether there was a request.
    """
    asked: list[int] = []

    def handle(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        tqdm.write("stopping after this call; once more to stop at once")

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def check_same_network(config: TrainConfig, run: RunFolder) -> None:
    """Checks that parameters of another run fit this one.

    Raises:
      ConfigError: naming the field that differs.
    """
    other = run.config()
    names = [f"network.{field.name}" for field in dataclasses.fields(NetworkConfig)]
    for name in [*names, "env.observation", "env.action", "training.normalize_observations"]:
        mine, theirs = (operator.attrgetter(name)(each) for each in (config, other))
        if mine != theirs:
            raise ConfigError(f"init_from={run.path}: its {name} is {theirs!r}, this run's is {mine!r}")


def start_params(config: TrainConfig, key: jax.Array) -> Any:
    """The parameters that a run starts from: new ones, or those of `init_from`."""
    params = initial_params(config, key)
    if config.init_from is None:
        return params
    run, step = find_checkpoint(config.init_from)
    check_same_network(config, run)
    checkpoints = open_checkpoints(run)
    try:
        return checkpoints.restore_params(params, step)
    finally:
        checkpoints.close()


def check(config: TrainConfig) -> None:
    """What can be known to be wrong before a run folder is made.

    Raises:
      ConfigError: as `make_trainer`, or level files for the evaluation that cannot be read.
    """
    make_trainer(config)
    if config.evaluation.levels:
        load_levels(config.evaluation.levels, config.env.make().size)
    if config.init_from is not None:
        check_same_network(config, find_checkpoint(config.init_from)[0])


def train(config: TrainConfig, folder: RunFolder, resume: bool = False, quiet: bool = False) -> bool:
    """Trains until the run is complete or is asked to stop, then judges and draws if it is complete.

    Args:
      resume: go on from the newest checkpoint; as if the run had never stopped.
      quiet: no progress bar.

    Returns:
      whether the run is complete.

    Raises:
      ConfigError: the config cannot be run.
      NotFiniteError: the loss is no finite number any more; checkpoints from before remain.
    """
    keys, trainer = Keys.of(config.training.seed), make_trainer(config)
    params = start_params(config, keys.network)
    state = trainer.init(keys.training, params)
    checkpoints = Checkpoints(folder.checkpoints, keep=config.output.keep_checkpoints, create=True)
    if resume:
        state = checkpoints.restore(state)
    log = MetricLog(folder.path, config, int(state.update))
    try:
        with stop_requests() as asked:
            state = _updates(config, trainer, state, checkpoints, log, asked, quiet)
    finally:
        log.close()
        checkpoints.close()
    done = int(state.update) >= config.training.num_updates
    if not (done and resume and (folder.path / EVALUATION).exists()):
        finish(config, folder, state.params, params if done else None)
    return done


def _updates(
    config: TrainConfig,
    trainer: Trainer,
    state: TrainState,
    checkpoints: Checkpoints,
    log: MetricLog,
    asked: Callable[[], bool],
    quiet: bool,
) -> TrainState:
    """Calls the compiled program until the last update or until asked to stop; ends with a checkpoint."""
    size, env_params = config.training, config.env.params
    first, per_update = int(state.update), size.num_envs * size.rollout_length
    if first >= size.num_updates:
        return state
    begun = time.perf_counter()
    program = Trainer.updates.lower(trainer, state, env_params, size.updates_per_call).compile()
    if not quiet:
        tqdm.write(f"compiled in {time.perf_counter() - begun:.0f} s")
    seconds = log.last.get("seconds", 0.0)
    total = size.num_updates * per_update
    with tqdm(total=total, initial=first * per_update, unit="step", unit_scale=True, disable=quiet) as bar:
        for call in range(first // size.updates_per_call + 1, size.num_calls + 1):
            begun = time.perf_counter()
            state, metrics = program(state, env_params)
            metrics = jax.device_get(metrics)
            taken = time.perf_counter() - begun
            seconds += taken
            _write(log, metrics, int(state.update), per_update, seconds, size.steps_per_call / taken)
            _check_finite(metrics, checkpoints)
            last = asked() or call == size.num_calls
            if last or call % config.output.checkpoint_every == 0:
                checkpoints.save(state)
            rates = {
                k.removeprefix("solve_rate_"): f"{v[-1]:.2f}" for k, v in metrics.items() if "solve" in k
            }
            bar.set_postfix(rates, refresh=False)
            bar.update(size.steps_per_call)
            if last:
                break
    return state


def _write(log: MetricLog, metrics, update: int, per_update: int, seconds: float, speed: float) -> None:
    """One row for each update of a call."""
    count = len(next(iter(metrics.values())))
    for i in range(count):
        number = update - count + 1 + i
        row = {"update": number, "env_steps": number * per_update, "seconds": round(seconds, 2)}
        row |= {name: float(value[i]) for name, value in metrics.items()}
        log.write(row | {"steps_per_second": round(speed, 1)})


def _check_finite(metrics, checkpoints: Checkpoints) -> None:
    if not np.isfinite(metrics["loss/total"]).all():
        raise NotFiniteError(
            f"the loss is not finite any more; checkpoints from before it are in {checkpoints.folder}"
        )


def level_sets(config: TrainConfig, key: jax.Array) -> list[LevelSet]:
    """The levels that a run is judged on: unseen random ones, files, and those it is trained on if given."""
    size, sets = config.env.make().size, []
    if config.evaluation.num_levels:
        sets.append(random_levels(key, config.evaluation.num_levels, size))
    given = (("hand-made levels", config.evaluation.levels), ("levels trained on", config.curriculum.levels))
    for name, paths in given:
        if paths:
            names, levels = load_levels(paths, size)
            sets.append(LevelSet(name, tuple(names), levels))
    return sets


def finish(config: TrainConfig, folder: RunFolder, params: Any, start: Any | None) -> list[Judgement]:
    """Draws the curves; and, of a complete run, judges the agent beside a random one and itself at the start.

    Args:
      params: of the agent.
      start: its parameters at the start; None if the run goes on later.
    """
    from agents.io.plots import plot_curves, plot_judgements

    rows = read_metrics(folder.metrics)
    if rows:
        plot_curves(rows, folder.path / "curves.png", folder.path.name)
    if start is None:
        return []
    keys, env = Keys.of(config.training.seed), config.env.make()
    network, normalized = make_policy(config)
    policy = network.apply if normalized is None else normalized
    agents = (
        (AGENT, policy, params, network.initial_carry),
        (START, policy, start, network.initial_carry),
        (RANDOM, UniformPolicy(env), (), no_carry),
    )
    sets = level_sets(config, keys.levels)
    judgements = [
        judge(
            keys.attempts,
            name,
            policy,
            values,
            env,
            config.env.params,
            levels,
            config.evaluation.attempts,
            config.env.max_timesteps,
            carry,
        )
        for levels in sets
        for name, policy, values, carry in agents
    ]
    if judgements:
        print(table(judgements))
        write_whole(folder.path / EVALUATION, json.dumps([j.as_dict() for j in judgements], indent=1))
        plot_judgements(judgements, folder.path / "evaluation.png", folder.path.name)
    if judgements and config.output.num_animations:
        animate(config, folder.path / "solved.gif", policy, params, network.initial_carry, sets, judgements)
    return judgements


def no_carry(batch: int) -> tuple[()]:
    """Of a policy without memory."""
    return ()


def animate(
    config: TrainConfig,
    path: pathlib.Path,
    policy: Any,
    params: Any,
    initial_carry: Any,
    sets: list[LevelSet],
    judgements: list[Judgement],
    tries: int = 4,
) -> None:
    """Writes a GIF of episodes that the agent solved, of the levels on which it is most ahead of chance."""
    from agents.io.animation import save_animation

    count = config.output.num_animations
    mine = next(j for j in judgements if j.policy == AGENT)
    chance = next(j for j in judgements if j.policy == RANDOM)
    ahead = mine.level_rates - chance.level_rates
    chosen = np.argsort(-ahead)[: 2 * count]  # some of which it may fail to solve now
    levels = jax.tree.map(lambda value: value[np.repeat(chosen, tries)], sets[0].levels)
    key = Keys.of(config.training.seed).attempts
    env, numbers = config.env.make(), (config.env.params, config.env.max_timesteps, initial_carry, True)
    solved, length, states = episodes(key, policy, params, env, levels, *numbers)
    wins = np.asarray(solved).reshape(-1, tries)
    shown = [tries * i + int(np.argmax(row)) for i, row in enumerate(wins) if row.any()][:count]
    if shown:
        states = jax.tree.map(lambda value: value[:, np.array(shown)], states)
        assert isinstance(states, kx.EnvState)
        save_animation(path, states, np.asarray(length)[shown])
