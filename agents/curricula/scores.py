"""Scores of levels: how much there is to learn from each, by how it was played."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from agents.curricula.outcome import Outcome


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class History:
    """Record of earlier plays of each level; float `[N]`."""

    attempts: jax.Array  # first episodes; older ones may have faded to less than 1 each
    solved: jax.Array  # those of them in which the level was solved
    max_return: jax.Array  # largest return so far; -infinity before the first play
    last_return: jax.Array  # mean return when it was last played
    ever_solved: jax.Array  # 1 if it was solved in any episode, 0 else; does not fade

    @classmethod
    def empty(cls, count: int) -> History:
        """Returns the history of levels that were never played."""
        zeros = jnp.zeros(count)
        return cls(zeros, zeros, jnp.full(count, -jnp.inf, jnp.float32), zeros, zeros)

    def fade(self, factor: jax.Array | float) -> History:
        """Lets earlier attempts count less, by a factor in 0 .. 1."""
        return dataclasses.replace(self, attempts=factor * self.attempts, solved=factor * self.solved)

    def after(self, outcome: Outcome) -> History:
        """Adds one more play of each level."""
        return History(
            self.attempts + outcome.attempts,
            self.solved + outcome.solved,
            jnp.maximum(self.max_return, outcome.max_return),
            outcome.episode_return,
            jnp.maximum(self.ever_solved, (outcome.episodes_solved > 0).astype(jnp.float32)),
        )


# (how levels were played now, rows [N]; what is remembered from before) -> scores, float [N]
Score = Callable[[Outcome, History], jax.Array]


def learnability(rate: jax.Array) -> jax.Array:
    """Variance of an outcome, `p (1 - p)`: largest where success and failure are equally likely.

    Rutherford et al., "No regrets: investigating and improving regret approximations for curriculum
    discovery" (2024), section 5.
    """
    return rate * (1 - rate)


def expected_learnability(solved: jax.Array, attempts: jax.Array) -> jax.Array:
    """Expected `p (1 - p)` of a level whose solve rate is known from a few attempts only.

    The mean of the posterior Beta(a, b) with a = solved + 1/2, b = unsolved + 1/2 (Jeffreys' prior):
    `a b / ((a + b) (a + b + 1))`. A level that was never attempted has 1/8, and so has one attempted once.
    """
    a, b = solved + 0.5, attempts - solved + 0.5
    return a * b / ((a + b) * (a + b + 1))


def live_learnability(outcome: Outcome, before: History) -> jax.Array:
    """Expected learnability, from all first episodes that are remembered."""
    after = before.after(outcome)
    return expected_learnability(after.solved, after.attempts)


def positive_value_loss(outcome: Outcome, before: History) -> jax.Array:
    """Mean over all steps of the positive part of the advantage.

    Jiang et al., "Replay-guided adversarial environment design" (2021), section 4.1.
    """
    return outcome.positive_advantage


def negative_advantage(outcome: Outcome, before: History) -> jax.Array:
    """Mean over all steps of the negative part of the advantage: how far it did worse than it expected to."""
    return outcome.negative_advantage


def maximized_negative_advantage(outcome: Outcome, before: History) -> jax.Array:
    """Mean over all steps of the maximized negative advantage; 0 for levels that were never solved.

    Mead et al., "Improving regret approximation for unsupervised dynamic environment generation" (2026): how
    far steps are followed by worse than the best that could be expected, where it is known that the level can
    be solved. Only relative sizes count, so that a mean stands for their sum over the steps.
    """
    if outcome.maximized_negative is None:
        raise ValueError("the score 'maximized_negative_advantage' needs steps with negative advantages")
    return jnp.where(before.after(outcome).ever_solved > 0, outcome.maximized_negative, 0.0)


def l1_value_loss(outcome: Outcome, before: History) -> jax.Array:
    """Mean over all steps of the advantage's absolute value.

    Jiang et al., "Prioritized level replay" (2021), section 3.2.
    """
    return outcome.positive_advantage + outcome.negative_advantage


def max_mc(outcome: Outcome, before: History) -> jax.Array:
    """Mean over all steps of the largest return so far less the value (maximum Monte Carlo regret).

    Jiang et al., "Replay-guided adversarial environment design" (2021), section 4.1.
    """
    return jnp.maximum(before.max_return, outcome.max_return) - outcome.value


def regret(outcome: Outcome, before: History) -> jax.Array:
    """Largest return so far less the mean return now: what is known to be possible and is not reached.

    Dennis et al., "Emergent complexity and zero-shot transfer via unsupervised environment design" (2020),
    section 4, with the best episode of the agent itself in the place of an antagonist's.
    """
    return jnp.maximum(before.max_return, outcome.max_return) - outcome.episode_return


def learning_progress(outcome: Outcome, before: History) -> jax.Array:
    """Absolute difference between the mean return now and when the level was last played.

    Portelas et al., "Teacher algorithms for curriculum learning of deep RL in continuously parameterized
    environments" (2020), section 3, where a new task is compared with the nearest earlier one. Here a new
    level is compared with the value of its first observation, which is learnt from earlier levels.
    """
    played = before.max_return > -jnp.inf
    return jnp.abs(outcome.episode_return - jnp.where(played, before.last_return, outcome.initial_value))


# Scores that compare the return now with earlier ones, which must therefore be of one reward.
ACROSS_TIME = frozenset(("max_mc", "regret", "learning_progress"))
SCORES: dict[str, Score] = {
    "learnability": live_learnability,
    "positive_value_loss": positive_value_loss,
    "negative_advantage": negative_advantage,
    "maximized_negative_advantage": maximized_negative_advantage,
    "l1_value_loss": l1_value_loss,
    "max_mc": max_mc,
    "regret": regret,
    "learning_progress": learning_progress,
}
