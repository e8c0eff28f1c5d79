"""The wheel: what is in it, and what it can do outside of the checkout, offline and from an empty folder."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile

import pytest

from agents.io.metrics import read_metrics

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A run of seconds: no observation, a small network, one level.
_TINY = """
env.observation_type=blind env.action_type=discrete env.max_timesteps=20
network=mlp network.width=8 network.layers=1 network.head_width=8 network.head_layers=1
ppo.minibatch_size=80 ppo.num_epochs=1 curriculum=levels curriculum.levels=[thrust_landing_easy]
training.total_steps=160 training.num_envs=8 training.rollout_length=20 training.updates_per_call=1
evaluation.attempts=2 evaluation.every=0 output.num_animations=0
"""
TINY = _TINY.split()
# A launcher that runs each job in a new process, to which it is sent by pickle, as on a cluster.
LAUNCHER = """
import multiprocessing
import cloudpickle
from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import run_job, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import open_dict

def job(sent):
    context, task, config, overrides, number, state = cloudpickle.loads(sent)
    setup_globals()
    Singleton.set_state(state)
    config = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(config):
        config.hydra.job.id, config.hydra.job.num = f"job {number}", number
    return cloudpickle.dumps(run_job(
        hydra_context=context, task_function=task, config=config,
        job_dir_key="hydra.sweep.dir", job_subdir_key="hydra.sweep.subdir"))

class Processes(Launcher):
    def setup(self, *, hydra_context, task_function, config):
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides, initial_job_idx):
        setup_globals()
        state = Singleton.get_state()
        jobs = [cloudpickle.dumps((self.context, self.task, self.config, list(words), number, state))
                for number, words in enumerate(job_overrides, initial_job_idx)]
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return [cloudpickle.loads(result) for result in pool.map(job, jobs)]

ConfigStore.instance().store(
    group="hydra/launcher", name="processes", node={"_target_": f"{__name__}.Processes"}
)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    words = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        ROOT,
    ]
    subprocess.run([sys.executable, "-m", "pip", *map(str, words)], check=True)
    (path,) = folder.glob("kinetix_py-*.whl")
    return path


def make_venv(folder, wheel, packages):
    """A virtual environment that has the wheel, and sees the packages of one other folder."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    words = ["--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, "-m", "pip", *map(str, words)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(f"{packages}\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def everything(wheel, tmp_path_factory):
    """Programs of an environment with the wheel and all that this test's environment has."""
    return make_venv(tmp_path_factory.mktemp("all") / "venv", wheel, sysconfig.get_path("purelib"))


def requirements(name, found):
    """A distribution and all that it needs."""
    if name not in found:
        found[name] = importlib.metadata.distribution(name)
        for line in found[name].requires or ():
            if "extra ==" not in line:
                requirements(re.match(r"[\w.-]+", line)[0], found)
    return found


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """Programs of an environment with the wheel, jax and numpy, and what these two need."""
    folder = tmp_path_factory.mktemp("bare")
    packages = folder / "packages"
    packages.mkdir()
    for distribution in requirements("numpy", requirements("jax", {})).values():
        for top in {file.parts[0] for file in distribution.files if file.parts[0] != ".."}:
            if not (packages / top).exists():
                (packages / top).symlink_to(distribution.locate_file(top))
    return make_venv(folder / "venv", wheel, packages)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a program in one empty folder, without the checkout on the path."""
    folder = tmp_path_factory.mktemp("elsewhere")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}

    def call(*words, **more):
        command = [str(word) for word in words]
        return subprocess.run(
            command, cwd=folder, env=env | more, capture_output=True, text=True, check=False
        )

    call.folder, call.env = folder, env
    return call


def passed(out):
    assert out.returncode == 0, out.stderr
    return out.stdout


def test_the_wheel_has_every_module_config_and_level(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    command = ["git", "-C", ROOT, "ls-files", "agents", "configs", "jax2d", "kinetix_py"]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    if out.returncode:
        pytest.skip("needs a git checkout")
    tracked = {f"agents/{name}" if name.startswith("configs/") else name for name in out.stdout.split()}
    assert tracked <= inside
    assert {f"{package}/py.typed" for package in ("agents", "jax2d", "kinetix_py")} <= inside
    assert {name.split("/")[0] for name in inside} - {"agents", "jax2d", "kinetix_py"} == {
        f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info"
    }
    assert wheel.stat().st_size < 5_000_000


def test_the_metadata_is_complete(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(name).decode()
    import jax2d

    assert f"\nVersion: {jax2d.__version__}\n" in text and "\nProject-URL: Paper, https://arxiv.org/" in text
    assert (
        "\nLicense-Expression: MIT\n" in text
        and "\nClassifier: Programming Language :: Python :: 3.13\n" in text
    )
    needed = set(re.findall(r"^Requires-Dist: ([\w.-]+)[^;\n]*$", text, flags=re.MULTILINE))
    assert needed == {"jax", "numpy"}


def test_the_engine_and_the_environment_need_jax_and_numpy_alone(bare, run):
    code = """
