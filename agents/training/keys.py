"""Random keys of a run."""

from __future__ import annotations

import dataclasses

import jax


@dataclasses.dataclass(frozen=True)
class RunKeys:
    """Random keys of a run and of its evaluation, one for each purpose."""

    network: jax.Array  # initial parameters
    training: jax.Array
    levels: jax.Array  # random levels of the evaluation
    attempts: jax.Array  # actions in the evaluation, the same for all policies

    @classmethod
    def from_seed(cls, seed: int) -> RunKeys:
        """Makes all keys from a seed."""
        network, training, levels, attempts = jax.random.split(jax.random.key(seed), 4)
        return cls(network, training, levels, attempts)
