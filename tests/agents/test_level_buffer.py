"""The buffer of levels: what it keeps, what it finds, and how often it replays."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.curricula.buffer import LevelBuffer, checksums, first_equal
from agents.curricula.outcome import Outcome
from agents.curricula.scores import SCORES, History
from tests.kinetix_py.small_levels import TINY, batch, car, rocket

CAPACITY, COUNT = 5, 4
quick = settings(max_examples=25, deadline=None)
numbers = st.integers(0, 7)  # few, so that levels and scores are often equal


@functools.cache
def tagged(count):
    base = batch(rocket(), count)
    return jax.jit(
        lambda tags: dataclasses.replace(base, sim=dataclasses.replace(base.sim, gravity=_xy(tags)))
    )


def _xy(tags):
    return jnp.stack([jnp.zeros(tags.shape), -tags.astype(jnp.float32)], axis=-1)


def levels(tags):
    """Rockets that differ in their gravity only, which tells them apart."""
    return tagged(len(tags))(np.array(tags))


def by_tag(buffer, values):
    tags = -np.asarray(buffer.levels.sim.gravity[:, 1])
    filled = np.asarray(buffer.score) > -np.inf
    return {int(t): float(v) for t, v, full in zip(tags, np.asarray(values), filled, strict=True) if full}


def tags_of(buffer):
    return by_tag(buffer, buffer.score)


def outcome(value):
    """Rows with one number, which the score `positive_value_loss` is."""
    value = np.array(value, np.float32)
    one, zero = np.ones(value.shape, np.float32), np.zeros(value.shape, np.float32)
    return Outcome(one, zero, zero, zero, zero, zero, zero, zero, zero, value, zero)


@functools.partial(jax.jit, static_argnames="score")
def record(buffer, given, source, played, now, score="positive_value_loss"):
    return buffer.record(given, source, played, SCORES[score], now)


@jax.jit
def empty():
    return LevelBuffer.empty(CAPACITY, TINY)


@quick
@given(
    st.lists(
        st.tuples(
            st.lists(numbers, min_size=COUNT, max_size=COUNT),
            st.lists(numbers, min_size=COUNT, max_size=COUNT),
        ),
        max_size=4,
    )
)
def test_the_highest_scores_remain_and_no_level_is_there_twice(batches):
    """Compared with a dictionary of all levels: a known level has its new score, merged by the mean."""
    buffer, expected = empty(), {}
    for now, (tags, values) in enumerate(batches):
        fresh = {
            tag: float(np.mean([v for t, v in zip(tags, values, strict=True) if t == tag])) for tag in tags
        }
        buffer = record(buffer, levels(tags), np.full(COUNT, -1), outcome(values), now)
        known = {tag: fresh.get(tag, score) for tag, score in expected.items()}
        new = {tag: score for tag, score in fresh.items() if tag not in expected}
        kept = tags_of(buffer)
        pool = known | new
        assert len(kept) == np.isfinite(buffer.score).sum() == min(len(pool), CAPACITY)  # no duplicates
        assert all(kept[tag] == pytest.approx(pool[tag]) for tag in kept)
        np.testing.assert_allclose(
            sorted(kept.values()), sorted(pool.values())[-CAPACITY:][: len(kept)], rtol=1e-6
        )
        expected = kept


def test_times_and_histories_go_with_their_levels():
    buffer = record(empty(), levels([1, 2, 3, 4]), np.full(4, -1), outcome([4, 3, 2, 1]), 1)
    slot = {tag: int(i) for tag, i in by_tag(buffer, range(CAPACITY)).items()}
    source = np.array([slot[2], -1, slot[2], slot[4]])
    after = record(buffer, levels([2, 5, 2, 4]), source, outcome([8, 6, 6, 0]), 2)
    assert tags_of(after) == {1: 4, 2: 7, 3: 2, 4: 0, 5: 6}
    assert by_tag(after, after.last_played) == {1: 1, 2: 2, 3: 1, 4: 2, 5: 2}
    assert by_tag(after, after.history.attempts) == {1: 1, 2: 3, 3: 1, 4: 2, 5: 1}


def test_a_level_whose_score_is_not_finite_makes_room():
    new, nan = np.full(4, -1), np.nan
    buffer = record(empty(), levels([1, 1, 1, 1]), new, outcome([5, 5, 5, 5]), 1)
    buffer = record(buffer, levels([1, 1, 2, 2]), new, outcome([nan, 1, nan, nan]), 2)
    assert not np.asarray(buffer.filled).any()
    assert tags_of(record(buffer, levels([3, 3, 3, 3]), new, outcome([-9, -9, -9, -9]), 3)) == {3: -9}


@quick
@given(st.lists(st.tuples(numbers, numbers), min_size=9, max_size=9))
def test_the_first_equal_row(rows):
    expected = [rows.index(row) for row in rows]
    assert jax.jit(first_equal)(np.array(rows, np.uint32)).tolist() == expected


def test_a_change_of_any_number_changes_the_checksum():
    """Every leaf of a level with everything, one entry of it at a time; a zero's sign is no change."""
    level = jax.tree.map(lambda *leaves: np.stack(leaves), car(), rocket())
    before = np.asarray(jax.jit(checksums)(level))
    assert (before[0] != before[1]).all()
    leaves, structure = jax.tree.flatten(level)
    changed, where = [], []
    for i, leaf in enumerate(leaves):
        for entry in {0, leaf[0].size - 1}:
            flat = np.asarray(leaf[0]).reshape(-1).copy()
            flat[entry] = ~flat[entry] if flat.dtype == bool else flat[entry] + 1
            changed.append([x[0] if j != i else flat.reshape(leaf[0].shape) for j, x in enumerate(leaves)])
            where.append((i, entry))
    many = jax.tree.unflatten(structure, [np.stack(parts) for parts in zip(*changed, strict=True)])
    sums = np.asarray(jax.jit(checksums)(many))
    assert (sums != before[0]).all(), [
        w for w, same in zip(where, (sums == before[0]).any(1), strict=True) if same
    ]
    negative = jax.tree.map(lambda x: np.where(x == 0, -x, x) if x.dtype == np.float32 else x, level)
    np.testing.assert_array_equal(jax.jit(checksums)(negative), before)


