"""The search for solutions: its plans are plans, and it solves a level that is easy to foresee."""

from __future__ import annotations

import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.levels import search as level_search
from tests.kinetix_py.small_levels import TINY, falling, rocket

SIZES = np.array([3, 1, 3, 1, 2, 1])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def valid(plans, count):
    return plans.shape == (count, level_search.STEPS, 6) and (plans >= 0).all() and (plans < SIZES).all()


def test_plans_are_within_what_the_level_listens_to(rng):
    shot = level_search.shooting_plans(rng, SIZES, 16)
    ends = np.full(16, 100)
    assert valid(shot, 16)
    assert valid(level_search.random_plans(rng, SIZES, 5), 5)
    assert valid(level_search.entropy_plans(rng, shot, SIZES, 7), 7)
    assert valid(level_search.mutated_plans(rng, shot, ends, SIZES, 9), 9)


def test_entropy_plans_follow_elites_that_agree(rng):
    elites = np.zeros((4, level_search.STEPS, 6), np.int8)
    elites[:, 128:, 0] = 2
    plans = level_search.entropy_plans(rng, elites, SIZES, 50)
    assert (plans[:, :128, 0] == 0).mean() > 0.9
    assert (plans[:, 128:, 0] == 2).mean() > 0.9


def test_only_bindings_that_something_listens_to_have_choices():
    env = level_search.environment(TINY)
    assert level_search.choices(env, rocket()).tolist() == [1, 1, 1, 1, 2, 1]


def test_search_finds_a_robust_solution_and_knows_what_needs_none(monkeypatch):
    monkeypatch.setattr(level_search, "BATCHES", {"s": 64, "l": 64})
    env = level_search.environment(TINY)
    said = []
    found = level_search.search(env, rocket(), rounds=2, report=said.append)
    assert found.robustness == 1 and not found.noop_solves and found.search_episodes >= 1 and len(said) >= 1
    assert level_search.solves(env, rocket(), found.plan.tolist())
    assert not level_search.solves(env, rocket(), np.zeros_like(found.plan).tolist())
    assert level_search.search(env, falling(), rounds=1).noop_solves
    assert level_search.play_randomly(env, falling(), 8) == level_search.RandomPlay(True, 1.0, 7)
    assert level_search.search(env, falling(red=True), rounds=1).plan is None
    assert kx.SIZES["s"] == TINY
