"""A space of tasks whose learning is known: cubes that open when a neighbor is mastered.

Portelas et al. (2019), appendix on the n-dimensional toy space.
"""

from __future__ import annotations

import dataclasses
import itertools

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Toy:
    """The unit cube, cut in `num_cubes` cubes along each dimension.

    A cube is open if it is the first one, or an adjacent one with no larger coordinate is mastered, which is
    to have three quarters of the competence that is possible. An episode in an open cube raises its
    competence by 1.
    """

    num_cubes: int = 10
    num_dims: int = 2
    most: int = 100

    def init(self):
        return jnp.zeros((self.num_cubes,) * self.num_dims)

    def mastered(self, competence):
        return competence >= 0.75 * self.most

    def opened(self, competence):
        mastered = jnp.pad(self.mastered(competence), ((1, 0),) * self.num_dims)
        shifts = itertools.product((0, 1), repeat=self.num_dims)
        slices = [
            tuple(slice(1 - s, self.num_cubes + 1 - s) for s in shift) for shift in shifts if any(shift)
        ]
        neighbors = jnp.stack([mastered[each] for each in slices]).any(0)
        return neighbors.at[(0,) * self.num_dims].set(True)

    def play(self, competence, tasks):
        """Plays tasks `[n, D]` side by side; returns competence, and its share in each cube played."""
        cube = tuple(jnp.clip((tasks * self.num_cubes).astype(int), 0, self.num_cubes - 1).T)
        played = jnp.zeros(competence.shape).at[cube].add(1.0)
        competence = jnp.minimum(competence + played * self.opened(competence), self.most)
        return competence, competence[cube] / self.most


@dataclasses.dataclass(frozen=True)
class Oracle:
    """Knows which cubes can be learnt in."""

    toy: Toy

    def tasks(self, key, competence, n):
        cube_key, place_key = jax.random.split(key)
        useful = self.toy.opened(competence) & ~self.toy.mastered(competence)
        cube = jax.random.categorical(cube_key, jnp.where(useful, 0.0, -1e9).reshape(-1), shape=(n,))
        corner = jnp.stack(jnp.unravel_index(cube, competence.shape), axis=1)
        return (corner + jax.random.uniform(place_key, corner.shape)) / self.toy.num_cubes


def teach(teacher, toy, key, num_updates, n=50, mirrored=False):
    """Lets a learner play `n` tasks many times; returns the last state, and the share of mastered cubes.

    A mirrored learner is of another kind: its first cube is at the other end of all dimensions.
    """
    init_key, run_key = jax.random.split(key)

    def step(carried, key):
        state, competence = carried
        sample_key, update_key = jax.random.split(key)
        if isinstance(teacher, Oracle):
            tasks = teacher.tasks(sample_key, competence, n)
        else:
            state, tasks = teacher.sample(sample_key, state, n)
        competence, returns = toy.play(competence, jnp.where(mirrored, 1 - tasks, tasks))
        if not isinstance(teacher, Oracle):
            state = teacher.update(update_key, state, tasks, returns, returns)
        return (state, competence), toy.mastered(competence).mean()

    state = () if isinstance(teacher, Oracle) else teacher.init(init_key)
    (state, _), mastered = jax.lax.scan(step, (state, toy.init()), jax.random.split(run_key, num_updates))
    return state, mastered
