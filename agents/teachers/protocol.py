"""The interface of teachers, and what they share."""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp


class Teacher(Protocol):
    """Chooses tasks: points of the unit cube, whose axes are numbers that levels are generated with.

    Pure functions on a pytree of arrays, so that teaching is part of the compiled training program. Teachers
    are hashable: their own numbers are static. One that needs several attempts at each task says how many in
    an attribute `min_attempts`, one that needs several tasks in an update in `min_tasks`. One that compares
    returns of different times, so that the reward must not change over the run, has `compares_returns`.
    """

    @property
    def num_dims(self) -> int:
        """Dimensions of a task."""
        ...

    def init(self, key: jax.Array) -> Any:
        """State before the first task: a pytree of arrays.

        Args:
          key: random key.
        """
        ...

    def sample(self, key: jax.Array, state: Any, n: int) -> tuple[Any, jax.Array]:
        """Chooses the tasks of the next update.

        Args:
          key: random key.
          state: the teacher's state.
          n: number of tasks; static.

        Returns:
          the state, and tasks `[n, num_dims]` in 0 .. 1.
        """
        ...

    def update(
        self, key: jax.Array, state: Any, tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> Any:
        """Records how tasks were played.

        Args:
          key: random key.
          state: the teacher's state, from `sample`.
          tasks: `[n, num_dims]`, those of the last `sample`, in its order.
          returns: `[n]`, mean return of the episodes of each task.
          solved: `[n]`, share of its first attempts that solved their level, in 0 .. 1.

        Returns:
          the state.
        """
        ...


def require(owner: Any, name: str, fits: bool, bound: str) -> None:
    """Checks a field.

    Args:
      owner: object of a dataclass.
      name: name of its field.
      fits: whether the value is within its bound.
      bound: the bound in words.

    Raises:
      ValueError: it is not, naming the field, the bound and the value.
    """
    if not fits:
        raise ValueError(f"{type(owner).__name__}.{name} must be {bound}, got {getattr(owner, name)!r}")


def choose(key: jax.Array, utility: jax.Array, exists: jax.Array, n: int) -> jax.Array:
    """Draws rows in proportion to their utility; each existing row is as likely where no utility is above 0.

    Args:
      key: random key.
      utility: `[K]`, at least 0.
      exists: bool `[K]`, rows that may be drawn; at least one.
      n: number of draws; static.

    Returns:
      rows: int32 `[n]`.
    """
    utility = jnp.where(exists, utility, 0.0)
    weight = jnp.where(utility.sum() > 0, utility, exists.astype(jnp.float32))
    return jax.random.categorical(key, jnp.log(weight), shape=(n,))


def starting_point(key: jax.Array, start: tuple[float, ...] | None, num_dims: int) -> jax.Array:
    """Point `[num_dims]` at which a curriculum starts: the given one, or a random one if None."""
    return jax.random.uniform(key, (num_dims,)) if start is None else jnp.array(start, jnp.float32)


def check_start(owner: Any) -> None:
    """Checks the field `start`: None, or a point of the unit cube.

    Raises:
      ValueError: it is neither.
    """
    start, dims = owner.start, owner.num_dims
    fits = start is None or (len(start) == dims and all(0 <= value <= 1 for value in start))
    require(owner, "start", fits, f"None or {dims} numbers in 0 .. 1")
