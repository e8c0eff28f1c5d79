"""Requests to stop a run."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

from tqdm import tqdm


@contextlib.contextmanager
def graceful_interrupt() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C, SIGTERM or SIGUSR1 into a request; another of the first two interrupts.

    SIGUSR1 is what schedulers of clusters are asked to send before they end a job.

    Yields:
      a function that tells whether there was a request.
    """
    requests: list[int] = []

    def handle(number, frame):
        if requests and number != signal.SIGUSR1:
            raise KeyboardInterrupt
        if not requests:
            tqdm.write("stopping after this call; once more to stop at once")
        requests.append(number)

    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    old = {number: signal.signal(number, handle) for number in handled}
    try:
        yield lambda: bool(requests)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
