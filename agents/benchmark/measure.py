"""Timing compiled rollouts: shared by the benchmark and by the comparison with other engines.

Needs jax and numpy only, so that it runs in an environment that has some other engine instead of ours.
"""

from __future__ import annotations

import functools
import os
import platform
import resource
import time
from collections.abc import Callable
from typing import Any

HOST_DEVICES_FLAG = "--xla_force_host_platform_device_count"


def use_host_devices(count: int) -> None:
    """Splits the CPU into devices, one thread of control each; call it before jax is imported."""
    flags = os.environ.get("XLA_FLAGS", "")
    if HOST_DEVICES_FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {HOST_DEVICES_FLAG}={count}".strip()


def use_one_core() -> None:
    """Binds this process to one of its cores, where the system can; call it before jax is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def shard(function: Callable, num_devices: int) -> tuple[Callable, Callable]:
    """A function of (states, actions) with leading axes `[batch]` and `[steps, batch]`, over devices.

    Returns:
      The jitted function, and one that places its arguments.
    """
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    try:
        shard_map = functools.partial(jax.shard_map, check_vma=False)
    except AttributeError:  # before jax 0.8
        from jax.experimental.shard_map import shard_map as old_shard_map

        shard_map = functools.partial(old_shard_map, check_rep=False)
    mesh = Mesh(np.array(jax.devices()[:num_devices]), ("device",))
    states, actions = PartitionSpec("device"), PartitionSpec(None, "device")
    sharded = shard_map(function, mesh=mesh, in_specs=(states, actions), out_specs=states)

    def place(*arguments):
        specs = (NamedSharding(mesh, states), NamedSharding(mesh, actions))
        return tuple(jax.device_put(a, s) for a, s in zip(arguments, specs, strict=True))

    return jax.jit(sharded), place


def measure(function: Any, arguments: tuple, steps: int, batch: int, repeats: int = 5) -> dict[str, Any]:
    """Compiles and times a rollout.

    Args:
      function: jitted; of `arguments`.
      steps, batch: environment steps of one call are `steps * batch`.
      repeats: timed calls after one warm-up; their median counts.

    Returns:
      Numbers by name; times in seconds, and the compiled program under `"compiled"`.
    """
    import jax
    import numpy as np

    begin = time.perf_counter()
    lowered = function.lower(*arguments)
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()
    jax.block_until_ready(compiled(*arguments))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        out = jax.block_until_ready(compiled(*arguments))
        seconds.append(time.perf_counter() - start)
    finite = all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(out) if leaf.dtype.kind == "f")
    return {
        "trace_seconds": round(traced - begin, 2),
        "compile_seconds": round(done - traced, 2),
        "steps_per_second": round(steps * batch / float(np.median(seconds))),
        "steps_per_second_best": round(steps * batch / min(seconds)),
        "finite": finite,
        "compiled": compiled,
    }


def machine() -> dict[str, Any]:
    """Device, versions and memory of this process, for a report."""
    import jax
    import jaxlib
    import numpy

    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    host_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "device": f"{len(jax.devices())} x {device.device_kind}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": numpy.__version__,
        "peak_memory_bytes": stats.get("peak_bytes_in_use", host_peak),
        "peak_memory_of": "device" if stats else "process",
    }
