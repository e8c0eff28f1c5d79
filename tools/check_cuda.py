"""Checks `SimSpec(backend="cuda")` on an NVIDIA GPU against `backend="xla"`: differences, then speed.

The engine's lists (jax2d/README.md), which only CPUs use, are timed beside them.

    python -m tools.check_cuda --prepare scenes.npz                        draw random levels, on a CPU
    python -m tools.check_cuda --scenes scenes.npz --output report.json    on a GPU, in --seconds at most
    python -m tools.check_cuda --scenes scenes.npz --rounding              what one rounding does, anywhere

Rows are printed as they are known, the most telling first: a run that is stopped has told what it knows.
Speeds are in millions of steps of scenes per second; differences are the largest ones of all scenes.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from agents.benchmark.engine import level_scenes
from agents.benchmark.scenes import SIZES, random_actions, repeated
from agents.plan.model import count_kernels
from jax2d.params import CONTACT_ORDERS, ContactOrder, SimSpec
from jax2d.sparse import step_sparsely
from jax2d.types import DYNAMIC_FIELDS

STEPS = 64  # of a timed rollout
AGES = (0, 20, 60, 120)  # steps after which states are compared
CASES = tuple((size, order) for order in CONTACT_ORDERS for size in ("l", "s", "m"))
NUM_LEVELS = 2048
BATCHES = (2048, 16_384, 131_072)
COMPARED = BATCHES[1]
# Timed both ways too: sizes, orders, batches.
MORE = (("l", "parallel", BATCHES[0]), *((size, "parallel", BATCHES[2]) for size in ("l", "s", "m")))
LISTED = (("l", "parallel"), ("m", "parallel"), ("l", "kinetix"))  # timed by lists
BEYOND = 1e-4
PARAMS = jax2d.SimParams()


def to_last(tree: Any) -> Any:
    """Moves the leading axis of all arrays to the end."""
    return jax.tree.map(lambda value: np.ascontiguousarray(np.moveaxis(np.asarray(value), 0, -1)), tree)


def draw(count: int) -> dict[str, jax2d.SimState]:
    """Draws random levels of all sizes on a CPU."""
    with jax.default_device(jax.devices("cpu")[0]):
        return {size: level_scenes(0, count, size) for size in SIZES}


def save(path: str, scenes: dict[str, jax2d.SimState]) -> None:
    """Writes scenes to a file, one array for each leaf."""
    arrays = {f"{size}/{i}": leaf for size in scenes for i, leaf in enumerate(jax.tree.leaves(scenes[size]))}
    np.savez_compressed(path, **arrays)


def read(path: str) -> dict[str, jax2d.SimState]:
    """Reads scenes that `save` wrote."""
    scenes = {}
    with np.load(path) as file:
        for size, spec in SIZES.items():
            structure = jax.tree.structure(jax2d.SimState.shapes(spec))
            count = len(jax.tree.leaves(jax2d.SimState.shapes(spec)))
            leaves = [file[f"{size}/{i}"] for i in range(count)]
            scenes[size] = jax.tree.unflatten(structure, leaves)
    return scenes


def advance(spec: SimSpec, first: bool, state: Any, actions: jax.Array) -> tuple[Any, jax2d.Contacts]:
    """One step of a batch along the last axis of all arrays, or their first one by `vmap`."""
    if first:
        return jax.vmap(lambda s, a: jax2d.step(s, a, PARAMS, spec))(state, actions)
    return jax2d.step_batch(state, actions, PARAMS, spec, batch_axis=-1)


def roll(
    spec: SimSpec, states: Any, actions: jax.Array, steps: jax.Array, lists: bool = False
) -> tuple[Any, jax.Array]:
    """States after some steps, and which contacts were active in the last one."""
    shape = (jax2d.num_contacts(spec), actions.shape[-1])

    def visit(_, carry):
        if lists:
            after, contacts = step_sparsely(carry[0], actions, PARAMS, spec)
        else:
            after, contacts = advance(spec, False, carry[0], actions)
        return after, contacts.active

    return jax.lax.fori_loop(0, steps, visit, (states, jnp.zeros(shape, bool)))


def timed(spec: SimSpec, reads: str, first: bool, states: Any, actions: jax.Array) -> tuple[Any, Any]:
    """States after `STEPS` steps, and what was read of contacts: "none", "active" or "all" of them."""

    def visit(state, _):
        after, contacts = advance(spec, first, state, actions)
        read = {"none": (), "active": contacts.active, "all": contacts}[reads]
        return after, jax.tree.map(lambda value: value.sum(dtype=jnp.float32), read)

    return jax.lax.scan(visit, states, length=STEPS)


class Check:
    """Scenes, compiled programs and the report of one run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.started, self.options = time.monotonic(), options
        self.scenes = read(options.scenes) if options.scenes else draw(NUM_LEVELS)
        device = jax.devices()[0]
        self.report: dict[str, Any] = {"device": device.device_kind, "jax": jax.__version__, "rows": []}
        print(f"# {device.device_kind}, jax {jax.__version__}", flush=True)

    def left(self) -> float:
        """Seconds left."""
        return self.options.seconds - (time.monotonic() - self.started)

    def tell(self, **row: Any) -> None:
        """Prints a row, and writes the report so far."""
        self.report["rows"].append(row | {"at": round(time.monotonic() - self.started, 1)})
        print(" ".join(f"{name}={value}" for name, value in self.report["rows"][-1].items()), flush=True)
        if self.options.output:
            with open(self.options.output, "w") as file:
                json.dump(self.report, file, indent=1)

    def batch(self, size: str, count: int, first: bool = False) -> tuple[Any, Any]:
        """States and actions of a batch, on the device."""
        states = repeated(self.scenes[size], count)
        actions = random_actions(7, 1, count, SIZES[size])[0]
        both = (states, actions) if first else to_last((states, actions))
        return jax.device_put(both)

    def compile_xla(self, size: str, order: ContactOrder, count: int, lists: bool = False) -> Callable:
        """Compiles `roll` of the compiler's own kernels."""
        spec = dataclasses.replace(SIZES[size], contact_order=order)
        shapes = jax.eval_shape(functools.partial(self.batch, size, count))
        steps = jax.ShapeDtypeStruct((), jnp.int32)
        begin = time.monotonic()
        compiled = jax.jit(functools.partial(roll, spec, lists=lists)).lower(*shapes, steps).compile()
        seconds, way = round(time.monotonic() - begin, 1), "lists" if lists else "xla"
        kernels = count_kernels(compiled.as_text())  # of one turn of the loop
        told = {"size": size, "order": order, "batch": count, "seconds": seconds, "kernels": kernels}
        self.tell(what="compiled", way=way, **told)
        return compiled


