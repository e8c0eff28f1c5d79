"""Requests to stop a run."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

from tqdm import tqdm


@contextlib.contextmanager
def graceful_interrupt() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C (or SIGTERM) into a request; the second one interrupts at once.

    Yields:
      a function that tells whether there was a request.
    """
    requests: list[int] = []

    def handle(number, frame):
        if requests:
            raise KeyboardInterrupt
        requests.append(number)
        tqdm.write("stopping after this call; once more to stop at once")

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(requests)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
