"""Hyperparameters of PPO."""

from __future__ import annotations

import dataclasses
import math

import jax


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """Hyperparameters of proximal policy optimization; static.

    Attributes:
      learning_rate: step size of Adam.
      anneal_lr: lets the learning rate fall linearly to 0 over the run.
      lr_warmup: share of the run, in 0 .. 1, in which the learning rate first rises linearly from 0.
      gamma: discount of later rewards, in 0 .. 1.
      gae_lambda: decay of generalized advantage estimation, in 0 .. 1.
      clip_eps: largest change of the probability ratio, and of the value, that is rewarded.
      value_clip: bounds the change of values by `clip_eps`, as Kinetix does; without, their loss is the plain
        squared error, which Andrychowicz et al., "What matters in on-policy reinforcement learning?" (2021),
        section 3.4, found better.
      value_coef, entropy_coef: weights of the value loss and of the entropy bonus.
      entropy_coef_final: weight of the entropy bonus at the end of the run, to which `entropy_coef` changes
        linearly; null leaves it as it is.
      max_grad_norm: global norm to which gradients are clipped.
      ema_decay: decay, at each rollout learnt from, of an exponential moving average of the parameters, in
        0 .. 1; evaluation and `agents.load_policy` then play with the average (Polyak and Juditsky,
        "Acceleration of stochastic approximation by averaging", 1992). Null keeps no average.
      mirror: share of each minibatch, in 0 .. 1, that is learnt from in its mirror image
        (`agents.ppo.mirror`); entity observations and policies without memory only.
      num_epochs: passes over each rollout.
      minibatch_size: steps from which each gradient is computed; a rollout is cut into as many minibatches as
        it takes: of whole environments for a recurrent policy, of single steps for any other. A size, and not
        a number of minibatches, so that learning does not change with the number of environments.
      accumulation_steps: parts of a minibatch whose gradients are computed one after another and averaged,
        which takes as much less memory and changes nothing else.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    learning_rate: float = 3e-4
    anneal_lr: bool = False
    lr_warmup: float = 0.0
    gamma: float = 0.995
    gae_lambda: float = 0.9
    clip_eps: float = 0.2
    value_clip: bool = True
    value_coef: float = 0.5
    entropy_coef: float = 0.01
    entropy_coef_final: float | None = None
    max_grad_norm: float = 0.5
    ema_decay: float | None = None
    mirror: float = 0.0
    num_epochs: int = 4
    minibatch_size: int = 2048
    accumulation_steps: int = 1

    def __post_init__(self) -> None:
        for name in ("gamma", "gae_lambda", "lr_warmup", "ema_decay", "mirror"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"PPOConfig.{name} must be in 0 .. 1, got {getattr(self, name)!r}")
        for name in ("learning_rate", "clip_eps", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"PPOConfig.{name} must be above 0, got {getattr(self, name)!r}")
        for name in ("value_coef", "entropy_coef", "entropy_coef_final"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"PPOConfig.{name} must be finite and at least 0, got {value!r}")
        for name in ("num_epochs", "minibatch_size", "accumulation_steps"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"PPOConfig.{name} must be an integer of at least 1, got {value!r}")

    def entropy_coef_at(self, progress: jax.Array | float) -> jax.Array | float:
        """Weight of the entropy bonus after a share of the run, in 0 .. 1; may be traced."""
        if self.entropy_coef_final is None:
            return self.entropy_coef
        return self.entropy_coef + progress * (self.entropy_coef_final - self.entropy_coef)

    def num_minibatches(self, num_envs: int, rollout_length: int, recurrent: bool = False) -> int:
        """Counts the minibatches into which a rollout is cut.

        Args:
          num_envs, rollout_length: environments, and steps of each.
          recurrent: whether the policy has a memory.

        Raises:
          ValueError: the rollout cannot be cut into minibatches of this size.
        """
        size, samples = self.minibatch_size, num_envs * rollout_length
        if samples % size:
            raise ValueError(
                f"PPOConfig.minibatch_size must divide the {samples} steps of a rollout "
                f"({num_envs} environments x {rollout_length}), got {size}"
            )
        if recurrent and size % rollout_length:
            raise ValueError(
                f"PPOConfig.minibatch_size must be a multiple of the rollout's length {rollout_length} "
                f"for a policy with memory, got {size}"
            )
        sequences = size // rollout_length if recurrent else size
        if sequences % self.accumulation_steps:
            raise ValueError(
                f"PPOConfig.accumulation_steps must divide the {sequences} sequences of a minibatch, "
                f"got {self.accumulation_steps}"
            )
        return samples // size
