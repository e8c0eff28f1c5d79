"""Covar-GMM: tasks from the Gaussians of a mixture in which returns grow with time."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from agents.teachers.alp_gmm import MixtureState, MixtureTeacher
from agents.teachers.memory import Memory
from agents.teachers.mixture import Mixture


@dataclasses.dataclass(frozen=True)
class CovarGMM(MixtureTeacher):
    """Moulin-Frier, Nguyen and Oudeyer, "Self-organization of early vocal development in infants and
    machines" (2014), in the form of Portelas et al. (2019), appendix.

    A mixture of Gaussians is fitted to tasks, the time at which each was played within the latest
    `fit_every` episodes, and its return. Components are sampled in proportion to the covariance of time and
    return, where it is positive. An update should be a small part of `fit_every`, since time within an update
    has no meaning.
    """

    @property
    def num_fitted(self) -> int:
        """A task, the time in 0 .. 1, and the return."""
        return self.num_dims + 2

    def utility(self, mixture: Mixture) -> jax.Array:
        """Covariance of time and return of each component, 0 where it is negative: `[K]`."""
        return jnp.maximum(mixture.covariances[:, -2, -1], 0)

    def points(self, recent: Memory) -> jax.Array:
        """Tasks, their place in the order of all, and returns: `[fit_every, num_dims + 2]`."""
        return recent.rows.at[:, -2].set(recent.order / self.fit_every)

    def update(
        self, key: jax.Array, state: MixtureState, tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> MixtureState:
        """Adds episodes, and fits the mixture when it is due."""
        time = jnp.zeros(returns.shape)  # known once all episodes of a fit are there
        return self.learn(key, state, jnp.concatenate([tasks, time[:, None], returns[:, None]], axis=1))
