"""Random levels: one, or a batch of them."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jax2d.batching import natively_batched
from kinetix_py.generator.distribution import generate_levels
from kinetix_py.generator.draws import num_uniforms
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.scene import free_slots
from kinetix_py.levels.level import Level
from kinetix_py.sizes import LevelSize, as_size

# Levels that a CPU generates at a time: their scenes and candidates should fit its cache.
CPU_BLOCK = 128


@functools.partial(jax.jit, static_argnames="size")
def sample_level(key: jax.Array, size: str | LevelSize, params: GeneratorParams | None = None) -> Level:
    """Draws a level; pure, so that it runs inside jit, and natively batched under `vmap`.

    Args:
      key: random key; the same key gives the same level, alone or in a batch.
      size: `"s"`, `"m"`, `"l"`, or any `LevelSize` of at least 2 body slots that are not walls; static.
      params: numbers of the distribution; `GeneratorParams()` if None. `vmap` over them, too, is native.

    Raises:
      ValueError: the size has no place for a green and a blue shape.
    """
    size = as_size(size)
    uniforms = jax.random.uniform(key, (num_uniforms(free_slots(size)),))
    return _generate(size)(uniforms, GeneratorParams() if params is None else params)


@functools.partial(jax.jit, static_argnames=("n", "size"))
def sample_levels(
    key: jax.Array, n: int, size: str | LevelSize, params: GeneratorParams | None = None
) -> Level:
    """Draws a batch of levels; level i is `sample_level(jax.random.split(key, n)[i], size, params)`.

    Args:
      key: random key.
      n: number of levels; static.
      size: size of every level, as for `sample_level`; static.
      params: numbers of the distribution, as for `sample_level`.

    Returns:
      levels with a leading axis `[n]` on every array.

    Raises:
      ValueError: the size has no place for a green and a blue shape.
    """
    return jax.vmap(lambda key: sample_level(key, size, params))(jax.random.split(key, n))


@functools.cache
def _generate(size: LevelSize):
    """The level of a row of uniforms `[num_uniforms]`, natively batched, also over parameters."""

    def generate_batch(uniforms: jax.Array, params: GeneratorParams) -> Level:
        levels = generate_levels(uniforms.T, params, size)
        return jax.tree.map(lambda value: jnp.moveaxis(value, -1, 0), levels)

    return natively_batched(generate_batch, shared=(1,), block=CPU_BLOCK)
