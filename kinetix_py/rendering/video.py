"""Episodes as videos: `.gif` and `.mp4` of pixels, `.html` as a page that plays them."""

from __future__ import annotations

import functools
import importlib.util
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.atomic import atomic_path, atomic_write
from kinetix_py.chunks import suited_chunks
from kinetix_py.env.types import EnvState
from kinetix_py.rendering.pixels import render_pixels
from kinetix_py.rendering.player import player_page
from kinetix_py.rendering.recording import check_states, collect, lengths, per_episode

FORMATS = (".gif", ".mp4", ".html")
GAP = 4  # pixels between pictures
SOLVED, OVER, RUNNING = (40, 150, 60), (60, 60, 60), (150, 150, 150)
LONG = 2000  # pictures from which on a progress bar is shown by default


@functools.partial(jax.jit, static_argnames="size")
def _pictures(states: EnvState, size: int) -> jax.Array:
    """Draws states `[t, L]`: uint8 `[t, L, size, size, 3]`."""
    draw = jax.vmap(jax.vmap(lambda state: render_pixels(state, size)))
    return (draw(states) * 255 + 0.5).astype(jnp.uint8)


def _frame_border(picture: np.ndarray, over: bool, solved: bool) -> None:
    """Draws a picture's border in place: wide and green once solved, wide and dashed once over otherwise."""
    wide, color = (1, RUNNING) if not over else (5, SOLVED if solved else OVER)
    index = np.arange(len(picture))
    edge = (index < wide) | (index >= len(picture) - wide)
    border = edge[:, None] | edge[None]
    if over and not solved:
        border &= ((index[:, None] + index[None]) // 8) % 2 == 0
    picture[border] = color


def _tiled(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Tiles pictures `[L, s, s, 3]` on white; the sides are even, as codecs need them."""
    count, size = pictures.shape[:2]
    rows, step = -(-count // columns), size + GAP
    height, width = rows * step - GAP, columns * step - GAP
    frame = np.full((height + height % 2, width + width % 2, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = step * (i // columns), step * (i % columns)
        frame[top : top + size, left : left + size] = picture
    return frame


def _frames(
    states: Any, ends: list[int], solved: list[bool], size: int, columns: int
) -> Iterator[np.ndarray]:
    """Yields frames up to the end of the longest episode: uint8 `[height, width, 3]` each."""
    last, at_once = max(ends), suited_chunks().drawn
    for start in range(0, last + 1, at_once):
        # Whole chunks only, so that one compiled function draws them all; each episode stays at its end.
        index = np.minimum(np.arange(start, start + at_once)[:, None], np.array(ends)[None])
        each = np.arange(len(ends))[None]
        chosen = jax.tree.map(lambda value, index=index, each=each: value[index, each], states)
        drawn = np.array(_pictures(chosen, size))
        for frame in range(start, min(start + at_once, last + 1)):
            pictures = drawn[frame - start]
            for picture, end, good in zip(pictures, ends, solved, strict=True):
                _frame_border(picture, frame >= end, good)
            yield _tiled(pictures, columns)


def _append(writer: Any, frames: Iterator[np.ndarray]) -> None:
    with writer:
        for frame in frames:
            writer.append_data(frame)


def _durations(total: int, fps: float) -> list[int]:
    """Durations of the frames of a GIF, which counts hundredths of a second [ms]; none is late by more."""
    ends = np.rint(np.arange(total + 1) * 100 / fps).astype(int)
    return (10 * np.diff(ends)).tolist()


def _write_gif(path: pathlib.Path, frames: Iterator[np.ndarray], fps: float, total: int) -> None:
    try:
        import imageio.v2 as imageio
    except ImportError as error:
        raise ImportError(f"writing {path.name} needs imageio: pip install imageio") from error
    with atomic_path(path) as part:
        _append(imageio.get_writer(part, format="GIF", duration=_durations(total, fps), loop=0), frames)


def _write_mp4(path: pathlib.Path, frames: Iterator[np.ndarray], fps: float, total: int) -> None:
    found = {name: importlib.util.find_spec(name) for name in ("imageio", "imageio_ffmpeg", "av")}
    if not (found["imageio"] and (found["imageio_ffmpeg"] or found["av"])):
        raise ImportError(
            f"writing {path.name} needs imageio, and imageio-ffmpeg or av: pip install imageio imageio-ffmpeg"
        )
    if found["imageio_ffmpeg"]:
        import imageio.v2

        with atomic_path(path, ".mp4") as part:
            writer = imageio.v2.get_writer(part, format="FFMPEG", fps=fps, macro_block_size=2)
            _append(writer, frames)
    else:
        import imageio.v3

        with atomic_path(path, ".mp4") as part, imageio.v3.imopen(part, "w", plugin="pyav") as stream:
            stream.init_video_stream("libx264", fps=fps)
            for frame in frames:
                stream.write_frame(frame)


def _counted(frames: Iterator[np.ndarray], total: int, show: bool) -> Iterator[np.ndarray]:
    """Adds a progress bar, if asked for and tqdm is installed."""
    if not show or not importlib.util.find_spec("tqdm"):
        return frames
    import tqdm

    return iter(tqdm.tqdm(frames, total=total, unit="frame"))


def save_video(
    states: EnvState,
    path: str | pathlib.Path,
    *,
    actions: Any = None,
    rewards: Any = None,
    values: Any = None,
    solved: Any = None,
    length: Any = None,
    titles: list[str] | None = None,
    size: int = 300,
    fps: float = 30,
    columns: int = 4,
    hold: float = 1.0,
    progress: bool | None = None,
    action_type: str = "multi_discrete",
) -> pathlib.Path:
    """Writes episodes as a video, side by side, or as a page that plays them.

    Args:
      states: states with a leading time axis `[T]`, or `[T, L]` for L episodes side by side.
      path: file that ends in `.gif`, `.mp4` or `.html`. Videos are made of pixels and need imageio (`.mp4`
        also imageio-ffmpeg or PyAV); a page needs nothing, and shows the data below.
      actions: actions `[T, (L,) ...]`; entry t led to state t. With `T - 1` entries, entry t led from state t
        to state t + 1. Pages only.
      rewards: rewards `[T, (L)]` or `[T - 1, (L)]`, likewise. Pages only.
      values: values `[T, (L)]` or `[T - 1, (L)]`; entry t is the value of state t. Pages only.
      solved: whether each episode was solved, bool `[L]` or one; a solved one has a green border at its end.
      length: environment steps of each episode, int `[L]` or one; up to the last state if None.
      titles: title of each episode; `"episode 0"` and so on if None. Pages only.
      size: side of one picture in a video [pixels], 16 .. 2,000.
      fps: frames per second, at most 50 in a `.gif`; 30 is real time with a frame skip of 2.
      columns: pictures in a row of a video.
      hold: time for which a video stays at its last frame [s].
      progress: whether to show a progress bar (of tqdm, if installed); for long videos if None.
      action_type: type of the actions, such as `env.action_type`.

    Returns:
      the path.

    Raises:
      ValueError: an unknown ending, a number out of its bounds, data that do not fit the states; for a
        page also states of two levels in one episode, or a position that is not finite.
      ImportError: a library for this format is missing; the message says how to install it.
    """
    path = pathlib.Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"path must end in one of {FORMATS}, got {path.name!r}")
    for name, value, low, high in (
        ("size", size, 16, 2000),
        ("columns", columns, 1, 100),
        # Browsers slow down pictures of a GIF that are shorter than two hundredths of a second.
        ("fps", fps, 0.1, 50 if path.suffix == ".gif" else 1000),
        ("hold", hold, 0, 60),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} must be in {low} .. {high}, got {value!r}")
    host = check_states(states)
    frames, count = host.batch_shape
    names = [f"episode {i}" for i in range(count)] if titles is None else list(titles)
    if len(names) != count:
        raise ValueError(f"titles must have one entry for each of {count} episodes, got {len(names)}")
    if path.suffix == ".html":
        data = {"actions": actions, "rewards": rewards, "values": values, "solved": solved, "length": length}
        page = player_page(collect(states, action_type=action_type, **data), titles=names, fps=fps)
        atomic_write(path, page)
        return path
    ends, outcome = lengths(length, frames, count), per_episode("solved", solved, count, False)
    video = _held(_frames(host, ends, outcome, size, min(columns, count)), round(hold * fps))
    total = max(ends) + 1 + round(hold * fps)
    show = total * count > LONG if progress is None else progress
    write = _write_gif if path.suffix == ".gif" else _write_mp4
    write(path, _counted(video, total, show), fps, total)
    return path


def _held(frames: Iterator[np.ndarray], more: int) -> Iterator[np.ndarray]:
    """Repeats the last frame."""
    for frame in frames:
        yield frame
    for _ in range(more):
        yield frame
