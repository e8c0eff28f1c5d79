"""Whole episodes of a batch of levels, played by a policy."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.policy import Params, Policy


@functools.partial(jax.jit, static_argnames=("policy", "env", "max_steps", "keep_states", "mode"))
def play_levels(
    key: jax.Array,
    policy: Policy,
    params: Params,
    env: kx.Environment,
    levels: kx.Level,
    env_params: kx.EnvParams,
    *,
    max_steps: int = 256,
    keep_states: bool = False,
    mode: bool = False,
) -> kx.EpisodeResults:
    """Plays one episode of every level.

    Args:
      key: random key of the actions.
      policy, params: policy that acts.
      env: environment without auto-reset.
      levels: batch of levels `[B]`, of the environment's size.
      env_params: numbers of the game.
      max_steps: environment steps after which an unfinished episode counts as unsolved; static.
      keep_states: also return the states `[max_steps + 1, B]`; static.
      mode: take the most likely action instead of sampling one, as training does; static.

    Raises:
      ValueError: the environment resets itself.
    """
    action_mask = jax.vmap(env.action_mask)

    def act(key, carry, obs, state, first):
        output = policy.step(params, carry, obs, first, action_mask(state))
        distribution = output.distribution
        return output.carry, distribution.mode() if mode else distribution.sample(seed=key)

    results = kx.play_episodes(
        key,
        env,
        levels,
        act,
        policy.initial_carry(levels.batch_shape[0]),
        env_params,
        max_steps=max_steps,
        keep_states=keep_states,
    )
    return results._replace(carry=())


def attempt_levels(
    key: jax.Array,
    policy: Policy,
    params: Params,
    env: kx.Environment,
    levels: kx.Level,
    env_params: kx.EnvParams,
    *,
    attempts: int = 20,
    max_steps: int = 256,
) -> kx.EpisodeResults:
    """Plays several episodes of every level, as `play_levels` does.

    Args:
      key, policy, params, env, env_params, max_steps: as for `play_levels`.
      levels: batch of levels `[L]`.
      attempts: episodes of each level; static.

    Returns:
      results `[L, attempts]`, without states.
    """
    repeated = jax.tree.map(lambda value: jnp.repeat(value, attempts, axis=0), levels)
    results = play_levels(key, policy, params, env, repeated, env_params, max_steps=max_steps)
    return jax.tree.map(lambda value: value.reshape(-1, attempts), results)
