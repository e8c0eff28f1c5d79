"""The baseline without a teacher: every task as likely."""

from __future__ import annotations

import dataclasses

import jax

from agents.teachers.protocol import require


@dataclasses.dataclass(frozen=True)
class RandomTeacher:
    """Uniform tasks, whatever becomes of them.

    Attributes:
      num_dims: dimensions of a task.
    """

    num_dims: int

    def __post_init__(self) -> None:
        require(self, "num_dims", self.num_dims >= 1, "at least 1")

    def init(self, key: jax.Array) -> tuple[()]:
        """Returns nothing to remember."""
        return ()

    def sample(self, key: jax.Array, state: tuple[()], n: int) -> tuple[tuple[()], jax.Array]:
        """Draws uniform tasks `[n, num_dims]`."""
        return state, jax.random.uniform(key, (n, self.num_dims))

    def update(
        self, key: jax.Array, state: tuple[()], tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> tuple[()]:
        """Records nothing."""
        return state
