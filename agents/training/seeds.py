"""Several training seeds in one program: their keys, their parameters, and what is told of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from agents.config import TrainConfig
from agents.evaluation.intervals import seed_interval
from agents.training.keys import RunKeys

# Metrics of which the interval over seeds, and the value of each seed, are logged beside the mean.
TOLD_BY_SEED = ("solve_rate", "solve_rate_fresh", "solve_rate_replayed", "episode_return", "episode_length")


def config_of_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """Config of the run that trains one of the seeds of a config alone."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, seed=seed, num_seeds=1))


def training_key(config: TrainConfig) -> jax.Array:
    """Random key of the training, `[]`, or of each of several seeds, `[num_seeds]`."""
    keys = [RunKeys.from_seed(seed).training for seed in config.training.seeds]
    return keys[0] if len(keys) == 1 else jnp.stack(keys)


def stack_seeds(trees: list[Any]) -> Any:
    """Puts what each seed has together, with a leading axis `[num_seeds]`; of one seed it stays as it is."""
    return trees[0] if len(trees) == 1 else jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def by_seed(config: TrainConfig, tree: Any) -> dict[int, Any]:
    """Takes what each seed has apart again."""
    seeds = config.training.seeds
    if len(seeds) == 1:
        return {seeds[0]: tree}
    row = lambda i: jax.tree.map(lambda leaf: leaf[i], tree)
    return {seed: row(i) for i, seed in enumerate(seeds)}


def seed_name(run: str, config: TrainConfig, seed: int) -> str:
    """Name of one seed of a run: that of the run if it has no other."""
    return run if config.training.num_seeds == 1 else f"{run}@seed{seed}"


def summarize_rates(values: Mapping[str, np.ndarray], seeds: range) -> dict[str, float]:
    """Makes numbers of a log from metrics of each seed.

    Args:
      values: metrics by name, `[]` of one seed, or `[num_seeds]`.
      seeds: the seeds.

    Returns:
      means over seeds by name; of `TOLD_BY_SEED` also the 95 % interval of the mean over seeds, as
      `NAME_low` and `NAME_high`, and the value of each seed, as `NAME@seedK`.
    """
    row = {name: float(np.mean(value)) for name, value in values.items()}
    if len(seeds) == 1:
        return row
    for name in TOLD_BY_SEED:
        if name in values:
            row[f"{name}_low"], row[f"{name}_high"] = seed_interval(values[name])
            row |= {f"{name}@seed{seed}": float(v) for seed, v in zip(seeds, values[name], strict=True)}
    return row
