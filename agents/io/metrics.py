"""Metrics of a run: JSONL, TensorBoard, and Weights & Biases if asked for."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

from agents.config import ConfigError, TrainConfig
from kinetix_py.atomic import atomic_write

# File in the run folder with the id of its run in Weights & Biases.
WANDB_ID = "wandb_id.txt"


def read_metrics(path: pathlib.Path) -> list[dict[str, float]]:
    """Reads the rows of a file of metrics; a last line that was cut off by a kill is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def check_wandb(config: TrainConfig) -> None:
    """Checks that Weights & Biases is there if it is asked for.

    Raises:
      ConfigError: it is not installed.
    """
    if not config.output.wandb:
        return
    try:
        importlib.import_module("wandb")
    except ImportError:
        raise ConfigError("output.wandb is true, but wandb is not installed: pip install wandb") from None


def start_wandb(folder: pathlib.Path, config: TrainConfig) -> Any:
    """Starts a run of Weights & Biases, or goes on with the one whose id is kept in the run folder.

    Rows that come again after a kill are the same as before, so it does no harm that Weights & Biases leaves
    out all that do not lie beyond its last step.

    Raises:
      ConfigError: it is not installed.
    """
    check_wandb(config)
    import wandb

    file, output = folder / WANDB_ID, config.output
    if not file.exists():
        atomic_write(file, uuid.uuid4().hex)
    return wandb.init(
        project=output.wandb_project,
        entity=output.wandb_entity,
        group=output.wandb_group,
        tags=list(output.wandb_tags),
        name=folder.name,
        id=file.read_text().strip(),
        resume="allow",
        dir=str(folder),
        config=dataclasses.asdict(config),
    )


class MetricLog:
    """Writes one row of metrics for each update."""

    def __init__(self, folder: pathlib.Path, config: TrainConfig, num_updates: int = 0, writes: bool = True):
        """Opens the log; rows of later updates than `num_updates`, which will come again, are dropped.

        Args:
          folder: run folder.
          config: config of the run.
          num_updates: updates so far.
          writes: whether this process is the one that writes; the others only know the last row.

        Raises:
          ConfigError: Weights & Biases was asked for and is not installed.
        """
        path = folder / "metrics.jsonl"
        rows = [row for row in read_metrics(path) if row["update"] <= num_updates]
        self.last = rows[-1] if rows else {}
        self._writes = writes
        if not writes:
            return
        from tensorboardX import SummaryWriter

        self._wandb = start_wandb(folder, config) if config.output.wandb else None
        atomic_write(path, "".join(json.dumps(row) + "\n" for row in rows))
        self._file = path.open("a")
        # TensorBoard hides what it has of this step and later ones.
        purge = int(self.last.get("env_steps", -1)) + 1
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=purge)

    def write(self, row: Mapping[str, float]) -> None:
        """Adds a row, which must have `env_steps` and `update`."""
        self.last = dict(row)
        if not self._writes:
            return
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in row.items():
            self._board.add_scalar(name, value, int(row["env_steps"]))
        if self._wandb is not None:
            self._wandb.log(dict(row), step=int(row["env_steps"]))

    def close(self) -> None:
        """Closes all logs."""
        if not self._writes:
            return
        self._file.close()
        self._board.close()
        if self._wandb is not None:
            self._wandb.finish()
