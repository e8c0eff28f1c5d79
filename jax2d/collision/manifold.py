"""The contacts of pairs of shapes, as every collision function returns them. Arrays are batch-last."""

from __future__ import annotations

from typing import NamedTuple

import jax


class Manifold(NamedTuple):
    """Contact points of some pairs of bodies (a, b); `S` points for each pair."""

    normal_x: jax.Array  # [*pairs, B] 1, from a to b
    normal_y: jax.Array
    penetration: jax.Array  # [*pairs, B] m, of all points of the pair
    point_x: jax.Array  # [S, *pairs, B] m, the deeper point first
    point_y: jax.Array
    active: jax.Array  # bool [S, *pairs, B]

    def rows(self, rows: slice) -> Manifold:
        """The manifolds of some rows of pairs."""
        return Manifold(
            normal_x=self.normal_x[rows],
            normal_y=self.normal_y[rows],
            penetration=self.penetration[rows],
            point_x=self.point_x[:, rows],
            point_y=self.point_y[:, rows],
            active=self.active[:, rows],
        )
