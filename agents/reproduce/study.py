"""Parts that the studies of an agent share: its levels, its evaluation, and trainings that can be resumed."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
from tqdm import tqdm

import kinetix_py as kx
from agents.config import ConfigError
from agents.evaluation.evaluate import NamedPolicy, evaluate_policies
from agents.evaluation.evaluation import (
    Conditions,
    Evaluation,
    RunInfo,
    read_evaluations,
    write_evaluations,
)
from agents.evaluation.keys import EvaluationKeys
from agents.evaluation.run import AGENT
from agents.evaluation.seeds import SEED
from agents.io.run_folder import BEST
from agents.loading import LoadedPolicy, load_policy
from agents.reproduce.specialists import LevelTraining, Specialists, Stopped, specialist_config
from agents.reproduce.tasks import TaskGroup, group_levels
from agents.training.interrupt import graceful_interrupt
from kinetix_py.atomic import atomic_write


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Settings of a study.

    Attributes:
      agent: what `load_policy` takes: a run folder, `RUN@best`, or a checkpoint.
      levels: level files, folders, or names of the library or its sets; the library's levels of the agent's
        size if empty.
      size: size that all levels are padded to; each level's own if None.
      attempts: episodes of each level in evaluations.
      budget: environment steps of each training, rounded up to whole updates.
      num_envs: environments of each training.
      overrides: changes to `ppo` and `training` of the trainings, such as `"ppo.learning_rate=1e-3"`.
      seed: seed of evaluations.
      jobs: trainings at once, in threads.
      actor_scale: factor on the last layers of the agent's actor, from which fine-tuning begins.
      folder: folder of results; `reproduce` in the run folder if None, or `reproduce/AGENT` in the working
        directory if the agent is named by something else than a path.
    """

    agent: str
    levels: tuple[str, ...] = ()
    size: str | None = None
    attempts: int = 64
    budget: int = 500_000
    num_envs: int = 64
    overrides: tuple[str, ...] = ()
    seed: int = SEED
    jobs: int = 1
    actor_scale: float = 1.0
    folder: pathlib.Path | None = None


class Wanted(NamedTuple):
    """A training that a study needs."""

    group: TaskGroup
    row: int  # of the level in the group
    start: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the level."""
        return self.group.names[self.row]

    @property
    def checksum(self) -> float:
        """Checksum of the level."""
        return self.group.levels.info.checksums[self.row]


class Study:
    """An agent, the levels that it is put to, and the folder of results."""

    def __init__(self, config: StudyConfig, progress: bool = True):
        """Reads the agent and the levels, and checks the config of the trainings.

        Args:
          config: settings.
          progress: show progress bars.

        Raises:
          ConfigError, CheckpointError: no such agent or level, a network that cannot play a size, or
            trainings that cannot be run.
        """
        self.config, self.progress = config, progress
        agent = load_policy(config.agent)
        paths = config.levels or (f"library/{agent.config.env.size}",)
        self.name = agent.name
        self.groups = group_levels(paths, config.size, agent.levels)
        self.folder = _default_folder(agent, config.agent) if config.folder is None else config.folder
        self._run = RunInfo.of(agent.run, agent.config, agent.step)
        self._agents = {group.size: load_policy(config.agent, group.size) for group in self.groups}
        self._specialists = {size: self._make_specialists(loaded) for size, loaded in self._agents.items()}

    def agent(self, size: str) -> LoadedPolicy:
        """Returns the agent, as it plays levels of a size."""
        return self._agents[size]

    def specialists(self, size: str) -> Specialists:
        """Returns the trainings on levels of a size."""
        return self._specialists[size]

    def _make_specialists(self, agent: LoadedPolicy) -> Specialists:
        config = self.config
        trained = specialist_config(agent.config, config.budget, config.num_envs, config.overrides)
        return Specialists(agent, trained, config.attempts, config.seed, config.actor_scale)

    def evaluations(self, group: TaskGroup) -> list[Evaluation]:
        """Evaluates the agent and the baselines on levels, or reads that from the folder.

        Returns:
          the agent's evaluation, then those of the baselines.

        Raises:
          ConfigError: the folder holds one with another number of attempts.
        """
        agent, config = self.agent(group.size), self.config
        path = self.folder / f"evaluation_{group.size}_seed{config.seed}.json"
        if path.is_file():
            found = read_evaluations(path)
            first, conditions = found[0], Conditions.of(agent.env, agent.env_params)
            if first.attempts != config.attempts:
                raise ConfigError(
                    f"{path}: its attempts are {first.attempts}, now asked for {config.attempts}; choose "
                    "another --out"
                )
            same_agent = (first.run, first.conditions) == (self._run, conditions)
            if same_agent and first.levels.same_levels(group.levels.info):
                return found
        found = evaluate_policies(
            EvaluationKeys.from_seed(config.seed).actions,
            [NamedPolicy(AGENT, agent.policy, agent.params)],
            [group.levels],
            agent.env,
            agent.env_params,
            attempts=config.attempts,
            run=self._run,
            progress=self.progress,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_evaluations(path, found)
        return found

    def train(self, wanted: Sequence[Wanted]) -> list[LevelTraining | None]:
        """Runs trainings, of which those that are in the folder are not run again.

        Each is written as soon as it is done. Ctrl-C stops them; the same call goes on.

        Returns:
          the trainings in order; None for those that were not done before it was asked to stop.
        """
        folder = self.folder / "trainings"
        paths = [self.specialists(w.group.size).path(folder, w.name, w.start, w.seed) for w in wanted]
        found = [
            self.specialists(w.group.size).load(path, w.checksum)
            for w, path in zip(wanted, paths, strict=True)
        ]
        missing = [i for i, training in enumerate(found) if training is None]
        if not missing:
            return found
        for size in dict.fromkeys(wanted[i].group.size for i in missing):
            _ = self.specialists(size).program  # compiled here, once, before threads ask for it
        total = sum(self.specialists(wanted[i].group.size).num_steps for i in missing)
        with (
            graceful_interrupt() as asked,
            tqdm(
                total=total, desc="training", unit="step", unit_scale=True, disable=not self.progress
            ) as bar,
            ThreadPoolExecutor(self.config.jobs) as pool,
        ):

            def advance(steps: int) -> None:
                bar.update(steps)
                if asked():
                    raise Stopped

            def work(index: int) -> LevelTraining | None:
                group, row, start, seed = wanted[index]
                if asked():
                    return None
                specialists = self.specialists(group.size)
                level = _row(group.levels.levels, row)
                try:
                    training = specialists.train(wanted[index].name, level, start, seed, advance)
                except Stopped:
                    return None
                specialists.save(paths[index], wanted[index].checksum, training)
                bar.set_postfix_str(f"{training.level}, {start}: {training.solved.mean():.2f}")
                return training

            for index, training in zip(missing, pool.map(work, missing), strict=True):
                found[index] = training
        return found

    def write(self, name: str, report: dict[str, Any]) -> pathlib.Path:
        """Writes a report as JSON; returns its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write(self.folder / name, json.dumps(report, indent=1) + "\n")
        return self.folder / name


def _default_folder(agent: LoadedPolicy, name: str) -> pathlib.Path:
    """Folder of the results of an agent, which is in its run if that is the user's own."""
    if agent.path.is_dir() and pathlib.Path(name.removesuffix(BEST)).exists():
        return agent.path / "reproduce"
    return pathlib.Path("reproduce") / pathlib.Path(name).stem


def _row(levels: kx.Level, row: int) -> kx.Level:
    """Cuts one level out of a batch."""
    return jax.tree.map(lambda value: value[row], levels)
