"""Prioritized level replay and ACCEL: what they play, what they learn from, and what they edit."""

from __future__ import annotations

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import make_trainer
from agents.config import read_config
from agents.curricula import ACCEL, PLR, Outcome, minimal_levels
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import make_optimizer
from agents.training.trainer import Trainer
from tests.agents.policies import Thrust, same_trees
from tests.kinetix_py.small_levels import TINY, batch, relabeled, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
PARAMS = kx.EnvParams(max_timesteps=20)
FRESH, EDITED, REPLAYED = slice(3), slice(3, 6), slice(6, 10)


def mark(levels):
    """A number of a level without effect, which edits keep: the density that a wall would have."""
    return np.asarray(levels.labels.density[..., 0])


class Marked(ACCEL):
    """Draws rockets, each with a random mark of its own."""

    def draw(self, key, pool, wanted):
        levels = batch(rocket(), self.num_drawn)
        marks = jax.random.uniform(key, (self.num_drawn,), minval=1.0, maxval=2.0)
        return pool, relabeled(levels, density=levels.labels.density.at[:, 0].set(marks)), jnp.int32(0)


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)


@pytest.fixture(scope="module")
def curriculum(env):
    numbers = {"buffer_size": 6, "buffer_share": 0.4, "edited_share": 0.3, "num_edits": 4}
    return Marked(env, PARAMS, 10, edits=("move_shape", "change_role"), **numbers)


def outcome(best):
    """Rows of which the largest return, less a value of 0, is the score."""
    best = jnp.array(best, float)
    one, zero = jnp.ones(best.shape), jnp.zeros(best.shape)
    return Outcome(one, zero, one, zero, zero, one, best, zero, zero, zero, zero)


@pytest.fixture(scope="module")
def updates(curriculum):
    """Three updates: fresh levels alone, the first replays, the first edits."""
    propose = jax.jit(lambda key, state, i: curriculum.propose(key, None, None, state, i))
    observe = jax.jit(
        lambda state, batch, outcome, i: curriculum.observe(KEY, None, None, state, batch, outcome, i)
    )
    states, batches, metrics = [jax.jit(curriculum.init)(KEY)], [], []
    for i in range(3):
        state, levels = propose(jax.random.key(i), states[-1], i)
        state, measured = observe(state, levels, outcome(np.arange(10)), i)
        states.append(state)
        batches.append(levels)
        metrics.append(measured)
    return types.SimpleNamespace(states=states, batches=batches, metrics=metrics, observe=observe)


def test_until_the_buffer_is_filled_all_levels_are_fresh(updates):
    first = updates.batches[0]
    assert (first.source == -1).all() and not first.learn.any() and len(set(mark(first.start))) == 10
    assert not updates.states[1].has_parents
    assert updates.metrics[0]["buffer_filled"] == 1 and updates.metrics[0]["buffer_score"] == 6.5
    assert set(mark(updates.states[1].buffer.levels)) == set(mark(first.start)[4:])  # scores 4 to 9


def test_the_robust_form_learns_from_replayed_levels_only(updates):
    for levels, state in zip(updates.batches[1:], updates.states[1:], strict=False):
        assert not levels.learn[:6].any() and levels.learn[REPLAYED].all()
        assert (levels.source[:6] == -1).all()
        np.testing.assert_array_equal(
            mark(levels.start)[REPLAYED], mark(state.buffer.levels)[levels.source[REPLAYED]]
        )


def test_only_levels_that_were_replayed_are_edited(updates):
    """Before there are any, fresh levels are in the place of edits."""
    second, third = updates.batches[1:]
    known = [*mark(updates.batches[0].start), *mark(updates.states[1].buffer.levels)]
    assert not set(mark(second.start)[:6]) & set(known)
    assert updates.states[2].has_parents
    np.testing.assert_array_equal(mark(third.start)[EDITED], mark(second.start)[REPLAYED][:3])
    assert not set(mark(third.start)[FRESH]) & {*known, *mark(second.start)}
    row = lambda levels, i: jax.tree.map(lambda leaf: leaf[i], levels)
    children, parents = (row(third.start, EDITED), row(second.start, slice(6, 9)))
    assert not same_trees(children.sim, parents.sim)
    for i in range(3):
        kx.validate_level(row(children, i))


def test_metrics_of_edits_by_hand(updates):
    solved = dataclasses.replace(outcome(np.zeros(10)), solved=jnp.array([0, 0, 0, 1, 1, 0, 1, 1, 1, 1.0]))
    _, metrics = updates.observe(updates.states[2], updates.batches[2], solved, 2)
    assert metrics["solve_rate_edited"] == pytest.approx(2 / 3)
    assert metrics["solve_rate_fresh"] == 0 and metrics["solve_rate_replayed"] == 1


