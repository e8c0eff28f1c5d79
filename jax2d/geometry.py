"""Areas, centroids and moments of inertia of shapes, and rotation of vectors.

The functions take numpy or JAX arrays and return the same kind, so that the host-side builder (in double
precision) and generators inside jit share one definition.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any  # numpy or JAX


def polygon_mass(vertices: Array, density: Array) -> tuple[Array, Array, Array]:
    """Computes mass, inertia about the centroid, and centroid of a solid polygon of either winding.

    Green's theorem over the edges; see e.g. Bourke, "Calculating the area and centroid of a polygon"
    (1988), and for the inertia the second moments about the origin less the parallel axis term.
    Trailing vertices may repeat the last one (edges of length 0 add nothing).

    Args:
      vertices: `[..., V, 2]` m.
      density: `[...]` kg/m^2.

    Returns:
      mass `[...]` kg, inertia `[...]` kg m^2, centroid `[..., 2]` m.
    """
    xp = np if isinstance(vertices, np.ndarray) else jnp
    origin = vertices[..., :1, :]  # sums relative to a vertex keep precision far from the origin
    here = vertices - origin
    there = xp.roll(here, -1, axis=-2)
    cross = here[..., 0] * there[..., 1] - here[..., 1] * there[..., 0]
    signed = cross.sum(-1) / 2
    divisor = xp.where(signed == 0, 1, signed)
    offset = ((here + there) * cross[..., None]).sum(-2) / (6 * divisor[..., None])
    squares = (here**2 + here * there + there**2).sum(-1)
    about_origin = xp.abs((cross * squares).sum(-1)) / 12
    area = xp.abs(signed)
    inertia = density * (about_origin - area * (offset**2).sum(-1))
    return density * area, inertia, origin[..., 0, :] + offset


def circle_mass(radius: Array, density: Array, solid: bool = False) -> tuple[Array, Array]:
    """Computes mass [kg] and inertia [kg m^2] of a circle.

    Kinetix gives a circle `density pi r^4 / 4`, half of a solid disc's inertia, and its levels are tuned
    to that; it is the default. `solid=True` is the physical `density pi r^4 / 2`.
    """
    mass = density * np.pi * radius**2
    return mass, mass * radius**2 / (2 if solid else 4)


def rotate(vectors: Array, angle: Array) -> Array:
    """Rotates vectors counter-clockwise: from the frame of a body to the world.

    Args:
      vectors: `[..., 2]`.
      angle: `[...]` rad, broadcast against the vectors' leading axes.
    """
    xp = jnp if isinstance(vectors, jax.Array) or isinstance(angle, jax.Array) else np
    cos, sin = xp.cos(angle), xp.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return xp.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
