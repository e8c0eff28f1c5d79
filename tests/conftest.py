"""Settings of the whole suite: strict ranks, strict dtypes in 32 bits, and a compilation cache on disk."""

from __future__ import annotations

import pathlib

import jax
import pytest

ROOT = pathlib.Path(__file__).parent.parent

jax.config.update("jax_num_cpu_devices", 2)  # for tests of several devices; others use the first
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(scope="module")
def compiled_fast():
    """Programs of a module that are compiled for a few steps: LLVM optimizes nothing, in 0.7 of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
