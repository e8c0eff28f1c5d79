"""RIAC: the space of tasks is cut into regions where returns change differently."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from agents.teachers.memory import keep_latest
from agents.teachers.protocol import choose, require


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Regions:
    """Nodes of a tree of boxes, R of them at most, each with its latest M episodes, oldest first."""

    count: jax.Array  # int32 [], number of nodes; others do not exist
    low: jax.Array  # float [R, D]
    high: jax.Array  # float [R, D]
    leaf: jax.Array  # bool [R]
    tasks: jax.Array  # float [R, M, D]
    returns: jax.Array  # float [R, M]
    filled: jax.Array  # bool [R, M]
    progress: jax.Array  # float [R], absolute learning progress

    @property
    def exists(self) -> jax.Array:
        """Nodes that exist: bool `[R]`."""
        return jnp.arange(self.leaf.shape[0]) < self.count


def progress_of(returns: jax.Array, member: jax.Array) -> jax.Array:
    """Absolute difference of the mean return of the older half of some episodes from that of the newer half.

    Args:
      returns: `[M]`, oldest first.
      member: bool `[M]`, the episodes.

    Returns:
      the difference `[]`; 0 of fewer than 3 episodes.
    """
    count = member.sum()
    from_newest = jnp.cumsum(member[::-1])[::-1]
    newer, older = member & (from_newest <= count // 2), member & (from_newest > count // 2)
    mean = lambda chosen: jnp.where(chosen, returns, 0).sum() / jnp.maximum(chosen.sum(), 1)
    return jnp.where(count > 2, jnp.abs(mean(newer) - mean(older)), 0.0)


@dataclasses.dataclass(frozen=True)
class RIAC:
    """Baranes and Oudeyer, "R-IAC: robust intrinsically motivated exploration and active learning" (2009), in
    the form of Portelas et al. (2019), appendix, whose code the numbers are from.

    A leaf with more than `region_size` episodes is cut in two at the best of `num_cuts` random places: where
    the progress of both sides differs most, times the number of episodes on each. Nodes of the tree are
    sampled in proportion to their progress.

    Attributes:
      num_dims: dimensions of a task.
      region_size: episodes of a leaf, at most.
      num_cuts: cuts that are tried.
      min_episodes: least number of episodes on each side of a cut.
      min_width: least width of a region in each dimension, in 0 .. 1.
      discard_share: share of the oldest episodes that a leaf forgets where no cut is possible.
      random_share, worst_share: shares of uniform tasks, and of tasks near the one with the lowest return in
        a region.
      worst_noise: standard deviation of the distance of the latter from it.
      max_regions: bound on the nodes of the tree; from it on nothing is cut.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    compares_returns: ClassVar[bool] = True
    num_dims: int
    region_size: int = 200
    num_cuts: int = 50
    min_episodes: int = 10
    min_width: float = 1 / 6
    discard_share: float = 0.25
    random_share: float = 0.2
    worst_share: float = 0.1
    worst_noise: float = 0.1
    max_regions: int = 127

    def __post_init__(self) -> None:
        for name in ("num_dims", "num_cuts", "min_episodes", "max_regions"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        require(self, "region_size", self.region_size >= 2 * self.min_episodes, "at least 2 min_episodes")
        require(self, "min_width", 0 <= self.min_width < 1, "in 0 .. 1, excluded")
        require(self, "discard_share", 0 < self.discard_share <= 1, "above 0, at most 1")
        require(self, "discard_share", self.num_discarded >= 1, "at least 1 / region_size")
        require(self, "random_share", 0 <= self.random_share <= 1, "in 0 .. 1")
        require(
            self, "worst_share", 0 <= self.worst_share <= 1 - self.random_share, "in 0 .. 1 - random_share"
        )
        require(self, "worst_noise", self.worst_noise >= 0, "at least 0")

    @property
    def num_discarded(self) -> int:
        """Episodes that a leaf forgets where no cut is possible."""
        return int(self.discard_share * (self.region_size + 1))

    def init(self, key: jax.Array) -> Regions:
        """Returns one region without episodes: the whole unit cube."""
        nodes, episodes = self.max_regions, self.region_size + 1
        return Regions(
            count=jnp.int32(1),
            low=jnp.zeros((nodes, self.num_dims)),
            high=jnp.ones((nodes, self.num_dims)),
            leaf=jnp.arange(nodes) == 0,
            tasks=jnp.zeros((nodes, episodes, self.num_dims)),
            returns=jnp.zeros((nodes, episodes)),
            filled=jnp.zeros((nodes, episodes), bool),
            progress=jnp.zeros(nodes),
        )

    def sample(self, key: jax.Array, state: Regions, n: int) -> tuple[Regions, jax.Array]:
        """Draws tasks `[n, num_dims]`: uniform in regions, uniform in all, or near the worst of a region."""
        which_key, inside_key, mode_key, noise_key = jax.random.split(key, 4)
        region = choose(which_key, state.progress, state.exists, n)
        low, high = state.low[region], state.high[region]
        uniform = jax.random.uniform(inside_key, low.shape)
        worst = jnp.argmin(jnp.where(state.filled, state.returns, jnp.inf), axis=1)[region]
        known = state.filled[region].any(1)
        noise = self.worst_noise * jax.random.normal(noise_key, low.shape)
        near_worst = jnp.clip(state.tasks[region, worst] + noise, low, high)
        mode = jax.random.uniform(mode_key, (n,))
        explores = mode < self.random_share
        mutates = (mode >= 1 - self.worst_share) & known
        tasks = jnp.where(mutates[:, None], near_worst, low + uniform * (high - low))
        return state, jnp.where(explores[:, None], uniform, tasks)

    def update(
        self, key: jax.Array, state: Regions, tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> Regions:
        """Adds episodes to all regions that they fall in, and cuts leaves that have too many."""
        below = (tasks[None] < state.high[:, None]) | (state.high[:, None] >= 1)
        inside = ((tasks[None] >= state.low[:, None]) & below).all(-1) & state.exists[:, None]
        add = jax.vmap(keep_latest, (0, 0, None, 0))
        own, filled = add((state.tasks, state.returns), state.filled, (tasks, returns), inside)
        state = dataclasses.replace(state, tasks=own[0], returns=own[1], filled=filled)
        full = lambda state: state.leaf & (state.filled.sum(1) > self.region_size)

        def cut(carried):
            state, number = carried
            return self._cut(jax.random.fold_in(key, number), state, jnp.argmax(full(state))), number + 1

        state, _ = jax.lax.while_loop(lambda carried: full(carried[0]).any(), cut, (state, 0))
        progress = jax.vmap(progress_of)(state.returns, state.filled)
        return dataclasses.replace(state, progress=progress)

    def _cut(self, key: jax.Array, state: Regions, region: jax.Array) -> Regions:
        """Cuts a region where the progress of both sides differs most, or drops its oldest episodes."""
        dim_key, place_key = jax.random.split(key)
        dim = jax.random.randint(dim_key, (self.num_cuts,), 0, self.num_dims)
        low, high = state.low[region], state.high[region]
        place = low[dim] + jax.random.uniform(place_key, dim.shape) * (high - low)[dim]
        filled, returns = state.filled[region], state.returns[region]
        lower = place[:, None] > state.tasks[region][:, dim].T  # [num_cuts, M]
        sides = jnp.stack([filled[None] & lower, filled[None] & ~lower])  # [2, num_cuts, M]
        progress = jax.vmap(jax.vmap(progress_of, (None, 0)), (None, 0))(returns, sides)
        size = sides.sum(-1)
        fits = (size >= self.min_episodes).all(0)
        fits &= (place - low[dim] >= self.min_width) & (high[dim] - place >= self.min_width)
        fits &= state.count + 2 <= self.max_regions
        score = jnp.where(fits, size[0] * size[1] * jnp.abs(progress[0] - progress[1]), -1.0)
        best = jnp.argmax(score)

        def divide() -> Regions:
            new = state.count + jnp.arange(2)
            own = jnp.arange(self.num_dims) == dim[best]
            children = {
                "low": jnp.stack([low, jnp.where(own, place[best], low)]),
                "high": jnp.stack([jnp.where(own, place[best], high), high]),
                "tasks": jnp.stack([state.tasks[region]] * 2),
                "returns": jnp.stack([returns] * 2),
                "filled": sides[:, best],
            }
            changed = {name: getattr(state, name).at[new].set(value) for name, value in children.items()}
            leaf = state.leaf.at[region].set(False).at[new].set(True)
            return dataclasses.replace(state, count=state.count + 2, leaf=leaf, **changed)

        def forget() -> Regions:
            kept = filled & (jnp.cumsum(filled) > self.num_discarded)
            return dataclasses.replace(state, filled=state.filled.at[region].set(kept))

        return jax.lax.cond(score[best] >= 0, divide, forget)
