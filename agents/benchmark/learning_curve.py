"""A short training and its curve: `python -m agents.benchmark.learning_curve FOLDER WORDS` for the suite."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from agents.io.metrics import read_metrics
from agents.io.run_folder import RunFolder, new_run
from agents.presets import compose_config
from agents.training.loop import train

# Metrics of the curve.
SHOWN = ("env_steps", "seconds", "solve_rate", "eval/solve_rate", "steps_per_second")


def benchmark_learning(folder: pathlib.Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Trains, or goes on with a training that was cut off, and reads its curve.

    Args:
      folder: folder of the run.
      overrides: changes to the config, as for `kinetix train`.

    Returns:
      rows of `SHOWN`, as far as each has them, ready for JSON.
    """
    names = (f"output.folder={folder.parent}", f"output.name={folder.name}", "output.num_animations=0")
    run = RunFolder(folder)
    resume = (folder / "config.yaml").is_file()
    config = run.config() if resume else compose_config(*overrides, *names)
    train(config, run if resume else new_run(config), resume=resume, quiet=True)
    rows = [{name: row[name] for name in SHOWN if name in row} for row in read_metrics(run.metrics)]
    return {"benchmark": "learning", "size": config.env.size, "rows": rows}


if __name__ == "__main__":
    print(json.dumps(benchmark_learning(pathlib.Path(sys.argv[1]), sys.argv[2:])))
