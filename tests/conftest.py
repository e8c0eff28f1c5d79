"""Settings of the whole suite: strict ranks, strict dtypes in 32 bits, and programs that compile fast."""

from __future__ import annotations

import gc
import os
import pathlib

import jax
import pytest

TESTS = pathlib.Path(__file__).parent
ROOT = TESTS.parent
MAPS, MOST_MAPS = pathlib.Path("/proc/self/maps"), 40_000
# Of this process, and of the programs that tests start: each of them finds on disk what another compiled,
# and no operation of a program remembers the lines of Python that it came from.
CACHE = {
    "jax_compilation_cache_dir": str(ROOT / ".cache" / "jax"),
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_traceback_in_locations_limit": 0,
}

jax.config.update("jax_num_cpu_devices", 8)  # for tests of several devices; others use the first
jax.config.update("jax_numpy_rank_promotion", "raise")
for name, value in CACHE.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)


def pytest_configure(config):
    """Compiles the default suite with little optimization, in a fifth of the time.

    The environment tells the programs that tests start. Tests selected otherwise, such as the whole
    suite (`-m ''`), run programs that are compiled as users compile them.
    """
    if config.option.markexpr != "not slow":
        return
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    jax.config.update("jax_disable_most_optimizations", True)
    # From 0.11 on, XLA compiles as fast without the flag, and ends a program that gives it.
    if jax.__version_info__ < (0, 11):
        flags = [os.environ.get("XLA_FLAGS", ""), "--xla_cpu_use_fusion_emitters=false"]
        os.environ["XLA_FLAGS"] = " ".join(flags).strip()


def pytest_collection_modifyitems(items):
    """Puts the files that start programs first: at the end, one worker would wait long for the other."""
    items.sort(key=lambda item: item.path.parent != TESTS)


def pytest_collection_finish():
    """Spares the garbage collector the modules that are imported, and most of its visits while JAX traces."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Forgets compiled programs before the process has as many memory maps as Linux grants (65,530)."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="module")
def compiled_fast():
    """Programs of a module that are compiled for a few steps: LLVM optimizes nothing, in 0.7 of the time."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
