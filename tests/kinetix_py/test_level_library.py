"""The library: its files are what the families build, and every solution solves its level.

All levels of a size are played in one batch by one compiled program.
"""

from __future__ import annotations

import functools
import json

import jax
import numpy as np
import pytest

import kinetix_py as kx
from agents.config import ConfigError
from agents.levels import level_files, training_files
from kinetix_py.levels.files import LIBRARY, load_level_file
from kinetix_py.levels.library.index import INDEX, RULES, index_text, read_index
from kinetix_py.levels.library.registry import index_rows, library_levels
from kinetix_py.levels.library.sets import HELD_OUT, find_level_files, is_held_out
from kinetix_py.levels.open_loop import NUM_PERTURBED, padded_actions, perturbed, play_sequences

SIZES = ("s", "m", "l")
STEPS = 256
LEAST_ROBUST = 0.8
PATIENCE = 32


@functools.cache
def files(size, rules=False):
    """The levels of a size: those of the plain game, or those with rules."""
    rows = [row for row in read_index().values() if row.size == size and (RULES in row.tags) == rules]
    return {row.name: load_level_file(row.path) for row in rows}


@functools.cache
def play(size, rules=False, copies=1, no_op=False, names=None):
    """Tells whether the solution (or the no-op) solves levels, or perturbed copies: `[L, copies]`."""
    chosen = [files(size, rules)[name] for name in names or files(size, rules)]
    one = lambda level: jax.tree.map(lambda value: np.asarray(value)[None], level)
    starts = [one(file.level) if copies == 1 else perturbed(file.level, copies, seed=2) for file in chosen]
    levels = jax.tree.map(lambda *parts: np.concatenate(parts), *starts)
    actions = np.stack([padded_actions(file.solution, STEPS) for file in chosen]) * (not no_op)
    limit = STEPS if no_op else min(max(len(file.solution) for file in chosen) + PATIENCE, STEPS)
    env = kx.make(size, observation_type="blind")
    results = play_sequences(env, levels, np.repeat(actions, copies, axis=0), limit)
    return np.asarray(results.solved).reshape(-1, copies)


slow = functools.partial(pytest.param, marks=pytest.mark.slow)
KINDS = [("s", False), slow("m", False), slow("l", False), ("s", True), slow("m", True)]


@pytest.mark.parametrize("size, rules", KINDS)
def test_every_solution_solves_its_level(size, rules):
    """Most perturbed starts must be solved where another processor or compiler rounds otherwise."""
    names = np.array(list(files(size, rules)))
    unsolved = tuple(names[~play(size, rules)[:, 0]].tolist())
    assert len(unsolved) <= len(names) // 20, unsolved
    if unsolved:
        assert (play(size, rules, NUM_PERTURBED, names=unsolved).mean(1) >= LEAST_ROBUST).all(), unsolved


@pytest.mark.parametrize("size, rules", KINDS)
def test_the_no_op_solves_no_level(size, rules):
    assert not play(size, rules, no_op=True).any()


@pytest.mark.slow
@pytest.mark.parametrize("size, rules", KINDS)
def test_solutions_survive_perturbed_starts(size, rules):
    share = play(size, rules, NUM_PERTURBED).mean(1)
    for (name, file), value in zip(files(size, rules).items(), share, strict=True):
        assert file.difficulty.fragile or value >= LEAST_ROBUST, (name, value)


def test_files_hold_what_the_families_build():
    members = library_levels()
    assert set(members) == set(read_index())
    for name, member in members.items():
        file = files(member.size, RULES in member.tags)[name]
        assert (file.level.rules is not None) == (RULES in member.tags), name
        # Up to rounding: a zero of the frame of a turned body may be 1e-17 m on another machine.
        close = lambda a, b: np.allclose(a, b, rtol=1e-6, atol=1e-12)
        assert all(jax.tree.leaves(jax.tree.map(close, file.level, member.level()))), name
        assert (file.name, file.description) == (name, member.description)
        assert file.level.size == kx.SIZES[member.size]
        assert file.difficulty.label == member.label


