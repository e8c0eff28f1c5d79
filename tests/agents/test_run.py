"""Runs as a user starts them: killed, resumed, stopped, fine-tuned, judged."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

import jax
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import initial_params, make_trainer
from agents.cli import evaluate
from agents.cli.common import CommandError
from agents.config import ConfigError, TrainConfig, read_config
from agents.io.checkpoint import CheckpointError, Checkpoints
from agents.io.metrics import MetricLog, read_metrics
from agents.io.plots import smooth
from agents.io.run_folder import RunFolder, find_checkpoint, new_run
from agents.training.judge import Judgement, LevelSet, UniformPolicy, judge, table
from agents.training.loop import NotFiniteError, check, finish, start_params, train
from tests.kinetix_py.small_levels import falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = str(ROOT / ".cache" / "jax")


@pytest.fixture(scope="module")
def level_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("levels") / "rocket.json"
    kx.save_level(rocket(), path)
    return path


def tiny(level_file, folder, **changes):
    """Config, as a dict, of a run on one level whose program compiles fast."""
    config = {
        "env": {"observation": "blind", "action": "discrete", "max_timesteps": 20},
        "network": {"kind": "mlp", "width": 8, "layers": 1, "head_width": 8, "head_layers": 1},
        "ppo": {"num_minibatches": 2, "num_epochs": 2, "learning_rate": 1e-2, "discount": 0.95},
        "curriculum": {"kind": "levels", "levels": [str(level_file)]},
        "training": {"total_steps": 160 * 40, "num_envs": 8, "rollout_length": 20, "updates_per_call": 2},
        "evaluation": {"num_levels": 0, "attempts": 64},
        "output": {"folder": str(folder), "name": "run", "checkpoint_every": 1, "num_animations": 2},
    }
    for path, value in changes.items():
        group, name = path.split("__")
        config[group][name] = value
    return config


def flat(config, prefix=""):
    """The same as arguments of the script."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={json.dumps(value) if isinstance(value, list) else value}"


def begin(*arguments):
    command = [sys.executable, "scripts/train.py", *arguments]
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    quick = {"JAX_COMPILATION_CACHE_DIR": CACHE, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.Popen(command, env={**os.environ, **quick}, **options)


def wait_for_update(folder, update, process, limit=180):
    """Waits until a run has written the row of an update."""
    end = time.time() + limit
    while time.time() < end:
        rows = read_metrics(folder / "metrics.jsonl")
        if rows and rows[-1]["update"] >= update:
            return
        if process.poll() is not None:
            raise AssertionError(process.communicate()[0])
        time.sleep(0.02)
    raise AssertionError(f"no update {update} within {limit} s")


def test_a_killed_run_ends_as_one_that_was_never_killed(level_file, tmp_path):
    """Killed at some point of a long run, resumed, asked to stop; and the same without the kill."""
    ends = {}
    for name, kills in (("whole", 0), ("killed", 1)):
        config = tiny(level_file, tmp_path, training__total_steps=10**6, output__keep_checkpoints=10**6)
        config["output"]["name"] = name
        process = begin("network=mlp", *flat(config))
        for kill in range(kills):
            wait_for_update(tmp_path / name, 6 * (kill + 1), process)
            process.kill()
            process.communicate()
            process = begin("--resume", str(tmp_path / name))
        wait_for_update(tmp_path / name, 20, process)
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=120)[0]
        assert process.returncode == 0 and "--resume" in out, out
        ends[name] = RunFolder(tmp_path / name)
        assert (tmp_path / name / "curves.png").stat().st_size > 10_000
    like = trainer_state(ends["whole"].config())
    states = []
    for run in ends.values():
        checkpoints = Checkpoints(run.checkpoints)
        states.append(jax.tree.map(plain, checkpoints.restore(like, 18)))
        checkpoints.close()
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert not np.array_equal(jax.tree.leaves(states[0].params)[0], jax.tree.leaves(like.params)[0])
    rows = [read_metrics(run.metrics)[:18] for run in ends.values()]
    timing = ("seconds", "steps_per_second")
    stable = [[{k: v for k, v in row.items() if k not in timing} for row in part] for part in rows]
    assert stable[0] == stable[1] and [row["update"] for row in rows[1]] == list(range(1, 19))


def plain(leaf):
    key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if key else leaf)


def trainer_state(config):
    key = jax.random.key(config.training.seed)
    return make_trainer(config).init(key, initial_params(config, key))


@pytest.fixture(scope="module")
def finished(level_file, tmp_path_factory):
    """A run that is complete: its config, folder, and parameters."""
    config = read_config(tiny(level_file, tmp_path_factory.mktemp("runs")))
    folder = new_run(config)
    assert train(config, folder, quiet=True)
    return config, folder


