"""The curriculum of a teacher: tasks become levels, and what was played comes back to the teacher."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import make_curriculum
from agents.config import ConfigError, read_config
from agents.curricula.outcome import Outcome
from agents.curricula.teacher import TASKS, TeacherCurriculum, task_box
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import make_optimizer
from agents.presets import compose_config
from agents.teachers import ADR, AGAIN, ALPGMM, TEACHERS, GoalGAN, RandomTeacher
from agents.training.trainer import Trainer
from tests.agents.policies import Coin, Thrust
from tests.kinetix_py.small_levels import TINY, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
PARAMS = kx.EnvParams(max_timesteps=20)
BOX = task_box({"gravity": (-15.0, -5.0), "max_radius": (0.1, 0.3)})


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)


@pytest.fixture
def rockets(monkeypatch):
    """Levels that need no generator: rockets, with the gravity that was asked for."""

    def filtered(key, n, size, params, **_):
        assert params.gravity.shape == params.max_radius.shape == (n,) and jnp.ndim(params.friction) == 0
        levels = kx.stack_levels([rocket()] * n)
        gravity = levels.sim.gravity.at[:, 1].set(params.gravity)
        return dataclasses.replace(levels, sim=dataclasses.replace(levels.sim, gravity=gravity)), jnp.arange(
            n
        ) != 1

    monkeypatch.setattr(kx, "sample_filtered_levels", filtered)


def test_a_teacher_teaches_inside_the_compiled_program(env, rockets):
    """Four tasks an update, each in two environments; the box grows, since rockets are solved."""
    teacher = ADR(2, start=(0.5, 0.5), queue_size=4, grow_above=0.1, shrink_below=0.0)
    config = PPOConfig(minibatch_size=160, learning_rate=0.1)
    curriculum = TeacherCurriculum(env, PARAMS, 8, teacher, BOX, num_tasks=4)
    trainer = Trainer(env, Thrust(), curriculum, make_optimizer(config), config, 8, 20)
    state, metrics = trainer.train_steps(trainer.init(KEY), PARAMS, 5)
    low, high = np.asarray(state.curriculum.teacher.borders)[0]
    assert (low < 0.5).any() and (high > 0.5).any() and metrics["solve_rate"][-1] > 0
    assert (metrics["unfiltered_levels"] == 1).all()
    gravity = np.asarray(metrics["task/gravity"])
    assert ((gravity > -15) & (gravity < -5)).all() and np.ptp(gravity) > 0  # -10 at first


def test_outcomes_are_averaged_over_the_levels_of_a_task(env):
    """Three tasks, two environments each, of which the teacher sees means, in the order of its tasks."""
    curriculum = TeacherCurriculum(env, PARAMS, 6, ADR(2, start=(0.0, 1.0), queue_size=9), BOX, num_tasks=3)
    state, zero = curriculum.init(KEY), jnp.zeros(6)
    state = dataclasses.replace(state, tasks=jnp.array([[0.0, 0.5], [0.3, 0.3], [0.0, 1.0]]))
    solved = jnp.array([1.0, 1, 0, 1, 0, 0])
    outcome = Outcome(zero + 1, solved, zero + 1, solved, zero, zero, zero, zero, zero, zero, zero)
    after, metrics = curriculum.observe(KEY, None, None, state, None, outcome, 0)
    # At the borders of the first number (0) are the tasks 0 and 2, at those of the second (1) is the last.
    assert after.teacher.attempts.tolist() == [[2, 1], [2, 1]]
    assert after.teacher.solved.tolist() == [[1, 0], [1, 0]]
    assert metrics["task/gravity"] == pytest.approx(-14) and metrics["solve_rate"] == 0.5


@pytest.mark.parametrize("name", TEACHERS)
def test_levels_of_every_teacher_have_the_shapes_of_a_rollout(env, rockets, name):
    teacher = AGAIN(ALPGMM(2), num_tests=2) if name == "again" else TEACHERS[name](2)
    curriculum = TeacherCurriculum(env, PARAMS, 8, teacher, BOX, num_tasks=4)
    before = jax.eval_shape(curriculum.init, KEY)
    state, batch = jax.eval_shape(lambda state: curriculum.propose(KEY, None, None, state, 0), before)
    assert batch.source.shape == batch.start.batch_shape == (8,) and batch.start.size == TINY
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert shapes(state) == shapes(before)
    # From one device to three, of a smaller share of the tasks.
    third = dataclasses.replace(curriculum, num_envs=4, num_tasks=2)
    states = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), before)
    dealt = jax.eval_shape(lambda states: third.redistribute(states, 3), states)
    own = jax.eval_shape(third.init, KEY)
    assert shapes(dealt) == jax.tree.map(lambda leaf: ((3, *leaf.shape), leaf.dtype), own)


@pytest.mark.slow
def test_levels_are_drawn_with_the_numbers_of_their_task(env):
    curriculum = TeacherCurriculum(env, PARAMS, 8, RandomTeacher(2), BOX, num_tasks=4)
    propose = jax.jit(lambda state: curriculum.propose(KEY, Coin(), (), state, 0))
    state, batch = propose(curriculum.init(KEY))
    wanted = np.repeat(np.asarray(BOX.from_unit(state.tasks))[:, 0], 2)
    np.testing.assert_allclose(batch.start.sim.gravity[:, 1], wanted, rtol=1e-6)
    for row in range(8):
        kx.validate_level(jax.tree.map(lambda leaf, row=row: leaf[row], batch.start))


def test_wrong_numbers_are_refused(env):
    make = lambda teacher=None, **changes: TeacherCurriculum(
        env,
        PARAMS,
        **({"num_envs": 8, "teacher": teacher or RandomTeacher(2), "box": BOX, "num_tasks": 4} | changes),
    )
    for broken, match in (
        (lambda: make(num_tasks=3), "num_envs must be a multiple of num_tasks, 3, got 8"),
        (lambda: make(max_draws=0), "max_draws must be at least 1, got 0"),
        (lambda: make(RandomTeacher(3)), "a teacher of 3 dimensions needs as many numbers, got .*gravity"),
        (lambda: make(GoalGAN(2), num_tasks=8), "GoalGAN needs at least 2 environments for each task, got 8"),
        (lambda: task_box({"gravity": (1.0,)}), r"the box needs two bounds of 'gravity', got \(1.0,\)"),
        (lambda: task_box({"gravity": "low"}), "the box needs two bounds of 'gravity', got 'low'"),
    ):
        with pytest.raises(ValueError, match=match):
            broken()


def test_a_config_names_a_teacher_its_options_and_its_box():
    few = ("training.num_devices=2", "training.num_envs=512")

    def make(*overrides):
        config = compose_config(*overrides, *few)
        return make_curriculum(config, config.env.make())

    curriculum = make("curriculum=alp_gmm", "curriculum.teacher_options={fit_every: 100}")
    assert curriculum.teacher == ALPGMM(len(TASKS), fit_every=100) and curriculum.box == task_box(TASKS)
    assert curriculum.num_envs == 256 and curriculum.num_tasks == 32 and curriculum.attempts == 8
    curriculum = make(
        "curriculum=adr", "curriculum.box={gravity: [-9, 0]}", "curriculum.teacher_options={start: [0.5]}"
    )
    assert curriculum.teacher == ADR(1, start=(0.5,)) and curriculum.box == task_box({"gravity": (-9.0, 0.0)})
    walk = make(
        "curriculum=riac", "curriculum.distributions=[locomotion]", "curriculum.box={gravity: [-9.8, -5.0]}"
    )
    assert walk.box.base == kx.LocomotionParams()
    for overrides, match in (
        (("curriculum.teacher=best",), "curriculum.teacher must be one of .*'alp_gmm'.*, got 'best'"),
        (("curriculum.teacher_options={step: 1}",), "'alp_gmm' has no 'step', it has .*'fit_every'"),
        (("curriculum.teacher_options={fit_every: 9.5}",), "fit_every must be like its default 250, got 9.5"),
        (("curriculum.teacher_options={random_share: 2}",), "random_share must be in 0 .. 1, got 2"),
        (("curriculum.box={gravty: [0, 1]}",), "distinct fields of GeneratorParams, got .*gravty"),
        (
            ("curriculum.distributions=[random, locomotion]",),
            "one distribution, got .*'random', 'locomotion'",
        ),
        (("curriculum.num_tasks=34",), "num_envs must be a multiple of num_tasks, 17, got 256"),
    ):
        with pytest.raises(ConfigError, match=match):
            make("curriculum=alp_gmm", *overrides)
    for given, match in (
        (
            {"teacher": "adr"},
            "teacher must name a teacher for kind 'teacher' and for no other kind, got 'adr'",
        ),
        ({"kind": "teacher"}, "got None with kind 'teacher'"),
        ({"kind": "teacher", "teacher": "adr", "num_tasks": 0}, "num_tasks must be at least 1, got 0"),
    ):
        with pytest.raises(ConfigError, match=match):
            read_config({"curriculum": given})