def test_the_index_is_made_of_the_families():
    assert INDEX.read_text() == index_text(index_rows(library_levels().values()))
    assert sorted(row.path for row in read_index().values()) == sorted(LIBRARY.rglob("*.json"))


@pytest.mark.parametrize("size", SIZES)
def test_difficulty_is_within_what_the_library_promises(size):
    for name, file in [*files(size).items(), *files(size, rules=True).items()]:
        found = file.difficulty
        assert not found.noop_solves, name
        assert found.random_solve_rate <= 0.5 or found.label == "easy", name
        assert found.robustness >= LEAST_ROBUST or found.fragile, name
        assert 1 <= len(file.solution) <= STEPS


def test_sets_of_the_library():
    names = kx.list_levels()
    assert names == kx.list_levels("library/all") and len(set(names)) == len(names)
    assert names == [name for size in SIZES for name in kx.list_levels(f"library/{size}")]
    with_rules = kx.list_levels("library/rules")
    assert with_rules and not set(with_rules) & set(names)
    assert dir(kx.library) == sorted([*names, *with_rules])
    assert {"library/s", "library/m", "library/l", "library/manipulation"} <= set(kx.list_level_sets())
    parts = kx.list_levels("library/train"), kx.list_levels(HELD_OUT)
    assert sorted([*parts[0], *parts[1]]) == sorted(names)
    assert {"swing_up", "car_ramp", "stack"} <= set(parts[1])


def test_any_folder_is_a_set(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".drafts").mkdir()
    for name in ("b.json", "a.json", "sub/c.json", ".drafts/a.json"):  # a draft is no level of its own
        (tmp_path / name).write_text((LIBRARY / "s" / "swing_up.json").read_text())
    assert kx.list_levels(tmp_path) == [str(tmp_path / name) for name in ("a.json", "b.json", "sub/c.json")]
    files = find_level_files([tmp_path / "sub", "library/s", "swing_up"])
    assert files == [str(tmp_path / "sub" / "c.json"), *kx.list_levels("library/s"), "swing_up"]


def test_near_misses_are_named(tmp_path):
    with pytest.raises(kx.LevelError, match=r"did you mean.*swing_up"):
        kx.load_level("swng_up")
    with pytest.raises(kx.LevelError, match=r"did you mean.*library/locomotion"):
        kx.list_levels("library/locomotoin")
    with pytest.raises(
        kx.LevelError, match=r"xl: no such set .* no such folder; the library has .*library/all"
    ):
        kx.list_levels("xl")
    with pytest.raises(kx.LevelError, match="a folder without level files"):
        kx.list_levels(tmp_path)


def test_a_level_is_an_attribute_of_the_library():
    level = kx.library.swing_up
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, level, kx.load_level("s/swing_up"))))
    with pytest.raises(AttributeError, match="did you mean"):
        _ = kx.library.swing_upp


def test_training_never_uses_held_out_levels(tmp_path):
    assert level_files([HELD_OUT]) == kx.list_levels(HELD_OUT)
    assert training_files(["library/train"]) == kx.list_levels("library/train")
    for wrong in (HELD_OUT, "swing_up", "s/swing_up", str(LIBRARY / "s" / "swing_up.json"), str(LIBRARY)):
        with pytest.raises(ConfigError, match=r"swing_up.*held out"):
            training_files([wrong])
    own = tmp_path / "swing_up.json"  # a file of the user's that happens to have such a name
    own.write_text((LIBRARY / "s" / "unicycle_right_easy.json").read_text())
    assert not is_held_out(str(own))
    assert training_files([str(own)]) == [str(own)]


def test_difficulty_in_files_is_checked():
    text = (LIBRARY / "s" / "swing_up.json").read_text()
    content = json.loads(text)
    assert content["version"] == 2
    kx.level_from_json(content)
    content["difficulty"]["random_solve_rate"] = 1.5
    with pytest.raises(kx.LevelError, match=r"difficulty.random_solve_rate must be at most 1"):
        kx.level_from_json(content)
    content = json.loads(text) | {"version": 1}
    with pytest.raises(kx.LevelError, match="unknown field 'difficulty'"):
        kx.level_from_json(content)