def rate(function: Callable, arguments: tuple, scenes: int, least: int = 3) -> float:
    """Millions of steps of scenes in a second: the best of a few calls after one."""
    jax.block_until_ready(function(*arguments))
    seconds = []
    for _ in range(least):
        begin = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        seconds.append(time.perf_counter() - begin)
    return round(STEPS * scenes / min(seconds) / 1e6, 3)


def differences(kernel: Any, xla: Any) -> dict[str, Any]:
    """Largest differences of what a step changes, and the share of scenes with one beyond `BEYOND`."""
    (states, active), (expected, expected_active) = jax.device_get((kernel, xla))
    found: dict[str, Any] = {}
    beyond = np.zeros(active.shape[-1], bool)
    for name in DYNAMIC_FIELDS:
        apart = np.abs(getattr(states, name) - getattr(expected, name)).reshape(-1, active.shape[-1])
        most = apart.max(axis=0, initial=0)
        found[name] = float(f"{most.max():.1e}")
        beyond |= ~(most <= BEYOND)
    other = int((active != expected_active).sum())
    return found | {"beyond": float(f"{beyond.mean():.2g}"), "flags_apart": other, "flags": int(active.sum())}


def compare(check: Check, size: str, order: ContactOrder, xla: Callable) -> None:
    """Compares both ways after one step and after `STEPS`."""
    spec = dataclasses.replace(SIZES[size], contact_order=order, backend="cuda")
    kernel = jax.jit(functools.partial(roll, spec))
    states, actions = check.batch(size, COMPARED)
    for age in AGES:
        aged = kernel(states, actions, age)[0]
        apart = differences(kernel(aged, actions, 1), xla(aged, actions, 1))
        check.tell(what="parity", size=size, order=order, age=age, steps=1, **apart)
    apart = differences(kernel(states, actions, STEPS), xla(states, actions, jnp.int32(STEPS)))
    check.tell(what="parity", size=size, order=order, age=0, steps=STEPS, **apart)


def time_both(check: Check, size: str, order: ContactOrder, batch: int, xla: Callable) -> None:
    """Times both ways, reading which contacts are active."""
    spec = dataclasses.replace(SIZES[size], contact_order=order, backend="cuda")
    kernel = jax.jit(functools.partial(timed, spec, "active", False))
    states, actions = check.batch(size, batch)
    aged = kernel(states, actions)[0]
    by_xla = rate(xla, (aged, actions, jnp.int32(STEPS)), batch)
    by_kernel = rate(kernel, (aged, actions), batch)
    ratio = round(by_kernel / by_xla, 2)
    check.tell(what="speed", size=size, order=order, batch=batch, xla=by_xla, kernel=by_kernel, ratio=ratio)


def time_lists(check: Check, size: str, order: ContactOrder, batch: int, program: Callable) -> None:
    """Times the compiler's kernels for lists alone."""
    states, actions = check.batch(size, batch)
    aged = program(states, actions, jnp.int32(STEPS))[0]
    million = rate(program, (aged, actions, jnp.int32(STEPS)), batch)
    check.tell(what="speed", size=size, order=order, batch=batch, lists=million)


def time_kernel(
    check: Check, size: str, order: ContactOrder, batch: int, reads: str, first: bool = False
) -> None:
    """Times the kernel alone."""
    spec = dataclasses.replace(SIZES[size], contact_order=order, backend="cuda")
    states, actions = check.batch(size, batch, first)
    program = jax.jit(functools.partial(timed, spec, reads, first))
    states = program(states, actions)[0]
    million = rate(program, (states, actions), batch)
    layout = "first" if first else "last"
    check.tell(what="speed", size=size, order=order, batch=batch, reads=reads, layout=layout, kernel=million)


