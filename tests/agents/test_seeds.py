"""Several seeds in one program: each learns as it does alone, and rare work stays rare."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import make_trainer
from agents.config import ConfigError, read_config
from agents.curricula import SFL, FixedLevels
from agents.evaluation.evaluation import RunInfo, read_evaluations
from agents.evaluation.run import compare_runs
from agents.io.metrics import read_metrics
from agents.io.run_folder import RunFolder, find_checkpoint, new_run, open_checkpoints
from agents.loading import load_policy, paths_of_seeds
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import make_optimizer
from agents.training.loop import initial_params, train
from agents.training.seeds import config_of_seed, summarize_rates, training_key
from agents.training.trainer import Trainer
from tests.agents.policies import Coin, Thrust, same_trees
from tests.kinetix_py.small_levels import TINY, batch, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

PARAMS = kx.EnvParams(max_timesteps=20)
CONFIG = PPOConfig(learning_rate=0.1, gamma=0.9, minibatch_size=160)


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)


@pytest.mark.slow
def test_each_seed_learns_as_it_does_alone(env):
    alone = Trainer(env, Thrust(), FixedLevels(batch(rocket(), 8), 8), make_optimizer(CONFIG), CONFIG, 8, 20)
    together = dataclasses.replace(alone, num_seeds=2)
    keys = jax.random.split(jax.random.key(0), 2)
    state, metrics = together.train_steps(together.init(keys), PARAMS, 4)
    assert state.params.shape == (2,) and state.num_updates == 4 and metrics["solve_rate"].shape == (4, 2)
    for i in range(2):
        one, own = alone.train_steps(alone.init(keys[i]), PARAMS, 4)
        np.testing.assert_allclose(state.params[i], one.params, rtol=1e-5)
        for name, value in own.items():
            np.testing.assert_allclose(metrics[name][:, i], value, rtol=1e-4, atol=1e-5, err_msg=name)
    with pytest.raises(ValueError, match="num_seeds must be at least 1, got 0"):
        dataclasses.replace(alone, num_seeds=0)


@pytest.mark.slow
def test_seeds_are_split_among_devices(env):
    """Three seeds, two of them with one key, half of the environments of each on each of two devices."""
    levels = FixedLevels(kx.stack_levels([rocket()]), 4, 2)
    trainer = Trainer(
        env, Thrust(), levels, make_optimizer(CONFIG), CONFIG, 8, 20, num_devices=2, num_seeds=3
    )
    keys = jax.random.split(jax.random.key(0), 2)[jnp.array([0, 1, 0])]
    state, metrics = trainer.train_steps(trainer.init(keys), PARAMS, 2)
    assert state.params[0] == state.params[2] != state.params[1] and metrics["solve_rate"].shape == (2, 3)
    assert state.curriculum.first.tolist() == [[0, 4]] * 3
    assert len(state.curriculum.first.sharding.device_set) == 2


class Given(SFL):
    """Draws always the same level."""

    def draw(self, key, pool, wanted):
        return pool, batch(rocket(), self.num_drawn), jnp.int32(0)


def branches_that_do_nothing(jaxpr):
    """Number of conditionals, at any depth, one of whose branches does nothing."""
    count = 0
    for equation in jaxpr.eqns:
        inner = [getattr(each, "jaxpr", each) for each in jax.tree.leaves(list(equation.params.values()))]
        inner = [each for each in inner if hasattr(each, "eqns")]
        count += equation.primitive.name == "cond" and any(not each.eqns for each in inner)
        count += sum(map(branches_that_do_nothing, inner))
    return count


def test_candidates_are_attempted_when_it_is_due_and_not_at_every_update(env):
    """A conditional whose condition differed from seed to seed would compute both of its branches."""
    own = Given(env, PARAMS, 8, buffer_size=4, num_candidates=4, attempts=2, num_steps=20)
    trainer = Trainer(env, Coin(), own, make_optimizer(CONFIG), CONFIG, 8, 20, num_seeds=3)
    traced = jax.make_jaxpr(trainer.train_step)(trainer.state_shapes(), PARAMS)
    assert branches_that_do_nothing(traced.jaxpr) == 1


@pytest.mark.slow
def test_a_run_of_several_seeds_holds_as_many_policies(tiny, tmp_path):
    config = read_config(tiny(tmp_path, training__num_seeds=2, training__seed=5))
    folder, trainer = new_run(config), make_trainer(config)
    state = trainer.init(training_key(config), initial_params(config))
    with open_checkpoints_new(folder) as checkpoints:
        checkpoints.save(state)
    paths = [f"{folder.path}@seed5", f"{folder.path}@seed6"]
    assert paths_of_seeds(folder.path) == paths and paths_of_seeds(paths[1]) == paths[1:]
    assert find_checkpoint(f"{folder.checkpoints}/0@seed6").seed == 6
    for seed, path in zip((5, 6), paths, strict=True):
        loaded, alone = load_policy(path), config_of_seed(config, seed)
        assert same_trees(loaded.params, initial_params(alone))
        assert loaded.run == f"run@seed{seed}" and loaded.trained_config == alone
    assert not same_trees(load_policy(paths[0]).params, load_policy(paths[1]).params)
    for path in (folder.path, f"{folder.path}@seed7"):
        with pytest.raises(ConfigError, match="name a seed of the run: @seed5 to @seed6 after its path"):
            load_policy(path)
    one = RunInfo.of("a", config_of_seed(config, 5), 1)
    assert one == RunInfo.of("a", read_config(tiny(tmp_path, training__seed=5)), 1)  # as a run of its own


def open_checkpoints_new(folder):
    """Opens the checkpoints of a run that has not begun."""
    folder.checkpoints.mkdir()
    return open_checkpoints(folder)


def test_means_and_intervals_over_seeds_by_hand():
    """Of 0 and 1: mean 0.5, Student's interval +- 12.7062 / 2."""
    values = {"solve_rate": np.array([0.0, 1.0]), "loss/total": np.array([1.0, 3.0])}
    row = summarize_rates(values, range(3, 5))
    assert row["solve_rate"] == 0.5 and row["loss/total"] == 2 and len(row) == 6
    assert row["solve_rate_high"] == pytest.approx(0.5 + 6.3531, rel=1e-4)
    assert row["solve_rate_low"] == pytest.approx(0.5 - 6.3531, rel=1e-4)
    assert (row["solve_rate@seed3"], row["solve_rate@seed4"]) == (0, 1)
    assert summarize_rates({"solve_rate": np.float32(0.25)}, range(1)) == {"solve_rate": 0.25}


