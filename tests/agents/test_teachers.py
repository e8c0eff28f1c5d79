"""Teachers: each against theory or arithmetic, and all of them where the right tasks are known."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agents.teachers import (
    ADR,
    ALPGMM,
    RIAC,
    TEACHERS,
    CovarGMM,
    GoalGAN,
    RandomTeacher,
    SelfPaced,
    SetterSolver,
)
from agents.teachers.cholesky import cholesky, solve_positive
from agents.teachers.memory import Memory
from agents.teachers.mixture import Mixture, fit_mixture, maximize
from agents.teachers.riac import progress_of
from agents.teachers.self_paced import divergence, pack, unpack
from agents.teachers.setter_solver import Setter
from tests.agents.toy_tasks import Oracle, Toy, teach

KEY = jax.random.key(0)
TOY = Toy(most=50)
NUM_UPDATES = 150  # of 50 tasks each
SMALL_GAN = {"generator_width": 16, "discriminator_width": 16}
SMALL_SETTER = {"setter_width": 16, "judge_width": 16, "num_blocks": 1, "num_layers": 1}
FOLLOWING_PROGRESS = {
    "alp_gmm": ALPGMM(2, history_size=4000, max_components=4, fit_every=100),
    "covar_gmm": CovarGMM(2, max_components=4, fit_every=200),
    "riac": RIAC(2, region_size=100, max_regions=63),
}
OTHERS = {
    "adr": ADR(2, start=(0.0, 0.0)),
    "self_paced": SelfPaced(2, start=(0.0, 0.0)),
    "setter_solver": SetterSolver(2, **SMALL_SETTER),
    "goal_gan": GoalGAN(2, **SMALL_GAN),
}


def mastered(teacher, num_seeds=2):
    """Share of the toy's cubes that each of some learners has mastered in the end."""
    learn = lambda key: teach(teacher, TOY, key, NUM_UPDATES)[1][-1]
    return np.asarray(jax.jit(lambda keys: jax.lax.map(learn, keys))(jax.random.split(KEY, num_seeds)))


@pytest.fixture(scope="module")
def bounds():
    """Share that learners master with random tasks, at most, and with an oracle, at least."""
    return mastered(RandomTeacher(2), 4).max(), mastered(Oracle(TOY)).min()


