"""Adversaries of PAIRED: what proposes levels, and learns from how much is to be gained by them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

import kinetix_py as kx
from agents.curricula.level_editing import LevelEditing
from agents.curricula.protocol import Metrics
from agents.curricula.teacher import TASKS, task_box, task_metrics
from agents.policy import Params, Policy
from agents.ppo.config import PPOConfig
from agents.ppo.loss import OldPolicyTerms, ppo_loss, standardize
from agents.ppo.ppo import make_optimizer, ppo_update
from agents.ppo.rollout import Transitions, rollout, start_runner
from agents.teachers.protocol import require

# Deviation of a normal variable whose logistic function is nearly uniform in 0 .. 1.
INITIAL_DEVIATION = 1.6


class Adversary(Protocol):
    """Pure functions on a pytree of arrays; hashable, its own numbers are static."""

    def init(self, key: jax.Array) -> Any:
        """State before the first update, in which all levels are about equally likely."""
        ...

    def propose(self, key: jax.Array, state: Any, count: int) -> tuple[kx.Level, Any]:
        """Chooses levels.

        Args:
          key: random key.
          state: the adversary's state.
          count: number of levels; static.

        Returns:
          levels `[count]`, and what `learn` needs of how they were chosen.
        """
        ...

    def learn(self, key: jax.Array, state: Any, chosen: Any, rewards: jax.Array) -> tuple[Any, Metrics]:
        """Makes what was rewarded more likely.

        Args:
          key: random key.
          state: the adversary's state.
          chosen: what `propose` returned beside the levels.
          rewards: float `[count]`, of each level.

        Returns:
          the state, and metrics by name; `adversary_entropy` is among them, in nats.
        """
        ...


class NormalPoint(NamedTuple):
    """Parameters of a normal distribution `[d]`, whose logistic function is a unit point."""

    mean: jax.Array
    log_deviation: jax.Array

    def log_prob(self, draws: jax.Array) -> jax.Array:
        """Log density of draws `[n, d]`: float `[n]`."""
        deviation = jnp.exp(self.log_deviation)[None]
        return jax.scipy.stats.norm.logpdf(draws, self.mean[None], deviation).sum(-1)

    def entropy(self) -> jax.Array:
        """Entropy of the normal distribution: float `[]` nats."""
        return (self.log_deviation + 0.5 * math.log(2 * math.pi * math.e)).sum()

    def sample(self, key: jax.Array, count: int) -> jax.Array:
        """Draws `[count, d]`."""
        noise = jax.random.normal(key, (count, self.mean.shape[0]))
        return self.mean[None] + jnp.exp(self.log_deviation)[None] * noise


class Learning(NamedTuple):
    """State of an adversary."""

    params: Any
    opt_state: optax.OptState


def check_numbers(owner: Any) -> None:
    """Checks the numbers that all adversaries have.

    Raises:
      ValueError: one is out of its bounds, naming it.
    """
    require(owner, "epochs", owner.epochs >= 1, "at least 1")
    require(owner, "learning_rate", owner.learning_rate > 0, "above 0")
    require(owner, "entropy_coef", owner.entropy_coef >= 0, "at least 0")


@dataclasses.dataclass(frozen=True)
class ParameterAdversary:
    """Chooses points of a box of generator parameters, and a random level at each.

    It learns by the clipped loss of PPO, with episodes of one step.

    Attributes:
      size: size of the levels.
      box: numbers of the generator, and their bounds.
      learning_rate: of Adam.
      entropy_coef: weight of the entropy bonus.
      epochs: gradient steps in an update.
      clip_eps: bound on the change of probability ratios.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    size: kx.LevelSize
    box: kx.GeneratorBox = dataclasses.field(default_factory=lambda: task_box(TASKS))
    learning_rate: float = 0.01
    entropy_coef: float = 0.01
    epochs: int = 4
    clip_eps: float = 0.2

    def __post_init__(self) -> None:
        check_numbers(self)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Optimizer of the distribution."""
        return optax.adam(self.learning_rate)

    def init(self, key: jax.Array) -> Learning:
        """Draws all over the box."""
        dims = self.box.dimension
        point = NormalPoint(jnp.zeros(dims), jnp.full(dims, math.log(INITIAL_DEVIATION), jnp.float32))
        return Learning(point, self.optimizer.init(point))

    def propose(self, key: jax.Array, state: Learning, count: int) -> tuple[kx.Level, jax.Array]:
        """Draws points of the box, and a level at each; returns the draws `[count, d]` as well."""
        draw_key, level_key = jax.random.split(key)
        draws = state.params.sample(draw_key, count)
        numbers = self.box.params(self.box.from_unit(jax.nn.sigmoid(draws)))
        return kx.sample_levels(level_key, count, self.size, numbers), draws

    def learn(
        self, key: jax.Array, state: Learning, chosen: jax.Array, rewards: jax.Array
    ) -> tuple[Learning, Metrics]:
        """Moves the distribution to the draws that were rewarded."""
        zero = jnp.zeros(rewards.shape)
        old = OldPolicyTerms(state.params.log_prob(chosen), zero, standardize(rewards), zero)

        def loss(point: NormalPoint) -> jax.Array:
            return ppo_loss(
                point.log_prob(chosen),
                point.entropy(),
                zero,
                old,
                clip_eps=self.clip_eps,
                value_coef=0.0,
                entropy_coef=self.entropy_coef,
            ).total

        def step(carried, _):
            point, opt_state = carried
            updates, opt_state = self.optimizer.update(jax.grad(loss)(point), opt_state, point)
            return Learning(optax.apply_updates(point, updates), opt_state), None

        learnt, _ = jax.lax.scan(step, state, length=self.epochs)
        metrics = {"adversary_entropy": learnt.params.entropy()}
        return learnt, metrics | task_metrics(self.box, jax.nn.sigmoid(chosen))


@dataclasses.dataclass(frozen=True)
class EditingAdversary:
    """Builds each level edit by edit, from one of the simplest, in an environment of its own.

    A policy like those of the players sees the level as they would, and chooses the next edit and its place.
    It learns by PPO; the reward comes with the last edit, and is not discounted.

    Attributes:
      env: environment in which levels are built.
      policy: policy that chooses edits.
      learning_rate: of Adam.
      entropy_coef: weight of the entropy bonus.
      epochs: times that it learns from each of its steps, in one minibatch.
      clip_eps: bound on the change of probability ratios.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    env: LevelEditing
    policy: Policy
    learning_rate: float = 0.001
    entropy_coef: float = 0.01
    epochs: int = 4
    clip_eps: float = 0.2

    def __post_init__(self) -> None:
        check_numbers(self)

    def ppo(self, count: int) -> PPOConfig:
        """Hyperparameters, for a number of levels."""
        return PPOConfig(
            learning_rate=self.learning_rate,
            entropy_coef=self.entropy_coef,
            num_epochs=self.epochs,
            clip_eps=self.clip_eps,
            minibatch_size=self.env.num_edits * count,
            gamma=1.0,
            gae_lambda=1.0,
        )

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Optimizer of the policy."""
        return make_optimizer(self.ppo(1))

    def init(self, key: jax.Array) -> Learning:
        """Returns a policy that has learnt nothing, whose edits are nearly uniform."""
        params: Params = self.policy.init(key)
        return Learning(params, self.optimizer.init(params))

    def propose(self, key: jax.Array, state: Learning, count: int) -> tuple[kx.Level, Transitions]:
        """Builds levels; returns the steps by which they were built as well, `[num_edits, count]`."""
        start_key, play_key = jax.random.split(key)
        params = self.env.default_params
        runner = start_runner(self.env, self.env.starts(start_key, count), params, self.policy)
        later, transitions = rollout(
            play_key, self.policy, state.params, runner, self.env, params, self.env.num_edits
        )
        return later.env_state.level, transitions

    def learn(
        self, key: jax.Array, state: Learning, chosen: Transitions, rewards: jax.Array
    ) -> tuple[Learning, Metrics]:
        """Improves the policy; each level's reward is that of its last edit."""
        count = rewards.shape[0]
        steps = dataclasses.replace(chosen, reward=chosen.reward.at[-1].set(rewards))
        result = ppo_update(
            key,
            self.policy,
            state.params,
            state.opt_state,
            self.optimizer,
            steps,
            self.policy.initial_carry(count),
            self.ppo(count),
        )
        params = self.policy.update_statistics(result.params, steps.obs)
        metrics = {
            "adversary_entropy": result.terms.entropy,
            "adversary_edits": (steps.action > 0).mean() * self.env.num_edits,
        }
        return Learning(params, result.opt_state), metrics
