"""Pictures of the levels that the curricula of a study teach at the end."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import jax
import numpy as np

import kinetix_py as kx
from agents.build import make_trainer
from agents.io.figures import make_figure
from agents.io.run_folder import RunFolder, open_checkpoints
from kinetix_py.env.start import initial_state

PIXELS = 160  # along each side of a picture


def next_levels(folder: RunFolder, count: int) -> kx.Level:
    """Proposes the levels of the update that would follow the newest checkpoint of a run.

    Args:
      folder: run; of several seeds, the first counts.
      count: number of levels, spread over those to learn from, on the first device.

    Returns:
      levels, leading axis `[count]`, or fewer if there are fewer to learn from.

    Raises:
      CheckpointError: the run has no checkpoint.
    """
    trainer = make_trainer(folder.config())
    with open_checkpoints(folder) as checkpoints:
        state = checkpoints.restore(trainer.state_shapes())
    key, params, curriculum = state.key, state.params, state.curriculum
    if trainer.num_seeds > 1:
        key, params, curriculum = jax.tree.map(lambda leaf: leaf[0], (key, params, curriculum))
    own = jax.tree.map(lambda leaf: leaf[0], curriculum)
    propose = lambda key, params, own, updates: trainer.curriculum.propose(
        key, trainer.policy, params, own, updates
    )[1]
    propose_key = trainer.update_keys(key, None if trainer.num_devices == 1 else 0)[1][0]
    batch = jax.device_get(jax.jit(propose)(propose_key, params, own, state.num_updates))
    learn = np.arange(len(batch.source)) if batch.learn is None else np.flatnonzero(batch.learn)
    rows = learn[np.unique(np.linspace(0, len(learn) - 1, count).round().astype(int))]
    return jax.tree.map(lambda leaf: leaf[rows], batch.start)


def draw_taught(folders: Mapping[str, RunFolder], path: pathlib.Path, count: int = 8) -> None:
    """Draws a row of levels for each run, by name.

    Args:
      folders: runs.
      path: PNG file.
      count: levels of each.
    """
    figure = make_figure(1.7 * count, 1.8 * len(folders))
    paint = jax.jit(jax.vmap(lambda level: kx.render_pixels(initial_state(level), PIXELS)))
    axes = figure.subplots(len(folders), count, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for row, (name, folder) in zip(axes, folders.items(), strict=True):
        row[0].set_ylabel(name, fontsize=9)
        for axis, picture in zip(row, np.asarray(paint(next_levels(folder, count))), strict=False):
            axis.imshow(picture)
    figure.savefig(path, dpi=110)
