"""PAIRED: an adversary chooses levels that an antagonist solves and the agent does not."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

import kinetix_py as kx
from agents.curricula.outcome import Outcome, episode_metrics
from agents.curricula.protocol import LevelBatch, Metrics
from agents.curricula.teacher import TASKS, task_box, task_metrics
from agents.policy import Params, Policy
from agents.ppo.learner import Learner, LearnerState, share_of_run
from agents.ppo.loss import OldPolicyTerms, ppo_loss, standardize
from agents.ppo.rollout import start_runner
from agents.teachers.protocol import require

# Deviation of a normal variable whose logistic function is nearly uniform in 0 .. 1.
INITIAL_DEVIATION = 1.6


class Adversary(NamedTuple):
    """Parameters of the adversary: a normal distribution `[d]`, whose logistic function is a unit point."""

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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PAIREDState:
    """State of PAIRED."""

    adversary: Adversary
    adversary_opt_state: optax.OptState
    antagonist: LearnerState
    draws: jax.Array  # float [num_tasks, d], of the adversary, for the last update


def regret(antagonist: Outcome, protagonist: Outcome) -> jax.Array:
    """Estimates the regret of the protagonist on each level: float `[N]`.

    Dennis et al. (2020), section 4: the largest return of the antagonist's episodes less the mean return of
    the protagonist's.
    """
    return antagonist.max_return - protagonist.episode_return


@dataclasses.dataclass(frozen=True)
class PAIRED:
    """Dennis et al., "Emergent complexity and zero-shot transfer via unsupervised environment design" (2020).

    An adversary draws points of a box of generator parameters, and a level at each. The protagonist, which is
    the agent that is trained, and a second learner, the antagonist, play and learn from the same levels. The
    adversary is rewarded with the `regret`, and learns by the clipped loss of PPO, with episodes of one step:
    levels that no one solves are worth nothing to it, and neither are those that both solve. The adversary of
    the paper places the parts of a level one by one; this one chooses their distribution.

    Levels that doing nothing solves are not filtered out, since the adversary has nothing to gain by them. On
    several devices each has an adversary and an antagonist of its own.

    Attributes:
      env_params: numbers of the game.
      num_envs: environments of an update, a multiple of `num_tasks`.
      antagonist: the second learner, with the rollouts and hyperparameters of the first, for `num_envs`.
      box: numbers of the generator, and their bounds.
      num_tasks: levels of an update; each is played in as many environments as there are for it.
      adversary_learning_rate: of Adam.
      adversary_entropy_coef: weight of the entropy bonus.
      adversary_epochs: gradient steps of the adversary in an update.
      total_updates: updates of the whole run, for hyperparameters of the antagonist that change over it.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    env_params: kx.EnvParams
    num_envs: int
    antagonist: Learner
    box: kx.GeneratorBox = dataclasses.field(default_factory=lambda: task_box(TASKS))
    num_tasks: int = 64
    adversary_learning_rate: float = 0.01
    adversary_entropy_coef: float = 0.01
    adversary_epochs: int = 4
    total_updates: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_tasks", "adversary_epochs"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        require(self, "adversary_learning_rate", self.adversary_learning_rate > 0, "above 0")
        require(self, "adversary_entropy_coef", self.adversary_entropy_coef >= 0, "at least 0")
        fits = self.num_envs >= self.num_tasks and self.num_envs % self.num_tasks == 0
        require(self, "num_envs", fits, f"a multiple of num_tasks, {self.num_tasks}")

    @property
    def attempts(self) -> int:
        """Environments of each level."""
        return self.num_envs // self.num_tasks

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Optimizer of the adversary."""
        return optax.adam(self.adversary_learning_rate)

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> PAIREDState:
        """Returns an antagonist that has learnt nothing, and an adversary that draws all over the box."""
        dims = self.box.dimension
        adversary = Adversary(jnp.zeros(dims), jnp.full(dims, math.log(INITIAL_DEVIATION), jnp.float32))
        antagonist = self.antagonist.init(self.antagonist.policy.init(key))
        draws = jnp.zeros((self.num_tasks, dims))
        return PAIREDState(adversary, self.optimizer.init(adversary), antagonist, draws)

    def redistribute(self, states: PAIREDState, num_devices: int) -> PAIREDState:
        """Gives each device one of the adversaries and its antagonist; of more devices, several the same."""
        kept = jnp.arange(num_devices) % states.draws.shape[0]
        taken = jax.tree.map(lambda leaf: leaf[kept], states)
        draws = jnp.zeros((num_devices, self.num_tasks, self.box.dimension))
        return dataclasses.replace(taken, draws=draws)

    def propose(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: PAIREDState,
        num_updates: jax.Array | int,
    ) -> tuple[PAIREDState, LevelBatch]:
        """Lets the adversary draw points of the box, and a level at each."""
        draw_key, level_key = jax.random.split(key)
        draws = state.adversary.sample(draw_key, self.num_tasks)
        numbers = self.box.params(self.box.from_unit(jax.nn.sigmoid(draws)))
        levels = kx.sample_levels(level_key, self.num_tasks, self.antagonist.env.size, numbers)
        start = jax.tree.map(lambda leaf: jnp.repeat(leaf, self.attempts, axis=0), levels)
        steps = self.num_envs * self.antagonist.rollout_length * self.antagonist.num_rollouts
        batch = LevelBatch(start, jnp.full(self.num_envs, -1, jnp.int32), steps)
        return dataclasses.replace(state, draws=draws), batch

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: PAIREDState,
        batch: LevelBatch,
        outcome: Outcome,
        num_updates: jax.Array | int,
    ) -> tuple[PAIREDState, Metrics]:
        """Lets the antagonist play the same levels and learn, and the adversary learn from the regret."""
        learner = self.antagonist
        runner = start_runner(learner.env, batch.start, self.env_params, learner.policy)
        progress = share_of_run(num_updates, self.total_updates)
        antagonist, steps, _ = learner.update(
            key, state.antagonist, runner, self.env_params, progress=progress
        )
        theirs = Outcome.of(steps, outcome.axis)
        group = jnp.arange(self.num_envs) // self.attempts
        regrets = regret(theirs.merge(group, self.num_tasks), outcome.merge(group, self.num_tasks))
        adversary, opt_state = self.learn(state, regrets)
        own = PAIREDState(adversary, opt_state, antagonist, state.draws)
        metrics = episode_metrics(outcome) | {
            "regret": regrets.mean(),
            "solve_rate_antagonist": episode_metrics(theirs)["solve_rate"],
            "adversary_entropy": adversary.entropy(),
        }
        return own, metrics | task_metrics(self.box, jax.nn.sigmoid(state.draws))

    def learn(self, state: PAIREDState, rewards: jax.Array) -> tuple[Adversary, optax.OptState]:
        """Improves the adversary by the rewards `[num_tasks]` of its last draws."""
        zero = jnp.zeros(self.num_tasks)
        old = OldPolicyTerms(state.adversary.log_prob(state.draws), zero, standardize(rewards), zero)

        def loss(adversary: Adversary) -> jax.Array:
            return ppo_loss(
                adversary.log_prob(state.draws),
                adversary.entropy(),
                zero,
                old,
                clip_eps=self.antagonist.ppo.clip_eps,
                value_coef=0.0,
                entropy_coef=self.adversary_entropy_coef,
            ).total

        def step(carried, _):
            adversary, opt_state = carried
            updates, opt_state = self.optimizer.update(jax.grad(loss)(adversary), opt_state, adversary)
            return (optax.apply_updates(adversary, updates), opt_state), None

        learnt, _ = jax.lax.scan(
            step, (state.adversary, state.adversary_opt_state), length=self.adversary_epochs
        )
        return learnt