def test_a_complete_run_learns_its_level_and_leaves_pictures(finished):
    config, folder = finished
    report = {row["policy"]: row for row in json.loads((folder.path / "evaluation.json").read_text())}
    assert report["agent"]["num_levels"] == 1 and len(report["agent"]["levels"]) == 1
    assert report["agent"]["interval_95"][0] > report["at the start"]["interval_95"][1] + 0.1
    for name in ("curves.png", "evaluation.png", "solved.gif"):
        assert (folder.path / name).stat().st_size > 5_000
    assert list((folder.path / "tensorboard").iterdir())
    rows = read_metrics(folder.metrics)
    assert [row["update"] for row in rows] == list(range(1, 41)) and rows[-1]["env_steps"] == 40 * 160
    assert read_config(tiny(pathlib.Path(config.curriculum.levels[0]), config.output.folder)) == config


def test_a_finished_run_is_not_trained_again(finished):
    config, folder = finished
    before = folder.metrics.read_text()
    checkpoints = sorted(path.name for path in folder.checkpoints.iterdir())
    with pytest.raises(ConfigError, match="exists already; continue it with --resume"):
        new_run(config)
    assert train(config, folder, resume=True, quiet=True)
    assert folder.metrics.read_text() == before
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == checkpoints


def test_evaluation_of_a_checkpoint_gives_tables_and_pictures(finished, level_file, tmp_path, capsys):
    _, folder = finished
    first = str(folder.checkpoints / "38")
    options = ["--levels", str(level_file.parent), "--attempts", "64", "--out", str(tmp_path / "out")]
    evaluate.main([first, *options])
    out = capsys.readouterr().out
    assert "rocket" in out and "agent" in out and "random" in out
    report = {row["policy"]: row for row in json.loads((tmp_path / "out" / "evaluation.json").read_text())}
    assert report["agent"]["attempts"] == 64 and report["agent"]["levels"][0]["level"] == "rocket"
    assert report["agent"]["interval_95"][0] > report["random"]["interval_95"][1]
    for name in ("evaluation.png", "given_levels.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attempts", "0"], "must be at least 1, got 0"),
        (["--random", "-1"], "must be at least 0, got -1"),
        (["--random", "0"], "nothing to evaluate"),
        (["--size", "xl"], "invalid choice: 'xl'"),
    ],
)
def test_evaluation_refuses_what_it_cannot_do(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        evaluate.main(["nowhere", *arguments])
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_evaluation_names_what_it_cannot_find(finished, tmp_path):
    _, folder = finished
    with pytest.raises(CommandError, match=r"^nowhere: neither a run folder nor a checkpoint"):
        evaluate.main(["nowhere"])
    with pytest.raises(CommandError, match=r"no\.json"):
        evaluate.main([str(folder.path), "--levels", str(tmp_path / "no.json")])


def test_fine_tuning_starts_from_the_parameters(finished, level_file, tmp_path):
    config, folder = finished
    paths = [folder.path, folder.checkpoints, folder.checkpoints / "40"]
    found = []
    for path in paths:
        config = read_config(tiny(level_file, tmp_path) | {"init_from": str(path)})
        check(config)
        found.append(start_params(config, jax.random.key(7)))
    checkpoints = Checkpoints(folder.checkpoints)
    saved = checkpoints.restore_params(found[0])
    checkpoints.close()
    for params in found:
        jax.tree.map(np.testing.assert_array_equal, params, saved)
    other = read_config(tiny(level_file, tmp_path, network__width=16) | {"init_from": str(folder.path)})
    with pytest.raises(ConfigError, match=r"its network\.width is 8, this run's is 16"):
        check(other)


def test_checkpoints_that_do_not_fit_are_refused(finished, level_file, tmp_path):
    _, folder = finished
    checkpoints = Checkpoints(folder.checkpoints)
    wide = trainer_state(read_config(tiny(level_file, tmp_path, network__head_width=16)))
    with pytest.raises(CheckpointError, match=r"bias'\] has shape \(8,\), this run needs \(16,\)"):
        checkpoints.restore_params(wide.params)
    deep = trainer_state(read_config(tiny(level_file, tmp_path, network__layers=2)))
    with pytest.raises(CheckpointError, match=r"lacks .*it is of a run with another config"):
        checkpoints.restore_params(deep.params)
    with pytest.raises(CheckpointError, match=r"has no checkpoint 5, there are \[38, 40\]"):
        checkpoints.restore_params(wide.params, 5)
    checkpoints.close()
    with pytest.raises(CheckpointError, match="no such folder"):
        Checkpoints(tmp_path / "none")
    with pytest.raises(ConfigError, match="neither a run folder nor a checkpoint"):
        find_checkpoint(tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_what_was(level_file, tmp_path):
    config = read_config(tiny(level_file, tmp_path, ppo__value_weight=float("inf")))
    folder = new_run(config)
    with pytest.raises(NotFiniteError, match="checkpoints"):
        train(config, folder, quiet=True)
    assert not any(path.name.isdigit() for path in folder.checkpoints.iterdir())


def test_metrics_survive_a_cut_line_and_drop_what_comes_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"update": i, "env_steps": 10 * i} for i in range(1, 6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"update": 6, "env')
    assert read_metrics(path) == rows
    log = MetricLog(tmp_path, TrainConfig(), updates_done=3)
    assert log.last == rows[2]
    log.write({"update": 4, "env_steps": 40})
    log.close()
    assert [row["update"] for row in read_metrics(path)] == [1, 2, 3, 4]


def test_the_random_policy_is_uniform_among_what_a_level_allows():
    for action in ("multi_discrete", "discrete", "continuous"):
        env = kx.make("s", observation_type="blind", action_type=action)
        _, state = env.reset_to_level(rocket())
        mask = env.action_mask(state)[None, None]
        _, policy, _ = UniformPolicy(env)((), (), None, np.ones((1, 1), bool), mask)
        drawn = np.asarray(policy.sample(seed=jax.random.key(1), sample_shape=(512,)))[:, 0, 0]
        if action == "multi_discrete":  # one thruster is bound
            assert set(drawn[:, 4]) == {0, 1} and abs(drawn[:, 4].mean() - 0.5) < 0.1
            assert (drawn[:, [0, 1, 2, 3, 5]] == 0).all()
        elif action == "discrete":
            assert set(drawn) == {8, 9} and abs((drawn == 9).mean() - 0.5) < 0.1
        else:
            assert 0 <= drawn[:, 4].min() < 0.05 and 0.95 < drawn[:, 4].max() <= 1


def test_sets_of_levels_are_judged_whole_in_parts(monkeypatch):
    """Three levels in calls of two: two always solved, one never, and none is counted twice."""
    monkeypatch.setattr("agents.training.judge.CHUNK", 8)
    env = kx.make("s", observation_type="blind", action_type="discrete")
    levels = kx.stack_levels([falling(), falling(red=True), falling()])
    chosen = LevelSet("set", ("a", "b", "c"), levels)
    args = (UniformPolicy(env), (), env, kx.EnvParams(), chosen, 4, 32)
    result = judge(jax.random.key(0), "random", *args)
    np.testing.assert_array_equal(result.level_rates, [1, 0, 1])
    assert result.solved.shape == (3, 4) and result.interval == pytest.approx((2 / 3, 2 / 3))
    assert "0.667" in table([result]) and isinstance(result, Judgement)


def test_curves_are_smoothed_over_what_there_is():
    np.testing.assert_allclose(smooth(np.array([1.0, 3.0, 5.0, 7.0]), 2), [1, 2, 4, 6])


def test_nothing_is_drawn_of_a_run_without_rows(tmp_path):
    assert finish(TrainConfig(), RunFolder(tmp_path), None, None) == []
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_plays_live(finished, level_file):
    """The script as a user starts it: the agent begins, is seen to solve its level, and Ctrl-C ends it."""
    _, folder = finished
    arguments = [str(level_file), "--checkpoint", str(folder.path), "--watch", "--port", "0", "--seed", "1"]
    command = [sys.executable, "scripts/play.py", *arguments]
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, env={**os.environ, "JAX_COMPILATION_CACHE_DIR": CACHE}, **options)
    lines = []
    try:
        while not lines or "play at http" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        address = lines[-1].split()[2]
        send = lambda number, command: urllib.request.urlopen(
            urllib.request.Request(
                f"{address}input",
                json.dumps({"page": "p", "number": number, "held": [], "command": command}).encode(),
            ),
            timeout=30,
        ).close()
        ends, frames = [], []
        with urllib.request.urlopen(f"{address}events?page=p", timeout=60) as stream:
            for line in stream:
                if not line.startswith(b"data: "):
                    continue
                told = json.loads(line.removeprefix(b"data: "))
                if "limit" in told:
                    # 20 steps of 2 frames of 1/60 s.
                    assert told["limit"] == pytest.approx(40 / 60) and told["player"].startswith(
                        "run, update "
                    )
                    continue
                assert told["watching"]
                frames.append(told["time"])
                if told["phase"] in ("solved", "time") and (len(frames) < 2 or frames[-2] != told["time"]):
                    ends.append(told["phase"])
                    if len(ends) == 8:
                        break
                    send(len(ends), "restart")
        assert "solved" in ends, ends
        assert max(frames) <= 40 / 60 + 1e-3
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
