"""Level distributions: sources of levels that an environment resets to."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Protocol

import jax
import jax.numpy as jnp

from kinetix_py.levels.level import Level, pad_level, stack_levels, with_rules
from kinetix_py.sizes import LevelSize


class LevelDistribution(Protocol):
    """A source of levels; hashable, so that an environment that holds one is hashable, and a pytree.

    `kx.GeneratorParams` and `kx.LocomotionParams` are such sources, as long as their numbers are plain ones.
    """

    def sample(self, key: jax.Array, size: LevelSize) -> Level:
        """Draws one level of a size; pure, and to be called outside of `Environment.step`.

        Args:
          key: random key.
          size: size of the level.
        """
        ...


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class RandomLevels:
    """Levels of the random generator, or of another distribution, that doing nothing does not solve.

    Attributes:
      params: numbers of the distribution, all plain numbers; `GeneratorParams()` if None.
      filtered: whether levels that doing nothing solves are drawn again, at most 255 times: an unfiltered
        level is better than none.
    """

    params: LevelDistribution | None = None
    filtered: bool = True

    def sample(self, key: jax.Array, size: LevelSize) -> Level:
        """Draws one level of a size."""
        # The generator's filter plays levels in an environment, which holds a distribution.
        from kinetix_py.generator.sample import sample_filtered_levels, sample_level

        if not self.filtered:
            return sample_level(key, size, self.params)
        levels, _ = sample_filtered_levels(key, 1, size, self.params)
        return jax.tree.map(lambda value: value[0], levels)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, eq=False)
class LevelList:
    """Given levels, each equally likely.

    Attributes:
      levels: a batch of levels, or a sequence of single ones, which are padded to the largest.

    Raises:
      ValueError: no level, or a single one that is not in a sequence.
    """

    levels: Level | Sequence[Level]

    def __post_init__(self) -> None:
        levels = self.levels if isinstance(self.levels, Level) else stack_levels(self.levels)
        if len(levels.batch_shape) != 1 or not levels.batch_shape[0]:
            raise ValueError(f"LevelList needs one batch axis of at least 1, got {levels.batch_shape}")
        object.__setattr__(self, "levels", levels)

    @property
    def have_rules(self) -> bool:
        """Tells whether the levels have rules beyond the plain game; if one has, all have."""
        assert isinstance(self.levels, Level)
        return self.levels.rules is not None

    def sample(self, key: jax.Array, size: LevelSize) -> Level:
        """Draws one level, padded to a size."""
        assert isinstance(self.levels, Level)
        return pad_level(draw_level(key, self.levels)[1], size)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class LevelMixture:
    """Levels of several distributions, each as likely as its weight; if levels of one have rules, then all.

    Under `vmap`, a level of every distribution is drawn for each one that is taken.

    Attributes:
      distributions: at least one.
      weights: one for each distribution, above 0 and relative to each other; all alike if None.

    Raises:
      ValueError: no distribution, weights that are not as many, or one that is not above 0.
    """

    distributions: tuple[LevelDistribution, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        distributions = tuple(self.distributions)
        weights = (1.0,) * len(distributions) if self.weights is None else tuple(self.weights)
        if not distributions or len(weights) != len(distributions):
            raise ValueError(
                f"LevelMixture needs distributions and as many weights, got {len(distributions)} and "
                f"{len(weights)}"
            )
        if not all(weight > 0 for weight in weights):
            raise ValueError(f"LevelMixture.weights must be above 0, got {weights}")
        object.__setattr__(self, "distributions", distributions)
        object.__setattr__(self, "weights", weights)

    def sample(self, key: jax.Array, size: LevelSize) -> Level:
        """Draws one level of a size."""
        which_key, level_key = jax.random.split(key)
        which = jax.random.categorical(which_key, jnp.log(jnp.array(self.weights)))
        draws = [functools.partial(_sample, each, size) for each in self.distributions]
        rules = [jax.eval_shape(draw, level_key).rules for draw in draws]
        if any(one is not None for one in rules):
            draws = [functools.partial(_sample_with_rules, each, size) for each in self.distributions]
        return jax.lax.switch(which, draws, level_key)


def _sample(distribution: LevelDistribution, size: LevelSize, key: jax.Array) -> Level:
    return distribution.sample(key, size)


def _sample_with_rules(distribution: LevelDistribution, size: LevelSize, key: jax.Array) -> Level:
    return with_rules(distribution.sample(key, size))


def draw_level(key: jax.Array, levels: Level) -> tuple[jax.Array, Level]:
    """Draws one of a batch of levels, each equally likely.

    Returns:
      its index in the batch, and the level.
    """
    index = jax.random.randint(key, (), 0, levels.batch_shape[0])
    return index, jax.tree.map(lambda value: value[index], levels)
