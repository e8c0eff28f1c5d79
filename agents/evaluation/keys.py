"""Random keys of evaluations, which do not depend on the seed of a training run."""

from __future__ import annotations

import dataclasses

import jax

from agents.evaluation.seeds import SEED

# Far from the small numbers that splitting a training run's key uses: the streams differ for equal seeds too.
_STREAM = 0x6576616C


@dataclasses.dataclass(frozen=True)
class EvaluationKeys:
    """Random keys of an evaluation, one for each purpose.

    Attributes:
      levels: random levels.
      actions: actions, the same for all policies.
      periodic_levels, periodic_actions: those of the evaluation during training, on other levels.
    """

    levels: jax.Array
    actions: jax.Array
    periodic_levels: jax.Array
    periodic_actions: jax.Array

    @classmethod
    def from_seed(cls, seed: int = SEED) -> EvaluationKeys:
        """Makes all keys from a seed; none is that of a training run of any seed."""
        return cls(*jax.random.split(jax.random.fold_in(jax.random.key(seed), _STREAM), 4))
