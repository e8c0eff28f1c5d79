"""Run folders of a multirun: their names, and a check that they are free before the first run starts."""

from __future__ import annotations

import dataclasses
import datetime
import glob
import itertools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from agents.config import TrainConfig
from agents.training.launchers import is_requeued


def numbered(config: TrainConfig, number: int) -> TrainConfig:
    """Gives a run of a multirun a folder of its own, whatever its overrides are: `NAME_NUMBER`."""
    name = config.output.name or f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}"
    output = dataclasses.replace(config.output, name=f"{name}_{number}")
    return dataclasses.replace(config, output=output)


def swept_values(overrides: Sequence[str], field: str, default: Any) -> list[Any]:
    """Lists the values that the overrides of a multirun give to a field.

    Args:
      overrides: overrides as they were written, such as `"training.seed=0,1"`.
      field: name of the field, such as `"output.name"`.
      default: its value where no override lists several.
    """
    found = [default]
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.key_or_group == field and override.is_discrete_sweep():
            found = [getattr(value, "text", value) for value in override.sweep_iterator(lambda value: value)]
    return found


def taken_folders(config: DictConfig) -> list[pathlib.Path]:
    """Lists run folders that exist and bear the name of a multirun with a number.

    Args:
      config: config of the multirun, with Hydra's own part.
    """
    overrides = config.hydra.overrides.task
    folders = swept_values(overrides, "output.folder", config.output.folder)
    names = swept_values(overrides, "output.name", config.output.name)
    return [
        path
        for folder, name in itertools.product(folders, names)
        if name is not None
        for path in sorted(pathlib.Path(folder).glob(f"{glob.escape(str(name))}_*"))
        if path.name.removeprefix(f"{name}_").isdigit()
    ]


class FreeNames(Callback):
    """Refuses a multirun whose run folders exist, which would fail only when earlier runs are done.

    A job that was requeued goes on with them.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Checks the names.

        Raises:
          SystemExit: with a message that names a folder in the way.
        """
        taken = taken_folders(config)
        if taken and not is_requeued(os.environ):  # Hydra turns other exceptions of callbacks into warnings
            raise SystemExit(
                f"kinetix train: {taken[0]}: exists already, so nothing was started; choose another "
                f"output.name for the multirun, or go on with: kinetix train --resume {taken[0]}"
            )
