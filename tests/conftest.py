"""Settings of the whole suite: strict ranks, strict dtypes in 32 bits, and a compilation cache on disk."""

from __future__ import annotations

import pathlib

import jax

ROOT = pathlib.Path(__file__).parent.parent

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
