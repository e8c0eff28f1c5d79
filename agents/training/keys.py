"""Random keys of a run."""

from __future__ import annotations

import dataclasses

import jax


@dataclasses.dataclass(frozen=True)
class RunKeys:
    """Random keys of a run, one for each purpose; those of evaluations are `EvaluationKeys`."""

    network: jax.Array  # initial parameters
    training: jax.Array

    @classmethod
    def from_seed(cls, seed: int) -> RunKeys:
        """Makes all keys from a seed."""
        return cls(*jax.random.split(jax.random.key(seed)))
