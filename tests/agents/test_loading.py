"""Trained policies: loaded from runs and files, refused, played live."""

from __future__ import annotations

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

import agents
import kinetix_py as kx
from agents.build import make_trainer
from agents.cli.main import main
from agents.config import ConfigError, OutputConfig, read_config
from agents.io.checkpoint import CheckpointError, Checkpoints
from agents.io.policy_file import write_policy_file
from agents.io.run_folder import find_checkpoint, open_checkpoints
from agents.loading import levels_trained_on, load_policy
from agents.networks.heads import scale_actor
from agents.play import AgentOfAnySize, PolicyPlayer
from agents.training.loop import initial_params, validate_run
from tests.agents.checkpoints import final_state
from tests.agents.policies import same_trees
from tests.kinetix_py.small_levels import rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = str(ROOT / ".cache" / "jax")
TIMING = ("seconds", "steps_per_second")


def test_levels_of_a_run_that_it_started_from_are_marked_too(finished, tiny, tmp_path):
    config, folder = finished
    given = tiny(tmp_path, curriculum__levels=["weak_thrust"]) | {"init_from": str(folder.path)}
    assert levels_trained_on(read_config(given)) == ["weak_thrust", *config.curriculum.levels]
    gone = given | {"init_from": str(tmp_path / "gone")}
    with pytest.warns(UserWarning, match="gone: neither a run folder nor a checkpoint"):
        assert levels_trained_on(read_config(gone)) == ["weak_thrust"]


def test_a_trained_policy_is_loaded_by_any_of_its_paths(finished, tiny, tmp_path):
    config, folder = finished
    saved = final_state(config, folder).params
    for path in (folder.path, folder.checkpoints, folder.checkpoints / "40"):
        loaded = agents.load_policy(path)
        assert same_trees(loaded.params, saved) and loaded.config == config
        assert loaded.step == 40 and loaded.name == "run, update 40" and not loaded.env.auto_reset
        assert loaded.policy.recurrent
        tuned = read_config(tiny(tmp_path) | {"init_from": str(path)})
        validate_run(tuned)
        assert same_trees(initial_params(tuned), saved)
        calm = initial_params(dataclasses.replace(tuned, init_actor_scale=0.5))
        assert same_trees(calm, scale_actor(saved, 0.5)) and not same_trees(calm, saved)
    assert load_policy(folder.path, "m").env.size.num_polygons > loaded.env.size.num_polygons
    other = read_config(tiny(tmp_path, network__width=16) | {"init_from": str(folder.path)})
    with pytest.raises(ConfigError, match=r"its network\.width is 8, this run's is 16"):
        validate_run(other)
    other = read_config(tiny(tmp_path, env__rules=True) | {"init_from": str(folder.path)})
    with pytest.raises(ConfigError, match=r"its env\.rules is False, this run's is True"):
        validate_run(other)
    for path in (tmp_path, folder.start, folder.start / "0"):
        with pytest.raises(ConfigError, match="neither a run folder nor a checkpoint"):
            load_policy(path)


def test_a_policy_file_stands_for_its_run(finished, tiny, tmp_path, capsys):
    config, folder = finished
    file = tmp_path / "agent.npz"
    main(["export", f"{folder.path}/checkpoints/40", str(file)])
    assert str(file) in capsys.readouterr().out
    of_run, of_file = load_policy(folder.path), load_policy(file, contact_order="kinetix")
    assert same_trees(of_file.params, of_run.params) and of_file.levels == of_run.levels != ()
    without_paths = dataclasses.replace(config, output=OutputConfig())
    assert of_file.trained_config == without_paths and str(tmp_path) not in np.load(file)["header"].item()
    assert of_file.env.contact_order == "kinetix" and of_file.name == of_run.name == "run, update 40"
    tuned = read_config(tiny(tmp_path) | {"init_from": str(file)})
    validate_run(tuned)
    assert same_trees(initial_params(tuned), of_run.params)
    assert levels_trained_on(tuned) == [*tuned.curriculum.levels, *config.curriculum.levels]
    with pytest.raises(SystemExit, match="exists already; --force replaces it"):
        main(["export", str(folder.path), str(file)])
    with pytest.raises(SystemExit, match=r"the name of a policy file must end in \.npz"):
        main(["export", str(folder.path), str(tmp_path / "agent.pickle")])


