"""Automatic domain randomization: a box of tasks that grows where its borders are mastered."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from agents.teachers.protocol import check_start, require, starting_point


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AdrState:
    """State of automatic domain randomization; rows of `[2, D]` are the lower and the upper borders."""

    borders: jax.Array  # float [2, D]
    solved: jax.Array  # float [2, D], sum of the solve rates of tasks at each border
    attempts: jax.Array  # float [2, D], number of these tasks


@dataclasses.dataclass(frozen=True)
class ADR:
    """OpenAI, "Solving Rubik's cube with a robot hand" (2019), section 5.2 and algorithm 1.

    Tasks are uniform in a box that starts as one point. In a share of them, one number is set to a border;
    after `queue_size` tasks at a border, it moves outwards if enough of them were solved, inwards if too few.

    Attributes:
      num_dims: dimensions of a task.
      start: the first task, `num_dims` numbers in 0 .. 1; a random one if None, as in TeachMyAgent (Romac et
        al., 2021) without expert knowledge.
      boundary_share: share of the tasks at a border, in 0 .. 1; the paper's 0.5.
      step: distance by which a border moves, above 0; 0.1 in TeachMyAgent, there of numbers within about 3,
        so that half of it is more careful here.
      queue_size: tasks at a border before it moves; 10 in TeachMyAgent (240 in the paper).
      grow_above, shrink_below: solve rates from which on a border moves outwards, or inwards. The paper's
        numbers count successes within an episode; these say that a border is mastered, or lost.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    num_dims: int
    start: tuple[float, ...] | None = None
    boundary_share: float = 0.5
    step: float = 0.05
    queue_size: int = 10
    grow_above: float = 0.6
    shrink_below: float = 0.2

    def __post_init__(self) -> None:
        require(self, "num_dims", self.num_dims >= 1, "at least 1")
        check_start(self)
        require(self, "boundary_share", 0 <= self.boundary_share <= 1, "in 0 .. 1")
        require(self, "step", self.step > 0, "above 0")
        require(self, "queue_size", self.queue_size >= 1, "at least 1")
        require(self, "grow_above", 0 <= self.grow_above <= 1, "in 0 .. 1")
        require(
            self, "shrink_below", 0 <= self.shrink_below < self.grow_above, "in 0 .. grow_above, excluded"
        )

    def init(self, key: jax.Array) -> AdrState:
        """Returns a box of one point."""
        point = starting_point(key, self.start, self.num_dims)
        empty = jnp.zeros((2, self.num_dims))
        return AdrState(jnp.stack([point, point]), empty, empty)

    def sample(self, key: jax.Array, state: AdrState, n: int) -> tuple[AdrState, jax.Array]:
        """Draws tasks `[n, num_dims]` within the box, some of them at one of its borders."""
        inside_key, mode_key, side_key, dim_key = jax.random.split(key, 4)
        low, high = state.borders
        inside = low[None] + jax.random.uniform(inside_key, (n, self.num_dims)) * (high - low)[None]
        side = jax.random.randint(side_key, (n,), 0, 2)
        dim = jax.random.randint(dim_key, (n,), 0, self.num_dims)
        at_border = jax.random.uniform(mode_key, (n,)) < self.boundary_share
        pinned = at_border[:, None] & (jnp.arange(self.num_dims)[None] == dim[:, None])
        return state, jnp.where(pinned, state.borders[side], inside)

    def update(
        self, key: jax.Array, state: AdrState, tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> AdrState:
        """Counts tasks at each border, and moves those of which enough were played."""
        at_border = (tasks[None] == state.borders[:, None]).astype(jnp.float32)  # [2, n, D]
        attempts = state.attempts + at_border.sum(1)
        total = state.solved + (at_border * solved[None, :, None]).sum(1)
        full, rate = attempts >= self.queue_size, total / jnp.maximum(attempts, 1)
        outwards = full * self.step * ((rate >= self.grow_above) * 1.0 - (rate <= self.shrink_below) * 1.0)
        low = jnp.clip(state.borders[0] - outwards[0], 0, state.borders[1])
        high = jnp.clip(state.borders[1] + outwards[1], low, 1)
        return AdrState(jnp.stack([low, high]), jnp.where(full, 0.0, total), jnp.where(full, 0.0, attempts))
