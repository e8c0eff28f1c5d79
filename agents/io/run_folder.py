"""The folder of a run: its config, checkpoints, metrics and pictures."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from omegaconf import OmegaConf

from agents.config import ConfigError, TrainConfig, as_yaml, read_config
from agents.io.best import best_update
from agents.io.checkpoint import Checkpoints
from kinetix_py.atomic import atomic_write

CONFIG = "config.yaml"
# What follows a run's path to name one of its seeds, and its best checkpoint: `runs/NAME@seed3@best`.
BEST = "@best"
_ENDING = re.compile(r"(?:@seed(\d+))?(@best)?$")
# Fields that may have other values where a run goes on.
RESUMABLE = ("training.num_devices", "training.distributed")


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths of a run."""

    path: pathlib.Path

    @property
    def checkpoints(self) -> pathlib.Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> pathlib.Path:
        """Folder of the best checkpoint by the evaluation during training."""
        return self.path / "best"

    @property
    def start(self) -> pathlib.Path:
        """Folder of the state before the first update, in a checkpoint of its own that is always kept."""
        return self.path / "start"

    @property
    def metrics(self) -> pathlib.Path:
        """File of metrics: a JSON object for each update, one a line."""
        return self.path / "metrics.jsonl"

    @property
    def curriculum(self) -> pathlib.Path:
        """File of what was taught in the run, for later runs, if its teacher keeps a record."""
        return self.path / "curriculum.npz"

    def config(self, *changes: str) -> TrainConfig:
        """Reads the config that the run was started with.

        Args:
          changes: fields of `RESUMABLE` with other values, such as `"training.num_devices=4"`.

        Raises:
          ConfigError: this is not a run folder, its config is wrong, or another field is to be changed.
        """
        for change in changes:
            if change.partition("=")[0] not in RESUMABLE:
                raise ConfigError(f"{change}: a run goes on with other values of {RESUMABLE} alone")
        file = self.path / CONFIG
        if not file.is_file():
            raise ConfigError(f"{self.path}: not a run folder, it has no {CONFIG}")
        return read_config(OmegaConf.merge(OmegaConf.load(file), OmegaConf.from_dotlist(list(changes))))


def new_run(config: TrainConfig) -> RunFolder:
    """Makes the folder of a run, with its config.

    Raises:
      ConfigError: there is a run of this name, which is left as it is.
    """
    name = config.output.name
    if name is None:
        now = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        name = f"{now}_{config.env.size}_{config.curriculum.kind}_{config.training.seed}"
    path = pathlib.Path(config.output.folder) / name
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        raise ConfigError(
            f"{path}: exists already; continue it with --resume {path}, or choose another output.name"
        ) from None
    atomic_write(path / CONFIG, as_yaml(config))
    return RunFolder(path)


def begin_run(config: TrainConfig, requeued: bool = False) -> tuple[RunFolder, bool]:
    """Makes the folder of a run; a job that was requeued finds the one that it made before.

    Returns:
      the folder, and whether the run goes on.

    Raises:
      ConfigError: there is a run of this name, and the job was not requeued.
    """
    if requeued and config.output.name is not None:
        folder = RunFolder(pathlib.Path(config.output.folder) / config.output.name)
        if (folder.path / CONFIG).is_file():
            return folder, True
    return new_run(config), False


class CheckpointPath(NamedTuple):
    """A run, and a checkpoint of it."""

    run: RunFolder
    step: int | None  # number of updates; None for the newest
    is_best: bool = False  # it is the best one, which is kept apart
    seed: int | None = None  # training seed, where the path names one


def find_checkpoint(path: str | pathlib.Path) -> CheckpointPath:
    """Finds the run, and the checkpoint in it, that a path names.

    Args:
      path: run folder (its newest checkpoint), the same with `@best` after it (its best one), the folder
        `checkpoints` or `best` of a run, or one checkpoint in these. `@seedK` after the path, before `@best`,
        names one of several seeds.

    Raises:
      ConfigError: none of these.
      CheckpointError: the run has kept no best checkpoint.
    """
    text = str(path)
    ending = _ENDING.search(text)
    assert ending is not None  # it matches the empty text
    path, seed = pathlib.Path(text[: ending.start()]), None if ending[1] is None else int(ending[1])
    if (path / CONFIG).is_file():
        run, is_best = RunFolder(path), ending[2] is not None
        return CheckpointPath(run, best_update(run.best) if is_best else None, is_best, seed)
    run = RunFolder(path.parent)
    if (run.path / CONFIG).is_file() and path in (run.checkpoints, run.best):
        is_best = path == run.best
        return CheckpointPath(run, best_update(run.best) if is_best else None, is_best, seed)
    run = RunFolder(path.parent.parent)
    if (run.path / CONFIG).is_file() and path.parent in (run.checkpoints, run.best) and path.name.isdigit():
        return CheckpointPath(run, int(path.name), path.parent == run.best, seed)
    raise ConfigError(f"{text}: neither a run folder nor a checkpoint in one")


@contextlib.contextmanager
def open_checkpoints(run: RunFolder, is_best: bool = False) -> Iterator[Checkpoints]:
    """Opens the checkpoints of a run that exists, for a `with` block.

    Args:
      run: run.
      is_best: open the folder of the best checkpoint instead.

    Raises:
      CheckpointError: the run has no such folder.
    """
    checkpoints = Checkpoints(run.best if is_best else run.checkpoints)
    try:
        yield checkpoints
    finally:
        checkpoints.close()