import jax2d, kinetix_py as kx, agents, jax, numpy, importlib.util, pathlib
assert importlib.util.find_spec("flax") is None and importlib.util.find_spec("omegaconf") is None
state = kx.load_level("swing_up").sim
folders = {pathlib.Path(module.__file__).parent.parent for module in (agents, jax2d, kx)}
print(len(folders) == 1, state.position.shape)
"""
    assert passed(run(bare / "python", "-c", code)).startswith("True (")
    assert "swing_up" in passed(run(bare / "kinetix", "levels", "list", "library/s"))
    for name in ("play", "solve", "benchmark", "compare", "evaluate", "reproduce"):
        assert passed(run(bare / "kinetix", name, "--help")).startswith(f"usage: kinetix {name}")
    out = run(bare / "kinetix", "train")
    assert out.returncode == 1 and out.stderr.count("\n") == 1
    assert "is not installed: pip install 'kinetix-py[agents]'" in out.stderr


def check_runs(folder, *seeds):
    """Checks what the jobs of a multirun leave, of which each has a seed of its own."""
    for number, seed in enumerate(seeds):
        job = folder / "runs" / f"run_{number}"
        assert f"seed: {seed}\n" in (job / "config.yaml").read_text()
        assert json.loads((job / "evaluation.json").read_text())
        assert len((job / "metrics.jsonl").read_text().splitlines()) == 1


def test_the_command_trains(everything, run):
    passed(run(everything / "kinetix", "train", "--multirun", *TINY, "output.name=run", "training.seed=3"))
    check_runs(run.folder, 3)


@pytest.mark.slow
def test_several_runs_are_evaluated_and_compared(everything, run, tmp_path):
    kinetix = everything / "kinetix"
    words = ["output.name=run", f"output.folder={tmp_path / 'runs'}", "training.seed=0,1"]
    passed(run(kinetix, "train", "--multirun", *TINY, *words))
    check_runs(tmp_path, 0, 1)
    runs = [tmp_path / "runs" / f"run_{number}" for number in range(2)]
    out = passed(run(kinetix, "evaluate", runs[0], "--levels", "thrust_landing_easy", "--attempts", "2"))
    assert "agent" in out and "random" in out
    out = passed(run(kinetix, "compare", *runs, "--out", "both.png"))
    assert "run_0" in out and "run_1" in out and (run.folder / "both.png").is_file()


@pytest.mark.slow
def test_any_launcher_runs_its_jobs_and_tells_of_those_that_fail(everything, run):
    plugin = run.folder / "plugins" / "hydra_plugins" / "processes.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(LAUNCHER)
    words = ["--multirun", "hydra/launcher=processes", *TINY, "output.name=sent", "ppo.num_epochs=0,1"]
    out = run(everything / "kinetix", "train", *words, PYTHONPATH=str(plugin.parent.parent))
    assert out.returncode == 1
    assert "kinetix train: config: PPOConfig.num_epochs must be an integer of at least 1, got 0" in out.stderr
    assert not (run.folder / "runs" / "sent_0").exists()
    assert (run.folder / "runs" / "sent_1" / "evaluation.json").is_file()


@pytest.mark.slow
def test_an_interrupt_stops_all_runs_of_a_multirun(everything, run):
    words = [everything / "kinetix", "train", "--multirun", *TINY, "output.name=long", "training.seed=0,1"]
    words += ["training.total_steps=1_000_000"]
    folder, pipe = run.folder / "runs" / "long_0", subprocess.PIPE
    with subprocess.Popen(words, cwd=run.folder, env=run.env, stdout=pipe, stderr=pipe, text=True) as process:
        while process.poll() is None and not read_metrics(folder / "metrics.jsonl"):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on with: kinetix train --resume runs/long_0" in out
    assert list(folder.glob("checkpoints/*")) and not folder.with_name("long_1").exists()


@pytest.mark.slow
def test_pip_installs_it_with_all_that_it_needs(wheel, run, tmp_path):
    """Into an empty environment, from the network."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    programs = tmp_path / "venv" / "bin"
    passed(run(programs / "python", "-m", "pip", "install", "--quiet", f"{wheel}[agents]"))
    passed(run(programs / "python", "-m", "pip", "check"))
    assert "results: " in passed(run(programs / "kinetix", "train", *TINY, "output.name=installed"))
