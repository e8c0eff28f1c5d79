"""How often a policy solves levels: one episode in every attempt."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.ppo.rollout import Policy, where_rows


@functools.partial(jax.jit, static_argnames=("policy", "env", "num_steps", "initial_carry", "keep_states"))
def episodes(
    key: jax.Array,
    policy: Policy,
    params: Any,
    env: kx.Environment,
    levels: kx.Level,
    env_params: kx.EnvParams,
    num_steps: int = 256,
    initial_carry: Callable[[int], Any] = lambda batch: (),
    keep_states: bool = False,
) -> tuple[jax.Array, jax.Array, kx.EnvState | None]:
    """Plays one episode of every level.

    Args:
      env: without auto-reset.
      levels: `[B]`, of the environment's size.
      num_steps: environment steps after which an episode that goes on counts as unsolved; static.
      keep_states: also return what happened; static.

    Returns:
      bool `[B]`, solved; int32 `[B]`, environment steps until the end; and the states `[num_steps + 1, B]`,
      which stay as they are once an episode has ended, or None.

    Raises:
      ValueError: the environment resets itself.
    """
    if env.auto_reset:
        raise ValueError("whole episodes need an environment without auto_reset")
    count = levels.batch_shape[0]
    obs, start = jax.vmap(env.reset_to_level, (0, None))(levels, env_params)

    def step(carried, key):
        obs, state, memory, first, running, solved, length = carried
        mask = jax.vmap(env.action_mask)(state)
        one = jax.tree.map(lambda value: value[None], (obs, first, mask))
        memory, distribution, _ = policy(params, memory, *one)
        action = distribution.sample(seed=key)[0]
        play = lambda state, action: env.step(jax.random.key(0), state, action, env_params)
        obs, after, _, done, info = jax.vmap(play)(state, action)
        solved = solved | (running & info["solved"])
        length = length + running
        if keep_states:
            after = where_rows(running, after, state)
        carried = (obs, after, memory, jnp.zeros_like(first), running & ~done, solved, length)
        return carried, after if keep_states else None

    true = jnp.ones(count, bool)
    carried = (obs, start, initial_carry(count), true, true, ~true, jnp.zeros(count, jnp.int32))
    carried, states = jax.lax.scan(step, carried, jax.random.split(key, num_steps))
    if keep_states:
        states = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, states)
    return carried[5], carried[6], states


def attempt(
    key: jax.Array,
    policy: Policy,
    params: Any,
    env: kx.Environment,
    levels: kx.Level,
    env_params: kx.EnvParams,
    attempts: int = 20,
    num_steps: int = 256,
    initial_carry: Callable[[int], Any] = lambda batch: (),
) -> tuple[jax.Array, jax.Array]:
    """Plays every level several times, as `episodes` does.

    Args:
      levels: `[L]`.
      attempts: episodes of each level; static.

    Returns:
      bool `[L, attempts]`, solved; and int32 `[L, attempts]`, environment steps until the end.
    """
    many = jax.tree.map(lambda value: jnp.repeat(value, attempts, axis=0), levels)
    solved, length, _ = episodes(key, policy, params, env, many, env_params, num_steps, initial_carry)
    return solved.reshape(-1, attempts), length.reshape(-1, attempts)


def mean_with_interval(
    solved: np.ndarray, confidence: float = 0.95, num_resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """The mean solve rate of a set of levels, with a stratified bootstrap interval.

    Attempts are resampled within each level, as Agarwal et al., "Deep reinforcement learning at the edge of
    the statistical precipice" (2021), section 4, do with runs within tasks: the levels are given, chance is
    in the attempts.

    Args:
      solved: bool `[L, attempts]`.
      confidence: in 0 .. 1.

    Returns:
      mean, lower and upper bound, in 0 .. 1.
    """
    solved = np.asarray(solved, float)
    rng = np.random.default_rng(seed)
    tries = solved.shape[1]
    # Resampling 0/1 outcomes with replacement is drawing how many of them are 1.
    means = rng.binomial(tries, solved.mean(1), (num_resamples, len(solved))).mean(1) / tries
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(solved.mean()), float(low), float(high)
