"""`kinetix train`: trains an agent, or several by Hydra's launchers, or goes on with a run."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import pathlib
import sys
from collections.abc import Iterator, Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from agents.cli.common import CommandError, use_compilation_cache
from agents.config import ConfigError, TrainConfig, read_config
from agents.io.checkpoint import CheckpointError
from agents.io.run_folder import RunFolder, new_run
from agents.presets import config_folder, register_defaults
from agents.training.loop import NotFiniteError, train, validate_run

USER_ERRORS = (ConfigError, CheckpointError, NotFiniteError)


def _train(folder: RunFolder, resume: bool) -> bool:
    """Trains and says where the results are; returns whether the run is complete."""
    done = train(folder.config(), folder, resume)
    print(f"results: {folder.path}")
    if not done:
        print(f"stopped; go on with: kinetix train --resume {folder.path}")
    return done


def _numbered(config: TrainConfig) -> TrainConfig:
    """Gives a job of a multirun a run folder of its own, whatever its overrides are."""
    name = config.output.name or f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}"
    name = f"{name}_{HydraConfig.get().job.num}"
    return dataclasses.replace(config, output=dataclasses.replace(config.output, name=name))


def run_job(given: DictConfig) -> None:
    """Trains one run: what Hydra's launchers call, in this process or in another one.

    Raises:
      SystemExit: with a message; the config cannot be run, or training failed.
      CompactHydraException: likewise, in a multirun, whose other jobs go on.
      KeyboardInterrupt: a job of a multirun was stopped, so that no other one starts.
    """
    use_compilation_cache()
    many = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        config = read_config(given)
        config = _numbered(config) if many else config
        validate_run(config)
        done = _train(new_run(config), resume=False)
    except USER_ERRORS as error:
        message = f"kinetix train: {error}"
        raise CompactHydraException(message) if many else SystemExit(message) from None
    if many and not done:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Shows Hydra, which reads the arguments of the process, those of the subcommand."""
    whole = sys.argv
    sys.argv = ["kinetix train", *arguments]
    try:
        yield
    finally:
        sys.argv = whole


def main(arguments: Sequence[str]) -> None:
    """Starts one or several runs, or continues one."""
    if "--resume" in arguments:
        if len(arguments) != 2 or arguments[0] != "--resume":
            raise CommandError(f"--resume takes one run folder and nothing else, got {' '.join(arguments)}")
        use_compilation_cache()
        try:
            _train(RunFolder(pathlib.Path(arguments[1])), resume=True)
        except USER_ERRORS as error:
            raise CommandError(str(error)) from None
        return
    register_defaults()
    with _command_line(arguments):
        hydra.main(version_base=None, config_path=str(config_folder()), config_name="train")(run_job)()
