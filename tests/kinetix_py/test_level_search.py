"""The search for solutions: its sequences, a level that is easy to foresee, and the command."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import kinetix_py as kx
from agents.cli.common import CommandError
from agents.cli.solve import main as solve
from kinetix_py.chunks import CHUNKS, suited_chunks
from kinetix_py.levels import search as level_search
from kinetix_py.levels.search import BaselineResult, Elites
from tests.kinetix_py.small_levels import TINY, car, falling, rocket

CHOICES = np.array([3, 1, 3, 1, 2, 1])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """One compiled program for all tests of this file."""
    few = dataclasses.replace(suited_chunks(), searched=(64, 64, 64))
    monkeypatch.setitem(CHUNKS, "cpu", few)


def valid(actions, count):
    return (
        actions.shape == (count, level_search.STEPS, 6) and (actions >= 0).all() and (actions < CHOICES).all()
    )


def test_sequences_are_within_what_the_level_listens_to(rng):
    held = level_search.held_sequences(rng, CHOICES, 16)
    elites = Elites(held, np.zeros(16), np.full(16, 100))
    assert valid(held, 16)
    assert valid(level_search.random_sequences(rng, CHOICES, 5), 5)
    assert valid(level_search.cross_entropy_sequences(rng, held, CHOICES, 7), 7)
    assert valid(level_search.mutated_sequences(rng, elites, CHOICES, 9), 9)


def test_the_cross_entropy_method_follows_elites_that_agree(rng):
    elites = np.zeros((4, level_search.STEPS, 6), np.int8)
    elites[:, 128:, 0] = 2
    actions = level_search.cross_entropy_sequences(rng, elites, CHOICES, 50)
    assert (actions[:, :128, 0] == 0).mean() > 0.9
    assert (actions[:, 128:, 0] == 2).mean() > 0.9


def test_only_bindings_that_something_listens_to_have_choices():
    env = level_search.search_environment(TINY)
    assert level_search.num_choices(env, rocket()).tolist() == [1, 1, 1, 1, 2, 1]


def test_search_finds_a_robust_solution_and_knows_what_needs_none():
    env = level_search.search_environment(TINY)
    lines = []
    found = level_search.search(env, rocket(), rounds=2, report=lines.append)
    assert found.robustness == 1 and not found.noop_solves and found.search_episodes >= 1
    assert lines[0].startswith("round 1: ") and " solved, closest " in lines[0]
    assert level_search.solves(env, rocket(), found.actions)
    assert not level_search.solves(env, rocket(), np.zeros_like(found.actions))
    assert level_search.search(env, falling(), rounds=1).noop_solves
    assert level_search.baseline(env, falling(), 8) == BaselineResult(True, 1.0, 7)
    assert level_search.search(env, falling(red=True), rounds=1).actions is None
    assert kx.SIZES["s"] == TINY


def test_the_command_prints_a_solution_or_keeps_it_in_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "set, so that the command sets none")
    file = tmp_path / "rocket.json"
    kx.save_level(rocket(), file, name="rocket")
    solve([str(file), "--rounds", "2"])
    printed = json.loads(capsys.readouterr().out)
    assert kx.load_level_file(file).solution is None
    solve([str(file), "--rounds", "2", "--write"])
    kept = kx.load_level_file(file)
    assert kept.solution == printed and kept.name == "rocket"
    kx.save_level(falling(red=True), file)
    with pytest.raises(CommandError, match="the no-op does not solve it, and there is nothing to control"):
        solve([str(file)])
    kx.save_level(car(), file)  # without a goal
    with pytest.raises(CommandError, match=r"not solved in 64 episodes; closest \d\.\d\d m"):
        solve([str(file), "--rounds", "1"])
    kx.save_level(falling(), file)
    with pytest.raises(CommandError, match="the no-op solves it"):
        solve([str(file)])
