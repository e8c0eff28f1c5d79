"""Several processes that train together: one program over the devices of all, one of them writes."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax
import numpy as np

from agents.training.launchers import detect_launch

# Longest time for which processes wait for one that works alone, such as on the evaluation at the end [s].
PATIENCE = 48 * 3600
# Set once, by `start_processes`.
_num_processes = 1


class DistributedError(RuntimeError):
    """Processes that cannot train together."""


def visible_gpus(environ: os._Environ[str] | dict[str, str]) -> int:
    """Counts the NVIDIA GPUs that this process sees, without starting any of them."""
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([name for name in chosen.split(",") if name.strip() not in ("", "-1")])
    return len(glob.glob("/dev/nvidia[0-9]*"))


def start_processes(mode: str) -> None:
    """Joins JAX's distributed runtime, before anything else is asked of JAX; a second call changes nothing.

    Args:
      mode: `"off"`; `"auto"`, only if this process was started as one of several; or `"on"`, also where only
        JAX itself can tell who the others are.

    Raises:
      DistributedError: the processes do not find each other, or cannot share their GPUs.
    """
    global _num_processes
    if mode == "off" or jax.distributed.is_initialized():
        return
    launch = detect_launch(os.environ)
    if mode == "auto" and (launch is None or launch.num_processes == 1):
        return
    try:
        if launch is None or launch.launcher == "TPU hosts":
            jax.distributed.initialize()
            _num_processes = jax.process_count()
        else:
            jax.distributed.initialize(
                launch.address,
                launch.num_processes,
                launch.process_id,
                launch.local_device_ids(visible_gpus(os.environ)),
            )
            _num_processes = launch.num_processes
    except (RuntimeError, ValueError) as error:
        raise DistributedError(f"training.distributed={mode}: {error}") from error


def num_processes() -> int:
    """Number of processes that train together; asks nothing of JAX, so that devices can still be chosen."""
    return _num_processes


def is_main() -> bool:
    """Tells whether this process is the one that writes."""
    return _num_processes == 1 or jax.process_index() == 0


def topology() -> str:
    """Describes processes and devices in one line."""
    kind = jax.devices()[0].device_kind
    return (
        f"{_num_processes} processes, {jax.device_count()} devices ({kind}), {jax.local_device_count()} here"
    )


def wait_for_all(name: str) -> None:
    """Waits until every process is here, without the devices, whose own waits end in minutes."""
    if _num_processes > 1:
        import orbax.checkpoint as ocp

        ocp.multihost.get_barrier_sync_fn()(key=f"kinetix_{name}", timeout_ms=1000 * PATIENCE)


def any_process(flag: bool) -> bool:
    """Tells whether the flag is set in any process."""
    if _num_processes == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def in_main(function: Callable[[], Any]) -> Any:
    """Calls a function in the main process alone; the others wait, and get its result.

    Args:
      function: what to do; its result must be of JSON's types.

    Raises:
      Exception: the function's own in the main process, `DistributedError` with its message in the others.
    """
    if _num_processes == 1:
        return function()
    error: Exception | None = None
    answer: dict[str, Any] = {}
    if is_main():
        try:
            answer = {"result": function()}
        except Exception as caught:  # told to the others, and raised here below
            error, answer = caught, {"error": f"{type(caught).__name__}: {caught}"}
    wait_for_all("main")
    answer = json.loads(_broadcast(json.dumps(answer).encode()))
    if error is not None:
        raise error
    if "error" in answer:
        raise DistributedError(f"in the main process: {answer['error']}")
    return answer["result"]


def _broadcast(text: bytes) -> bytes:
    """Sends the main process's text to all."""
    from jax.experimental import multihost_utils

    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    padded = np.frombuffer(text.ljust(size)[:size], np.uint8).astype(np.int32)
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).astype(np.uint8).tobytes()


@contextlib.contextmanager
def ending_together() -> Iterator[None]:
    """Ends this process at once where it fails, because the others would wait for it, and it for them.

    The others then fail in turn: their next exchange of gradients breaks off, or, where it does not, JAX ends
    them by the missing sign of life. Alone, a process raises as usual.
    """
    try:
        yield
    except BaseException as error:
        # An exit with a status alone is one that all agreed on.
        agreed = isinstance(error, SystemExit) and isinstance(error.code, int | None)
        if _num_processes > 1 and not agreed:
            _end_now(error)
        raise
    finally:
        if _num_processes > 1:
            jax.distributed.shutdown()  # waits until the others are here as well


def _end_now(error: BaseException) -> NoReturn:
    """Tells of an error, and ends this process without waiting for any other."""
    status = 130 if isinstance(error, KeyboardInterrupt) else 1
    if status == 1:
        text = str(error) if isinstance(error, SystemExit) else "".join(traceback.format_exception(error))
        print(text, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
