"""Several processes of one run: what launchers tell them, and that they learn as one process does."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from agents.cli.train import STOPPED
from agents.config import ConfigError, read_config
from agents.io.checkpoint import Checkpoints
from agents.io.metrics import read_metrics
from agents.io.run_folder import RunFolder, begin_run, new_run
from agents.loading import load_policy
from agents.presets import config_folder, register_defaults
from agents.training.hosts import any_process, in_main, is_main, num_processes, visible_gpus
from agents.training.launchers import Launch, detect_launch, is_requeued
from agents.training.loop import train
from tests.agents.test_run import ROOT, flat, stable_rows, wait_for_update

SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_NTASKS": "5",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:1",
}


@pytest.mark.parametrize(
    ("environ", "launch"),
    [
        ({}, None),
        (SLURM, Launch("Slurm", 5, 4, 0, 1)),
        (SLURM | {"SLURM_NODEID": "1", "SLURM_LOCALID": "1"}, Launch("Slurm", 5, 4, 1, 2)),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "?"}, Launch("Slurm", 5, 4, 0, None)),
        (SLURM | {"SLURM_STEP_NODELIST": ""}, None),  # a batch script, or a shell on a node
        ({name: SLURM[name] for name in ("SLURM_JOB_ID", "SLURM_NTASKS")}, None),
        (OPEN_MPI, Launch("Open MPI", 4, 3, 1, 2)),
        (OPEN_MPI | {"OMPI_MCA_orte_hnp_uri": ""}, None),
        (
            OPEN_MPI | {"OMPI_MCA_orte_hnp_uri": "", "JAX_COORDINATOR_ADDRESS": "a:1"},
            Launch("Open MPI", 4, 3, 1, 2, "a:1"),
        ),
        ({"TPU_WORKER_HOSTNAMES": "a,b", "TPU_WORKER_ID": "1"}, Launch("TPU hosts", 2, 1)),
        (
            {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"},
            Launch("JAX's variables", 2, 1, address="a:1"),
        ),
    ],
)
def test_launchers_are_known_by_their_variables(environ, launch):
    assert detect_launch(environ) == launch


@pytest.mark.parametrize(
    ("local_id", "num_local", "visible", "own"),
    [
        (0, 1, 8, list(range(8))),  # one process a node; JAX by itself would take the first GPU alone
        (3, 8, 8, [3]),  # one a GPU, of which each sees all
        (3, 8, 1, [0]),  # one a GPU, of which each sees its own
        (1, 2, 8, [4, 5, 6, 7]),
        (1, 2, 0, None),  # no GPU
        (None, None, 4, None),  # JAX takes all that it sees
    ],
)
def test_processes_of_a_host_share_its_gpus(local_id, num_local, visible, own):
    assert Launch("Slurm", 16, 3, local_id, num_local).local_device_ids(visible) == own


def test_gpus_that_cannot_be_shared_are_told():
    with pytest.raises(ValueError, match="4 GPUs of a host cannot be shared out evenly among its 3"):
        Launch("Slurm", 3, 0, 0, 3).local_device_ids(4)
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "4,5"}) == 2
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == 0


def test_a_single_process_asks_nobody():
    assert num_processes() == 1 and is_main() and in_main(lambda: [1, "a"]) == [1, "a"]
    assert any_process(True) and not any_process(False)
    with pytest.raises(ConfigError, match=r"distributed must be one of .* got 'maybe'"):
        read_config({"training": {"distributed": "maybe"}})


def test_a_requeued_job_goes_on_with_its_run(tmp_path):
    config = read_config({"output": {"folder": str(tmp_path), "name": "a"}})
    assert begin_run(config, requeued=True) == (RunFolder(tmp_path / "a"), False)  # killed before it began
    assert begin_run(config, requeued=True) == (RunFolder(tmp_path / "a"), True)
    with pytest.raises(ConfigError, match="exists already"):
        begin_run(config)
    assert is_requeued({"SLURM_RESTART_COUNT": "1"})
    assert not is_requeued({"SLURM_RESTART_COUNT": "0"}) and not is_requeued({})


# JAX gives a process that is silent up after 100 s; tests that kill some would wait as long.
TRAIN_IMPATIENTLY = """
import functools, sys, jax
jax.distributed.initialize = functools.partial(jax.distributed.initialize, heartbeat_timeout_seconds=20)
from agents.cli.main import main
main(["train", *sys.argv[1:]])
"""


def start_two(*words):
    """Starts a training in two processes of two devices each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    quick |= {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": "2"}
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN_IMPATIENTLY, *words],
            env={**os.environ, **quick, "JAX_PROCESS_ID": str(number)},
            **options,
        )
        for number in range(2)
    ]


def outputs(processes, limit=900):
    """Texts that the processes printed, once both have ended."""
    return [process.communicate(timeout=limit)[0] for process in processes]


