"""Bodies of a batch as columns of one table, for work on lists (README.md, lists)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jax2d.flat import columns, take
from jax2d.params import SimSpec
from jax2d.types import SimState

# Rows of the table: position [m], radius [m] (0 for a polygon), inverse mass [1/kg] and inertia [1/(kg m^2)],
# component, velocity [m/s, rad/s], restitution, friction, rotation [rad] with its cosine and sine.
(
    X,
    Y,
    RADIUS,
    INVERSE_MASS,
    INVERSE_INERTIA,
    COMPONENT,
    VELOCITY_X,
    VELOCITY_Y,
    ANGULAR_VELOCITY,
    RESTITUTION,
    FRICTION,
    ROTATION,
    COS,
    SIN,
) = range(14)


def tabulate_bodies(
    state: SimState, labels: jax.Array, cos: jax.Array, sin: jax.Array, spec: SimSpec
) -> jax.Array:
    """Makes every body a column: `[14, N B]`; `labels, cos, sin [N, B]` are of `components` and rotations."""
    radius = jnp.concatenate([jnp.zeros_like(state.rotation[: spec.num_polygons]), state.radius])
    rows = [
        state.position[:, 0],
        state.position[:, 1],
        radius,
        state.inverse_mass,
        state.inverse_inertia,
        labels.astype(jnp.float32),
        state.velocity[:, 0],
        state.velocity[:, 1],
        state.angular_velocity,
        state.restitution,
        state.friction,
        state.rotation,
        cos,
        sin,
    ]
    return jnp.stack(rows).reshape(len(rows), -1)


def take_bodies(table: jax.Array, place: jax.Array, rows: Sequence[int]) -> jax.Array:
    """Reads some rows of bodies at places in a flat array `[N, B]`: `[rows, *place.shape]`."""
    return take(table, columns(place, table.shape[1], rows))