@pytest.mark.parametrize(
    "name", ["alp_gmm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("covar_gmm", "riac"))]
)
def test_following_progress_beats_random_tasks(name, bounds):
    least, most = bounds
    share = mastered(FOLLOWING_PROGRESS[name])
    assert least < 0.05 and most == 1
    assert share.min() > least + 0.1 and share.max() < most


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_teachers_beat_random_tasks(name, bounds):
    assert mastered(OTHERS[name]).mean() > 1.5 * bounds[0]


@pytest.mark.parametrize("dims", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("name", TEACHERS)
def test_a_teacher_keeps_the_shapes_of_its_state(name, dims):
    """So that it can be carried through a compiled loop; tasks have the shape that was asked for."""
    options = {"goal_gan": SMALL_GAN, "setter_solver": SMALL_SETTER, "again": {"num_tests": 4}}.get(name, {})
    make = lambda: TEACHERS[name](ALPGMM(dims) if name == "again" else dims, **options)
    teacher = make()

    def once(key):
        state = teacher.init(key)
        later, tasks = teacher.sample(key, state, 6)
        after = teacher.update(key, later, tasks, tasks[:, 0], tasks[:, 0])
        return state, later, after, tasks

    state, later, after, tasks = jax.eval_shape(once, KEY)
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert shapes(state) == shapes(later) == shapes(after)
    assert tasks.shape == (6, dims) and teacher.num_dims == dims and hash(teacher) == hash(make())


def test_wrong_numbers_are_refused():
    for make, match in (
        (lambda: RandomTeacher(0), "RandomTeacher.num_dims must be at least 1, got 0"),
        (lambda: ADR(2, start=(0.5,)), r"ADR.start must be None or 2 numbers in 0 .. 1, got \(0.5,\)"),
        (lambda: ADR(2, shrink_below=0.7), "shrink_below must be in 0 .. grow_above, excluded, got 0.7"),
        (lambda: ALPGMM(2, fit_every=5), "ALPGMM.fit_every must be at least max_components, got 5"),
        (lambda: CovarGMM(2, random_share=2.0), "random_share must be in 0 .. 1, got 2.0"),
        (lambda: RIAC(2, region_size=10), "region_size must be at least 2 min_episodes, got 10"),
        (lambda: SelfPaced(2, max_divergence=0.0), "max_divergence must be above 0, got 0.0"),
        (lambda: GoalGAN(2, low_rate=0.9), "low_rate must be in 0 .. high_rate, got 0.9"),
        (lambda: SetterSolver(2, num_steps=0), "num_steps must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=match):
            make()


def test_memory_keeps_the_latest_rows():
    memory = Memory.empty(3, 2).append(jnp.array([[0.0, 1], [1, 2]]))
    assert memory.filled.tolist() == [True, True, False] and not memory.passed(2)
    memory = memory.append(jnp.array([[2.0, 3], [0, 4]]))
    assert memory.passed(2) and memory.count == 4
    assert memory.rows[jnp.argsort(memory.order)].tolist() == [[1, 2], [2, 3], [0, 4]]
    whole = memory.append(jnp.arange(10.0).reshape(5, 2))  # more than it can hold
    assert whole.rows[jnp.argsort(whole.order)].tolist() == [[4, 5], [6, 7], [8, 9]]
    # The nearest row, and the newest of those that are as near.
    twice = Memory.empty(3, 2).append(jnp.array([[0.0, 1], [0, 2]]))
    assert twice.nearest(jnp.array([[0.0]])).tolist() == [1]
    assert memory.nearest(jnp.array([[1.9], [0.2]])).tolist() == [2, 0]


def test_small_matrices_are_factored_and_inverted():
    matrix = np.float32([[4, 2, -2], [2, 5, 3], [-2, 3, 9]])
    factor, solution = jax.jit(lambda m: (cholesky(m), solve_positive(m, jnp.arange(3.0))))(matrix)
    np.testing.assert_allclose(factor, np.linalg.cholesky(matrix), atol=1e-6)
    np.testing.assert_allclose(matrix @ np.asarray(solution), np.arange(3), atol=1e-5)


@pytest.mark.parametrize("name", ["alp_gmm", "self_paced"])
def test_teachers_call_no_library_that_waits_for_threads(name):
    """Batches of LAPACK on a CPU wait for threads of a pool in which several devices may wait at once."""
    teacher = TEACHERS[name](2)
    learn = lambda state, tasks: teacher.update(
        KEY, teacher.sample(KEY, state, 8)[0], tasks, tasks[:, 0], tasks[:, 0]
    )
    text = jax.jit(learn).lower(jax.eval_shape(teacher.init, KEY), jnp.zeros((8, 2))).as_text()
    assert "lapack" not in text and "while" in text


def test_the_m_step_is_that_of_hand_arithmetic():
    """Points 0, 2 and 6 on a line; the second belongs to both components by half."""
    mixture = maximize(jnp.array([[0.0], [2.0], [6.0]]), jnp.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))
    np.testing.assert_allclose(mixture.weights, [0.5, 0.5])
    np.testing.assert_allclose(mixture.means[:, 0], [1 / 1.5, 7 / 1.5], rtol=1e-6)
    # E[x^2] - E[x]^2
    np.testing.assert_allclose(
        mixture.covariances[:, 0, 0], [2 / 1.5 - (1 / 1.5) ** 2, 38 / 1.5 - (7 / 1.5) ** 2], rtol=1e-5
    )
    density = jnp.exp(mixture.log_densities(jnp.array([[1.0]])))[0, 0]
    variance = 2 / 1.5 - (1 / 1.5) ** 2
    expected = 0.5 * math.exp(-((1 / 3) ** 2) / 2 / variance) / math.sqrt(2 * math.pi * variance)
    np.testing.assert_allclose(density, expected, rtol=1e-5)


def test_a_known_mixture_is_found_again():
    """Three Gaussians far from each other, of which one is correlated; AIC tells how many there are."""
    generator = np.random.default_rng(0)
    means, counts = np.array([[0.2, 0.2], [0.8, 0.3], [0.5, 0.8]]), [150, 100, 50]
    covariances = 1e-3 * np.array([[[1, 0], [0, 1]], [[4, 3], [3, 4]], [[1, 0], [0, 2]]])
    drawn = [generator.multivariate_normal(*each) for each in zip(means, covariances, counts, strict=True)]
    fit = jax.jit(fit_mixture, static_argnums=(2, 3))
    found = fit(KEY, jnp.array(np.concatenate(drawn), jnp.float32), 1, 5)
    assert found.exists.tolist() == [True] * 3 + [False] * 2
    order = jnp.argsort(-found.weights)[:3]
    np.testing.assert_allclose(found.weights[order], [1 / 2, 1 / 3, 1 / 6], atol=1e-3)
    np.testing.assert_allclose(found.means[order], means, atol=0.02)
    np.testing.assert_allclose(found.covariances[order], [np.cov(x.T, bias=True) for x in drawn], atol=2e-5)
    # Points that are all the same have no likelihood worth a second component, and yet a finite one.
    same = fit(KEY, jnp.full((300, 2), 0.5), 1, 5)
    assert same.exists.sum() == 1 and np.isfinite(same.draw(KEY, jnp.zeros(3, int), 2)).all()


def test_progress_is_the_change_from_the_nearest_earlier_task():
    """Of the second update: 0.9 at (0.9, 0.9) before, 0.3 now; nothing changes at (0.1, 0.1)."""
    teacher = ALPGMM(2, fit_every=10, max_components=2, history_size=4)
    update = jax.jit(teacher.update)
    tasks = jnp.array([[0.1, 0.1], [0.9, 0.9]])
    state = update(KEY, teacher.init(KEY), tasks, jnp.array([0.2, 0.9]), jnp.zeros(2))
    assert state.recent.rows[:2, -1].tolist() == [0, 0]  # nothing to compare with
    state = update(KEY, state, tasks + 0.05, jnp.array([0.2, 0.3]), jnp.zeros(2))
    np.testing.assert_allclose(state.recent.rows[2:4, -1], [0, 0.6], atol=1e-6)


def test_components_are_sampled_by_what_there_is_to_learn():
    """Two Gaussians of tasks; ALP is the mean of the last number, progress with time its covariance."""
    means = jnp.array([[0.1, 0.0, 0.2], [0.9, 0.0, 0.6], [0.5, 0.0, 9.0]])
    covariances = 1e-4 * jnp.broadcast_to(jnp.eye(3), (3, 3, 3))
    covariances = covariances.at[0, 1, 2].set(5e-5).at[1, 1, 2].set(-5e-5)
    mixture = Mixture(jnp.array([0.5, 0.5, 0.0]), means, covariances)
    assert ALPGMM(2).utility(mixture)[:2].tolist() == pytest.approx([0.2, 0.6])
    assert CovarGMM(1).utility(mixture)[:2].tolist() == pytest.approx([5e-5, 0])
    teacher = CovarGMM(1, max_components=3, fit_every=8)
    sample = jax.jit(teacher.sample, static_argnums=2)
    state = dataclasses.replace(teacher.init(KEY), mixture=mixture)
    tasks = np.asarray(sample(KEY, state, 200)[1])[:, 0]
    near = np.abs(tasks - 0.1) < 0.05  # 0.8 of them, and a tenth of the uniform ones
    assert near.mean() == pytest.approx(0.82, abs=0.08)
    # Before the first fit tasks come from everywhere.
    early = np.asarray(sample(KEY, teacher.init(KEY), 200)[1])[:, 0]
    assert np.ptp(early) > 0.9 and np.abs(early - 0.1).mean() > 0.2


def test_borders_move_only_with_success():
    """Ten tasks at the upper border of the first number; all other borders see none."""
    teacher = ADR(2, start=(0.5, 0.5), step=0.1)
    update = jax.jit(teacher.update)
    borders = jnp.array([[0.4, 0.4], [0.6, 0.6]])
    state = dataclasses.replace(teacher.init(KEY), borders=borders)
    tasks = jnp.tile(jnp.array([[0.6, 0.5]]), (5, 1))
    play = lambda state, rate: update(KEY, state, tasks, jnp.zeros(5), jnp.full(5, rate))
    assert (play(state, 1.0).borders == borders).all()  # too few yet
    for rate, border in ((1.0, 0.7), (0.4, 0.6), (0.0, 0.5)):
        after = play(play(state, rate), rate)
        np.testing.assert_allclose(after.borders, [[0.4, 0.4], [border, 0.6]], rtol=1e-6)
        assert after.attempts.sum() == 0  # it begins to count anew
    wide = dataclasses.replace(state, borders=jnp.array([[0.4, 0.4], [0.98, 0.6]]))
    tasks = tasks.at[:, 0].set(0.98)
    assert play(play(wide, 1.0), 1.0).borders[1, 0] == 1  # not beyond the cube


def test_tasks_are_within_the_borders_and_often_at_one():
    teacher = ADR(2)
    state = dataclasses.replace(teacher.init(KEY), borders=jnp.array([[0.4, 0.1], [0.6, 0.3]]))
    tasks = np.asarray(jax.jit(teacher.sample, static_argnums=2)(KEY, state, 1000)[1])
    low, high = np.asarray(state.borders)
    assert (tasks >= low).all() and (tasks <= high).all()
    at_border = (tasks == low) | (tasks == high)
    assert at_border.any(1).mean() == pytest.approx(0.5, abs=0.05)
    assert at_border.mean(0) == pytest.approx(np.full(2, 0.25), abs=0.05)


def test_progress_of_a_region_compares_the_halves_of_its_episodes():
    """Of 0, 1, 2, 6 the newer two have 4, the older two 0.5; the third is left out below."""
    returns = jnp.array([0.0, 1.0, 2.0, 6.0])
    assert progress_of(returns, jnp.ones(4, bool)) == 3.5
    assert progress_of(returns, jnp.array([True, True, False, True])) == pytest.approx(5.5)
    assert progress_of(returns, jnp.array([True, False, False, True])) == 0  # too few


def test_a_region_is_cut_where_progress_differs():
    """Returns grow with time where the first number is below 0.4, and nowhere else."""
    teacher = RIAC(2, region_size=100, max_regions=3)
    generator = np.random.default_rng(0)
    tasks = generator.uniform(size=(3, 50, 2)).astype(np.float32)
    times = np.arange(150, dtype=np.float32).reshape(3, 50) / 150
    returns = np.where(tasks[..., 0] < 0.4, times, np.float32(0.5))
    update = jax.jit(teacher.update)
    state = teacher.init(KEY)
    for played in zip(tasks[:2], returns[:2], strict=True):
        state = update(KEY, state, *played, played[1])
    assert state.count == 1  # there is room for 100
    state = update(KEY, state, tasks[2], returns[2], returns[2])
    assert state.count == 3 and state.leaf.tolist() == [False, True, True]
    np.testing.assert_allclose(state.high[1, 0], 0.4, atol=0.1)
    assert state.high[1, 0] == state.low[2, 0] and state.high[1, 1] == 1 and state.low[2, 1] == 0
    # Over the latest 100 of 150 steps the mean rises by a third; elsewhere it does not.
    assert state.progress[1] == pytest.approx(1 / 3, abs=0.1) and state.progress[2] < 0.1
    assert state.filled.sum(1)[1:].sum() == state.filled.sum(1)[0] == 101
    # Most tasks are where there is progress: 0.7 by regions, of which the whole has some too.
    drawn = np.asarray(jax.jit(teacher.sample, static_argnums=2)(KEY, state, 500)[1])
    assert ((drawn >= 0) & (drawn <= 1)).all() and (drawn[:, 0] < 0.4).mean() > 0.6
    # No further cut is possible: leaves that are full forget their oldest episodes.
    after = state
    for i in range(9):
        after = update(KEY, after, tasks[i % 3], returns[2], returns[2])
    assert after.count == 3 and (after.filled.sum(1)[1:] <= 100).all()


def test_divergence_of_gaussians_is_that_of_hand_arithmetic():
    """KL(N(0, 1) || N(1, 2^2)) = ln 2 + (1 + 1) / 8 - 1/2; twice that of two such numbers."""
    between = jax.jit(divergence, static_argnums=2)
    p, q = pack(jnp.zeros(2), jnp.eye(2)), pack(jnp.ones(2), 2 * jnp.eye(2))
    assert between(p, q, 2) == pytest.approx(2 * (math.log(2) - 0.25), rel=1e-5)
    assert between(q, q, 2) == pytest.approx(0, abs=1e-6)
    factor = jnp.array([[2.0, 0.0], [0.5, 3.0]])
    mean, again = unpack(pack(jnp.array([0.1, 0.2]), factor), 2)
    np.testing.assert_allclose(again, factor, rtol=1e-6)
    np.testing.assert_allclose(mean, [0.1, 0.2], rtol=1e-6)


def test_a_self_paced_step_is_bounded_and_nears_the_target_with_performance():
    teacher = SelfPaced(2, start=(0.0, 0.0))
    move, generator = jax.jit(teacher.move), np.random.default_rng(0)
    theta = start = teacher.init(KEY).theta
    distances = [float(divergence(theta, teacher.target, 2))]
    for number in range(1, 13):
        mean, factor = map(np.asarray, unpack(theta, 2))
        tasks = mean + generator.normal(size=(250, 2)) @ factor.T
        after = move(theta, jnp.array(tasks, jnp.float32), jnp.ones(250), number)
        assert 0 < divergence(theta, after, 2) <= teacher.max_divergence
        theta = after
        distances.append(float(divergence(theta, teacher.target, 2)))
    assert (np.diff(distances) < 0).all() and distances[-1] < 0.6 * distances[0]
    # Without performance there is no pull: it goes where returns are less bad, which is at the origin.
    tasks = 0.1 * jax.random.normal(KEY, (250, 2))
    failed = move(start, tasks, -jnp.abs(tasks).sum(1), 1)
    assert 0 < divergence(start, failed, 2) <= teacher.max_divergence
    assert divergence(failed, teacher.target, 2) > distances[0]


@pytest.mark.slow
def test_generated_tasks_become_those_of_intermediate_difficulty():
    """Only tasks near the corner are solved, less often with distance; a tenth of all are intermediate."""
    teacher = GoalGAN(2, **SMALL_GAN, fit_every=200, num_steps=80, batch_size=32)
    rate = lambda tasks: jnp.clip(1.5 - 2 * tasks.sum(1), 0, 1)
    good = lambda tasks: float(((rate(tasks) >= 0.25) & (rate(tasks) <= 0.75)).mean())

    @jax.jit
    def update(key, state, possible):
        state, tasks = teacher.sample(key, state, 200)
        solved = possible * rate(tasks)
        generated = (teacher.generate(key, state.params[0], 500) + 1) / 2
        return teacher.update(key, state, tasks, solved, solved), tasks, generated

    state, tasks, _ = update(KEY, teacher.init(KEY), 1.0)
    assert good(tasks) < 0.2 and state.useful
    for i in range(7):
        state, tasks, generated = update(jax.random.fold_in(KEY, i), state, 1.0)
    assert good(generated) > 0.5
    kept = np.asarray(state.mastered.rows[: int(state.mastered.count)])
    assert len(kept) > 10 and (rate(kept) > 0.75).all()
    apart = np.linalg.norm(kept[:, None] - kept[None], axis=-1) + np.eye(len(kept))
    assert apart.min() > 0.01 * math.sqrt(2)
    # Where no task is intermediate any more, tasks are uniform again.
    lost, _, _ = update(KEY, state, 0.0)
    _, tasks, _ = update(KEY, lost, 0.0)
    assert not lost.useful and good(tasks) < 0.3


def test_tasks_are_as_feasible_as_wanted():
    """Tasks are solved more often the smaller their first number is. The setter knows its density."""
    teacher = SetterSolver(2, **SMALL_SETTER, fit_every=100, num_steps=400, learning_rate=5e-3)
    rate = lambda tasks: jnp.clip(1.2 - 1.4 * tasks[:, 0], 0, 1)

    @jax.jit
    def train(key):
        tasks = jax.random.uniform(key, (100, 2))
        state, _ = teacher.sample(key, teacher.init(key), 100)
        return teacher.update(key, state, tasks, rate(tasks), rate(tasks)).params

    @jax.jit
    def measure(setter, judge, tasks, z, wanted, grid):
        judged = jax.nn.sigmoid(teacher.judge.apply(judge, tasks))
        made, density = teacher.setter.apply(setter, z, wanted)
        read = lambda tasks, wanted: teacher.setter.apply(setter, tasks, wanted, method=Setter.log_density)
        whole = jnp.exp(read(grid, jnp.full(len(grid), 0.2))).mean()
        return jnp.abs(judged - rate(tasks)).mean(), rate(made), density - read(made, wanted), whole

    line = (np.arange(150) + 0.5) / 150
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2).astype(np.float32)
    generator = np.random.default_rng(0)
    tasks = generator.uniform(size=(200, 2)).astype(np.float32)
    z = generator.normal(size=(200, 2)).astype(np.float32)
    wanted = np.repeat(np.float32([0.15, 0.85]), 100)
    error, made, difference, whole = map(np.asarray, measure(*train(KEY), tasks, z, wanted, grid))
    assert error < 0.1
    assert made[:100].mean() < 0.4 and made[100:].mean() > 0.6
    np.testing.assert_allclose(difference, 0, atol=2e-3)  # as made, and as read
    assert whole == pytest.approx(1, abs=0.03)  # its integral over all tasks