@functools.partial(jax.jit, static_argnames="kind")
def chances(score, last_played, kind, temperature, staleness, now):
    """Chances of replay, for which neither levels nor histories matter."""
    buffer = LevelBuffer(rocket(), jnp.zeros((score.size, 2)), score, last_played, History.empty(1))
    return buffer.weights(kind, temperature, staleness, now)


def scores(*values):
    return np.array([*values, -np.inf], np.float32)


def test_chances_of_replay_by_hand():
    """Ranks 2, 1 and 3 with an empty slot; scores 1, 3 and 0; times 1, 0 and 3 ago."""
    times = np.array([4, 5, 2, 0])
    weights = lambda *numbers: chances(scores(1, 3, 0), times, *numbers, 5)
    np.testing.assert_allclose(weights("rank", 1.0, 0.0), np.array([3, 6, 2, 0]) / 11, rtol=1e-6)
    np.testing.assert_allclose(weights("rank", 0.5, 0.0), np.array([9, 36, 4, 0]) / 49, rtol=1e-6)
    np.testing.assert_allclose(weights("proportional", 1.0, 0.0), [0.25, 0.75, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(weights("proportional", 1.0, 0.2), [0.25, 0.6, 0.15, 0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"one of \('rank', 'proportional'\), got 'best'"):
        weights("best", 1.0, 0.0)


def test_levels_without_a_score_are_equally_likely():
    """By scores that say nothing, by equal scores, and where there is no level."""
    now = np.zeros(4, int)
    np.testing.assert_allclose(chances(scores(0, -2, 0), now, "proportional", 1.0, 0.5, 0), [*[1 / 3] * 3, 0])
    np.testing.assert_allclose(
        chances(scores(7, 7, 1), now, "rank", 1.0, 0.0, 0), np.array([3, 3, 1, 0]) / 7, rtol=1e-6
    )
    assert chances(scores(*[-np.inf] * 3), now, "rank", 1.0, 0.3, 7).tolist() == [0, 0, 0, 0]


@quick
@given(st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3), st.floats(0.05, 10), st.floats(0, 1))
def test_chances_are_chances_and_grow_with_the_score(values, temperature, staleness):
    for kind in ("rank", "proportional"):
        weights = np.asarray(chances(scores(*values), np.zeros(4, int), kind, temperature, staleness, 3))
        assert weights.sum() == pytest.approx(1, rel=1e-5) and (weights >= 0).all() and weights[3] == 0
        order = np.argsort(values, kind="stable")
        assert (np.diff(weights[order]) >= -1e-6).all()


def test_levels_are_drawn_by_their_chances():
    weights = np.array([0.25, 0.6, 0.0, 0.15, 0.0], np.float32)
    index = jax.jit(lambda key, weights: empty().sample(key, 20_000, weights))(jax.random.key(0), weights)
    np.testing.assert_allclose(np.bincount(index, minlength=5) / 20_000, weights, atol=0.015)
    assert index.dtype == np.int32 and np.bincount(index, minlength=5)[[2, 4]].sum() == 0
