"""The CUDA kernel as plain C++ on the host: what a GPU's threads do, scene after scene."""

from __future__ import annotations

import ctypes
import functools
import pathlib
import shutil
import subprocess

import jax
import numpy as np
import pytest

import jax2d
from jax2d.cuda.sources import arguments_of, fields_of_state, kernel_source

COMPILER = shutil.which("g++") or shutil.which("clang++")


@functools.cache
def _library(spec: jax2d.SimSpec, batch_first: bool, report: bool, folder: pathlib.Path) -> ctypes.CDLL:
    """Compiles the kernel of a spec; skips the test where there is no compiler."""
    if COMPILER is None:
        pytest.skip("needs a C++ compiler, g++ or clang++")
    source = folder / f"kernel{len(list(folder.iterdir()))}.cpp"
    source.write_text(kernel_source(spec, batch_first=batch_first, report=report))
    flags = ["-O1", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Werror", "-Wno-unknown-pragmas"]
    # As XLA does, products are added without rounding them first where the processor can.
    fused = ["-march=native", "-ffp-contract=fast"]
    command = [COMPILER, *flags, *fused, str(source), "-o", str(source.with_suffix(".so"))]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(source.with_suffix(".so")))


def run_kernel(states, actions, params, spec, folder, axis: int = -1, report: bool = False) -> dict:
    """Runs the kernel on a batch along `axis`; its results by name, such as `"position"` and `"active"`."""
    library = _library(spec, axis == 0, report, folder)
    leaves = map(np.asarray, jax.tree.leaves(states))
    given = dict(zip([field.name for field in fields_of_state(spec)], leaves, strict=True))
    given["actions"], batch = np.asarray(actions, np.float32), actions.shape[axis]
    numbers = [np.asarray(value, np.float32) for value in jax.tree.leaves(params)]
    each = any(value.ndim for value in numbers)
    given["params"] = np.stack([np.broadcast_to(v, (batch,)) if each else v for v in numbers])
    given["sizes"] = np.array([batch, each], np.int32)
    arrays, results = [], {}
    for argument in arguments_of(spec, report):
        if argument.is_result:
            shape = (batch, *argument.shape) if axis == 0 else (*argument.shape, batch)
            value = np.full(shape, 7, argument.dtype)  # every entry is to be written
            results[argument.name.removeprefix("out_")] = value
        else:
            value = np.ascontiguousarray(given[argument.name])
            assert value.dtype == argument.dtype, argument.name
        arrays.append(value)
    library.jax2d_kernel(*(ctypes.c_void_p(value.ctypes.data) for value in arrays))
    return results
