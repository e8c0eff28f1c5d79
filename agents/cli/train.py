"""`kinetix train`: trains an agent, or several by Hydra's launchers, or goes on with a run."""

from __future__ import annotations

import contextlib
import os
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
from agents.config import ConfigError, TrainConfig, read_config
from agents.io.checkpoint import CheckpointError
from agents.io.run_folder import RESUMABLE, RunFolder, begin_run
from agents.presets import config_folder, register_defaults
from agents.training.hosts import DistributedError, ending_together, in_main, is_main, start_processes
from agents.training.launchers import is_requeued
from agents.training.loop import NotFiniteError, train, validate_run

USER_ERRORS = (ConfigError, CheckpointError, NotFiniteError, DistributedError)
STOPPED = 75  # exit status of a run that was asked to stop and can go on, EX_TEMPFAIL of sysexits.h


def _train(folder: RunFolder, config: TrainConfig, resume: bool, many: bool = False) -> None:
    """Trains, and says where the results are and how to go on with a run that was stopped.

    Args:
      folder: run folder.
      config: config of the run.
      resume: go on with the run.
      many: the run is one of a multirun, which is stopped as a whole.

    Raises:
      SystemExit: the run was asked to stop: with the status `STOPPED`.
      KeyboardInterrupt: the run was interrupted at once, or the multirun was stopped.
    """
    try:
        done, at_once = train(config, folder, resume), False
    except KeyboardInterrupt:  # a second Ctrl-C, or one while the agent is evaluated
        done, at_once = False, True
        print()
    say = print if is_main() else lambda text: None
    say(f"results: {folder.path}")
    if done:
        return
    say(f"stopped; go on with: kinetix train --resume {folder.path}")
    if many:
        say("the multirun ends here: its later runs were not started")
    if many or at_once:
        raise KeyboardInterrupt
    raise SystemExit(STOPPED)


def _begin(config: TrainConfig) -> tuple[RunFolder, bool]:
    """Makes the run folder, once for all processes; tells whether the run in it goes on."""

    def begin() -> tuple[str, bool]:
        folder, resume = begin_run(config, is_requeued(os.environ))
        return str(folder.path), resume

    path, resume = in_main(begin)
    return RunFolder(pathlib.Path(path)), resume


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
        start_processes(config.training.distributed)
        validate_run(config)
        folder, resume = _begin(config)
        _train(folder, folder.config(), resume, many=many)
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
        if len(arguments) < 2 or arguments[0] != "--resume" or arguments[1].startswith("-"):
            raise CommandError(
                f"--resume takes one run folder, and perhaps {' or '.join(RESUMABLE)}, "
                f"got {' '.join(arguments)}"
            )
        use_compilation_cache()
        try:
            folder = RunFolder(pathlib.Path(arguments[1]))
            config = folder.config(*arguments[2:])
            start_processes(config.training.distributed)
            with ending_together():
                _train(folder, config, resume=True)
        except USER_ERRORS as error:
            raise CommandError(str(error)) from None
        return
    register_defaults()
    with _command_line(arguments), ending_together():
        hydra.main(version_base=None, config_path=str(config_folder()), config_name="train")(run_job)()
