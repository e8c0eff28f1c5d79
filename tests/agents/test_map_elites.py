"""MAP-Elites: which cell a level is of, that each cell keeps its best, and where elites go that change."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import MapElites, Outcome
from agents.curricula.map_elites import cell_index, describe
from agents.curricula.protocol import LevelBatch
from agents.curricula.scores import History
from tests.kinetix_py.small_levels import TINY, falling, relabeled, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
PARAMS = kx.EnvParams(max_timesteps=20)
FALLING, ROCKET = 0, 2  # first cell of each kind: without and with a thruster; the next one is of solved ones


def outcome(best, solved=0.0, length=10.0):
    """Rows of which the largest return, less a value of 0, is the score."""
    best = jnp.array(best, float)
    one, zero = jnp.ones(best.shape), jnp.zeros(best.shape)
    solved, length = (jnp.broadcast_to(jnp.array(value, float), best.shape) for value in (solved, length))
    return Outcome(one, solved, one, solved, zero, length, best, zero, zero, zero, zero)


def marked(levels, first=0):
    """Levels that differ in a number without effect, by which a test knows them."""
    many = kx.stack_levels(levels)
    marks = 1.0 + 0.5 * (first + jnp.arange(len(levels)))
    return relabeled(many, density=many.labels.density.at[:, 0].set(marks))


def names(buffer):
    """The level in each cell, by its number in the tests; None where there is none."""
    marks = np.asarray(buffer.levels.labels.density[..., 0])
    rows = zip(marks, np.asarray(buffer.filled), strict=True)
    return [round(2 * (mark - 1)) if filled else None for mark, filled in rows]


def test_descriptors_by_hand():
    """A rocket: 2 of 3 free slots are used, both by movable shapes, 1 of 1 thrusters, 2 m apart."""
    levels = marked([rocket(), falling()])
    history = History(*jnp.array([[4.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]))
    values = describe(levels, outcome([0, 0], length=[5, 30]), history, 20)
    expected = {
        "shapes": [2 / 3, 2 / 3],
        "static_shapes": [0, 1 / 3],
        "joints": [0, 0],
        "motors": [0, 0],
        "thrusters": [1, 0],
        "episode_length": [0.25, 1],  # what is longer counts as the limit
        "solve_rate": [0.25, 1],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, atol=1e-6, err_msg=name)
    assert values["goal_distance"][0] == pytest.approx((2 - 0.4) / 5, abs=0.09)


def test_cells_are_counted_in_the_order_of_the_descriptors():
    values = {"a": jnp.array([0.0, 0.49, 0.5, 1.0]), "b": jnp.array([0.0, 0.34, 0.7, 1.0])}
    assert cell_index(values, (("a", 2), ("b", 3))).tolist() == [0, 1, 5, 5]
    assert cell_index(values, (("b", 3),)).tolist() == [0, 1, 2, 2]


@pytest.fixture(scope="module")
def elites():
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    bins = (("thrusters", 2), ("solve_rate", 2))
    return MapElites(env, PARAMS, 4, score="max_mc", history_decay=1.0, bins=bins)


@pytest.fixture(scope="module")
def record(elites):
    return jax.jit(lambda buffer, batch, outcome, now: elites.record(buffer, batch, outcome, jnp.int32(now)))


@pytest.fixture(scope="module")
def first(elites, record):
    """Two rockets with scores 1 and 3, two falling balls with 2 and 2; none was solved."""
    levels = marked([rocket(), rocket(), falling(), falling()])
    start = elites.init(KEY).buffer
    return record(start, LevelBatch(levels, jnp.full(4, -1)), outcome([1, 3, 2, 2]), 1)


def test_each_cell_keeps_its_best(first):
    assert names(first) == [2, None, 1, None]  # of equal ones the first
    np.testing.assert_array_equal(first.score, [2, -np.inf, 3, -np.inf])
    assert not first.checksum[1].any() and first.history.attempts[2] == 1


def test_better_levels_take_the_place_of_elites_and_worse_ones_do_not(first, record):
    levels = marked([rocket(), rocket(), falling(), falling()], first=4)
    after = record(first, LevelBatch(levels, jnp.full(4, -1)), outcome([2, 4, 1, 2], solved=[0, 0, 0, 1]), 2)
    assert names(after) == [2, 7, 5, None]  # the last ball was solved, which is another cell
    assert after.last_played.tolist()[:3] == [1, 2, 2]


def replay(first, others, source, **changes):
    """A batch of elites, by their cells, and of new levels where the cell is -1."""
    source = jnp.array(source)
    old = jax.tree.map(lambda leaf: leaf[jnp.maximum(source, 0)], first.levels)
    pick = lambda a, b: jnp.where((source >= 0).reshape(-1, *[1] * (a.ndim - 1)), a, b)
    return LevelBatch(jax.tree.map(pick, old, others), source)


def test_an_elite_moves_to_the_cell_that_it_now_belongs_to(first, record):
    """The elite rocket is solved now, in 2 of 3 attempts; a worse one takes the cell that it has left."""
    others = marked([rocket(), falling(), rocket(), rocket()], first=4)
    batch = replay(first, others, [ROCKET, -1, ROCKET, -1])
    after = record(first, batch, outcome([3, 1, 2, 0.5], solved=[1, 0, 1, 0]), 2)
    assert names(after) == [2, None, 7, 1]
    np.testing.assert_allclose(after.score[2:], [0.5, 3])
    assert after.history.attempts[3] == 3 and after.history.solved[3] == 2


def test_an_elite_whose_score_falls_loses_its_cell(first, record):
    """The score is the largest return so far less the value, which has risen."""
    others = marked([rocket()] * 4, first=4)
    batch = replay(first, others, [ROCKET, -1, -1, -1])
    worse = dataclasses.replace(outcome([3, 1, 0, 0]), value=jnp.array([2.5, 0, 0, 0]))
    after = record(first, batch, worse, 2)
    assert names(after) == [2, None, 5, None] and after.score[2] == 1


def test_a_level_is_in_the_archive_once(first, record):
    """The elites come again as if they were fresh: they are attempted once more, and nothing is added."""
    again = LevelBatch(marked([rocket(), rocket(), falling(), falling()]), jnp.full(4, -1))
    after = record(first, again, outcome([1, 3, 2, 2]), 2)
    assert names(after) == [2, None, 1, None]
    assert after.history.attempts[2] == 2 and after.history.attempts[0] == 2


def test_one_device_gets_the_best_of_all_cells_and_more_get_them_all(elites, first, record):
    batch = LevelBatch(marked([rocket(), falling(), rocket(), rocket()], first=4), jnp.full(4, -1))
    state = elites.init(KEY)
    second = record(state.buffer, batch, outcome([5, 1, 1, 1], solved=[0, 0, 1, 0]), 1)
    states = [dataclasses.replace(state, buffer=each) for each in (first, second)]
    both = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    deal = jax.jit(elites.redistribute, static_argnums=1)
    rows = lambda states, count: [
        names(jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], states.buffer)) for i in range(count)
    ]
    assert rows(deal(both, 1), 1) == [[2, None, 4, 6]]
    assert rows(deal(both, 3), 3) == [names(first), names(second), names(first)]


def test_wrong_descriptors_are_refused(elites):
    for bins, match in (
        ((("weight", 2),), r"MapElites.bins must be of some of \('shapes', .*got \(\('weight', 2\),\)"),
        ((("shapes", 2), ("shapes", 3)), "must be of some of"),
        ((("shapes", 0),), "bins must be at least 1 each"),
        ((), "must be of some of"),
    ):
        with pytest.raises(ValueError, match=match):
            dataclasses.replace(elites, bins=bins)