@pytest.mark.slow
def test_two_devices_learn_nothing_from_fresh_levels_and_then_from_replayed(env, curriculum):
    """One program: the first update leaves parameters and optimizer as they were, the second does not."""
    own = dataclasses.replace(curriculum, num_envs=5, buffer_size=3, buffer_share=0.4, edited_share=0.2)
    config, traces = PPOConfig(learning_rate=0.1, minibatch_size=80, num_epochs=1), []

    @dataclasses.dataclass(frozen=True)
    class Counted(Thrust):
        def unroll(self, *arguments):
            traces.append(1)
            return super().unroll(*arguments)

    trainer = Trainer(env, Counted(), own, make_optimizer(config), config, 10, 16, num_devices=2)
    before = trainer.init(KEY)
    params, opt_state = jax.device_get((before.params, before.opt_state))
    state, metrics = trainer.train_steps(before, PARAMS, 1)
    assert same_trees((state.params, state.opt_state), (params, opt_state))
    assert metrics["loss/grad_norm"] == 0 and metrics["buffer_filled"] == 1 and metrics["policy_steps"] == 160
    count = len(traces)
    state, metrics = trainer.train_steps(state, PARAMS, 1)
    assert float(state.params) != float(params) and metrics["loss/grad_norm"] > 0
    state, metrics = trainer.train_steps(state, PARAMS, 1)
    assert len(traces) == count and state.curriculum.has_parents.tolist() == [True, True]
    marks = mark(state.curriculum.buffer.levels)
    assert marks.shape == (2, 3) and not set(marks[0]) & set(marks[1])  # each device has its own
    assert all(np.isfinite(value).all() for value in metrics.values())


def test_shares_of_an_update(env):
    plain = PLR(env, PARAMS, 10, buffer_share=0.5)
    assert (plain.num_fresh, plain.num_replayed, plain.learning_share) == (5, 5, 1)
    robust = dataclasses.replace(plain, buffer_share=0.3, learn_fresh=False)
    assert (robust.num_fresh, robust.learning_share) == (7, 0.3)
    with pytest.raises(ValueError, match=r"ACCEL.edited_share must be in 0 .. buffer_share, got 0.6"):
        ACCEL(env, PARAMS, 10, buffer_share=0.4, edited_share=0.6)
    with pytest.raises(ValueError, match=r"edited_share must be at most 1 - buffer_share, got 0.5"):
        ACCEL(env, PARAMS, 10, buffer_share=0.8, edited_share=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["accel", "map_elites"])
def test_levels_grow_from_the_simplest_ones(kind, tiny, tmp_path):
    """Whole updates on M: fresh levels have three shapes, so that what has more or fewer was edited."""
    replay = {"buffer_size": 16, "buffer_share": 0.5, "edited_share": 0.5, "min_fill": 0.0}
    given = tiny(tmp_path, env__size="m", training__num_envs=16, ppo__minibatch_size=160)
    given["curriculum"] = {"kind": kind, "start": "minimal", "num_edits": 3, **replay}
    config = read_config(given)
    trainer = make_trainer(config)
    state, shapes = trainer.init(KEY), []  # of the levels in the buffer, after each update
    for _ in range(8):
        state, metrics = trainer.train_steps(state, config.env.params, 1)
        buffer = jax.tree.map(lambda leaf: leaf[0], state.curriculum.buffer)
        held = np.asarray(buffer.filled)
        shapes.append(np.asarray(buffer.levels.sim.active[:, 4:]).sum(1)[held])
    assert (np.asarray(buffer.levels.labels.role) == kx.GREEN).any(1)[held].all()
    assert (shapes[0] == 3).all() and shapes[-1].max() > 3 and shapes[-1].mean() > 3
    assert np.isfinite(metrics["loss/total"]).all()


@pytest.mark.slow
def test_minimal_levels_have_three_shapes_and_a_control():
    levels = kx.sample_levels(KEY, 64, "m", minimal_levels())
    walls = levels.size.num_walls
    assert (np.asarray(levels.sim.active[:, walls:]).sum(1) == 3).all()
    assert (np.asarray(levels.labels.role) == kx.GREEN).any(1).all() and (
        np.asarray(levels.labels.role[:, :walls]) == 0
    ).all()
    controls = np.asarray(levels.sim.joints.active).sum(1) + np.asarray(levels.sim.thrusters.active).sum(1)
    assert (controls == 1).all()
