"""Numbers of what is processed at once, by the kind of device: the one place that chooses them."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Iterator

from jax2d.batching import traced_platform


@dataclasses.dataclass(frozen=True)
class Chunks:
    """Numbers of what is processed side by side; what is more follows chunk by chunk.

    What levels and results are must not hang on the machine has numbers of its own where it is used: the
    random levels of an evaluation, those that are played in the browser.

    Attributes:
      evaluated: episodes of one call of an evaluation, at most.
      attempted: episodes at candidates of a curriculum, at most.
      filtered: fresh levels of a curriculum that the no-op policy plays, at most.
      recorded: episodes of an agent that are played to be recorded.
      replayed: recorded episodes or segments that are played again.
      searched: sequences of actions in a round of the search for a solution, on levels of size S, M, and L
        or any other.
      drawn: frames of a film.

    Raises:
      ValueError: a number below 1, naming it.
    """

    evaluated: int
    attempted: int
    filtered: int
    recorded: int
    replayed: int
    searched: tuple[int, int, int]
    drawn: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if min(value if isinstance(value, tuple) else (value,)) < 1:
                raise ValueError(f"Chunks.{name} must be at least 1, got {value!r}")


# On a CPU: enough for its vector instructions, and for few steps beyond the end of what is played. Elsewhere:
# enough to hide what it takes to launch a step's kernels. A TPU has less memory, and pads what is narrow.
CHUNKS = {
    "cpu": Chunks(512, 2048, 320, 1024, 256, (128, 64, 64), 32),
    "gpu": Chunks(4096, 16_384, 65_536, 4096, 4096, (1024, 1024, 1024), 256),
    "tpu": Chunks(4096, 8192, 16_384, 4096, 2048, (1024, 1024, 1024), 64),
}
_CHOSEN: contextvars.ContextVar[Chunks | None] = contextvars.ContextVar("chunks", default=None)


def suited_chunks() -> Chunks:
    """Returns the numbers of `use_chunks`, or else those that suit the device of the program being traced.

    That is JAX's default device, or the target of `jax2d.batching.lowering_for`, as of `kinetix plan`. Kinds
    of devices that are not known have the numbers of a GPU.
    """
    return _CHOSEN.get() or CHUNKS.get(traced_platform(), CHUNKS["gpu"])


@contextlib.contextmanager
def use_chunks(chunks: Chunks) -> Iterator[None]:
    """Uses other numbers than those that suit the device: `use_chunks(replace(suited_chunks(), drawn=8))`."""
    token = _CHOSEN.set(chunks)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def filter_round(wanted: int) -> int:
    """Returns the size of a round that all but surely yields so many levels that the no-op policy leaves.

    It leaves four in five at least: 81 % on size S, 88 % on M, 90 % on L. A second round, of which few levels
    are used, costs as much as the first; hence three standard deviations more than the mean, but no more than
    suits the device.
    """
    share = 0.8
    return min(math.ceil((wanted + 3 * math.sqrt((1 - share) * wanted)) / share), suited_chunks().filtered)
