"""Metrics of a run: JSONL, TensorBoard, and Weights & Biases if asked for."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from agents.config import ConfigError, TrainConfig
from kinetix_py.atomic import atomic_write


def read_metrics(path: pathlib.Path) -> list[dict[str, float]]:
    """Reads the rows of a file of metrics; a last line that was cut off by a kill is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class MetricLog:
    """Writes one row of metrics for each update."""

    def __init__(self, folder: pathlib.Path, config: TrainConfig, num_updates: int = 0):
        """Opens the log; rows of later updates than `num_updates`, which will come again, are dropped.

        Args:
          folder: run folder.
          config: config of the run.
          num_updates: updates so far.

        Raises:
          ConfigError: Weights & Biases was asked for and is not installed.
        """
        from tensorboardX import SummaryWriter

        self._wandb = self._start_wandb(folder, config) if config.output.wandb else None
        path = folder / "metrics.jsonl"
        rows = [row for row in read_metrics(path) if row["update"] <= num_updates]
        atomic_write(path, "".join(json.dumps(row) + "\n" for row in rows))
        self.last = rows[-1] if rows else {}
        self._file = path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=self.last.get("env_steps"))

    @staticmethod
    def _start_wandb(folder: pathlib.Path, config: TrainConfig) -> Any:
        try:
            import wandb
        except ImportError:
            raise ConfigError("output.wandb is true, but wandb is not installed: pip install wandb") from None
        return wandb.init(
            project="kinetix", name=folder.name, dir=str(folder), config=dataclasses.asdict(config)
        )

    def write(self, row: Mapping[str, float]) -> None:
        """Adds a row, which must have `env_steps` and `update`."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in row.items():
            self._board.add_scalar(name, value, int(row["env_steps"]))
        if self._wandb is not None:
            self._wandb.log(dict(row), step=int(row["env_steps"]))
        self.last = dict(row)

    def close(self) -> None:
        """Closes all logs."""
        self._file.close()
        self._board.close()
        if self._wandb is not None:
            self._wandb.finish()
