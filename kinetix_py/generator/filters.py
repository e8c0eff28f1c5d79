"""Levels that are worth playing: those that doing nothing does not solve."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.env.game import outcome, slot_outcomes
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.generator.sample import sample_levels
from kinetix_py.levels.level import Level
from kinetix_py.sizes import LevelSize, as_size


@functools.partial(jax.jit, static_argnames=("steps", "frame_skip"))
def noop_outcome(
    levels: Level,
    sim_params: jax2d.SimParams | None = None,
    steps: int = 64,
    frame_skip: int = 2,
) -> jax.Array:
    """How doing nothing ends: 1 solved, -1 failed, 0 neither within some steps.

    Motors that run by themselves do so. The first physics step that ends the episode decides, and there
    green on red wins over green on blue.

    Args:
      levels: one level, or a batch with a leading axis.
      sim_params: numbers of the physics; `jax2d.SimParams()` if None.
      steps: environment steps; static.
      frame_skip: physics steps of an environment step; static.

    Returns:
      int32 `[]` or `[batch]`.
    """
    if not levels.batch_shape:
        batch = jax.tree.map(lambda value: value[None], levels)
        return noop_outcome(batch, sim_params, steps, frame_skip)[0]
    params = jax2d.SimParams() if sim_params is None else sim_params
    spec = levels.size.sim_spec()
    meaning = slot_outcomes(levels.labels.role, spec)
    auto = levels.labels.motor_auto.astype(jnp.float32)
    actions = jnp.concatenate([auto, jnp.zeros_like(levels.sim.thrusters.power)], axis=1)
    step = jax.vmap(lambda state, action: jax2d.step(state, action, params, spec))

    def frame(_, carried):
        states, result = carried
        states, contacts = step(states, actions)
        return states, jnp.where(result == 0, outcome(contacts.active, meaning), result)

    start = levels.sim, jnp.zeros(levels.batch_shape, jnp.int32)
    return jax.lax.fori_loop(0, steps * frame_skip, frame, start)[1]


def noop_solves(
    levels: Level,
    sim_params: jax2d.SimParams | None = None,
    steps: int = 64,
    frame_skip: int = 2,
) -> jax.Array:
    """Whether doing nothing solves a level: bool `[]` or `[batch]`; arguments as for `noop_outcome`."""
    return noop_outcome(levels, sim_params, steps, frame_skip) == 1


def filter_levels(levels: Level, keep: jax.Array) -> tuple[Level, jax.Array]:
    """Moves the kept levels of a batch to the front, in order; pure.

    Args:
      levels: `[batch]` on every array.
      keep: bool `[batch]`.

    Returns:
      the levels in their new order, and bool `[batch]`: True for the kept ones, which come first.
    """
    order = jnp.argsort(~keep, stable=True)
    return jax.tree.map(lambda value: value[order], levels), keep[order]


@functools.partial(jax.jit, static_argnames=("n", "size", "steps", "frame_skip", "round_size", "max_rounds"))
def sample_filtered_levels(
    key: jax.Array,
    n: int,
    size: str | LevelSize,
    params: GeneratorParams | None = None,
    sim_params: jax2d.SimParams | None = None,
    *,
    steps: int = 64,
    frame_skip: int = 2,
    round_size: int | None = None,
    max_rounds: int = 256,
    wanted: jax.Array | int | None = None,
) -> tuple[Level, jax.Array]:
    """Draws levels that doing nothing does not solve, in rounds until there are enough.

    Args:
      key: of `jax.random`.
      n: how many; static, at least 1.
      size, params: as for `sample_level`.
      sim_params, steps, frame_skip: as for `noop_outcome`.
      round_size: levels drawn and played at once; static, a quarter of `n` if None.
      max_rounds: bound on the rounds, for distributions of which (almost) nothing is kept; static.
      wanted: stop as soon as so many of the `n` rows are filled; traced, all of them if None.

    Returns:
      levels with a leading axis `[n]`, and bool `[n]`: True for levels that passed. All do unless
      `max_rounds` was reached or fewer are wanted; check it where the distribution is not the default one.
      Rows that are False hold no level (all zeros).

    Raises:
      ValueError: `n`, `round_size` or `max_rounds` below 1, or the size has no room for a game.
    """
    size = as_size(size)
    drawn = max(-(-n // 4), 1) if round_size is None else round_size
    if min(n, drawn, max_rounds) < 1:
        raise ValueError(f"n, round_size and max_rounds must be at least 1, got {(n, drawn, max_rounds)}")

    def one_round(carried):
        round_index, count, kept = carried
        levels = sample_levels(jax.random.fold_in(key, round_index), drawn, size, params)
        keep = ~noop_solves(levels, sim_params, steps, frame_skip)
        row = jnp.where(keep, count + jnp.cumsum(keep) - 1, n)  # rows from n on are dropped
        kept = jax.tree.map(lambda into, new: into.at[row].set(new, mode="drop"), kept, levels)
        return round_index + 1, count + keep.sum(), kept

    shapes = jax.eval_shape(lambda key: sample_levels(key, n, size, params), key)
    empty = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
    enough = n if wanted is None else jnp.minimum(wanted, n)
    more = lambda carried: (carried[0] < max_rounds) & (carried[1] < enough)
    start = jnp.int32(0), jnp.int32(0), empty
    _, count, kept = jax.lax.while_loop(more, one_round, start)
    return kept, jnp.arange(n) < count
