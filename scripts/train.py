"""Trains an agent.

python scripts/train.py size=s curriculum=sfl hardware=cpu training.seed=1 [group=choice field=value ...]
python scripts/train.py --resume runs/NAME      goes on as if the run had never stopped
python scripts/train.py --help                  lists the choices; agents/config.py describes every field
"""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import hydra
from omegaconf import DictConfig

from agents.cli.common import use_compilation_cache
from agents.config import ConfigError, read_config
from agents.io.checkpoint import CheckpointError
from agents.io.run_folder import RunFolder, new_run
from agents.presets import CONFIGS, register_defaults
from agents.training.loop import NotFiniteError, check, train


def _run(folder: RunFolder, resume: bool) -> None:
    done = train(folder.config(), folder, resume)
    print(f"results: {folder.path}")
    if not done:
        print(f"stopped; go on with: python scripts/train.py --resume {folder.path}")


COMPOSED: list[DictConfig] = []  # several with --multirun


@hydra.main(version_base=None, config_path=str(CONFIGS), config_name="train")
def _compose(given: DictConfig) -> None:
    # Hydra reports what it finds wrong by itself; what runs outside of it reports its own errors.
    COMPOSED.append(given)


def _start() -> None:
    _compose()
    configs = [read_config(given) for given in COMPOSED]
    for config in configs:
        check(config)
    for config in configs:
        _run(new_run(config), resume=False)


def main(arguments: list[str]) -> None:
    """Starts or continues a run."""
    use_compilation_cache()
    register_defaults()
    try:
        if "--resume" not in arguments:
            _start()
        elif len(arguments) != 2 or arguments[0] != "--resume":
            raise ConfigError(f"--resume takes one run folder and nothing else, got {' '.join(arguments)}")
        else:
            _run(RunFolder(pathlib.Path(arguments[1])), resume=True)
    except (ConfigError, CheckpointError, NotFiniteError) as error:
        sys.exit(f"train.py: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
