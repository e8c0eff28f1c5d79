"""All benchmarks of a GPU in one call: parts one after another, each in a process of its own, resumable.

This process leaves the device alone: each part may take all of its memory, and tells its own peak.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from kinetix_py.atomic import atomic_write

PARTS, REPORT = "parts", "report.json"
# The learning curve: a few calls of the program, judged on unseen levels, without the evaluation at the end.
LEARNING = ("training.total_steps=30_000_000", "evaluation.every=3", "evaluation.num_levels=0")
# Marks of words of a command that are known only when it runs.
OUT = "{out}"


@dataclasses.dataclass(frozen=True)
class Part:
    """One measurement: a command whose last line of output is a report in JSON.

    Attributes:
      name: name of the part, and of its file.
      command: words of the command; `OUT` in them stands for the folder of the results.
      limit: longest time for it [s].
    """

    name: str
    command: tuple[str, ...]
    limit: float = 150.0


def kinetix(*words: str) -> tuple[str, ...]:
    """Command of a subcommand of `kinetix`."""
    return (sys.executable, "-m", "agents.cli.main", *words)


def timed(part: str, size: str, count: int, *words: str) -> Part:
    """Part that times `kinetix benchmark`, in one size and a number of environments."""
    options = ("--size", size, "--num-envs", str(count), "--devices", "1")
    return Part(f"{part}_{size}_{count}", kinetix("benchmark", part, *options, *words))


def by_kernel(part: str, size: str, count: int) -> Part:
    """Part that times the same with the engine's own kernel for NVIDIA GPUs."""
    one = timed(part, size, count, "--backend", "cuda")
    return dataclasses.replace(one, name=f"{one.name}_cuda")


def trained(name: str, size: str, count: int, steps: int, *words: str) -> Part:
    """Part that times whole updates of training."""
    options = ("--size", size, "--num-envs", str(count), "--steps", str(steps))
    return Part(f"train_{name}", kinetix("benchmark", "train", *options, *words))


def planned(name: str, *words: str) -> Part:
    """Part that plans the same updates, for memory and the model's speed beside the measurement."""
    return Part(f"plan_{name}", kinetix("plan", "--json", *words))


def upstream(size: str, count: int, python: str) -> list[Part]:
    """Parts that time the published engine on the scenes of ours, in an environment that has it."""
    scenes = f"{OUT}/scenes_{size}_{count}.npz"
    tool = str(pathlib.Path(__file__).parents[2] / "tools" / "upstream_benchmark.py")
    ours = timed("engine", size, count, "--save-scenes", scenes)
    theirs = (python, tool, scenes, "--devices", "1", "--steps", "16")
    return [ours, Part(f"upstream_{size}_{count}", theirs)]


def gpu_parts(target: str, upstream_python: str | None = None) -> list[Part]:
    """Lists all parts, those that are worth most first, because time may run out.

    Args:
      target: name of the device for `kinetix plan`, such as `"h100"`; empty if it has none.
      upstream_python: interpreter of an environment with the published engine; None leaves it out.
    """
    preset = ("hardware=gpu", "training.num_devices=1")
    parts = [trained("preset_l", "l", 8192, 64, *preset), timed("engine", "l", 8192)]
    parts.append(by_kernel("engine", "l", 8192))
    if upstream_python is not None:
        parts += upstream("l", 2048, upstream_python)
    if target:
        parts.append(planned("preset_l", "size=l", *preset, f"target={target}"))
    parts += [
        timed("engine", "s", 8192),
        timed("env", "l", 8192),
        by_kernel("env", "l", 8192),
        trained("cuda_l", "l", 8192, 64, *preset, "env.backend=cuda"),
        trained("preset_s", "s", 8192, 64, *preset),
        timed("engine", "l", 32_768),
        timed("engine", "l", 131_072),
        timed("generator", "l", 8192, "--filtered"),
        timed("pixels", "l", 2048),
        Part("learning", learning(*preset, *LEARNING)),
        timed("engine", "m", 8192),
        timed("engine", "l", 2048),
        timed("engine", "s", 131_072),
        timed("engine", "s", 2048),
        timed("engine", "s", 32_768),
        timed("env", "s", 8192),
    ]
    if target:
        parts.append(planned("preset_s", "size=s", *preset, f"target={target}"))
    if upstream_python is not None:
        parts += [part for size in ("m", "s") for part in upstream(size, 2048, upstream_python)]
    parts += [timed("engine", "m", count) for count in (2048, 32_768, 131_072)]
    parts += [by_kernel("engine", size, count) for size in "lsm" for count in (2048, 8192, 32_768, 131_072)]
    first: dict[str, Part] = {}  # an engine's scenes may be saved for the published one
    for part in parts:
        first.setdefault(part.name, part)
    return list(first.values())


