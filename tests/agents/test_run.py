"""Runs: stopped, killed, resumed, fine-tuned, evaluated, played."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from agents.build import make_trainer
from agents.cli.main import main
from agents.config import ConfigError, read_config
from agents.evaluation.evaluation import Conditions, RunInfo, read_evaluations
from agents.evaluation.run import evaluate_run
from agents.evaluation.seeds import FINAL_SEED
from agents.io.best import BestCheckpoint, best_update
from agents.io.checkpoint import CheckpointError, Checkpoints
from agents.io.metrics import read_metrics
from agents.io.run_folder import RunFolder, new_run, open_checkpoints
from agents.levels import load_level_sets
from agents.loading import load_policy
from agents.networks.normalize import NormalizedPolicy
from agents.training import loop
from agents.training.interrupt import graceful_interrupt
from agents.training.loop import NotFiniteError, initial_params, train
from agents.training.periodic import PeriodicEvaluation
from agents.training.report import evaluation_sets, report_run
from tests.agents.checkpoints import final_state
from tests.agents.policies import same_trees
from tests.kinetix_py.small_levels import rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TIMING = ("seconds", "steps_per_second")


def asked_from(call):
    """A stand-in for `graceful_interrupt` that is asked to stop in a call of the program, counted from 1."""

    @contextlib.contextmanager
    def interrupt():
        calls = iter(range(1, 1000))
        yield lambda: next(calls) >= call

    return interrupt


def stable_rows(folder):
    """The metrics of a run without its times."""
    rows = read_metrics(folder.metrics)
    return [{name: value for name, value in row.items() if name not in TIMING} for row in rows]


def test_a_complete_run_learns_its_level_and_leaves_pictures(finished, level_file):
    config, folder = finished
    results = {row.policy: row for row in read_evaluations(folder.path)}
    agent, *others = results.values()
    assert list(results) == ["agent", "at the start", "no-op", "random", "random, held 8"]
    assert all(agent.interval[0] > other.interval[1] for other in others)
    assert agent.run == RunInfo.of("run", config, 40) and agent.run.training_seed == 0
    assert agent.levels.name == "files" and agent.levels.level_names == ("rocket",)
    assert agent.levels.trained_on == (True,) and agent.solved.shape == (1, 64)
    assert agent.conditions == Conditions.of(config.env.make(), config.env.params)
    for name in ("curves.png", "evaluation.png"):
        assert (folder.path / name).stat().st_size > 5_000
    assert list((folder.path / "tensorboard").iterdir())
    rows = read_metrics(folder.metrics)
    assert [row["update"] for row in rows] == list(range(1, 41)) and rows[-1]["env_steps"] == 40 * 160
    assert [row["policy_steps"] for row in rows] == [row["env_steps"] for row in rows]
    learnt = load_policy(folder.path).params.network  # not the moments of its observations
    assert rows[-1]["loss/param_norm"] == pytest.approx(float(optax.tree.norm(learnt)), rel=1e-5)


def test_a_run_stopped_and_resumed_ends_as_one_that_never_stopped(finished, tiny, tmp_path, monkeypatch):
    config = read_config(tiny(tmp_path))
    folder = new_run(config)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "graceful_interrupt", asked_from(3))
        assert not train(config, folder, quiet=True)
    assert len(read_metrics(folder.metrics)) == 6 and (folder.path / "curves.png").is_file()
    assert not (folder.path / "evaluation.json").exists()
    with folder.metrics.open("a") as file:  # as if it had been killed in the next call
        file.write('{"update": 7, "env_steps": 1120}\n{"upd')
    assert train(config, folder, resume=True, quiet=True)
    whole_config, whole = finished
    assert stable_rows(folder) == stable_rows(whole)
    assert same_trees(final_state(config, folder), final_state(whole_config, whole))
    pairs = zip(read_evaluations(folder.path), read_evaluations(whole.path), strict=True)
    assert all((mine.solved == other.solved).all() for mine, other in pairs)
    best, other = (load_policy(f"{one.path}@best") for one in (folder, whole))
    assert best.step == other.step and same_trees(best.params, other.params)


@pytest.mark.slow
def test_a_run_leaves_a_film_of_episodes_that_it_solved(finished, tmp_path):
    config, folder = finished
    shown = dataclasses.replace(config, output=dataclasses.replace(config.output, num_animations=2))
    copy = RunFolder(pathlib.Path(shutil.copytree(folder.path, tmp_path / "run")))
    params, start = load_policy(folder.path).params, initial_params(config)
    report_run(shown, copy, params, start, progress=False)
    assert (copy.path / "solved.gif").stat().st_size > 5_000


def test_the_command_compares_runs(finished, tmp_path, capsys):
    _, folder = finished
    main(["compare", str(folder.path), "--out", str(tmp_path / "picture.png")])
    printed = capsys.readouterr().out
    assert "run (agent)" in printed and "random, held 8" in printed
    assert (tmp_path / "picture.png").stat().st_size > 5_000


def test_a_finished_run_is_not_trained_again(finished):
    config, folder = finished
    before = folder.metrics.read_text()
    checkpoints = sorted(path.name for path in folder.checkpoints.iterdir())
    with pytest.raises(ConfigError, match="exists already; continue it with --resume"):
        new_run(config)
    assert train(config, folder, resume=True, quiet=True)
    assert folder.metrics.read_text() == before
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == checkpoints


def test_the_first_interrupt_is_a_request_and_the_second_one_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), graceful_interrupt() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_command_evaluates_a_checkpoint_and_leaves_records_and_pictures(
    finished, level_file, tmp_path, capsys
):
    config, folder = finished
    words = ["--levels", str(level_file.parent), "--attempts", "64", "--out", str(tmp_path / "out")]
    main(["evaluate", str(folder.checkpoints / "30"), *words])
    rows = {row.policy: row for row in read_evaluations(tmp_path / "out" / "evaluation.json")}
    assert [row.label for row in rows.values()] == ["run (agent)", "no-op", "random", "random, held 8"]
    printed = capsys.readouterr().out
    assert all(row.label in printed for row in rows.values()) and str(tmp_path / "out") in printed
    agent = rows["agent"]
    assert agent.level_set == level_file.parent.name and agent.levels.trained_on == (True,)
    assert agent.interval[0] > rows["random"].interval[1] and agent.run.update == 30
    for name in ("evaluation.png", f"{level_file.parent.name}.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5_000
    # Training and evaluation call the same levels by the same name.
    paths = [str(level_file.parent)]
    both = dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, levels=paths))
    env = both.env.make()
    assert [one.name for one in evaluation_sets(both)] == [agent.level_set, "files"]
    assert load_level_sets(paths, env.size)[0].name == agent.level_set


def test_the_agent_is_evaluated_while_it_learns_and_its_best_checkpoint_is_kept(finished):
    config, folder = finished
    rows = [row for row in read_metrics(folder.metrics) if "eval/solve_rate" in row]
    assert [row["update"] for row in rows] == [10, 20, 30, 40]  # two updates a call, every fifth call
    for row in rows:
        assert 0 <= row["eval/solve_rate_low"] <= row["eval/solve_rate"] <= row["eval/solve_rate_high"] <= 1
        assert 0 <= row["eval/worst_tenth"] <= 1 and 1 <= row["eval/episode_length"] <= 20
    rates = [row["eval/solve_rate"] for row in rows]
    first_best = rows[int(np.argmax(rates))]
    for path in (f"{folder.path}@best", folder.best):
        best = load_policy(path)
        assert best.is_best and best.step == first_best["update"]
    assert best.name == f"run, best, update {best.step}" and not load_policy(folder.path).is_best
    assert same_trees(best.params, final_state(config, folder, best.step, is_best=True).params)
    # It is what was measured: the rate of its checkpoint, evaluated again, is the one in the log.
    again = PeriodicEvaluation(config, folder)
    state = final_state(config, folder, best.step, is_best=True)
    assert again.evaluate(state)["eval/solve_rate"] == first_best["eval/solve_rate"]
    again.close()


def test_the_best_checkpoint_is_the_first_of_the_highest_score(finished, tmp_path):
    """Also where a run goes on from before it, or was killed before the record of it was written."""
    config, folder = finished
    state = final_state(config, folder, 30)
    at = lambda update: dataclasses.replace(state, num_updates=np.int32(update))
    best = BestCheckpoint(tmp_path / "best")
    with pytest.raises(CheckpointError, match=r"no best checkpoint.*evaluation\.every"):
        best_update(tmp_path / "best")
    kept = [best.offer(at(update), score) for update, score in ((1, 0.2), (2, 0.2), (3, 0.5), (4, 0.4))]
    assert kept == [True, False, True, False] and best_update(tmp_path / "best") == 3
    assert not best.offer(at(5), float("nan"))
    best.close()
    again = BestCheckpoint(tmp_path / "best")
    assert again.score == 0.5 and not again.offer(at(3), 0.5)
    assert not again.offer(at(3), 0.7)  # another one of that number, as of a run on other devices
    assert again.offer(at(2), 0.6) and best_update(tmp_path / "best") == 2  # before the one that was the best
    (tmp_path / "best" / "score.json").write_text('{"update": 1, "score": 0.3}')
    again.close()
    killed = BestCheckpoint(tmp_path / "best")
    assert killed.offer(at(2), 0.6) and best_update(tmp_path / "best") == 2
    killed.close()
    with contextlib.closing(Checkpoints(tmp_path / "best")) as left:
        assert left.steps == [2]


@pytest.mark.slow
def test_an_evaluation_may_play_the_mode_under_another_order_of_contacts(finished, level_file, tmp_path):
    _, folder = finished
    found, out = evaluate_run(
        f"{folder.path}@best",
        levels=[str(level_file)],
        attempts=64,
        seed=FINAL_SEED,
        contact_order="kinetix",
        mode=True,
        folder=tmp_path / "out",
        progress=False,
    )
    names = ["best, kinetix contacts", "best, kinetix contacts, mode", "no-op", "random", "random, held 8"]
    assert [row.policy for row in found] == names
    assert {row.conditions.contact_order for row in found} == {"kinetix"}
    assert found[1].deterministic and found[1].attempts == 1 and found[0].attempts == 64
    assert found[0].run.name == "run" and (out / "files.png").is_file()
    with pytest.raises(ConfigError, match="contact_order must be one of"):
        load_policy(folder.path, contact_order="sideways")
    with pytest.raises(ConfigError, match="nothing to evaluate"):
        evaluate_run(folder.path, num_random=0)


def test_learning_moves_the_network_and_rollouts_the_moments(finished):
    """A run of 40 updates of 8 environments for 20 steps."""
    config, folder = finished
    loaded = load_policy(folder.path)
    start = initial_params(config)
    assert start.moments[0].count == 0
    assert loaded.params.moments[0].count == 40 * 8 * 20
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), loaded.params.network, start.network)
    assert max(jax.tree.leaves(moved)) > 0
    # The blind observation is the share of the time limit that is over, from 0 to 19/20.
    env, params = loaded.env, loaded.env_params
    times = [
        env.observe(dataclasses.replace(env.reset_to_level(rocket())[1], step_count=jnp.int32(t)), params)
        for t in (0, 19)
    ]
    mean = loaded.params.moments[0].mean
    assert times[0] < mean < times[1] and isinstance(loaded.policy, NormalizedPolicy)
    with open_checkpoints(folder) as checkpoints:
        assert checkpoints.latest == loaded.step == 40


@pytest.mark.slow
def test_a_request_in_the_last_call_stops_before_the_evaluation(tiny, tmp_path, monkeypatch):
    """Otherwise a multirun that was asked to stop would evaluate this run and start the next one."""
    config = read_config(tiny(tmp_path, training__total_steps=160 * 4))
    folder = new_run(config)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "graceful_interrupt", asked_from(2))
        assert not train(config, folder, quiet=True)
    assert len(read_metrics(folder.metrics)) == 4 and not (folder.path / "evaluation.json").exists()
    assert train(config, folder, resume=True, quiet=True)
    assert (folder.path / "evaluation.json").exists()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_what_was(finished, tiny, tmp_path):
    config = read_config(tiny(tmp_path, env__dense_reward_scale=float("inf")))
    folder = new_run(config)
    with pytest.raises(
        NotFiniteError, match=r"loss is not finite after update 2; checkpoints from before: .*: none"
    ):
        train(config, folder, quiet=True)
    assert not any(path.name.isdigit() for path in folder.checkpoints.iterdir())


def broken_after(count):
    """An optimizer whose updates are NaN from a gradient on."""
    learn = optax.sgd(1e-3)

    def update(grads, state, params=None):
        updates, learned = learn.update(grads, state[1], params)
        broken = lambda leaf: jnp.where(state[0] + 1 >= count, jnp.nan, leaf)
        return jax.tree.map(broken, updates), (state[0] + 1, learned)

    return optax.GradientTransformation(lambda params: (jnp.int32(0), learn.init(params)), update)


@pytest.mark.slow
def test_parameters_that_are_not_finite_are_never_a_checkpoint(tiny, tmp_path, monkeypatch):
    """The last of the 2 x 2 x 2 gradients of the second call is NaN: all losses until then are finite."""
    config = read_config(tiny(tmp_path, output__checkpoint_every=1))
    folder = new_run(config)
    spoil = lambda config: dataclasses.replace(make_trainer(config), optimizer=broken_after(16))
    with monkeypatch.context() as patched:
        patched.setattr(loop, "make_trainer", spoil)
        with pytest.raises(
            NotFiniteError, match=r"parameters.* are not finite .*update 4; .*checkpoints: \[2\]"
        ):
            train(config, folder, quiet=True)
    rows = read_metrics(folder.metrics)
    assert len(rows) == 4 and np.isfinite([row["loss/total"] for row in rows]).all()
    with open_checkpoints(folder) as checkpoints:
        assert checkpoints.steps == [2]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(load_policy(folder.path).params))


@pytest.mark.slow
def test_a_resumed_run_does_not_need_the_run_that_it_began_from(finished, tiny, tmp_path, monkeypatch):
    """It is gone; what it gave is evaluated as the start: an agent that is well ahead of a new one."""
    _, trained = finished
    source = shutil.copytree(trained.path, tmp_path / "source")
    config = read_config(tiny(tmp_path, training__total_steps=160 * 4) | {"init_from": str(source)})
    folder = new_run(config)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "graceful_interrupt", asked_from(1))
        assert not train(config, folder, quiet=True)
    shutil.rmtree(source)
    assert train(config, folder, resume=True, quiet=True)
    results = {row.policy: row for row in read_evaluations(folder.path)}
    agent = {row.policy: row for row in read_evaluations(trained.path)}["agent"]
    assert results["at the start"].solve_rate == agent.solve_rate > results["random"].interval[1]


@pytest.mark.slow
def test_a_run_that_was_killed_before_its_first_checkpoint_is_resumed(tiny, tmp_path, monkeypatch):
    config = read_config(tiny(tmp_path, training__total_steps=160 * 4))
    folder = new_run(config)

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop, "_train_calls", kill)
        with pytest.raises(KeyboardInterrupt):
            train(config, folder, quiet=True)
    assert train(config, folder, resume=True, quiet=True)
    assert [row["update"] for row in read_metrics(folder.metrics)] == [1, 2, 3, 4]


def flat(config, prefix=""):
    """A nested config as arguments of the command."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={json.dumps(value) if isinstance(value, list | None) else value}"


def wait_for_update(folder, update, process, limit=900):
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


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_never_killed(finished, tiny, tmp_path):
    """The command is killed twice in a run, at any moment, and goes on from what it finds."""
    whole_config, whole = finished
    config = tiny(tmp_path, output__checkpoint_every=1)
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    options["env"] = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    command = [sys.executable, "-m", "agents.cli.main", "train"]
    # All fields: those that are not given are other ones for the command, which has presets.
    arguments = ["network=mlp", *flat(dataclasses.asdict(read_config(config)))]
    for update in (6, 20):
        process = subprocess.Popen([*command, *arguments], **options)
        wait_for_update(tmp_path / "run", update, process)
        process.kill()
        process.communicate()
        arguments = ["--resume", str(tmp_path / "run")]
    assert subprocess.run([*command, *arguments], **options, check=False).returncode == 0
    folder = RunFolder(tmp_path / "run")
    assert stable_rows(folder) == stable_rows(whole)
    assert same_trees(final_state(folder.config(), folder), final_state(whole_config, whole))
    best, other = (load_policy(f"{one.path}@best") for one in (folder, whole))
    assert best.step == other.step and same_trees(best.params, other.params)
