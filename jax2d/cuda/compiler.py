"""CUDA C to PTX by NVRTC, which needs neither a GPU nor a C compiler."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
import os
import pathlib
import re
from collections.abc import Iterator

# Runs on this generation of GPUs and all later ones, whose driver compiles it for the one at hand.
ARCHITECTURE = "compute_80"
# NVRTC may be newer than the driver, which refuses versions of PTX that it does not know, whatever they hold.
PTX_VERSION = "8.0"  # of CUDA 12.0; nothing here needs more
OPTIONS = (f"--gpu-architecture={ARCHITECTURE}", "--std=c++17")


class KernelError(RuntimeError):
    """The kernel cannot be compiled; the message addresses the user."""


def _libraries() -> Iterator[str]:
    """Yields places where NVRTC may be: NVIDIA's packages of pip, then an installation of CUDA."""
    spec = importlib.util.find_spec("nvidia")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    patterns = [(folder, "*/lib/libnvrtc.so.*") for folder in folders]
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(name):
            patterns.append((os.environ[name], "lib*/libnvrtc.so*"))
    patterns.append(("/usr/local/cuda", "lib64/libnvrtc.so*"))
    for folder, pattern in patterns:
        # Newest first; a folder may have parts of several versions.
        yield from sorted((str(path) for path in pathlib.Path(folder).glob(pattern)), reverse=True)
    found = ctypes.util.find_library("nvrtc")
    if found:
        yield found


@functools.cache
def _nvrtc() -> ctypes.CDLL:
    """Loads NVRTC.

    Raises:
      KernelError: there is none.
    """
    for path in _libraries():
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    raise KernelError(
        'backend="cuda" needs NVRTC, NVIDIA\'s compiler library (libnvrtc), which is not installed: '
        "pip install nvidia-cuda-nvrtc (it comes with jax[cuda13] and jax[cuda12]), "
        'or choose backend="xla"'
    )


def _text(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, size: str, get: str) -> str:
    """Reads a text of a program, such as its PTX."""
    length = ctypes.c_size_t()
    getattr(nvrtc, size)(program, ctypes.byref(length))
    buffer = ctypes.create_string_buffer(length.value)
    getattr(nvrtc, get)(program, buffer)
    return buffer.value.decode()


def _lower_version(ptx: str) -> str:
    """Declares PTX to be of `PTX_VERSION`, and leaves out the hints that later versions added."""
    ptx = re.sub(r"^\s*\.pragma \"used_bytes_mask.*\n", "", ptx, flags=re.MULTILINE)
    return re.sub(r"^\.version .*$", f".version {PTX_VERSION}", ptx, count=1, flags=re.MULTILINE)


@functools.cache
def compile_ptx(source: str) -> str:
    """Compiles CUDA C to PTX; once for a text.

    Raises:
      KernelError: NVRTC is missing, or refuses the text.
    """
    nvrtc, program = _nvrtc(), ctypes.c_void_p()
    options = [option.encode() for option in OPTIONS]
    created = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"jax2d.cu", 0, None, None)
    if created != 0:
        raise KernelError(f"NVRTC cannot make a program: error {created}")
    try:
        array = (ctypes.c_char_p * len(options))(*options)
        failed = nvrtc.nvrtcCompileProgram(program, len(options), array)
        if failed != 0:
            log = _text(nvrtc, program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog")
            raise KernelError(f"NVRTC refuses the kernel (error {failed}):\n{log}")
        ptx = _text(nvrtc, program, "nvrtcGetPTXSize", "nvrtcGetPTX")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return _lower_version(ptx)
