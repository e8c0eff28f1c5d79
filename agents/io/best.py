"""The best checkpoint of a run, kept beside the newest ones."""

from __future__ import annotations

import json
import math
import pathlib

import jax

from agents.io.checkpoint import CheckpointError, Checkpoints
from agents.training.trainer import TrainState
from kinetix_py.atomic import atomic_write

# File in the folder of the best checkpoint: its number of updates, and its score.
RECORD = "score.json"


def best_update(folder: pathlib.Path) -> int:
    """Reads the number of updates of the best checkpoint.

    Args:
      folder: folder of the best checkpoint.

    Raises:
      CheckpointError: none was kept.
    """
    file = folder / RECORD
    if not file.is_file():
        raise CheckpointError(f"{folder}: no best checkpoint; a run keeps one if evaluation.every is above 0")
    return int(json.loads(file.read_text())["update"])


class BestCheckpoint:
    """Keeps the checkpoint with the highest score, the first of equals; a folder of its own.

    A run that goes on from a checkpoint before the best one meets that one again: it computes the same score
    again, and keeps it.
    """

    def __init__(self, folder: pathlib.Path):
        """Opens a folder, or makes it; a best checkpoint in it remains the one to beat."""
        self._file = folder / RECORD
        self._checkpoints = Checkpoints(folder, create=True)
        found = json.loads(self._file.read_text()) if self._file.is_file() else {}
        self.score = float(found.get("score", -math.inf))
        self._update: int | None = found.get("update")

    def offer(self, state: TrainState, score: float) -> bool:
        """Keeps a state in place of the best one if its score is higher.

        A kill in between leaves the old one, the new one, or both, of which the record names one. A run that
        goes on from before the best one and meets its update again keeps the first, with its score: on other
        devices it may have rounded otherwise.

        Returns:
          whether it was kept.
        """
        update = int(state.num_updates)
        if not score > self.score or update == self._update:
            return False
        if update in self._checkpoints.steps:  # saved, and killed before it was recorded
            self._checkpoints.delete(update)
        self._checkpoints.save(state)
        if jax.process_index() == 0:
            atomic_write(self._file, json.dumps({"update": update, "score": score}) + "\n")
        self.score, self._update = score, update
        for step in self._checkpoints.steps:
            if step != update:
                self._checkpoints.delete(step)
        return True

    def close(self) -> None:
        """Closes the checkpoint manager."""
        self._checkpoints.close()
