"""Random levels: one, a batch of them, or those that are worth playing: doing nothing does not solve them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from jax2d.batching import natively_batched
from kinetix_py.env.environment import Environment
from kinetix_py.env.start import initial_state
from kinetix_py.env.types import EnvParams
from kinetix_py.generator.distribution import free_slots, generate_levels, num_uniforms
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.levels.distributions import LevelDistribution
from kinetix_py.levels.level import Level
from kinetix_py.sizes import LevelSize, as_size

Params = TypeVar("Params", bound=LevelDistribution)

# Levels that a CPU generates at a time: their scenes and candidates should fit its cache.
CPU_BLOCK = 128
# Physics steps for which nothing is done: the 64 environment steps of Kinetix, however many physics steps an
# action lasts, so that the distribution of filtered levels is one.
NOOP_FRAMES = 128


@functools.partial(jax.jit, static_argnames="size")
def sample_level(key: jax.Array, size: str | LevelSize, params: LevelDistribution | None = None) -> Level:
    """Draws a level; pure, so that it runs inside jit, and natively batched under `vmap`.

    Args:
      key: random key; the same key gives the same level, alone or in a batch.
      size: `"s"`, `"m"`, `"l"`, or any `LevelSize` of at least 2 body slots that are not walls; static.
      params: numbers of the distribution; `GeneratorParams()` if None. `vmap` over them, too, is native. Or
        any other level distribution, such as `LocomotionParams()` or a `LevelMixture`.

    Raises:
      ValueError: the size has no place for a green and a blue shape.
    """
    size = as_size(size)
    if params is not None and not isinstance(params, GeneratorParams):
        return params.sample(key, size)
    uniforms = jax.random.uniform(key, (num_uniforms(free_slots(size)),))
    return _generate(size)(uniforms, GeneratorParams() if params is None else params)


@functools.partial(jax.jit, static_argnames=("n", "size"))
def sample_levels(
    key: jax.Array, n: int, size: str | LevelSize, params: LevelDistribution | None = None
) -> Level:
    """Draws a batch of levels; level i is `sample_level(jax.random.split(key, n)[i], size, params)`.

    Args:
      key: random key.
      n: number of levels; static.
      size: size of every level, as for `sample_level`; static.
      params: numbers of the distribution, as for `sample_level`; those that have an axis `[n]` differ from
        level to level, and level i is drawn with `level_params(params, i)`.

    Returns:
      levels with a leading axis `[n]` on every array.

    Raises:
      ValueError: the size has no place for a green and a blue shape, or parameters are of another number of
        levels.
    """
    params = GeneratorParams() if params is None else params
    check_params(params, n)
    axes = jax.tree.map(lambda value: 0 if jnp.ndim(value) else None, params)
    draw = jax.vmap(lambda key, params: sample_level(key, size, params), in_axes=(0, axes))
    return draw(jax.random.split(key, n), params)


def is_batched(params: LevelDistribution) -> bool:
    """Tells whether some numbers of a distribution differ from level to level."""
    return any(jnp.ndim(value) for value in jax.tree.leaves(params))


def level_params(params: Params, index: jax.Array | int) -> Params:
    """Parameters of some of the levels that they are of: those with an axis `[n]` at an index, all others."""
    chosen: Params = jax.tree.map(lambda value: value[index] if jnp.ndim(value) else value, params)
    return chosen


def check_params(params: LevelDistribution, n: int) -> None:
    """Checks that every number is one for all levels, or one for each of `n`.

    Raises:
      ValueError: naming the number and its shape.
    """
    for path, value in jax.tree_util.tree_leaves_with_path(params):
        if jnp.shape(value) not in ((), (n,)):
            name = type(params).__name__ + jax.tree_util.keystr(path)
            raise ValueError(f"{name} must be of shape () or {(n,)}, got {jnp.shape(value)}")


@functools.cache
def _generate(size: LevelSize):
    """The level of a row of uniforms `[num_uniforms]`, natively batched, also over parameters."""

    def generate_batch(uniforms: jax.Array, params: GeneratorParams) -> Level:
        return generate_levels(uniforms.T, params, size)

    return natively_batched(generate_batch, shared=(1,), block=CPU_BLOCK)


@functools.partial(jax.jit, static_argnames=("env", "steps"))
def noop_outcome(
    levels: Level, env: Environment | None = None, params: EnvParams | None = None, steps: int | None = None
) -> jax.Array:
    """Plays levels without doing anything: motors that run by themselves do so.

    Args:
      levels: one level, or a batch with a leading axis, of the environment's size.
      env: environment that the levels are played in; static; `kinetix_py.make(levels.size)` if None.
      params: numbers of the game; the environment's default if None.
      steps: environment steps; static; those that play `NOOP_FRAMES` physics steps if None.

    Returns:
      1 where the level was solved, -1 where it failed, 0 where neither happened: int32 `[]` or `[batch]`.
    """
    env = Environment(levels.size) if env is None else env
    params = env.default_params if params is None else params
    steps = -(-NOOP_FRAMES // env.frame_skip) if steps is None else steps
    if levels.batch_shape:
        return jax.vmap(lambda level: noop_outcome(level, env, params, steps))(levels)

    def step(carried, _):
        state, ended = carried
        state, outcome, _ = env.simulate(state, env.noop_action, params)
        return (state, jnp.where(ended == 0, outcome, ended)), None

    return jax.lax.scan(step, (initial_state(levels), jnp.int32(0)), length=steps)[0][1]


def noop_solves(
    levels: Level, env: Environment | None = None, params: EnvParams | None = None, steps: int | None = None
) -> jax.Array:
    """Tells whether doing nothing solves a level: bool `[]` or `[batch]`; arguments as for `noop_outcome`."""
    return noop_outcome(levels, env, params, steps) == 1


@functools.partial(jax.jit, static_argnames=("n", "size", "env", "steps", "round_size", "max_rounds"))
def sample_filtered_levels(
    key: jax.Array,
    n: int,
    size: str | LevelSize,
    params: LevelDistribution | None = None,
    *,
    env: Environment | None = None,
    env_params: EnvParams | None = None,
    steps: int | None = None,
    round_size: int | None = None,
    max_rounds: int = 256,
    wanted: jax.Array | int | None = None,
    kept: tuple[Level, jax.Array] | None = None,
) -> tuple[Level, jax.Array]:
    """Draws levels that doing nothing does not solve, in rounds until there are enough.

    Args:
      key: random key.
      n: number of levels, at least 1; static.
      size, params: size and distribution of the levels, as for `sample_levels`. Where levels have parameters
        of their own, those that did not pass yet are drawn again, each with its own.
      env, env_params, steps: environment, its numbers and steps of doing nothing, as for `noop_outcome`.
      round_size: levels drawn and played at once, a quarter of `n` if None; static.
      max_rounds: bound on the rounds, for distributions of which (almost) nothing passes; static. Levels with
        parameters of their own are each drawn once in any case.
      wanted: number of rows, from the first, that should hold levels that passed; traced, all if None.
      kept: levels `[n]` of an earlier call, and how many from the first on have passed: these stay, and
        if they are as many as wanted, nothing is drawn. None: all are drawn.

    Returns:
      levels with a leading axis `[n]`, and bool `[n]`: True for levels that passed. All do, unless
      `max_rounds` was reached or fewer are wanted. Rows that are False hold unfiltered random levels, those
      of the first round again and again: valid and playable, but doing nothing may solve them.

    Raises:
      ValueError: `n`, `round_size` or `max_rounds` below 1, or the size has no place for a green and a blue
        shape, or is not the environment's; or levels that are kept have parameters of their own.
    """
    size = as_size(size)
    if env is not None and env.size != size:
        raise ValueError(f"the levels are of {size}, but the environment is of {env.size}")
    drawn = max(-(-n // 4), 1) if round_size is None else round_size
    if min(n, drawn, max_rounds) < 1:
        raise ValueError(f"n, round_size and max_rounds must be at least 1, got {(n, drawn, max_rounds)}")
    params = GeneratorParams() if params is None else params
    check_params(params, n)
    enough = n if wanted is None else jnp.minimum(wanted, n)
    passes = lambda levels: ~noop_solves(levels, env, env_params, steps)
    if is_batched(params):
        if kept is not None:
            raise ValueError("levels are kept where they share parameters, but these have parameters each")
        return _filtered_each(key, size, params, passes, n, min(drawn, n), max_rounds, enough)

    def one_round(carried):
        index, count, kept = carried
        levels = sample_levels(jax.random.fold_in(key, index), drawn, size, params)
        passed = passes(levels)
        # Rows start with levels of the first round; those that pass are written over them in order.
        later = jnp.arange(n) >= count

        def begin(old, new):
            return jnp.where(later.reshape(-1, *[1] * (old.ndim - 1)), new[jnp.arange(n) % drawn], old)

        kept = jax.lax.cond(index == 0, lambda: jax.tree.map(begin, kept, levels), lambda: kept)
        row = jnp.where(passed, count + jnp.cumsum(passed) - 1, n)  # rows from n on are dropped
        kept = jax.tree.map(lambda into, new: into.at[row].set(new, mode="drop"), kept, levels)
        return index + 1, count + passed.sum(), kept

    def more(carried):
        index, count, _ = carried
        first = (index == 0) & (kept is None)  # so that every row holds a level
        return first | ((index < max_rounds) & (count < enough))

    before, passed_before = (_no_levels(size, n), jnp.int32(0)) if kept is None else kept
    _, count, levels = jax.lax.while_loop(more, one_round, (jnp.int32(0), passed_before, before))
    return levels, jnp.arange(n) < count


def _no_levels(size: LevelSize, n: int) -> Level:
    """Arrays of `n` levels, all 0."""
    shapes = jax.eval_shape(lambda key: sample_levels(key, n, size), jax.random.key(0))
    return jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)


def _filtered_each(
    key: jax.Array,
    size: LevelSize,
    params: LevelDistribution,
    passes: Callable[[Level], jax.Array],
    n: int,
    drawn: int,
    max_rounds: int,
    enough: jax.Array | int,
) -> tuple[Level, jax.Array]:
    """Draws `n` levels, each of its own parameters until it passes; arguments as `sample_filtered_levels`.

    A round draws the levels that did not pass yet and were drawn least often.
    """

    def pending(tries, passed):
        return (tries == 0) | ~passed & (jnp.arange(n) < enough)

    def more(carried):
        index, tries, passed, _ = carried
        return (tries == 0).any() | ((index < max_rounds) & pending(tries, passed).any())

    def one_round(carried):
        index, tries, passed, kept = carried
        waiting = pending(tries, passed)
        row = jnp.argsort(jnp.where(waiting, tries, jnp.iinfo(jnp.int32).max), stable=True)[:drawn]
        levels = sample_levels(jax.random.fold_in(key, index), drawn, size, level_params(params, row))
        row = jnp.where(waiting[row], row, n)  # rows that have passed stay as they are
        kept = jax.tree.map(lambda into, new: into.at[row].set(new, mode="drop"), kept, levels)
        passed = passed.at[row].set(passes(levels), mode="drop")
        return index + 1, tries.at[row].add(1, mode="drop"), passed, kept

    start = jnp.int32(0), jnp.zeros(n, jnp.int32), jnp.zeros(n, bool), _no_levels(size, n)
    _, _, passed, kept = jax.lax.while_loop(more, one_round, start)
    return kept, passed