def test_a_policy_file_asks_for_no_gpu(finished, tmp_path):
    config, loaded = finished[0], load_policy(finished[1].path)
    on_gpu = dataclasses.replace(config, env=dataclasses.replace(config.env, backend="cuda"))
    write_policy_file(tmp_path / "agent.npz", loaded.params, on_gpu, loaded.run, loaded.step)
    assert load_policy(tmp_path / "agent.npz").trained_config.env == config.env


def test_damaged_policy_files_are_refused(finished, tmp_path):
    file = agents.export_policy(finished[1].path, tmp_path / "agent.npz")
    whole = file.read_bytes()
    for content in (b"", b"text", whole[:-100], whole[:100]):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"agent\.npz: not a policy file, or a damaged one"):
            load_policy(file)
    file.write_bytes(whole)
    entries = dict(np.load(file))
    name = next(name for name in entries if name != "header")
    for changes, message in (
        ({name: np.zeros(99)}, "has shape"),
        ({"['other']": np.zeros(1)}, r"has an unknown \['other'\]"),
        ({"header": np.array('{"format": 9}')}, "format 9, this version reads 1"),
    ):
        np.savez(file, **(entries | changes))
        with pytest.raises(CheckpointError, match=message):
            load_policy(file)
    del entries[name]
    np.savez(file, **entries)
    with pytest.raises(CheckpointError, match="lacks"):
        load_policy(file)


def test_checkpoints_that_do_not_fit_are_refused(finished, tiny, tmp_path):
    _, folder = finished
    with open_checkpoints(folder) as checkpoints:
        wide = make_trainer(read_config(tiny(tmp_path, network__head_width=16))).policy.init(
            jax.random.key(0)
        )
        with pytest.raises(CheckpointError, match=r"bias'\] has shape \(8,\), this run needs \(16,\)"):
            checkpoints.restore_params(wide)
        deep = make_trainer(read_config(tiny(tmp_path, network__layers=2))).policy.init(jax.random.key(0))
        with pytest.raises(CheckpointError, match=r"lacks .*it is of a run with another config"):
            checkpoints.restore_params(deep)
        with pytest.raises(CheckpointError, match=r"has no checkpoint 5, there are \[30, 40\]"):
            checkpoints.restore_params(wide, 5)
    with pytest.raises(CheckpointError, match="no such folder"):
        Checkpoints(tmp_path / "none")
    with pytest.raises(ConfigError, match="neither a run folder nor a checkpoint"):
        find_checkpoint(tmp_path)


@pytest.mark.slow
def test_a_checkpoint_plays_live(finished):
    """It is asked for values of bindings, remembers, and has random numbers of its own in every episode."""
    _, folder = finished
    player = PolicyPlayer.load(folder.path, "s", seed=1)
    assert player.name == "run, update 40" and player.frame_skip == 2
    level = kx.pad_level(rocket(), player.env.size)
    _, state = player.env.reset_to_level(level, player.env_params)
    memory, values = player.begin(), []
    for step in range(6):
        memory, value = player.act(memory, state, step == 0)
        values.append(value)
    assert np.shape(values) == (6, player.env.size.num_bindings)
    thruster = player.env.size.num_motor_bindings
    assert np.mean(values, axis=0)[thruster] > 0.5 and set(np.unique(values)) <= {0, 1}
    assert np.isfinite(player.value)
    assert not (memory[1] == player.begin()[1]).all()  # the network has a memory
    keys = [jax.random.key_data(player.begin()[0]) for _ in range(2)]
    assert not (keys[0] == keys[1]).all()
    agent = AgentOfAnySize(folder.path)
    assert agent.name == player.name and agent.player(player.env.size).env.size == player.env.size
    assert agent.solve_rate(level, 4) > 0.5  # it has learned to fire the thruster
    with pytest.raises(ValueError, match="agents play levels of the sizes s, m, l"):
        agent.player(dataclasses.replace(player.env.size, num_joints=9))
