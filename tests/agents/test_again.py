"""AGAIN: what is remembered of learners, which of them is chosen, and how its curriculum is replayed."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import make_curriculum
from agents.config import ConfigError, read_config
from agents.curricula.teacher import TeacherCurriculum, TeacherState, task_box
from agents.io.curriculum_file import CurriculumFileError, read_curricula, save_curriculum
from agents.io.run_folder import new_run
from agents.presets import compose_config
from agents.teachers import AGAIN, ALPGMM, RandomTeacher
from agents.teachers.again import Record, choose_learner, progress_niches
from agents.training.loop import train
from tests.agents.toy_tasks import Toy, teach
from tests.kinetix_py.small_levels import rocket

KEY = jax.random.key(0)
SMALL = AGAIN(
    ALPGMM(1, fit_every=8, max_components=2, history_size=32),
    num_tests=4,
    test_every=3,
    num_neighbors=1,
    window=4,
    max_fits=3,
)
BOX = task_box({"gravity": (-15.0, -5.0)})


def learners():
    """Two learners; the first learnt near 0.1 and then near 0.3, and its second mixture was of no use."""
    one = Record.empty(3, 2, 2, 4)
    means = jnp.array([[[0.1, 0.5], [0.9, 0.1]], [[0.5, 0.1], [0.6, 0.0]], [[0.3, 0.4], [0.8, 0.0]]])
    mixtures = dataclasses.replace(
        one.mixtures, weights=jnp.full((3, 2), 0.5), means=means, covariances=1e-6 * one.mixtures.covariances
    )
    first = dataclasses.replace(
        one,
        mixtures=mixtures,
        returns=jnp.array([0.6, 0.0, 0.8]),
        count=jnp.int32(3),
        pretest=jnp.array([1.0, 0, 0, 0]),
        posttest=jnp.full(4, 0.9),
        tested=jnp.bool_(True),
    )
    second = dataclasses.replace(
        first, count=jnp.int32(1), pretest=jnp.array([0.0, 0, 0, 1]), posttest=jnp.full(4, 0.5)
    )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second)


def test_niches_of_progress_are_what_is_left_of_a_curriculum():
    niches = jax.jit(progress_niches)(learners(), 0.2)
    assert niches.count.tolist() == [2, 1]
    assert niches.mixtures.weights[0].tolist() == [[0.5, 0], [0.5, 0], [0, 0]]
    np.testing.assert_allclose(niches.mixtures.means[0, :2, 0, 0], [0.1, 0.3])
    np.testing.assert_allclose(niches.returns[0, :2], [0.6, 0.8])


def test_the_best_of_the_nearest_learners_is_chosen():
    records = learners()
    assert choose_learner(jnp.array([0.1, 0, 0, 0.8]), records, 1) == 1
    assert choose_learner(jnp.array([0.1, 0, 0, 0.8]), records, 5) == 0  # among all, the one with 0.9


def test_tests_are_spread_evenly():
    """In one dimension by multiples of the golden ratio, of which any eight hit each quarter."""
    tests = np.asarray(dataclasses.replace(SMALL, num_tests=32).tests)[:, 0]
    np.testing.assert_allclose(np.diff(tests) % 1, (np.sqrt(5) - 1) / 2, atol=1e-4)
    assert all(len({int(4 * test) for test in tests[i : i + 8]}) == 4 for i in range(24))


def test_a_learner_is_recorded_tested_and_taught_as_an_earlier_one_was():
    """Updates of 8 tasks, each followed by a fit; every third is a test."""
    teacher = dataclasses.replace(SMALL, earlier=learners())
    sample, update = jax.jit(teacher.sample, static_argnums=2), jax.jit(teacher.update)
    state = teacher.init(KEY)
    seen = []
    for i in range(9):
        key = jax.random.fold_in(KEY, i)
        state, tasks = sample(key, state, 8)
        # At first it is good at the last test, as the second learner was; later it is as good as that one.
        returns = (
            jnp.where(jnp.arange(8) % 4 == 3, 1.0, 0.0) if i == 2 else jnp.full(8, 0.1 if i < 5 else 0.7)
        )
        state = update(key, state, tasks, returns, returns)
        seen.append((np.asarray(tasks)[:, 0], int(state.learner), int(state.stage)))
    for i in (2, 5, 8):
        np.testing.assert_allclose(seen[i][0], np.tile(np.asarray(teacher.tests)[:, 0], 2), atol=1e-6)
    assert [learner for _, learner, _ in seen] == [-1, -1] + [1] * 7
    record = state.record
    assert record.count == 9 and record.pretest.tolist() == [0, 0, 0, 1] and record.tested
    np.testing.assert_allclose(record.posttest, 0.7, rtol=1e-6)
    assert record.mixtures.weights.sum(1) == pytest.approx(np.ones(3), abs=1e-5)  # the first three fits
    # Its niche is near 0.1; the next stage begins when returns reach 0.6, and is the end.
    near = lambda i: np.abs(seen[i][0] - 0.1) < 0.02
    assert near(3).any() and near(4).any()
    assert seen[4][2] == 0 and seen[8][2] == 1 and not teacher.replayed(state).exists.any()


def test_records_are_kept_in_a_file_of_the_run(tmp_path):
    """Two seeds on two devices, of which the first is written; a seed that was never tested is not read."""
    env = kx.make("s", observation_type="blind", auto_reset=True)
    curriculum = TeacherCurriculum(env, kx.EnvParams(), 8, SMALL, BOX, num_tasks=4)
    records = dataclasses.replace(learners(), tested=jnp.array([True, False]))
    states = SMALL.init(KEY)
    # Leading axes: seeds, devices.
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, 0 * leaf if leaf.dtype != bool else leaf], 1), records)
    states = TeacherState(dataclasses.replace(states, record=both), jnp.zeros(()), jnp.zeros(()))
    path = tmp_path / "curriculum.npz"
    assert save_curriculum(path, curriculum, states, num_seeds=2)
    found = read_curricula([path, path], BOX, SMALL)
    assert found.count.tolist() == [3, 3] and found.pretest.tolist() == [[1, 0, 0, 0]] * 2
    np.testing.assert_array_equal(found.mixtures.means[1], records.mixtures.means[0])
    assert not save_curriculum(path, dataclasses.replace(curriculum, teacher=RandomTeacher(1)), None)
    for paths, box, teacher, match in (
        ([tmp_path / "none.npz"], BOX, SMALL, "none.npz: not a file of what was taught"),
        (
            [path],
            task_box({"gravity": (-9.0, -5.0)}),
            SMALL,
            r"low of the tasks must be \[-9.0\], got \[-15.0\]",
        ),
        (
            [path],
            BOX,
            dataclasses.replace(SMALL, num_tests=3),
            r"pretest must be of shape \(3,\) for each, got \(4,\)",
        ),
    ):
        with pytest.raises(CurriculumFileError, match=match):
            read_curricula(paths, box, teacher)
    unknown = dataclasses.replace(records, tested=jnp.array([False, False]))
    both = jax.tree.map(lambda leaf: leaf[:, None], unknown)
    states = TeacherState(dataclasses.replace(SMALL.init(KEY), record=both), jnp.zeros(()), jnp.zeros(()))
    save_curriculum(path, curriculum, states, num_seeds=2)
    with pytest.raises(CurriculumFileError, match="no learner was tested"):
        read_curricula([path], BOX, SMALL)


def test_a_config_names_the_runs_of_earlier_learners(tmp_path):
    few = ("training.num_devices=1", "training.num_envs=512", "curriculum.box={gravity: [-15, -5]}")
    numbers = "fit_every: 8, max_components: 2, history_size: 32, num_tests: 4, max_fits: 3"
    options = f"curriculum.teacher_options={{{numbers}}}"

    def make(*overrides):
        config = compose_config("curriculum=again", *few, *overrides)
        return make_curriculum(config, config.env.make())

    assert make().teacher == AGAIN(ALPGMM(1)) and make().teacher.earlier is None
    curriculum = make(options)
    state = TeacherState(
        dataclasses.replace(SMALL.init(KEY), record=learners()), jnp.zeros(()), jnp.zeros(())
    )
    state = jax.tree.map(lambda leaf: leaf[:, None] if jnp.ndim(leaf) else leaf, state)
    save_curriculum(tmp_path / "curriculum.npz", curriculum, state, num_seeds=2)
    teacher = make(options, f"curriculum.earlier_runs=[{tmp_path}]").teacher
    assert teacher.own == SMALL.own and teacher.earlier.count.tolist() == [3, 1]
    for overrides, match in (
        ((f"curriculum.earlier_runs=[{tmp_path}]",), "must be of shape"),  # of other tests
        (("curriculum.teacher_options={num_tests: 65}",), "AGAIN needs at least 65 tasks, got num_tasks=64"),
        (("curriculum.teacher_options={earlier: 1}",), "'again' has no 'earlier', it has .*'fit_every'"),
    ):
        with pytest.raises(ConfigError, match=match):
            make(*overrides)
    with pytest.raises(ConfigError, match=r"earlier_runs are for teacher 'again', got .*'adr'"):
        read_config({"curriculum": {"kind": "teacher", "teacher": "adr", "earlier_runs": ["a"]}})


@pytest.mark.slow
def test_a_run_leaves_its_learner_to_later_ones(tiny, tmp_path, monkeypatch):
    """A whole run, on rockets instead of random levels, and the start of another that knows it."""

    def filtered(key, n, size, params, **_):
        return kx.stack_levels([kx.pad_level(rocket(), size)] * n), jnp.ones(n, bool)

    monkeypatch.setattr(kx, "sample_filtered_levels", filtered)
    options = {"fit_every": 8, "max_components": 2, "history_size": 32, "num_tests": 4, "test_every": 3}
    chosen = {"kind": "teacher", "teacher": "again", "num_tasks": 4, "teacher_options": options}
    given = tiny(tmp_path, training__total_steps=160 * 8, evaluation__every=0, evaluation__attempts=2)
    config = read_config(given | {"curriculum": chosen})
    assert train(config, new_run(config), quiet=True)
    chosen = chosen | {"earlier_runs": [str(tmp_path / "run")]}
    config = read_config(given | {"curriculum": chosen})
    earlier = make_curriculum(config, config.env.make()).teacher.earlier
    assert earlier.count.tolist() == [4] and earlier.tested.all()
    assert np.isfinite(earlier.pretest).all() and np.isfinite(earlier.returns[0, :4]).any()
    given["output"]["name"] = "later"
    config = read_config(given | {"curriculum": chosen})
    assert train(config, new_run(config), quiet=True)
    assert (tmp_path / "later" / "curriculum.npz").is_file()


@pytest.mark.slow
def test_learners_are_told_apart_and_taught_like_those_of_their_kind():
    """Two kinds begin at opposite ends of the toy; the curriculum of the other kind is of no use."""
    toy, kinds = Toy(num_cubes=8, most=50), jnp.array([False, True, False, True])
    first = AGAIN(
        ALPGMM(2, fit_every=200, max_components=4, history_size=4000),
        num_tests=64,
        num_neighbors=1,
        min_progress=0.1,
        window=20,
        max_fits=40,
    )

    def learn(key, mirrored, earlier=None):
        state, mastered = teach(dataclasses.replace(first, earlier=earlier), toy, key, 120, 64, mirrored)
        return state.record, state.learner, state.stage, mastered[-1]

    keys = jax.random.split(KEY, 4)
    records, *_ = jax.jit(lambda *each: jax.lax.map(lambda one: learn(*one), each))(keys[:2], kinds[:2])
    known = jax.jit(lambda earlier, *each: jax.lax.map(lambda one: learn(*one, earlier), each))
    keys = jax.random.split(jax.random.key(1), 4)
    _, learner, stage, share = known(records, keys, kinds)
    assert learner.tolist() == [0, 1, 0, 1] and (stage > 10).all()
    # Each is given the record of the other kind alone, under the number of both.
    other = jax.tree.map(lambda leaf: leaf[jnp.array([1, 1])], records)
    *_, misled = known(other, keys[::2], kinds[::2])
    assert share[::2].min() > misled.max() + 0.1


def test_wrong_numbers_are_refused():
    for change, match in (
        ({"test_every": 0}, "AGAIN.test_every must be at least 1, got 0"),
        ({"replay_random_share": 2.0}, "replay_random_share must be in 0 .. 1, got 2.0"),
        ({"earlier": learners(), "num_tests": 5}, "earlier must have 5 tests in 1 dimensions, got 4 in 1"),
    ):
        with pytest.raises(ValueError, match=match):
            dataclasses.replace(SMALL, **change)
