"""States of runs as tests read them."""

from __future__ import annotations

from agents.build import make_trainer
from agents.io.run_folder import open_checkpoints


def final_state(config, folder, step=None, is_best=False):
    """The whole state of a checkpoint."""
    like = make_trainer(config).state_shapes()
    with open_checkpoints(folder, is_best) as checkpoints:
        return checkpoints.restore(like, step)
