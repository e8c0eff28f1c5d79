"""PAIRED: an adversary chooses levels that an antagonist solves and the agent does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.adversary import Adversary
from agents.curricula.outcome import Outcome, episode_metrics
from agents.curricula.protocol import LevelBatch, Metrics
from agents.policy import Params, Policy
from agents.ppo.learner import Learner, LearnerState, share_of_run
from agents.ppo.rollout import start_runner
from agents.teachers.protocol import require


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PAIREDState:
    """State of PAIRED."""

    adversary: Any
    antagonist: LearnerState


def regret(antagonist: Outcome, protagonist: Outcome) -> jax.Array:
    """Estimates the regret of the protagonist on each level: float `[N]`.

    Dennis et al. (2020), section 4: the largest return of the antagonist's episodes less the mean return of
    the protagonist's.
    """
    return antagonist.max_return - protagonist.episode_return


@dataclasses.dataclass(frozen=True)
class PAIRED:
    """Dennis et al., "Emergent complexity and zero-shot transfer via unsupervised environment design" (2020).

    An adversary chooses levels. The protagonist, which is the agent that is trained, and a second learner,
    the antagonist, play and learn from the same levels. The adversary is rewarded with the `regret`: levels
    that no one solves are worth nothing to it, and neither are those that both solve. It chooses the
    distribution of levels, or builds them edit by edit, as in the paper.

    Levels that doing nothing solves are not filtered out, since the adversary has nothing to gain by them. On
    several devices each has an adversary and an antagonist of its own.

    Attributes:
      env_params: numbers of the game.
      num_envs: environments of an update, a multiple of `num_tasks`.
      antagonist: the second learner, with the rollouts and hyperparameters of the first, for `num_envs`.
      adversary: what chooses the levels.
      num_tasks: levels of an update; each is played in as many environments as there are for it.
      total_updates: updates of the whole run, for hyperparameters of the antagonist that change over it.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    env_params: kx.EnvParams
    num_envs: int
    antagonist: Learner
    adversary: Adversary
    num_tasks: int = 64
    total_updates: int | None = None

    def __post_init__(self) -> None:
        require(self, "num_tasks", self.num_tasks >= 1, "at least 1")
        fits = self.num_envs >= self.num_tasks and self.num_envs % self.num_tasks == 0
        require(self, "num_envs", fits, f"a multiple of num_tasks, {self.num_tasks}")

    @property
    def attempts(self) -> int:
        """Environments of each level."""
        return self.num_envs // self.num_tasks

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> PAIREDState:
        """Returns an adversary and an antagonist that have learnt nothing."""
        adversary_key, antagonist_key = jax.random.split(key)
        antagonist = self.antagonist.init(self.antagonist.policy.init(antagonist_key))
        return PAIREDState(self.adversary.init(adversary_key), antagonist)

    def redistribute(self, states: PAIREDState, num_devices: int) -> PAIREDState:
        """Gives each device one of the adversaries and its antagonist; of more devices, several the same."""
        kept = jnp.arange(num_devices) % jax.tree.leaves(states)[0].shape[0]
        return jax.tree.map(lambda leaf: leaf[kept], states)

    def propose(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: PAIREDState,
        num_updates: jax.Array | int,
    ) -> tuple[PAIREDState, LevelBatch]:
        """Lets the adversary choose levels."""
        levels, chosen = self.adversary.propose(key, state.adversary, self.num_tasks)
        start = jax.tree.map(lambda leaf: jnp.repeat(leaf, self.attempts, axis=0), levels)
        steps = self.num_envs * self.antagonist.rollout_length * self.antagonist.num_rollouts
        return state, LevelBatch(start, jnp.full(self.num_envs, -1, jnp.int32), steps, memo=chosen)

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
        antagonist_key, adversary_key = jax.random.split(key)
        runner = start_runner(learner.env, batch.start, self.env_params, learner.policy)
        progress = share_of_run(num_updates, self.total_updates)
        antagonist, steps, _ = learner.update(
            antagonist_key, state.antagonist, runner, self.env_params, progress=progress
        )
        theirs = Outcome.of(steps, outcome.axis)
        group = jnp.arange(self.num_envs) // self.attempts
        regrets = regret(theirs.merge(group, self.num_tasks), outcome.merge(group, self.num_tasks))
        adversary, learnt = self.adversary.learn(adversary_key, state.adversary, batch.memo, regrets)
        metrics = episode_metrics(outcome) | {
            "regret": regrets.mean(),
            "solve_rate_antagonist": episode_metrics(theirs)["solve_rate"],
        }
        return PAIREDState(adversary, antagonist), metrics | learnt
