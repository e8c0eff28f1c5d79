"""Episodes as a GIF: several levels side by side."""

from __future__ import annotations

import functools
import pathlib

import imageio.v3 as imageio
import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx

GREEN_BORDER = np.array([60, 170, 75], np.uint8)
GREY_BORDER = np.array([120, 120, 120], np.uint8)


@functools.partial(jax.jit, static_argnames="size")
def _pictures(states: kx.EnvState, size: int) -> jax.Array:
    """Pictures of states `[T, L]`: uint8 `[T, L, size, size, 3]`."""
    draw = jax.vmap(lambda state: kx.render_pixels(state, size))
    return jax.lax.map(lambda states: (draw(states) * 255).astype(jnp.uint8), states)


def save_animation(
    path: pathlib.Path,
    states: kx.EnvState,
    length: np.ndarray,
    size: int = 200,
    frames_per_second: int = 20,
) -> None:
    """Writes solved episodes side by side, bordered green from the frame in which each is solved.

    Args:
      states, length: `[T + 1, L]` and `[L]`, from `agents.training.evaluate.episodes`.
      size: side of one episode's picture, in pixels.
    """
    last = int(length.max())
    frames = np.asarray(_pictures(jax.tree.map(lambda value: value[: last + 1], states), size)).copy()
    for level in range(frames.shape[1]):
        for time in range(last + 1):
            over = time >= length[level]
            edge, wide = (GREEN_BORDER, 5) if over else (GREY_BORDER, 1)
            picture = frames[time, level]
            picture[:wide], picture[-wide:], picture[:, :wide], picture[:, -wide:] = edge, edge, edge, edge
    rows = np.concatenate(list(frames.swapaxes(0, 1)), axis=2)
    rows = np.concatenate([rows, np.repeat(rows[-1:], frames_per_second, axis=0)])  # a second to look
    imageio.imwrite(path, rows, extension=".gif", duration=1000 // frames_per_second, loop=0)
