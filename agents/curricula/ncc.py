"""NCC: the distribution over the buffer's levels is learnt, by gradients of an entropy-regularized score."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from agents.curricula.outcome import Outcome
from agents.curricula.protocol import LevelBatch, Metrics
from agents.curricula.replay import PLR, ReplayState
from agents.policy import Params, Policy


def entropic_ascent(
    log_weight: jax.Array, score: jax.Array, learning_rate: float, entropy_coef: float
) -> jax.Array:
    """Takes a step of exponentiated gradient ascent on `sum(y s) - entropy_coef sum(y log y)`.

    The gradient is `s - entropy_coef (log y + 1)`, and the step multiplies y by the exponential of
    `learning_rate` times it. Its only fixed point is the maximum, `y` proportional to
    `exp(s / entropy_coef)`; of the distance from it in log y, a share `1 - learning_rate entropy_coef` is
    left.

    Args:
      log_weight: log y, float `[K]`; -infinity where there is no level.
      score: s, float `[K]`; any where there is no level.
      learning_rate: above 0, at most `1 / entropy_coef`.
      entropy_coef: above 0.

    Returns:
      log y after the step, normalized.
    """
    here = log_weight > -jnp.inf
    gradient = jnp.where(here, score - entropy_coef * (log_weight + 1), 0)
    return jnp.where(here, jax.nn.log_softmax(log_weight + learning_rate * gradient), -jnp.inf)


@dataclasses.dataclass(frozen=True)
class NCC(PLR):
    """Monette et al., "An optimisation framework for unsupervised environment design" (2025).

    The adversary's strategy is a distribution y over the levels of the buffer. After each update it takes a
    gradient step on the expected score of a level plus an entropy bonus, which makes its side of the game
    strongly concave; levels are then replayed by y, where `PLR` replays them by their scores of the moment.
    A fresh level takes the place of the lowest score, and inherits its weight.

    The paper takes Euclidean steps that are projected onto the simplex; here they are exponentiated, which
    needs no projection and has the same maximum. A score is that of the level's last play, where the paper
    plays all levels of the buffer after each update.

    Other fields are those of `PLR`, of which `prioritization`, `temperature` and `staleness` have no effect.

    Attributes:
      adversary_learning_rate: step size, above 0 and at most `1 / adversary_entropy_coef`.
      adversary_entropy_coef: weight of the entropy, above 0: with scores of 0 .. 1/4, as those of
        learnability, a level is replayed at most `exp(1 / (4 c))` times as often as another.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    score: str = "learnability"
    adversary_learning_rate: float = 1.0
    adversary_entropy_coef: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("adversary_entropy_coef", self.adversary_entropy_coef > 0, "above 0")
        product = self.adversary_learning_rate * self.adversary_entropy_coef
        self._check(
            "adversary_learning_rate", 0 < product <= 1, "above 0, at most 1 / adversary_entropy_coef"
        )

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> ReplayState:
        """Returns an empty buffer, in which no level has a weight."""
        return dataclasses.replace(super().init(key, device), log_weight=jnp.full(self.buffer_size, -jnp.inf))

    def replay_weights(self, state: ReplayState, num_updates: jax.Array | int) -> jax.Array:
        """Chances with which levels are replayed: y."""
        assert state.log_weight is not None
        return jnp.exp(state.log_weight)

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: ReplayState,
        batch: LevelBatch,
        outcome: Outcome,
        num_updates: jax.Array | int,
    ) -> tuple[ReplayState, Metrics]:
        """Scores all levels as `PLR` does; then the adversary takes its step."""
        before = state.log_weight
        assert before is not None
        state, metrics = super().observe(key, policy, params, state, batch, outcome, num_updates)
        filled = state.buffer.filled
        # A slot that is filled for the first time begins with the weight that it had if all were alike.
        start = jnp.where(before > -jnp.inf, before, -jnp.log(jnp.maximum(filled.sum(), 1.0)))
        log_weight = entropic_ascent(
            jnp.where(filled, start, -jnp.inf),
            state.buffer.score,
            self.adversary_learning_rate,
            self.adversary_entropy_coef,
        )
        entropy = -jnp.where(filled, jnp.exp(log_weight) * log_weight, 0).sum()
        state = dataclasses.replace(state, log_weight=log_weight)
        return state, metrics | {"adversary_entropy": entropy}

    def redistribute(self, states: ReplayState, num_devices: int) -> ReplayState:
        """Deals out the buffers and the weights of their levels, which then add up to 1 on each device."""
        dealt = super().redistribute(states, num_devices)
        assert dealt.log_weight is not None
        filled = dealt.log_weight > -jnp.inf
        log_weight = jnp.where(filled, jax.nn.log_softmax(dealt.log_weight, axis=1), -jnp.inf)
        return dataclasses.replace(dealt, log_weight=log_weight)
