"""Recording of an agent, and behavior cloning of what was recorded."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import agents
import kinetix_py as kx
from agents.bc.data import draw_steps, returns_to_go
from agents.cli.main import main
from agents.config import ConfigError, read_config
from agents.evaluation.evaluation import FILE, read_evaluations
from agents.io.run_folder import RunFolder, new_run
from agents.levels import make_level_set
from agents.loading import LoadedPolicy, levels_trained_on
from agents.policy import UniformPolicy
from agents.record import Recording, record
from agents.training.loop import make_learner, train
from kinetix_py.chunks import suited_chunks, use_chunks
from kinetix_py.experience import Experience
from kinetix_py.experience.recorder import shard_paths
from tests.kinetix_py.small_levels import TINY, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast", "few_at_once")


@pytest.fixture(scope="module")
def few_at_once():
    """Programs for few episodes."""
    with use_chunks(dataclasses.replace(suited_chunks(), replayed=16, recorded=24)):
        yield


@pytest.fixture(scope="module")
def recorded(finished, level_file, tmp_path_factory, few_at_once):
    """Episodes of the run that has learned to fire its thruster: the recording, and its folder."""
    _, folder = finished
    levels = make_level_set("given", kx.stack_levels([rocket()] * 3), ("a", "b", "c"))
    recording = Recording(
        agents.load_policy(folder.path), levels, attempts=8, seed=3, key_every=8, paths=(str(level_file),)
    )
    path = tmp_path_factory.mktemp("recorded")
    shards = record(recording, path)
    assert sum(len(shard.length) for shard in shards) == 24
    return recording, path


def test_an_agent_is_recorded_and_goes_on_where_it_stopped(recorded):
    recording, path = recorded
    data = Experience(path, observation_type="blind")
    assert data.num_episodes == 24 and (data.outcomes == 1).mean() > 0.5
    assert data.header["policy"] == "run, update 40" and data.header["seed"] == 3
    # Key frames and ends are those of the play, which replays from one key frame to the next meet.
    data.batch(np.arange(len(data)))
    drift = data.drift
    assert drift.segments > 10 and drift.worst < 1e-4 and drift.wrong_ends == 0
    lines: list[str] = []
    record(recording, path, lines.append)
    assert lines == [f"{path / 'shard_00000.npz'}: is there"]
    whole = shard_paths(path)[0].read_bytes()
    shard_paths(path)[0].write_bytes(whole[:200])
    record(recording, path, lines.append)
    assert "it is recorded again" in lines[1] and lines[2].endswith("bytes a step")
    again = Experience(path, observation_type="blind")
    np.testing.assert_array_equal(again.outcomes, data.outcomes)
    np.testing.assert_array_equal(again[5]["action"], data[5]["action"])
    with pytest.raises(ConfigError, match="is of another recording: its seed is 3, not 4"):
        record(dataclasses.replace(recording, seed=4), path)


def test_returns_are_those_of_hand_arithmetic():
    reward = jnp.array([[1.0, 0.5], [2.0, 1.0], [9.0, 9.0]])
    terminated = jnp.array([[False, False], [False, True], [False, False]])
    valid = jnp.array([[True, True], [True, True], [False, False]])
    found = returns_to_go(reward, terminated, valid, jnp.array([4.0, 4.0]), 0.5)
    # The first goes on to a value of 4 after two steps; the second ends there.
    np.testing.assert_allclose(found[:2], [[1 + 0.5 * 2 + 0.25 * 4, 0.5 + 0.5 * 1], [2 + 0.5 * 4, 1.0]])


def test_only_steps_that_count_are_drawn():
    valid = jnp.array([[True, False, True], [False, False, True]])
    drawn = np.asarray(draw_steps(jax.random.key(0), valid, 3000))
    counts = np.bincount(drawn, minlength=6)
    assert counts[[1, 3, 4]].tolist() == [0, 0, 0] and counts[[0, 2, 5]].min() > 850


@pytest.fixture(scope="module")
def cloning(tiny, recorded, level_file):
    """Makes configs of runs that clone the recorded episodes."""

    def make(folder, **changes):
        given = tiny(folder)
        given |= {"algorithm": "bc", "data": str(recorded[1])}
        given["curriculum"] = {"kind": "sfl"}
        given["network"] |= {"recurrent": False}
        given["ppo"] |= {"minibatch_size": 160}
        given["training"] |= {"total_steps": 160 * 60}
        given["evaluation"] |= {"levels": [str(level_file)], "every": 0}
        for path, value in changes.items():
            *group, name = path.split("__")
            (given[group[0]] if group else given)[name] = value
        return given

    return make


@pytest.mark.slow
def test_a_clone_does_what_was_recorded_and_is_resumed_exactly(cloning, recorded, tmp_path, monkeypatch):
    data = Experience(recorded[1], observation_type="blind")
    config = read_config(cloning(tmp_path / "runs"))
    whole = new_run(config)
    assert train(config, whole, quiet=True)
    rows = [json.loads(line) for line in whole.metrics.read_text().splitlines()]
    # Two choices have an effect in this level: at first either is as likely.
    assert rows[0]["loss/policy"] == pytest.approx(np.log(2), abs=0.05) and rows[-1]["loss/policy"] < 0.15
    assert rows[-1]["policy_steps"] == 0 and rows[-1]["env_steps"] == 160 * 60
    assert 0.3 < rows[-1]["replay/valid"] <= 1 and rows[-1]["loss/accuracy"] > rows[0]["loss/accuracy"]
    loaded = agents.load_policy(whole.path)
    results = {row.policy: row for row in read_evaluations(whole.path / FILE)}
    clone = results["agent"]
    assert clone.solve_rate > 0.9 * (data.outcomes == 1).mean()
    assert clone.solve_rate > results["at the start"].solve_rate
    assert clone.levels.trained_on == (True,) and (whole.path / "curves.png").exists()
    # The same in two parts.
    halves = new_run(read_config(cloning(tmp_path / "halves")))
    calls = iter([False] * 14 + [True] * 2)

    class Asked:
        def __enter__(self):
            return lambda: next(calls)

        def __exit__(self, *_):
            pass

    with monkeypatch.context() as patch:
        patch.setattr("agents.training.loop.graceful_interrupt", Asked)
        assert not train(halves.config(), halves, quiet=True)
    assert train(halves.config(), RunFolder(halves.path), resume=True, quiet=True)
    again = agents.load_policy(halves.path)
    jax.tree.map(np.testing.assert_array_equal, again.params, loaded.params)
    # PPO goes on from it, and knows the levels that the clone was trained on.
    later = read_config(cloning(tmp_path, algorithm="ppo", data=None, init_from=str(whole.path)))
    assert levels_trained_on(later) == list(recorded[0].paths)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env__frame_skip": 3}, r"was recorded with frame_skip 2, this run's is 3 \(env\.frame_skip\)"),
        ({"env__max_timesteps": 21}, "env.max_timesteps was 20, this run's is 21"),
        ({"env__action_type": "continuous"}, "was recorded with action_type discrete"),
        ({"network__recurrent": True}, "needs a network without memory"),
        ({"training__num_devices": 2}, "needs training.num_devices=1, got 2"),
        ({"data": "nowhere"}, "data=nowhere: nowhere: holds no whole file of episodes"),
        ({"data": None}, "data must name recorded episodes for algorithm 'bc'"),
        ({"algorithm": "ppo"}, "and for no other, got"),
        ({"algorithm": "dqn"}, r"algorithm must be one of \('ppo', 'bc'\), got 'dqn'"),
    ],
)
def test_cloning_refuses_what_does_not_fit(cloning, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_learner(read_config(cloning(tmp_path, **changes)))


def test_the_command_records_and_says_what(finished, level_file, tmp_path, capsys):
    _, folder = finished
    out, file = tmp_path / "data", tmp_path / "all.npz"
    arguments = [
        "--agent",
        str(folder.path),
        "--levels",
        str(level_file),
        "--attempts",
        "4",
        "--key-every",
        "8",
        "--out",
        str(out),
    ]
    main(["record", *arguments, "--export", str(file)])
    text = capsys.readouterr().out
    assert "4 episodes" in text and "bytes a step" in text and f"{file}: 0." in text
    assert Experience(out).header["paths"] == [str(level_file)]
    with pytest.raises(SystemExit) as stopped:
        main(["record", *arguments, "--random", "4"])
    assert stopped.value.code == 2 and "give either --levels or --random" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="kinetix record: nobody: neither a run folder nor a checkpoint"):
        main(["record", "--agent", "nobody", "--random", "4", "--out", str(out)])


@pytest.mark.slow
def test_any_policy_is_recorded(tmp_path, recorded):
    """One without parameters, of an agent's environment."""
    recording, _ = recorded
    loaded = recording.loaded
    uniform = LoadedPolicy(
        UniformPolicy(loaded.env), (), loaded.config, loaded.trained_config, "uniform", tmp_path, 0
    )
    record(dataclasses.replace(recording, loaded=uniform), tmp_path)
    data = Experience(tmp_path, observation_type="blind")
    assert data.header["policy"] == "uniform, update 0" and len(set(data[0]["action"].tolist())) > 1
    assert TINY.num_bindings == 6
