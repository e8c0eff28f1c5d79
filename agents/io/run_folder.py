"""The folder of a run: its config, checkpoints, metrics and pictures."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import pathlib
from collections.abc import Iterator

from omegaconf import OmegaConf

from agents.config import ConfigError, TrainConfig, as_yaml, read_config
from agents.io.checkpoint import Checkpoints
from kinetix_py.atomic import atomic_write

CONFIG = "config.yaml"


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths of a run."""

    path: pathlib.Path

    @property
    def checkpoints(self) -> pathlib.Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> pathlib.Path:
        """File of metrics: a JSON object for each update, one a line."""
        return self.path / "metrics.jsonl"

    def config(self) -> TrainConfig:
        """Reads the config that the run was started with.

        Raises:
          ConfigError: this is not a run folder, or its config is wrong.
        """
        file = self.path / CONFIG
        if not file.is_file():
            raise ConfigError(f"{self.path}: not a run folder, it has no {CONFIG}")
        return read_config(OmegaConf.load(file))


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


def find_checkpoint(path: str | pathlib.Path) -> tuple[RunFolder, int | None]:
    """Finds the run, and the checkpoint in it, that a path names.

    Args:
      path: run folder (its newest checkpoint), its folder of checkpoints, or one checkpoint in that.

    Returns:
      the run; and the number of updates of the checkpoint, None for the newest.

    Raises:
      ConfigError: none of these.
    """
    path = pathlib.Path(path)
    if (path / CONFIG).is_file():
        return RunFolder(path), None
    if (path.parent / CONFIG).is_file() and path.is_dir():
        return RunFolder(path.parent), None
    if path.name.isdigit() and path.is_dir() and (path.parent.parent / CONFIG).is_file():
        return RunFolder(path.parent.parent), int(path.name)
    raise ConfigError(f"{path}: neither a run folder nor a checkpoint in one")


@contextlib.contextmanager
def open_checkpoints(run: RunFolder) -> Iterator[Checkpoints]:
    """Opens the checkpoints of a run that exists, for a `with` block.

    Raises:
      CheckpointError: the run has no folder of checkpoints.
    """
    checkpoints = Checkpoints(run.checkpoints)
    try:
        yield checkpoints
    finally:
        checkpoints.close()