def learning(*words: str) -> tuple[str, ...]:
    """Command that trains for a short time, and prints the curve."""
    return (sys.executable, "-m", "agents.benchmark.learning_curve", f"{OUT}/learning", *words)


def small_parts() -> list[Part]:
    """Lists parts of every kind at the smallest size, which run on any machine."""
    shape: tuple[str, ...] = (
        "ppo.minibatch_size=64",
        "network=mlp",
        "env.observation_type=flat",
        "network.width=8",
    )
    shape += ("training.num_devices=1", "training.num_rollouts=1", "curriculum=domain_randomization")
    tiny = ("training.num_envs=16", "training.rollout_length=8", "training.total_steps=256")
    evaluation = ("evaluation.every=1", "evaluation.every_levels=4", "evaluation.num_levels=0")
    parts = [
        timed("engine", "s", 16, "--steps", "2"),
        trained("small", "s", 16, 8, *shape),
        planned("small", *shape, *tiny, "size=s", "target=cpu"),
        Part("learning", learning(*shape, *tiny, *evaluation)),
    ]
    return [dataclasses.replace(part, limit=600.0) for part in parts]  # also where compiling takes long


Runner = Callable[[Part, pathlib.Path, float], dict[str, Any]]


def run_part(part: Part, out: pathlib.Path, limit: float) -> dict[str, Any]:
    """Runs a part in a process of its own.

    Returns:
      its report, or under `"error"` what went wrong.
    """
    words = [word.replace(OUT, str(out)) for word in part.command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {limit:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1][:500]}
    report: dict[str, Any] = json.loads(lines[-1])
    return report


def run_suite(
    parts: Sequence[Part],
    out: pathlib.Path,
    budget: float,
    run: Runner = run_part,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Runs all parts that have no result yet, as long as there is time.

    Args:
      parts: parts, in order.
      out: folder of the results; what is there already is not measured again, what failed is.
      budget: time for all of this call [s].
      run: runs one part.
      say: tells the progress.

    Returns:
      reports by name of the part; under `"error"`, why one is missing. The same is in `report.json`.
    """
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    results: dict[str, Any] = {}
    for number, part in enumerate(parts, 1):
        file = out / PARTS / f"{part.name}.json"
        if file.exists():
            results[part.name] = json.loads(file.read_text())
            continue
        left = budget - (time.monotonic() - begin)
        if left < 5:
            results[part.name] = {"error": "no time was left; the same command goes on"}
            continue
        started = time.monotonic()
        results[part.name] = result = run(part, out, min(part.limit, left))
        if "error" not in result:
            result["part_seconds"] = round(time.monotonic() - started, 1)
            atomic_write(file, json.dumps(result))
        took = time.monotonic() - started
        say(f"[{number}/{len(parts)}] {part.name}: {result.get('error', 'measured')} ({took:.0f} s)")
        atomic_write(out / REPORT, json.dumps(results, indent=1))
    atomic_write(out / REPORT, json.dumps(results, indent=1))
    return results


def gpu_name() -> str:
    """Name of the first NVIDIA GPU, by its driver; empty if there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else ""
