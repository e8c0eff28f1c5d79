"""From a config to the parts of a run: policy, curriculum, trainer."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
from typing import Any

import jax

import kinetix_py as kx
from agents.bc.cloner import Cloner
from agents.bc.data import open_experience, read_segments
from agents.config import ConfigError, TrainConfig
from agents.curricula import (
    ACCEL,
    NCC,
    PAIRED,
    PLR,
    SFL,
    Curriculum,
    DomainRandomization,
    FixedLevels,
    MapElites,
    TeacherCurriculum,
    minimal_levels,
)
from agents.curricula.adversary import Adversary, EditingAdversary, ParameterAdversary
from agents.curricula.config import CurriculumConfig
from agents.curricula.level_editing import LevelEditing
from agents.curricula.scores import ACROSS_TIME
from agents.curricula.teacher import TASKS, task_box
from agents.io.curriculum_file import read_curricula
from agents.io.run_folder import RunFolder
from agents.levels import read_levels, training_files
from agents.networks.factory import make_network
from agents.networks.normalize import NormalizedPolicy
from agents.policy import Policy
from agents.ppo.learner import Learner
from agents.ppo.ppo import make_optimizer
from agents.teachers import AGAIN, ALPGMM, TEACHERS, Teacher
from agents.training.hosts import num_processes
from agents.training.trainer import Trainer


def make_policy(config: TrainConfig) -> Policy:
    """Makes the network that a config describes, with normalized observations if it says so.

    Raises:
      ConfigError: the network cannot read the observations.
    """
    try:
        network = make_network(config.network, config.env.make())
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None
    return NormalizedPolicy(network) if config.training.normalize_observations else network


def make_curriculum(config: TrainConfig, env: kx.Environment) -> Curriculum:
    """Makes the curriculum that a config describes, for the environments of one device.

    Raises:
      ConfigError: levels that cannot be read, numbers that do not fit together, or a dense reward that
        changes over the run where returns of different times are compared.
    """
    curriculum = _make_curriculum(config, env)
    final, chosen = config.env.dense_reward_scale_final, config.curriculum
    if final is None:
        return curriculum
    if chosen.kind == "paired":
        why = "curriculum.kind=paired, whose antagonist plays for the reward that does not change"
    elif isinstance(curriculum, PLR) and curriculum.score in ACROSS_TIME:
        why = f"curriculum.score={curriculum.score}, which compares returns of different times"
    elif isinstance(curriculum, TeacherCurriculum) and getattr(curriculum.teacher, "compares_returns", False):
        why = f"curriculum.teacher={chosen.teacher}, which compares returns of different times"
    else:
        return curriculum
    raise ConfigError(f"config: env.dense_reward_scale_final must be null with {why}; got {final}")


def _make_curriculum(config: TrainConfig, env: kx.Environment) -> Curriculum:
    chosen, devices = config.curriculum, num_devices(config)
    num_envs, at_once = config.training.num_envs // devices, chosen.episodes_at_once
    try:
        if chosen.kind == "domain_randomization":
            return DomainRandomization(env, config.env.params, num_envs, make_distribution(config))
        if chosen.kind == "levels":
            return FixedLevels(read_levels(training_files(chosen.levels), env.size), num_envs, devices)
        if chosen.kind == "teacher":
            box = make_task_box(config)
            teacher = make_teacher(chosen, box)
            tasks = chosen.num_tasks // devices
            return TeacherCurriculum(env, config.env.params, num_envs, teacher, box, tasks)
        if chosen.kind == "paired":
            learner, chooser = make_antagonist(config), make_adversary(config, env)
            tasks, total = chosen.num_tasks // devices, config.training.num_updates
            return PAIRED(config.env.params, num_envs, learner, chooser, tasks, total)
        numbers = replay_numbers(config)
        if chosen.kind == "plr":
            return PLR(env, config.env.params, num_envs, **numbers)
        if chosen.kind == "ncc":
            numbers |= given_numbers(config, "adversary_learning_rate", "adversary_entropy_coef")
            return NCC(env, config.env.params, num_envs, **numbers)
        if chosen.kind in ("accel", "map_elites"):
            numbers |= {"edited_share": chosen.edited_share, "num_edits": chosen.num_edits}
            if chosen.start == "minimal":
                numbers["generator"] = minimal_levels()
        if chosen.kind == "accel":
            return ACCEL(env, config.env.params, num_envs, **numbers)
        if chosen.kind == "map_elites":
            del numbers["buffer_size"]  # as many as there are cells
            if chosen.bins is not None:
                numbers["bins"] = tuple(chosen.bins.items())
            return MapElites(env, config.env.params, num_envs, **numbers)
        return SFL(
            env,
            config.env.params,
            num_envs,
            num_candidates=chosen.num_candidates // devices,
            attempts=chosen.attempts,
            num_steps=config.env.max_timesteps if chosen.num_steps is None else chosen.num_steps,
            episodes_at_once=None if at_once is None else max(at_once // devices, 1),
            refresh_every=chosen.refresh_every,
            **numbers,
        )
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None


def replay_numbers(config: TrainConfig) -> dict[str, Any]:
    """Fields that all curricula with a buffer share, without those that are left to their defaults."""
    chosen = config.curriculum
    names = (
        "score",
        "prioritization",
        "temperature",
        "staleness",
        "min_fill",
        "learn_fresh",
        "history_decay",
    )
    given = given_numbers(config, *names)
    size = chosen.buffer_size // num_devices(config)
    shared = {
        "buffer_size": size,
        "buffer_share": chosen.buffer_share,
        "generator": make_distribution(config),
    }
    return shared | given


def given_numbers(config: TrainConfig, *names: str) -> dict[str, Any]:
    """Fields of the curriculum's config, without those that are left to the defaults of the kind."""
    values = {name: getattr(config.curriculum, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def make_antagonist(config: TrainConfig) -> Learner:
    """Makes the second learner of PAIRED, which learns as the first one does, on one device."""
    training = config.training
    return Learner(
        config.env.make(auto_reset=True),
        make_policy(config),
        make_optimizer(config.ppo, num_gradients(config)),
        dataclasses.replace(config.ppo, minibatch_size=config.ppo.minibatch_size // num_devices(config)),
        training.rollout_length,
        training.num_rollouts,
    )


def make_adversary(config: TrainConfig, env: kx.Environment) -> Adversary:
    """Makes the adversary of PAIRED that a config describes, for levels of an environment.

    Raises:
      ValueError: a number is out of its bounds, or the network cannot choose edits.
    """
    chosen = config.curriculum
    names = {"learning_rate": chosen.adversary_learning_rate, "entropy_coef": chosen.adversary_entropy_coef}
    numbers: dict[str, Any] = {name: value for name, value in names.items() if value is not None}
    if chosen.adversary == "parameters":
        return ParameterAdversary(env.size, make_task_box(config), **numbers)
    editing = LevelEditing(env.size, env.observation_type, num_edits=chosen.num_edits)
    # One head for all choices: edits have no bindings that a head could be shared by.
    network = make_network(dataclasses.replace(config.network, actor="global"), editing)
    policy = NormalizedPolicy(network) if config.training.normalize_observations else network
    return EditingAdversary(editing, policy, **numbers)


def num_gradients(config: TrainConfig, share: float = 1.0) -> int:
    """Counts the gradient steps of a run that learns from a share of its environments."""
    training, minibatches = config.training, math.ceil(share * config.num_minibatches())
    return training.num_updates * training.num_rollouts * config.ppo.num_epochs * minibatches


def make_distribution(config: TrainConfig) -> kx.LevelDistribution:
    """Makes the distribution of fresh levels that a config describes.

    Raises:
      ValueError: as `make_task_box`, if there is a box.
    """
    if config.curriculum.box is None:
        return _base_distribution(config)
    return kx.BoxLevels(make_task_box(config))


def _base_distribution(config: TrainConfig) -> kx.LevelDistribution:
    known: dict[str, kx.LevelDistribution] = {
        "random": kx.GeneratorParams(),
        "locomotion": kx.LocomotionParams(),
    }
    parts = tuple(known[name] for name in config.curriculum.distributions)
    return parts[0] if len(parts) == 1 else kx.LevelMixture(parts, tuple(config.curriculum.weights) or None)


def make_task_box(config: TrainConfig) -> kx.GeneratorBox:
    """Makes the space of tasks of a teacher, or of fresh levels.

    Raises:
      ValueError: several distributions, an unknown number of the one, or bounds that are none.
    """
    base, bounds = _base_distribution(config), config.curriculum.box
    if not isinstance(base, kx.GeneratorParams | kx.LocomotionParams):
        names = list(config.curriculum.distributions)
        raise ValueError(
            f"curriculum.box has numbers of one distribution, got curriculum.distributions {names}"
        )
    return task_box(TASKS if bounds is None else bounds, base)


def make_teacher(chosen: CurriculumConfig, box: kx.GeneratorBox) -> Teacher:
    """Makes the teacher that a config names, for the tasks of a box.

    Raises:
      ValueError: an unknown teacher or option of it, an option that is out of its bounds, or earlier learners
        that cannot be read or do not fit.
    """
    kind = TEACHERS.get(str(chosen.teacher))
    if kind is None:
        raise ValueError(f"curriculum.teacher must be one of {tuple(TEACHERS)}, got {chosen.teacher!r}")
    defaults = lambda kind: {field.name: field.default for field in dataclasses.fields(kind)}
    own = defaults(ALPGMM) if kind is AGAIN else {}  # the teacher within the teacher
    known = {k: v for k, v in (own | defaults(kind)).items() if k not in ("num_dims", "own", "earlier")}
    # A config has lists, where hashable objects have tuples.
    plain = lambda value: tuple(value) if isinstance(value, list) else value
    options: dict[str, Any] = {k: plain(v) for k, v in (chosen.teacher_options or {}).items()}
    for name, value in options.items():
        if name not in known:
            raise ValueError(
                f"curriculum.teacher_options: {chosen.teacher!r} has no {name!r}, it has {list(known)}"
            )
        default = known[name]
        kinds = int | float if isinstance(default, float) else int if isinstance(default, int) else tuple
        if not isinstance(value, kinds):
            raise ValueError(
                f"curriculum.teacher_options: {name} must be like its default {default!r}, got {value!r}"
            )
    if kind is not AGAIN:
        teacher: Teacher = kind(box.dimension, **options)
        return teacher
    of_own: dict[str, Any] = {name: options.pop(name) for name in own if name in options}
    again = AGAIN(ALPGMM(box.dimension, **of_own), **options)
    if not chosen.earlier_runs:
        return again
    paths = [pathlib.Path(path) for path in chosen.earlier_runs]
    files = [path if path.is_file() else RunFolder(path).curriculum for path in paths]
    return dataclasses.replace(again, earlier=read_curricula(files, box, again))


def make_trainer(config: TrainConfig, curriculum: Curriculum | None = None) -> Trainer:
    """Makes the training program that a config describes.

    Args:
      config: config of the run.
      curriculum: curriculum in place of the config's own.

    Raises:
      ConfigError: as `make_policy` and `make_curriculum`, or parts that do not fit together.
    """
    env, training = config.env.make(auto_reset=True), config.training
    devices = num_devices(config)
    policy = make_policy(config)
    curriculum = make_curriculum(config, env) if curriculum is None else curriculum
    share = curriculum.learning_share if isinstance(curriculum, PLR) else 1.0
    try:
        return Trainer(
            env=env,
            policy=policy,
            curriculum=curriculum,
            optimizer=make_optimizer(config.ppo, num_gradients(config, share)),
            ppo=config.ppo,
            num_envs=training.num_envs,
            rollout_length=training.rollout_length,
            num_rollouts=training.num_rollouts,
            num_devices=devices,
            num_seeds=training.num_seeds,
            total_updates=training.num_updates,
            dense_reward_scale_final=config.env.dense_reward_scale_final,
        )
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None


def make_cloner(config: TrainConfig) -> Cloner:
    """Makes the program that clones recorded episodes, as a config with algorithm `"bc"` describes.

    Raises:
      ConfigError: episodes that cannot be read or are of another environment, or numbers that do not fit.
    """
    training = config.training
    for name in ("num_devices", "num_seeds"):
        value = getattr(training, name)
        if value not in (1, None):
            raise ConfigError(f"config: algorithm 'bc' needs training.{name}=1, got {value}")
    if num_processes() > 1:
        raise ConfigError(f"config: algorithm 'bc' needs one process, got {num_processes()}")
    policy, data = make_policy(config), open_experience(config)
    gradients = training.num_updates * training.steps_per_update // config.ppo.minibatch_size
    try:
        return Cloner(
            env=config.env.make(),
            policy=policy,
            optimizer=make_optimizer(config.ppo, gradients),
            ppo=config.ppo,
            num_segments=training.num_envs,
            steps_per_update=training.steps_per_update,
            data=read_segments(data),
        )
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None


def num_devices(config: TrainConfig) -> int:
    """Counts the devices of a run, and makes sure that JAX has them: all there are if the config says null.

    Raises:
      ConfigError: there are fewer, or they cannot share the environments.
    """
    count = config.training.num_devices
    if count is not None:
        request_devices(count)
        if num_processes() > 1 and count != jax.device_count():
            raise ConfigError(
                f"config: training.num_devices is {count}, but {num_processes()} processes have "
                f"{jax.device_count()} devices, all of which are needed; null takes them all"
            )
        return count
    count = jax.device_count()
    try:
        config.check_divisible(count)
    except ValueError as error:
        raise ConfigError(f"config: {error}; null takes all devices that JAX has") from None
    return count


def request_devices(count: int) -> None:
    """Makes sure that JAX has so many devices; a CPU is split into them if nothing has run on it yet.

    Raises:
      ConfigError: there are fewer.
    """
    # Only a CPU can be split, and only before its first use; elsewhere, or later, this changes nothing.
    with contextlib.suppress(RuntimeError):
        own = -(-count // num_processes())
        jax.config.update("jax_num_cpu_devices", max(own, jax.config.values["jax_num_cpu_devices"]))
    if count > jax.device_count():
        raise ConfigError(
            f"config: training.num_devices is {count}, but JAX has {jax.device_count()}; a CPU is split by "
            f"JAX_NUM_CPU_DEVICES={count} or jax.config.update('jax_num_cpu_devices', {count}) at the start"
        )