@pytest.mark.slow
def test_a_whole_run_of_two_seeds(finished, tiny, tmp_path):
    """The first of them is the run that was trained alone; all commands read what it leaves."""
    config = read_config(tiny(tmp_path, training__num_seeds=2, output__num_animations=2))
    folder = new_run(config)
    assert train(config, folder, quiet=True)
    rows, alone = read_metrics(folder.metrics), read_metrics(finished[1].metrics)
    for row, other in zip(rows[:6], alone[:6], strict=True):
        assert row["solve_rate@seed0"] == pytest.approx(other["solve_rate"], abs=0.13)  # of 8
        mean = (row["solve_rate@seed0"] + row["solve_rate@seed1"]) / 2
        assert row["solve_rate"] == pytest.approx(mean) and row["env_steps"] == other["env_steps"]
    agents = [each for each in read_evaluations(folder.path) if each.policy == "agent"]
    assert [each.run.name for each in agents] == ["run@seed0", "run@seed1"]
    assert len([each for each in read_evaluations(folder.path) if each.baseline]) == 3
    summary = compare_runs([folder.path]).seeds[0]
    assert len(summary.members) == 2 and summary.label == "run (agent, 2 seeds)"
    best = [load_policy(path) for path in paths_of_seeds(f"{folder.path}@best")]
    assert [each.seed for each in best] == [0, 1] and all(each.is_best for each in best)
    for name in ("curves.png", "evaluation.png", "solved.gif"):
        assert (RunFolder(folder.path).path / name).stat().st_size > 5_000
