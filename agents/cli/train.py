"""`kinetix train`: trains an agent, or several by Hydra's launchers, or goes on with a run."""

from __future__ import annotations

import contextlib
import pathlib
import sys
from collections.abc import Iterator, Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from agents.cli.common import CommandError, use_compilation_cache
from agents.cli.sweep import numbered
from agents.config import ConfigError, read_config
from agents.io.checkpoint import CheckpointError
from agents.io.run_folder import RunFolder, new_run
from agents.presets import config_folder, register_defaults
from agents.training.loop import NotFiniteError, train, validate_run

USER_ERRORS = (ConfigError, CheckpointError, NotFiniteError)


def _train(folder: RunFolder, resume: bool, many: bool = False) -> None:
    """Trains, and says where the results are and how to go on with a run that was stopped.

    Args:
      folder: run folder.
      resume: go on with the run.
      many: the run is one of a multirun, which is stopped as a whole.

    Raises:
      KeyboardInterrupt: the run was interrupted at once, or the multirun was stopped.
    """
    try:
        done, at_once = train(folder.config(), folder, resume), False
    except KeyboardInterrupt:  # a second Ctrl-C, or one while the agent is evaluated
        done, at_once = False, True
        print()
    print(f"results: {folder.path}")
    if done:
        return
    print(f"stopped; go on with: kinetix train --resume {folder.path}")
    if many:
        print("the multirun ends here: its later runs were not started")
    if many or at_once:
        raise KeyboardInterrupt


def run_job(given: DictConfig) -> None:
    """Trains one run: what Hydra's launchers call, in this process or in another one.

    Raises:
      SystemExit: with a message; the config cannot be run, or training failed.
      CompactHydraException: likewise, in a multirun, whose other jobs go on.
      KeyboardInterrupt: the run was interrupted at once; or it is one of a multirun and was stopped, so that
        no other one starts.
    """
    use_compilation_cache()
    hydra_config = HydraConfig.get()
    many = hydra_config.mode == RunMode.MULTIRUN
    try:
        config = read_config(given)
        config = numbered(config, hydra_config.job.num) if many else config
        validate_run(config)
        _train(new_run(config), resume=False, many=many)
    except USER_ERRORS as error:
        message = f"kinetix train: {error}"
        raise CompactHydraException(message) if many else SystemExit(message) from None


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