CHANGES = {
    "training__num_devices": 4,
    "output__num_animations": 0,
    "output__checkpoint_every": 1,
    "output__keep_checkpoints": 100,
}


def same_run(folder, other):
    """Tells whether two runs have learnt the same, up to the order in which gradients are added."""
    rows, others = stable_rows(folder), stable_rows(other)
    assert [row.keys() for row in rows] == [row.keys() for row in others]
    for row, row_of_other in zip(rows[:6], others[:6], strict=True):
        for name, value in row.items():
            np.testing.assert_allclose(value, row_of_other[name], rtol=1e-4, atol=1e-5, err_msg=name)
    mine, theirs = (load_policy(f"{one.path}/checkpoints/6").params for one in (folder, other))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    jax.tree.map(close, mine, theirs)


@pytest.mark.slow
def test_two_processes_of_two_devices_learn_as_one_of_four(tiny, tmp_path):
    """Stopped by one signal to one of them, and resumed; one process writes."""
    config = tiny(tmp_path, **CHANGES)
    processes = start_two("network=mlp", *flat(config))
    wait_for_update(tmp_path / "run", 8, processes[0])
    processes[1].send_signal(signal.SIGUSR1)
    first, second = outputs(processes)
    assert [process.returncode for process in processes] == [STOPPED] * 2, first + second
    assert "2 processes, 4 devices" in first and "go on with" in first and "go on with" not in second
    folder = RunFolder(tmp_path / "run")
    stopped = read_metrics(folder.metrics)[-1]["update"]
    assert 8 <= stopped < 40 and max(steps(folder)) == stopped
    processes = start_two("--resume", str(folder.path))
    first, second = outputs(processes)
    assert [process.returncode for process in processes] == [0, 0], first + second
    assert [row["update"] for row in read_metrics(folder.metrics)] == list(range(1, 41))
    assert (folder.path / "evaluation.json").exists()
    config = folder.config()
    alone = dataclasses.replace(config, output=dataclasses.replace(config.output, name="alone"))
    other = new_run(alone)
    assert train(alone, other, quiet=True)
    same_run(folder, other)


def steps(folder):
    """Numbers of the checkpoints of a run."""
    kept = Checkpoints(folder.checkpoints)
    try:
        return kept.steps
    finally:
        kept.close()


@pytest.mark.slow
def test_a_process_that_dies_loses_nothing_up_to_the_last_checkpoint(tiny, tmp_path):
    """Ten times, either of the two is killed at any moment; both end, and the run goes on where it was."""
    chance = random.Random(0)
    config = tiny(tmp_path, **CHANGES, training__total_steps=160 * 400, evaluation__every=0)
    folder, words = RunFolder(tmp_path / "run"), ["network=mlp", *flat(config)]
    before = seen = 0
    for _ in range(10):
        processes = start_two(*words)
        # Rows may be ahead of the last checkpoint: only new ones tell that both run.
        wait_for_update(folder.path, seen + 2, processes[0])
        time.sleep(chance.uniform(0, 1))
        processes[chance.randrange(2)].kill()
        outputs(processes)
        assert all(process.returncode not in (0, STOPPED) for process in processes)
        found, rows = steps(folder), read_metrics(folder.metrics)
        seen = rows[-1]["update"]
        # A checkpoint follows the rows of its call, two updates each.
        assert max(found, default=0) >= rows[-1]["update"] - 2 and max(found, default=0) >= before
        assert [row["update"] for row in rows] == list(range(1, len(rows) + 1))
        for step in found[-1:]:
            params = load_policy(folder.checkpoints / str(step)).params
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
        before = max(found, default=0)
        words = ["--resume", str(folder.path)]


@pytest.mark.parametrize(("status", "requeued"), [(75, True), (0, False), (1, False)])
def test_the_batch_script_requeues_a_run_that_was_asked_to_stop(status, requeued, tmp_path):
    programs = {
        "srun": f'echo "$@" >> {tmp_path}/started\nexit {status}',
        "scontrol": f'echo "$@" > {tmp_path}/requeued',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "12"}
    script = ROOT / "examples" / "slurm" / "train.sbatch"
    for words, name in ((["size=l"], "slurm_12"), (["output.name=long"], "long")):
        ended = subprocess.run(["bash", str(script), *words], env=environ, check=False).returncode
        assert ended == status and (tmp_path / "requeued").exists() == requeued
        assert f"output.name={name}\n" in (tmp_path / "started").read_text()
    assert not requeued or (tmp_path / "requeued").read_text() == "requeue 12\n"


def test_the_launcher_of_slurm_is_a_choice():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'kinetix-py[slurm]'")
    register_defaults()
    with initialize_config_dir(str(config_folder()), version_base=None):
        given = compose("train", ["hydra/launcher=slurm"], return_hydra_config=True)
    assert given.hydra.launcher._target_.endswith("SlurmLauncher") and given.hydra.launcher.gpus_per_node == 1
