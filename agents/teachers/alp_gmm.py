"""ALP-GMM: tasks from the Gaussians of a mixture in which returns change most."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from agents.teachers.memory import Memory
from agents.teachers.mixture import Mixture, fit_mixture
from agents.teachers.protocol import choose, require


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MixtureState:
    """State of a teacher that fits a mixture to the latest episodes."""

    recent: Memory  # rows [fit_every, ...], a task and what is fitted with it
    mixture: Mixture  # of K components; empty before the first fit
    history: Memory | None = None  # rows (task, return), among which the nearest is looked for


@dataclasses.dataclass(frozen=True)
class MixtureTeacher(abc.ABC):
    """Fits a mixture to tasks and what became of them, and samples its components by their utility.

    The numbers are those of the authors' code for Portelas et al. (2019).

    Attributes:
      num_dims: dimensions of a task.
      fit_every: episodes from one fit to the next, all of which are fitted.
      random_share: share of uniform tasks, in 0 .. 1; before the first fit all are.
      min_components, max_components: numbers of components, of which the one with the least AIC is taken.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    compares_returns: ClassVar[bool] = True
    num_dims: int
    fit_every: int = 250
    random_share: float = 0.2
    min_components: int = 2
    max_components: int = 10

    def __post_init__(self) -> None:
        require(self, "num_dims", self.num_dims >= 1, "at least 1")
        require(self, "random_share", 0 <= self.random_share <= 1, "in 0 .. 1")
        require(self, "min_components", self.min_components >= 1, "at least 1")
        require(self, "max_components", self.max_components >= self.min_components, "at least min_components")
        require(self, "fit_every", self.fit_every >= self.max_components, "at least max_components")

    @property
    @abc.abstractmethod
    def num_fitted(self) -> int:
        """Numbers of each episode that are fitted."""

    @abc.abstractmethod
    def utility(self, mixture: Mixture) -> jax.Array:
        """Utility of each component, by which it is drawn: float `[K]`."""

    def points(self, recent: Memory) -> jax.Array:
        """Points `[fit_every, num_fitted]` that the mixture is fitted to."""
        return recent.rows

    def init(self, key: jax.Array) -> MixtureState:
        """Returns an empty mixture."""
        recent = Memory.empty(self.fit_every, self.num_fitted)
        return MixtureState(recent, Mixture.empty(self.max_components, self.num_fitted))

    def sample(self, key: jax.Array, state: MixtureState, n: int) -> tuple[MixtureState, jax.Array]:
        """Draws tasks of components by their utility, and a share of uniform ones: `[n, num_dims]`."""
        which_key, draw_key, uniform_key, mode_key = jax.random.split(key, 4)
        mixture = state.mixture
        # An empty mixture has no component to choose; what is drawn of it is not used.
        ready = mixture.exists.any()
        component = choose(which_key, self.utility(mixture), mixture.exists | ~ready, n)
        drawn = jnp.clip(mixture.draw(draw_key, component, self.num_dims), 0, 1)
        uniform = jax.random.uniform(uniform_key, drawn.shape)
        explores = jax.random.uniform(mode_key, (n,)) < self.random_share
        return state, jnp.where((explores | ~ready)[:, None], uniform, drawn)

    def learn(self, key: jax.Array, state: MixtureState, rows: jax.Array) -> MixtureState:
        """Adds rows of episodes `[n, ...]`, and fits the mixture anew whenever `fit_every` are complete."""
        recent = state.recent.append(rows)
        fit = lambda: fit_mixture(key, self.points(recent), self.min_components, self.max_components)
        mixture = jax.lax.cond(recent.passed(rows.shape[0]), fit, lambda: state.mixture)
        return dataclasses.replace(state, recent=recent, mixture=mixture)


@dataclasses.dataclass(frozen=True)
class ALPGMM(MixtureTeacher):
    """Portelas et al., "Teacher algorithms for curriculum learning of deep RL in continuously parameterized
    environments" (2019), section 4 and algorithm 1.

    The absolute learning progress (ALP) of a task is the absolute difference of its return from that of the
    nearest earlier task. A mixture of Gaussians is fitted to tasks and their ALP, and sampled in proportion
    to the mean ALP of its components.

    Attributes:
      history_size: earlier episodes among which the nearest is looked for; all of them in the paper.
    """

    history_size: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "history_size", self.history_size >= 1, "at least 1")

    @property
    def num_fitted(self) -> int:
        """A task and its ALP."""
        return self.num_dims + 1

    def utility(self, mixture: Mixture) -> jax.Array:
        """Mean ALP of each component: `[K]`."""
        return jnp.maximum(mixture.means[:, -1], 0)

    def init(self, key: jax.Array) -> MixtureState:
        """Returns an empty history and mixture."""
        history = Memory.empty(self.history_size, self.num_dims + 1)
        return dataclasses.replace(super().init(key), history=history)

    def update(
        self, key: jax.Array, state: MixtureState, tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> MixtureState:
        """Computes the ALP of tasks from those of earlier updates, and fits the mixture when it is due."""
        history = state.history
        assert history is not None
        before = history.rows[history.nearest(tasks), -1]
        progress = jnp.where(history.count > 0, jnp.abs(returns - before), 0.0)
        rows = lambda value: jnp.concatenate([tasks, value[:, None]], axis=1)
        state = dataclasses.replace(state, history=history.append(rows(returns)))
        return self.learn(key, state, rows(progress))
