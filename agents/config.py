"""Config of a training run: typed, frozen, checked before anything is compiled."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import kinetix_py as kx
from agents.checks import at_least
from agents.curricula.config import REPLAYING, CurriculumConfig
from agents.evaluation.seeds import SEED
from agents.networks.config import NetworkConfig
from agents.ppo.config import PPOConfig

ALGORITHMS = ("ppo", "bc")
DISTRIBUTED = ("auto", "on", "off")


class ConfigError(ValueError):
    """A config that cannot be run; the message addresses its author."""


@dataclasses.dataclass(frozen=True)
class EnvConfig:
    """Arguments of `kinetix_py.make`, and fields of `kinetix_py.EnvParams`.

    Attributes:
      dense_reward_scale_final: `dense_reward_scale` at the end of a run, to which it changes linearly; null
        leaves it as it is.
      rules: whether observations tell the rules of levels (`kinetix_py.Rules`).
      backend: what computes the physics on an NVIDIA GPU, `"xla"` or `"cuda"`; the game is the same.
    """

    size: str = "s"
    observation_type: str = "entity"
    action_type: str = "multi_discrete"
    frame_skip: int = 2
    contact_order: str = "parallel"
    dense_reward_scale: float = 0.2  # 1/m
    dense_reward_scale_final: float | None = None  # 1/m
    max_timesteps: int = 256  # environment steps
    rules: bool = False
    backend: str = "xla"

    def __post_init__(self) -> None:
        at_least(self, 1, "max_timesteps")
        _ = self.make()

    def make(self, auto_reset: bool = False) -> kx.Environment:
        """Makes the environment."""
        return kx.make(
            self.size,
            observation_type=self.observation_type,
            action_type=self.action_type,
            frame_skip=self.frame_skip,
            auto_reset=auto_reset,
            contact_order=self.contact_order,
            rules=self.rules,
            backend=self.backend,
        )

    @property
    def params(self) -> kx.EnvParams:
        """Numbers of the game."""
        return kx.EnvParams(dense_reward_scale=self.dense_reward_scale, max_timesteps=self.max_timesteps)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Length of a run, and size of its updates.

    Attributes:
      total_steps: environment steps that the whole run learns from, rounded up to whole calls.
      num_envs: environments of all devices together.
      rollout_length: steps that each of them plays before the policy learns.
      num_rollouts: rollouts, each learnt from, that an update plays with the same levels, whose episodes go
        on from one to the next.
      num_devices: devices among which the environments are split; a CPU is split into as many. Null: all that
        JAX has.
      distributed: `"auto"` trains in all processes that Slurm (`srun`), Open MPI, the hosts of a TPU or JAX's
        variables have started for one run; `"on"` also where JAX alone can tell; `"off"` in this one.
      updates_per_call: updates in one call of the compiled program; metrics and Ctrl-C wait for its end.
      seed: seed of all random numbers.
      num_seeds: seeds that are trained side by side in one program, from `seed` on, each as a run of its own
        would be; steps are counted for each of them.
      normalize_observations: subtract a running mean of the observations, divide by a running deviation.
    """

    total_steps: int = 100_000_000
    num_envs: int = 2048
    rollout_length: int = 256
    num_rollouts: int = 1
    num_devices: int | None = 1
    distributed: str = "auto"
    updates_per_call: int = 5
    seed: int = 0
    num_seeds: int = 1
    normalize_observations: bool = False

    def __post_init__(self) -> None:
        at_least(self, 1, "total_steps", "num_envs", "rollout_length", "updates_per_call")
        at_least(self, 1, "num_rollouts", "num_seeds", *["num_devices"] * (self.num_devices is not None))
        if self.distributed not in DISTRIBUTED:
            raise ValueError(
                f"TrainingConfig.distributed must be one of {DISTRIBUTED}, got {self.distributed!r}"
            )

    @property
    def seeds(self) -> range:
        """Training seeds of the run."""
        return range(self.seed, self.seed + self.num_seeds)

    @property
    def steps_per_update(self) -> int:
        """Environment steps that one update learns from, for each seed."""
        return self.num_envs * self.rollout_length * self.num_rollouts

    @property
    def steps_per_call(self) -> int:
        """Environment steps that one call learns from."""
        return self.steps_per_update * self.updates_per_call

    @property
    def num_calls(self) -> int:
        """Calls of the compiled program in the whole run."""
        return -(-self.total_steps // self.steps_per_call)

    @property
    def num_updates(self) -> int:
        """Updates of the whole run."""
        return self.num_calls * self.updates_per_call


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Evaluation of the agent at the start, while it learns and at the end, beside baselines.

    Attributes:
      num_levels: number of random levels that are in no rollout; may be 0.
      attempts: episodes of each level.
      levels: further levels, named as in `CurriculumConfig`.
      seed: seed of random levels and of actions, which that of the training does not change: all runs are
        judged on the same levels.
      every: calls of the compiled program between two evaluations during training, on random levels other
        than those at the end; 0 for none. The best checkpoint by them is kept.
      every_levels, every_attempts: number of these levels, and episodes of each.
    """

    num_levels: int = 512
    attempts: int = 20
    levels: list[str] = dataclasses.field(default_factory=list)
    seed: int = SEED
    every: int = 0
    every_levels: int = 128
    every_attempts: int = 4

    def __post_init__(self) -> None:
        at_least(self, 0, "num_levels", "seed", "every")
        at_least(self, 1, "attempts", "every_levels", "every_attempts")


@dataclasses.dataclass(frozen=True)
class OutputConfig:
    """Files that a run writes.

    Attributes:
      folder: folder of all runs.
      name: name of this run's folder in it; made of date and time if null.
      checkpoint_every: calls between checkpoints; there is one at the end anyway.
      keep_checkpoints: number of newest checkpoints to keep; older ones are deleted.
      num_animations: number of solved levels in the film at the end.
      wandb: also log to Weights & Biases, which must be installed.
      wandb_project, wandb_entity, wandb_group, wandb_tags: where, and under which labels.
    """

    folder: str = "runs"
    name: str | None = None
    checkpoint_every: int = 5
    keep_checkpoints: int = 2
    num_animations: int = 5
    wandb: bool = False
    wandb_project: str = "kinetix"
    wandb_entity: str | None = None
    wandb_group: str | None = None
    wandb_tags: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        at_least(self, 1, "checkpoint_every", "keep_checkpoints")
        at_least(self, 0, "num_animations")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes:
      algorithm: `"ppo"`, which plays levels of the curriculum; or `"bc"`, behavior cloning, which learns from
        recorded episodes (`kinetix record`). The latter has one device, uses the learning rates, `gamma`,
        `value_coef`, `ema_decay` and `minibatch_size` of `ppo`, replays `training.num_envs` segments for each
        update, and plays no levels of a curriculum.
      data: folder of recorded episodes, for `"bc"`.
      init_from: policy whose parameters the run starts from, named as for `agents.load_policy`; null starts
        anew.
      init_actor_scale: factor on the last layers of its actor; below 1, the run explores more than that
        policy does.

    Raises:
      ValueError: values that do not fit together.
    """

    env: EnvConfig = dataclasses.field(default_factory=EnvConfig)
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    ppo: PPOConfig = dataclasses.field(default_factory=PPOConfig)
    curriculum: CurriculumConfig = dataclasses.field(default_factory=CurriculumConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)
    algorithm: str = "ppo"
    data: str | None = None
    init_from: str | None = None
    init_actor_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {ALGORITHMS}, got {self.algorithm!r}")
        if (self.data is not None) != (self.algorithm == "bc"):
            raise ValueError(
                f"data must name recorded episodes for algorithm 'bc' and for no other, got {self.data!r} "
                f"with {self.algorithm!r}"
            )
        at_least(self, 0, "init_actor_scale")
        if self.init_actor_scale != 1 and self.init_from is None:
            raise ValueError(
                f"init_actor_scale scales the actor of init_from, which is null; got {self.init_actor_scale}"
            )
        if self.training.rollout_length > self.env.max_timesteps:
            raise ValueError(
                f"TrainingConfig.rollout_length must be at most EnvConfig.max_timesteps "
                f"{self.env.max_timesteps}, got {self.training.rollout_length}"
            )
        self.num_minibatches()
        if self.training.num_devices is not None:
            self.check_divisible(self.training.num_devices)

    def check_divisible(self, num_devices: int) -> None:
        """Checks that a number of devices can share all that is split among them.

        Raises:
          ValueError: naming the number that cannot be split.
        """
        shared = {"training.num_envs": self.training.num_envs}
        if self.curriculum.kind in REPLAYING:
            names = ("buffer_size", "num_candidates") if self.curriculum.kind == "sfl" else ("buffer_size",)
            shared |= {f"curriculum.{name}": getattr(self.curriculum, name) for name in names}
        if self.curriculum.kind in ("teacher", "paired"):
            shared["curriculum.num_tasks"] = self.curriculum.num_tasks
        for name, value in shared.items():
            if value % num_devices:
                raise ValueError(
                    f"{name} must be a multiple of training.num_devices, {num_devices}, got {value}"
                )

    def num_minibatches(self) -> int:
        """Counts the minibatches of a rollout.

        Raises:
          ValueError: the rollout cannot be cut into minibatches of `ppo.minibatch_size`.
        """
        training = self.training
        return self.ppo.num_minibatches(training.num_envs, training.rollout_length, self.network.recurrent)

    def policy_steps(self, num_updates: int) -> int:
        """Counts the steps that policies take in the first updates of a run, as its metrics do.

        Those of attempts at candidates (SFL), and of a second agent (PAIRED), are among them.
        """
        training, chosen = self.training, self.curriculum
        played = num_updates * training.steps_per_update
        if chosen.kind == "paired":
            return 2 * played
        if chosen.kind != "sfl":
            return played
        length = self.env.max_timesteps if chosen.num_steps is None else chosen.num_steps
        refreshes = -(-num_updates // chosen.refresh_every)
        return played + refreshes * chosen.num_candidates * chosen.attempts * length

    @classmethod
    def preset(cls, hardware: str, *overrides: str) -> TrainConfig:
        """Makes the config of a preset, as `kinetix train hardware=HARDWARE OVERRIDES` does.

        Args:
          hardware: name of a preset, `"cpu"` or `"gpu"`.
          overrides: choices and fields, such as `"size=m"`, `"training.seed=1"`.

        Raises:
          ConfigError: an unknown name, or values that cannot be run.
        """
        from agents.presets import compose_config

        return compose_config(f"hardware={hardware}", *overrides)


def _writable(node: DictConfig) -> DictConfig:
    """Lifts the read-only flag that OmegaConf gives frozen dataclasses, also in the merge that fills them."""
    OmegaConf.set_readonly(node, None)
    for name in node:
        child = node._get_node(name)
        if isinstance(child, DictConfig):
            _writable(child)
    return node


def _unknown(key: str) -> str:
    """Error message for a key that does not exist."""
    *path, last = key.split(".")
    config: Any = TrainConfig()
    for name in path:
        config = getattr(config, name)
    names = [field.name for field in dataclasses.fields(config)]
    near = difflib.get_close_matches(last, names, 1)
    return f"there is no {key!r}" + (f"; did you mean {near[0]!r}?" if near else f": there are {names}")


def read_config(given: Any) -> TrainConfig:
    """Checks a config and makes it typed; fields that are not given keep their defaults.

    Args:
      given: nested dict, or a config of OmegaConf or Hydra.

    Raises:
      ConfigError: an unknown key, a wrong type, a number out of its bounds, or an impossible combination.
    """
    try:
        merged = OmegaConf.merge(_writable(OmegaConf.structured(TrainConfig)), given)
        result = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", "") or "")
        missing = type(error).__name__ in ("ConfigKeyError", "ConfigAttributeError")
        text = _unknown(key) if missing else f"{key}: {str(error).splitlines()[0]}"
        raise ConfigError(f"config: {text}") from None
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None
    assert isinstance(result, TrainConfig)
    return result


def defaults() -> dict[str, Any]:
    """All fields with their defaults, as a nested dict."""
    result = OmegaConf.to_container(OmegaConf.structured(TrainConfig))
    assert isinstance(result, dict)
    return {str(name): value for name, value in result.items()}


def as_yaml(config: TrainConfig) -> str:
    """Converts a config to text that `read_config` reads back, once parsed."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))
