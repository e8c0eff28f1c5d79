"""What a training run is told: typed, frozen, checked before anything is compiled."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import kinetix_py as kx
from agents.networks.config import NetworkConfig
from agents.ppo.update import PPOConfig

CURRICULA = ("sfl", "domain_randomization", "levels")


class ConfigError(ValueError):
    """A config that cannot be run; the message is for the person who wrote it."""


def at_least(config: Any, least: float, *names: str) -> None:
    """Checks fields against a lower bound.

    Raises:
      ValueError: naming the field, its value and the bound.
    """
    for name in names:
        value = getattr(config, name)
        if not value >= least:
            raise ValueError(f"{type(config).__name__}.{name} must be at least {least}, got {value!r}")


@dataclasses.dataclass(frozen=True)
class EnvConfig:
    """The environment, as `kinetix_py.make` and `kinetix_py.EnvParams` take it."""

    size: str = "s"
    observation: str = "entity"
    action: str = "multi_discrete"
    frame_skip: int = 2
    contact_order: str = "parallel"
    dense_reward_scale: float = 0.2  # 1/m
    max_timesteps: int = 256  # environment steps

    def __post_init__(self) -> None:
        at_least(self, 1, "max_timesteps")
        _ = self.make()

    def make(self, auto_reset: bool = False) -> kx.Environment:
        """The environment."""
        return kx.make(
            self.size,
            observation_type=self.observation,
            action_type=self.action,
            frame_skip=self.frame_skip,
            auto_reset=auto_reset,
            contact_order=self.contact_order,
        )

    @property
    def params(self) -> kx.EnvParams:
        """The numbers of the game."""
        return kx.EnvParams(dense_reward_scale=self.dense_reward_scale, max_timesteps=self.max_timesteps)


@dataclasses.dataclass(frozen=True)
class CurriculumConfig:
    """Which levels are trained on; the numbers of SFL are used by `kind: sfl` only.

    Attributes:
      kind: `"sfl"`, `"domain_randomization"`, or `"levels"`, which plays the files under `levels`.
      levels: level files, folders of them, or names of the library or of its sets, such as `library/s`.
      num_candidates, attempts, buffer_size, refresh_every, buffer_share: as in `agents.curricula.SFL`.
    """

    kind: str = "sfl"
    levels: list[str] = dataclasses.field(default_factory=list)
    num_candidates: int = 512
    attempts: int = 8
    buffer_size: int = 128
    refresh_every: int = 10
    buffer_share: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in CURRICULA:
            raise ValueError(f"CurriculumConfig.kind must be one of {CURRICULA}, got {self.kind!r}")
        if bool(self.levels) != (self.kind == "levels"):
            raise ValueError(
                f"CurriculumConfig.levels must name files for kind 'levels' and for no other kind, "
                f"got {list(self.levels)} with kind {self.kind!r}"
            )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How long, and how much at once.

    Attributes:
      total_steps: environment steps of the whole run, rounded up to whole calls.
      num_envs, rollout_length: environments, and steps that each plays in an update.
      updates_per_call: updates in one call of the compiled program; metrics and Ctrl-C wait for its end.
      seed: of everything that is drawn at random.
      normalize_observations: subtract a running mean of the observations, divide by a running deviation.
    """

    total_steps: int = 100_000_000
    num_envs: int = 2048
    rollout_length: int = 256
    updates_per_call: int = 5
    seed: int = 0
    normalize_observations: bool = False

    def __post_init__(self) -> None:
        at_least(self, 1, "total_steps", "num_envs", "rollout_length", "updates_per_call")

    @property
    def steps_per_call(self) -> int:
        """Environment steps of one call."""
        return self.num_envs * self.rollout_length * self.updates_per_call

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
    """How the agent is judged, at the start and at the end, beside a uniformly random one.

    Attributes:
      num_levels: random levels that are in no rollout; may be 0.
      attempts: episodes of each.
      levels: more to be judged on: as in `CurriculumConfig`.
    """

    num_levels: int = 512
    attempts: int = 20
    levels: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        at_least(self, 0, "num_levels")
        at_least(self, 1, "attempts")


@dataclasses.dataclass(frozen=True)
class OutputConfig:
    """What is written, and where.

    Attributes:
      folder: of all runs.
      name: of this run's folder in it; from date and time if null.
      checkpoint_every: calls between checkpoints; there is one at the end anyway.
      keep_checkpoints: older ones are deleted.
      num_animations: solved levels in the picture at the end.
      wandb: also log to Weights & Biases, which must be installed.
    """

    folder: str = "runs"
    name: str | None = None
    checkpoint_every: int = 5
    keep_checkpoints: int = 2
    num_animations: int = 5
    wandb: bool = False

    def __post_init__(self) -> None:
        at_least(self, 1, "checkpoint_every", "keep_checkpoints")
        at_least(self, 0, "num_animations")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes:
      init_from: a run folder or checkpoint whose parameters the run starts from; null starts anew.
    """

    env: EnvConfig = dataclasses.field(default_factory=EnvConfig)
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    ppo: PPOConfig = dataclasses.field(default_factory=PPOConfig)
    curriculum: CurriculumConfig = dataclasses.field(default_factory=CurriculumConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)
    init_from: str | None = None

    def __post_init__(self) -> None:
        if self.network.recurrent != self.ppo.recurrent:
            raise ValueError(
                f"NetworkConfig.recurrent and PPOConfig.recurrent must agree, got {self.network.recurrent} "
                f"and {self.ppo.recurrent}: a network with memory learns from whole sequences"
            )
        if self.training.rollout_length > self.env.max_timesteps:
            raise ValueError(
                f"TrainingConfig.rollout_length must be at most EnvConfig.max_timesteps "
                f"{self.env.max_timesteps}, got {self.training.rollout_length}"
            )
        self.ppo.check_rollout(self.training.rollout_length, self.training.num_envs)


def _writable(node: DictConfig) -> DictConfig:
    """OmegaConf makes frozen dataclasses read-only, also for the merge that fills them."""
    OmegaConf.set_readonly(node, None)
    for name in node:
        child = node._get_node(name)
        if isinstance(child, DictConfig):
            _writable(child)
    return node


def _unknown(key: str) -> str:
    """What to say of a key that does not exist."""
    *path, last = key.split(".")
    known: Any = TrainConfig()
    for name in path:
        known = getattr(known, name)
    names = [field.name for field in dataclasses.fields(known)]
    near = difflib.get_close_matches(last, names, 1)
    return f"there is no {key!r}" + (f"; did you mean {near[0]!r}?" if near else f": there are {names}")


def read_config(given: Any) -> TrainConfig:
    """Checks a config and makes it typed; fields that are not given keep their defaults.

    Args:
      given: a nested dict, or what Hydra composed.

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
    """Every field with its default, nested."""
    result = OmegaConf.to_container(OmegaConf.structured(TrainConfig))
    assert isinstance(result, dict)
    return {str(name): value for name, value in result.items()}


def as_yaml(config: TrainConfig) -> str:
    """The text that `read_config` reads back."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))
