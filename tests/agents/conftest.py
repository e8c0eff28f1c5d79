"""One tiny run, trained once, that the tests of runs share."""

from __future__ import annotations

import fcntl
import os

import jax
import pytest

import kinetix_py as kx
from agents.config import read_config
from agents.io.run_folder import RunFolder, new_run
from agents.training.loop import train
from tests.kinetix_py.small_levels import rocket


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder of all processes of this test session."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def level_file(shared_folder):
    """A level in which a thruster must be on for most of 20 steps."""
    path = shared_folder / "levels" / "rocket.json"
    path.parent.mkdir(exist_ok=True)
    kx.save_level(rocket(), path)
    return path


@pytest.fixture(scope="session")
def tiny(level_file):
    """Makes configs, as dicts, of runs on that level, whose programs compile fast."""

    def make(folder, **changes):
        config = {
            "env": {"observation_type": "blind", "action_type": "discrete", "max_timesteps": 20},
            "network": {
                "kind": "mlp",
                "width": 8,
                "layers": 1,
                "head_width": 8,
                "head_layers": 1,
                "recurrent": True,
            },
            "ppo": {"minibatch_size": 80, "num_epochs": 2, "learning_rate": 1e-2, "gamma": 0.95},
            "curriculum": {"kind": "levels", "levels": [str(level_file)]},
            "training": {
                "total_steps": 160 * 40,
                "num_envs": 8,
                "rollout_length": 20,
                "num_rollouts": 1,
                "num_devices": 1,
                "updates_per_call": 2,
                "normalize_observations": True,
            },
            "evaluation": {
                "num_levels": 0,
                "attempts": 64,
                "every": 5,
                "every_levels": 8,
                "every_attempts": 8,
            },
            "output": {"folder": str(folder), "name": "run", "checkpoint_every": 5, "num_animations": 0},
        }
        for path, value in changes.items():
            group, name = path.split("__")
            config[group][name] = value
        return config

    return make


@pytest.fixture(scope="session")
def finished(tiny, shared_folder):
    """A complete run with memory and normalized observations: its config and folder.

    The first process that asks for it trains it, the others wait.
    """
    config = read_config(tiny(shared_folder / "runs"))
    with open(shared_folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = RunFolder(shared_folder / "runs" / "run")
        if not folder.path.exists():
            before = jax.config.read("jax_disable_most_optimizations")
            jax.config.update("jax_disable_most_optimizations", True)
            assert train(config, new_run(config), quiet=True)
            jax.config.update("jax_disable_most_optimizations", before)
    return config, folder
