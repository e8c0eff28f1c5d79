"""Measures recorded episodes: bytes a step, and how fast observations are read by replay and from files.

    kinetix record --agent s --random 1024 --out DIR
    python -m tools.measure_experience DIR

Each way to read gives the entity observations of the same segments in the same order: by replay; from a
`.npz` of float32 arrays, compressed as `--export` writes it and plain; and from memory-mapped plain arrays.
The files have just been written, so that they come from the page cache, not from a disk.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import tempfile
import time
from typing import Any

import jax
import numpy as np

from kinetix_py.experience import Experience
from kinetix_py.experience.export import transitions

BATCH = 256  # segments that are read at once


def replay(data: Experience, indices: np.ndarray) -> float:
    """Reads segments by replay and returns steps per second; compiled before."""
    data.batch(indices[:BATCH])
    started, steps = time.perf_counter(), 0
    for start in range(0, len(indices) - BATCH + 1, BATCH):
        found = jax.block_until_ready(data.batch(indices[start : start + BATCH]))
        steps += int(np.asarray(found["valid"]).sum())
    return steps / (time.perf_counter() - started)


def load(path: pathlib.Path, steps: int) -> float:
    """Reads all observations of a `.npz` and returns steps per second."""
    started = time.perf_counter()
    with np.load(path) as file:
        for name in file.files:
            jax.block_until_ready(jax.device_put(file[name]))
    return steps / (time.perf_counter() - started)


def load_mapped(folder: pathlib.Path, steps: int) -> float:
    """Reads all observations of memory-mapped arrays and returns steps per second."""
    started = time.perf_counter()
    for path in folder.glob("*.npy"):
        jax.block_until_ready(jax.device_put(np.array(np.load(path, mmap_mode="r"))))
    return steps / (time.perf_counter() - started)


def measure(folder: pathlib.Path, segments: int) -> dict[str, Any]:
    """Measures the first segments of a folder, those of shuffled order for replay."""
    data = Experience(folder)
    size = sum(path.stat().st_size for path in folder.glob("shard_*.npz"))
    segments = min(segments, len(data)) // BATCH * BATCH
    indices = np.random.default_rng(0).permutation(len(data))[:segments]
    speed = replay(data, indices)
    data.drift = type(data.drift)()
    every = transitions(data)
    stored: dict[str, Any] = {name: value for name, value in every.items() if name.startswith("observations")}
    with tempfile.TemporaryDirectory() as place:
        base = pathlib.Path(place)
        np.savez_compressed(base / "small.npz", **stored)
        np.savez(base / "plain.npz", **stored)
        for name, value in stored.items():
            np.save(base / f"{name}.npy", value)
        bytes_of = {
            name: (base / f"{name}.npz").stat().st_size / data.num_steps for name in ("small", "plain")
        }
        found = {
            "compressed_steps_per_second": load(base / "small.npz", data.num_steps),
            "plain_steps_per_second": load(base / "plain.npz", data.num_steps),
            "mapped_steps_per_second": load_mapped(base, data.num_steps),
        }
    return {
        "episodes": data.num_episodes,
        "steps": data.num_steps,
        "solved": float((data.outcomes == 1).mean()),
        "bytes_per_step": size / data.num_steps,
        "stored_bytes_per_step": {"compressed": bytes_of["small"], "plain": bytes_of["plain"]},
        "replay_steps_per_second": speed,
        **found,
        "replays_compared": data.drift.segments,
        "replays_exact": data.drift.exact,
        "worst_difference": data.drift.worst,
        "replays_with_wrong_ends": data.drift.wrong_ends,
    }


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path, help="folder of recorded episodes")
    parser.add_argument("--segments", type=int, default=2048, help="segments to replay (default 2048)")
    options = parser.parse_args()
    print(json.dumps(measure(options.folder, options.segments)))


if __name__ == "__main__":
    main()