def compare_contacts(check: Check, size: str = "s") -> None:
    """Compares the numbers of contacts."""
    states, actions = check.batch(size, COMPARED)
    spec = dataclasses.replace(SIZES[size], backend="cuda")
    aged = jax.jit(functools.partial(roll, spec))(states, actions, AGES[-1])[0]
    step = lambda spec: jax.jit(lambda s, a: advance(spec, False, s, a)[1])(aged, actions)
    pair = jax.device_get((step(spec), step(SIZES[size])))
    apart = [
        float(np.abs(a.astype(np.float32) - b).max())
        for a, b in zip(*map(jax.tree.leaves, pair), strict=True)
    ]
    names = [field.name for field in dataclasses.fields(jax2d.Contacts)]
    numbers = {name: float(f"{value:.1e}") for name, value in zip(names, apart, strict=True)}
    check.tell(what="contacts", size=size, **numbers)


def neighbor(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """The next number of 32 bits, up or down by chance."""
    return np.nextafter(values, np.where(rng.random(values.shape) < 0.5, -np.inf, np.inf).astype(np.float32))


def tell_rounding(check: Check, size: str) -> None:
    """Compares a step with one from places and angles that are one rounding away, both by the compiler."""
    states, actions = check.batch(size, NUM_LEVELS)
    program, rng = jax.jit(functools.partial(roll, SIZES[size])), np.random.default_rng(0)
    for age in AGES[:3]:
        aged = jax.device_get(program(states, actions, age)[0])
        moved = {name: neighbor(rng, getattr(aged, name)) for name in ("position", "rotation")}
        both = program(dataclasses.replace(aged, **moved), actions, 1), program(aged, actions, 1)
        check.tell(what="rounding", size=size, age=age, **differences(*both))


def attempt(check: Check, work: Callable, *arguments: Any) -> None:
    """Does some work if there is time; what goes wrong is told, and ends nothing else."""
    if check.left() < 5:
        return
    try:
        work(check, *arguments)
    except Exception as error:  # of any kind: a run on a lent machine is to tell the rest
        check.tell(what="failed", work=work.__name__, case=str(arguments[:4]), error=repr(error)[:1500])


def run(check: Check) -> None:
    """Compiles the slow programs side by side, then compares and times one after another."""
    cases = [(*case, COMPARED, False) for case in CASES] + [(*case, False) for case in MORE]
    cases += [(*case, batch, True) for case in LISTED for batch in BATCHES[1:]]
    # The kernel by itself first: whether it runs at all.
    attempt(check, time_kernel, "l", "parallel", COMPARED, "active")
    pool = concurrent.futures.ThreadPoolExecutor(max((os.cpu_count() or 1) - 2, 1))
    waiting = [pool.submit(check.compile_xla, *case) for case in cases]
    concurrent.futures.wait(waiting, max(check.left(), 0))
    for (size, order, batch, lists), program in zip(cases, waiting, strict=True):
        if not program.done():
            continue
        attempt(check, lambda _, program=program: program.result())  # raises what went wrong
        if program.exception() is not None:
            continue
        if lists:
            attempt(check, time_lists, size, order, batch, program.result())
            continue
        if batch == COMPARED:
            attempt(check, compare, size, order, program.result())
        attempt(check, time_both, size, order, batch, program.result())
    for size, order in CASES[:3]:
        for batch in check.options.batches:
            attempt(check, time_kernel, size, order, batch, "active")
    attempt(check, time_kernel, "l", "parallel", COMPARED, "none")
    attempt(check, time_kernel, "l", "parallel", COMPARED, "all")
    for size in SIZES:
        for batch in check.options.batches[1:]:
            attempt(check, time_kernel, size, "parallel", batch, "active", True)
    attempt(check, time_kernel, "l", "kinetix", COMPARED, "active")
    attempt(check, compare_contacts)
    check.tell(what="done")


def main() -> None:
    """Prepares scenes, or prints and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--prepare", help="write random levels to this file (.npz), and stop")
    parser.add_argument("--scenes", help="file that --prepare wrote; drawn anew if not given")
    parser.add_argument("--output", help="file for the report (JSON)")
    parser.add_argument("--seconds", type=float, default=220, help="after which no more is begun")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--rounding", action="store_true", help="tell what rounding does to a step, and stop")
    parser.add_argument("--anywhere", action="store_true", help="run without a GPU, to try the tool")
    options = parser.parse_args()
    if options.prepare:
        save(options.prepare, draw(NUM_LEVELS))
        return
    if options.rounding:
        check = Check(options)
        for size in SIZES:
            attempt(check, tell_rounding, size)
        return
    if jax.default_backend() != "gpu" and not options.anywhere:
        parser.error(f"there is no NVIDIA GPU here, JAX runs on {jax.default_backend()}")
    run(Check(options))
    os._exit(0)  # whatever is still being compiled


if __name__ == "__main__":
    main()
