"""Runs that go on with another number of devices: curricula are shared out anew, and no level is lost."""

from __future__ import annotations

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import make_trainer
from agents.config import ConfigError, TrainConfig, read_config
from agents.curricula import ACCEL, SFL, DomainRandomization, FixedLevels
from agents.curricula.buffer import LevelBuffer, deal_out
from agents.evaluation.evaluation import RunInfo
from agents.io.checkpoint import CheckpointError, Checkpoints
from agents.io.metrics import read_metrics
from agents.io.run_folder import new_run
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import make_optimizer
from agents.presets import config_folder
from agents.training import loop
from agents.training.loop import train
from agents.training.trainer import Trainer
from tests.agents.checkpoints import final_state
from tests.agents.policies import Thrust, same_trees
from tests.agents.test_run import asked_from
from tests.kinetix_py.small_levels import TINY, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

PARAMS = kx.EnvParams(max_timesteps=20)
KEY = jax.random.key(0)
SCORES = [[0.5, -np.inf, 0.1, 0.9, 0.2, 0.8], [0.3, 0.7, -np.inf, -np.inf, -np.inf, 0.4]]


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)


def buffers(scores):
    """Buffers with these scores, whose checksums tell slots apart."""
    scores = jnp.array(scores)
    count, capacity = scores.shape
    empty = jax.vmap(lambda _: LevelBuffer.empty(capacity, TINY))(jnp.arange(count))
    number = jnp.arange(2 * scores.size, dtype=jnp.uint32).reshape(count, capacity, 2)
    return dataclasses.replace(empty, score=scores, checksum=number)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_buffers_are_dealt_out_evenly_and_lose_nothing(count):
    """Eight levels of two buffers: each new buffer has as many as any other, but for one."""
    before = buffers(SCORES)
    after = deal_out(before, before.score, count)
    assert after.score.shape == (count, 12 // count)
    known = lambda one: {
        int(number[0]): float(score)
        for number, score in zip(one.checksum.reshape(-1, 2), one.score.reshape(-1), strict=True)
    }
    assert known(after) == known(before)
    filled = np.asarray(after.filled).sum(1)
    assert filled.sum() == 8 and filled.max() - filled.min() <= 1
    best = np.sort(np.asarray(after.score)[:, 0])[::-1]
    np.testing.assert_allclose(best, [0.9, 0.8, 0.7, 0.5][:count])  # the best levels are spread as well


KINDS = sorted(path.stem for path in (config_folder() / "curriculum").glob("*.yaml"))


@pytest.mark.parametrize(
    "kind",
    [kind if kind == "map_elites" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_states_of_other_devices_get_the_shapes_of_a_new_run(kind, before, after, level_file):
    """Of every curriculum that comes with a config; traced, not compiled."""
    small = ["network=mlp", "network.width=8", "network.layers=1", "network.head_width=8", "size=s"]
    small += ["env.observation_type=blind", "training.num_envs=128", "training.rollout_length=16"]
    small += [f"curriculum={kind}", "training.num_rollouts=1", "ppo.minibatch_size=512"]
    small += [f"curriculum.levels=[{level_file}]"] if kind == "levels" else []
    of = lambda devices: make_trainer(TrainConfig.preset("cpu", *small, f"training.num_devices={devices}"))
    new = of(after)
    share = lambda states: new.curriculum.redistribute(states, after)
    dealt = jax.eval_shape(share, of(before).state_shapes().curriculum)
    assert shapes_of(dealt) == shapes_of(new.state_shapes().curriculum)


def shapes_of(tree):
    return [
        (jax.tree_util.keystr(path), leaf.shape, leaf.dtype)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


@pytest.mark.slow
def test_levels_to_edit_are_shared_out(env):
    """Of two devices, one had replayed levels: those three are edited, on each of three devices one."""
    make = lambda num_envs, capacity: ACCEL(
        env, PARAMS, num_envs, buffer_size=capacity, buffer_share=0.5, edited_share=0.25
    )
    old, new = make(12, 6), make(4, 4)
    states = jax.vmap(old.init)(jax.random.split(KEY, 2), jnp.arange(2))
    density = states.parents.labels.density.at[1, :, 0].set(jnp.array([1.5, 2.5, 3.5]))
    labels = dataclasses.replace(states.parents.labels, density=density)
    states = dataclasses.replace(
        states,
        buffer=buffers(SCORES),
        parents=dataclasses.replace(states.parents, labels=labels),
        has_parents=jnp.array([False, True]),
    )
    dealt = new.redistribute(states, 3)
    assert dealt.has_parents.tolist() == [True] * 3 and dealt.buffer.score.shape == (3, 4)
    assert dealt.parents.labels.density[:, 0, 0].tolist() == [1.5, 2.5, 3.5]
    shapes = jax.eval_shape(lambda: jax.vmap(new.init)(jax.random.split(KEY, 3), jnp.arange(3)))
    same = lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype)
    assert all(jax.tree.leaves(jax.tree.map(same, dealt, shapes)))
    with pytest.raises(ValueError, match="buffers of 12 levels cannot become 2 that hold 8"):
        new.redistribute(states, 2)


@pytest.mark.slow
def test_given_levels_are_played_by_the_same_environments_on_any_number_of_devices(env):
    levels = kx.stack_levels([falling(), rocket(), falling(red=True)])
    curriculum = FixedLevels(levels, 2, 4)
    states = jax.device_get(jax.vmap(curriculum.init)(jax.random.split(KEY, 4), jnp.arange(4)))
    propose = lambda state: curriculum.propose(KEY, None, None, state, 0)[1].source
    assert np.concatenate(jax.jit(jax.vmap(propose))(states)).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert same_trees(curriculum.redistribute(jax.tree.map(lambda leaf: leaf[:1], states), 4), states)
    with pytest.raises(ValueError, match="3 levels need at least as many environments, got 2"):
        FixedLevels(levels, 1, 2)
    random = DomainRandomization(env, PARAMS, 4)
    states = jax.jit(jax.vmap(random.init))(jax.random.split(KEY, 2), jnp.arange(2))
    assert random.redistribute(states, 4).pool.count.tolist() == [0] * 4


def test_checkpoints_are_read_by_any_number_of_devices(env, tmp_path):
    """Of four devices: on four nothing changes, on two levels are dealt out, other capacities are told."""
    config = PPOConfig(minibatch_size=80)

    def make(devices, capacity=8):
        own = SFL(env, PARAMS, 8 // devices, buffer_size=capacity // devices, num_candidates=0)
        return Trainer(env, Thrust(), own, make_optimizer(config), config, 8, 20, num_devices=devices)

    four, two = make(4), make(2)
    state = four.init(KEY)
    scores = jnp.array([[0.5, 0.4], [0.3, -np.inf], [0.2, 0.1], [-np.inf, -np.inf]])
    curriculum = dataclasses.replace(state.curriculum, buffer=buffers(scores))
    state = four.place(dataclasses.replace(state, curriculum=curriculum))
    shapes = lambda trainer: jax.eval_shape(trainer.init, KEY)
    with contextlib.closing(Checkpoints(tmp_path, create=True)) as checkpoints:
        checkpoints.save(state)
        assert same_trees(four.place(checkpoints.restore(shapes(four))), state)
        dealt = two.place(checkpoints.restore(shapes(two)))
        np.testing.assert_allclose(
            dealt.curriculum.buffer.score, [[0.5, 0.3, 0.1, -np.inf], [0.4, 0.2, -np.inf, -np.inf]]
        )
        assert len(dealt.curriculum.buffer.score.sharding.device_set) == 2
        with pytest.raises(CheckpointError, match=r"buffer\.levels.* has shape"):
            checkpoints.restore(shapes(make(4, 16)))


def test_all_devices_are_taken_where_none_are_named(tiny, tmp_path):
    make = lambda **changes: make_trainer(read_config(tiny(tmp_path, training__num_devices=None, **changes)))
    trainer = make(ppo__minibatch_size=160)
    assert trainer.num_devices == jax.device_count() == 8 and trainer.curriculum.num_envs == 1
    with pytest.raises(ConfigError, match=r"num_envs must be a multiple of .*num_devices, 8, got 12; null"):
        make(training__num_envs=12, ppo__minibatch_size=240)


def test_only_what_does_not_change_a_run_may_change_where_it_goes_on(tiny, tmp_path):
    folder = new_run(config := read_config(tiny(tmp_path)))
    assert folder.config("training.num_devices=4").training.num_devices == 4
    assert folder.config("training.num_devices=null").training.num_devices is None
    assert RunInfo.of("a", folder.config("training.num_devices=4"), 1) == RunInfo.of("a", config, 1)
    with pytest.raises(ConfigError, match=r"training.seed=1: a run goes on with other values of"):
        folder.config("training.seed=1")


@pytest.mark.slow
def test_a_run_goes_on_with_other_devices(finished, tiny, tmp_path, monkeypatch):
    """It learns from as many steps, and about as well: its level is solved at the end."""
    config = read_config(tiny(tmp_path, training__num_devices=4))
    folder = new_run(config)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "graceful_interrupt", asked_from(3))
        assert not train(config, folder, quiet=True)
    other = folder.config("training.num_devices=2")
    assert train(other, folder, resume=True, quiet=True)
    rows = read_metrics(folder.metrics)
    assert [row["update"] for row in rows] == list(range(1, 41)) and rows[-1]["env_steps"] == 40 * 160
    state = final_state(other, folder)
    assert state.params.moments[0].count == 40 * 160 and state.curriculum.first.tolist() == [0, 4]
    assert rows[-1]["solve_rate"] > 0.8
