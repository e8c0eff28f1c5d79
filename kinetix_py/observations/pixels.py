"""The picture as an observation."""

from __future__ import annotations

import jax

from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.rendering.pixels import render_pixels

SIZE = 125  # pixels along each side


def pixel_observation(state: EnvState, params: EnvParams) -> jax.Array:
    """Returns the room as a picture: float `[125, 125, 3]` in 0 .. 1, row 0 on top."""
    return render_pixels(state, SIZE)
