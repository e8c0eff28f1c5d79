"""Levels whose distribution a teacher chooses: a task of its own for every few environments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.outcome import Outcome, episode_metrics
from agents.curricula.protocol import LevelBatch, Metrics
from agents.policy import Params, Policy
from agents.teachers.protocol import Teacher, require
from kinetix_py.chunks import filter_round

# A space of tasks that is small enough for a few hundred episodes to say something about it: how full, how
# large, how movable, how dangerous, how agile and how heavy. Size S has three movable shapes in any case:
# there the first and the third change nothing.
TASKS = {
    "no_shape_weight": (0.05, 1.0),
    "max_half_size": (0.1, 0.6),
    "max_static_chance": (0.0, 1.0),
    "red_weight": (0.0, 1.0),
    "thruster_chance": (0.0, 1.0),
    "gravity": (-15.0, 0.0),
}


def task_box(
    bounds: Mapping[str, Sequence[float]], base: kx.GeneratorParams | kx.LocomotionParams | None = None
) -> kx.GeneratorBox:
    """Makes a space of tasks.

    Args:
      bounds: lower and upper bound of numbers of the generator, by name.
      base: all other numbers; `GeneratorParams()` if None.

    Raises:
      ValueError: as `kinetix_py.GeneratorBox`, or a number has not two bounds.
    """
    for name, pair in bounds.items():
        numbers = isinstance(pair, Sequence) and all(isinstance(value, int | float) for value in pair)
        if not numbers or len(pair) != 2:
            raise ValueError(f"the box needs two bounds of {name!r}, got {pair!r}")
    low, high = ([pair[i] for pair in bounds.values()] for i in range(2))
    return kx.GeneratorBox(tuple(bounds), tuple(low), tuple(high), base or kx.GeneratorParams())


def task_metrics(box: kx.GeneratorBox, points: jax.Array) -> Metrics:
    """Averages the numbers of tasks, each in its own unit: float `[]` by name, `task/NAME`.

    Args:
      box: space of the tasks.
      points: tasks `[n, D]`, each number in 0 .. 1 of its bounds.
    """
    means = box.from_unit(points).mean(0)
    return {f"task/{name}": means[i] for i, name in enumerate(box.names)}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TeacherState:
    """State of a curriculum with a teacher."""

    teacher: Any
    tasks: jax.Array  # float [num_tasks, D], those of the last update
    unfiltered: jax.Array  # int32 [], levels of the last update that the no-op policy may solve


@dataclasses.dataclass(frozen=True)
class TeacherCurriculum:
    """Random levels, drawn with numbers of the generator that a teacher chooses.

    An update plays `num_tasks` tasks, each on as many levels as there are environments for it. Of each task
    the teacher hears the mean return of its episodes, and the share of solved first attempts.

    Attributes:
      env, env_params: environment and numbers of the game, by which the no-op policy plays.
      num_envs: levels of an update, a multiple of `num_tasks`.
      teacher: teacher, from `agents.teachers`.
      box: the space of tasks: numbers of the generator and their bounds.
      num_tasks: tasks of an update. With 64 of them teachers hear of about as many tasks in a run as in their
        papers, and each is judged by several levels.
      max_draws: levels that are drawn for each environment at most, on average, until one is found that the
        no-op policy does not solve; some tasks may have (almost) none. What is not found by then is played
        unfiltered, and the metric `unfiltered_levels` counts it.

    Raises:
      ValueError: a number is out of its bounds, or the box is not one of the teacher's tasks.
    """

    env: kx.Environment
    env_params: kx.EnvParams
    num_envs: int
    teacher: Teacher
    box: kx.GeneratorBox = dataclasses.field(default_factory=lambda: task_box(TASKS))
    num_tasks: int = 64
    max_draws: int = 4

    def __post_init__(self) -> None:
        require(self, "max_draws", self.max_draws >= 1, "at least 1")
        require(self, "num_tasks", self.num_tasks >= 1, "at least 1")
        fits = self.num_envs % self.num_tasks == 0 and self.num_envs >= self.num_tasks
        require(self, "num_envs", fits, f"a multiple of num_tasks, {self.num_tasks}")
        if self.teacher.num_dims != self.box.dimension:
            raise ValueError(
                f"a teacher of {self.teacher.num_dims} dimensions needs as many numbers, got {self.box.names}"
            )
        least = getattr(self.teacher, "min_tasks", 1)
        if self.num_tasks < least:
            raise ValueError(
                f"{type(self.teacher).__name__} needs at least {least} tasks, got num_tasks={self.num_tasks}"
            )
        needed = getattr(self.teacher, "min_attempts", 1)
        if self.attempts < needed:
            raise ValueError(
                f"{type(self.teacher).__name__} needs at least {needed} environments for each task, got "
                f"{self.num_envs} for num_tasks={self.num_tasks}"
            )

    @property
    def attempts(self) -> int:
        """Environments of each task."""
        return self.num_envs // self.num_tasks

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> TeacherState:
        """Returns the teacher's state before its first task."""
        tasks = jnp.zeros((self.num_tasks, self.box.dimension))
        return TeacherState(self.teacher.init(key), tasks, jnp.int32(0))

    def redistribute(self, states: TeacherState, num_devices: int) -> TeacherState:
        """Gives each device one of the teachers; of more devices, several have the same."""
        kept = jnp.arange(num_devices) % states.unfiltered.shape[0]
        teachers = jax.tree.map(lambda leaf: leaf[kept], states.teacher)
        tasks = jnp.zeros((num_devices, self.num_tasks, self.box.dimension))
        return TeacherState(teachers, tasks, jnp.zeros(num_devices, jnp.int32))

    def propose(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: TeacherState,
        num_updates: jax.Array | int,
    ) -> tuple[TeacherState, LevelBatch]:
        """Lets the teacher choose tasks, and draws levels of each."""
        task_key, level_key = jax.random.split(key)
        teacher, tasks = self.teacher.sample(task_key, state.teacher, self.num_tasks)
        drawn = min(filter_round(self.num_envs), self.num_envs)
        each = jnp.repeat(tasks, self.attempts, axis=0, total_repeat_length=self.num_envs)
        levels, passed = kx.sample_filtered_levels(
            level_key,
            self.num_envs,
            self.env.size,
            self.box.params(self.box.from_unit(each)),
            env=self.env,
            env_params=self.env_params,
            round_size=drawn,
            max_rounds=self.max_draws * -(-self.num_envs // drawn),
        )
        state = TeacherState(teacher, tasks, (~passed).sum(dtype=jnp.int32))
        return state, LevelBatch(levels, jnp.full(self.num_envs, -1, jnp.int32))

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: TeacherState,
        batch: LevelBatch,
        outcome: Outcome,
        num_updates: jax.Array | int,
    ) -> tuple[TeacherState, Metrics]:
        """Tells the teacher how its tasks were played.

        The metrics have the mean of each number over the tasks, in its own unit: `task/NAME`.
        """
        mean = lambda rows: rows.reshape(self.num_tasks, self.attempts).mean(1)
        returns, solved = mean(outcome.episode_return), mean(outcome.solved)
        teacher = self.teacher.update(key, state.teacher, state.tasks, returns, solved)
        metrics = episode_metrics(outcome) | {"unfiltered_levels": state.unfiltered}
        metrics |= task_metrics(self.box, state.tasks)
        return dataclasses.replace(state, teacher=teacher), metrics
