"""How often a policy solves levels: one episode in every attempt."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.ppo.rollout import Policy


@functools.partial(jax.jit, static_argnames=("policy", "env", "attempts", "num_steps", "initial_carry"))
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
    """Plays every level several times until its episode ends.

    Args:
      env: without auto-reset.
      levels: `[L]`, of the environment's size.
      attempts: episodes of each level; static.
      num_steps: environment steps after which an episode that goes on counts as unsolved; static.

    Returns:
      bool `[L, attempts]`, solved; and int32 `[L, attempts]`, environment steps until the end.

    Raises:
      ValueError: the environment resets itself.
    """
    if env.auto_reset:
        raise ValueError("attempt needs an environment without auto_reset")
    count = levels.role.shape[0] * attempts
    many = jax.tree.map(lambda value: jnp.repeat(value, attempts, axis=0), levels)
    obs, state = jax.vmap(env.reset, (None, 0, None))(jax.random.key(0), many, env_params)

    def step(carried, key):
        obs, state, memory, first, running, solved, length = carried
        mask = jax.vmap(env.action_mask)(state)
        one = jax.tree.map(lambda value: value[None], (obs, first, mask))
        memory, distribution, _ = policy(params, memory, *one)
        action = distribution.sample(seed=key)[0]
        play = lambda state, action: env.step(jax.random.key(0), state, action, env_params)
        obs, state, _, done, info = jax.vmap(play)(state, action)
        solved = solved | (running & info["solved"])
        length = length + running
        return (obs, state, memory, jnp.zeros_like(first), running & ~done, solved, length), None

    true = jnp.ones(count, bool)
    carried = (obs, state, initial_carry(count), true, true, ~true, jnp.zeros(count, jnp.int32))
    carried, _ = jax.lax.scan(step, carried, jax.random.split(key, num_steps))
    shape = (-1, attempts)
    return carried[5].reshape(shape), carried[6].reshape(shape)


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
