"""Numbers of a run as they come: JSONL, TensorBoard, and Weights & Biases if asked for."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from agents.config import ConfigError, TrainConfig


def read_metrics(path: pathlib.Path) -> list[dict[str, float]]:
    """The rows of a file of metrics; a last line cut off by a kill is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class MetricLog:
    """Writes one row of numbers an update."""

    def __init__(self, folder: pathlib.Path, config: TrainConfig, updates_done: int = 0):
        """Opens the log; rows of later updates than `updates_done`, which will come again, are dropped.

        Raises:
          ConfigError: Weights & Biases was asked for and is not installed.
        """
        from tensorboardX import SummaryWriter

        self._wandb = self._start_wandb(folder, config) if config.output.wandb else None
        path = folder / "metrics.jsonl"
        rows = [row for row in read_metrics(path) if row["update"] <= updates_done]
        part = path.with_suffix(".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))
        part.replace(path)
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
        """Adds a row, which has `env_steps` and `update`."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in row.items():
            self._board.add_scalar(name, value, int(row["env_steps"]))
        if self._wandb is not None:
            self._wandb.log(dict(row), step=int(row["env_steps"]))
        self.last = dict(row)

    def close(self) -> None:
        """Ends all logs."""
        self._file.close()
        self._board.close()
        if self._wandb is not None:
            self._wandb.finish()
