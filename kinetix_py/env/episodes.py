"""Whole episodes of a batch of levels, by anything that acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kinetix_py.env.environment import Environment
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.levels.level import Level

Carry = Any
# (key, carry, observations [B], states [B], first [B]) -> (carry, actions [B])
ActFn = Callable[[jax.Array, Carry, Any, EnvState, jax.Array], tuple[Carry, jax.Array]]


class EpisodeResults(NamedTuple):
    """Results of one episode of each level of a batch."""

    outcome: jax.Array  # int32 [B]   1 solved, -1 failed, 0 neither
    length: jax.Array  # int32 [B]    environment steps until the end
    closest: jax.Array  # float [B]   least green-blue distance on the way [m]
    final: jax.Array  # float [B]     green-blue distance at the end [m]
    states: EnvState | None = None  # [max_steps + 1, B], unchanged once an episode has ended
    carry: Carry = ()  # memory of `act` after the last step that was played

    @property
    def solved(self) -> jax.Array:
        """Tells whether green touched blue: bool `[B]`."""
        return self.outcome == 1

    @property
    def failed(self) -> jax.Array:
        """Tells whether green touched red: bool `[B]`."""
        return self.outcome == -1


class _Progress(NamedTuple):
    """Everything that a step of a batch of episodes carries to the next."""

    obs: Any
    state: EnvState
    carry: Carry
    first: jax.Array  # bool [B], nothing has been played yet
    running: jax.Array  # bool [B]
    results: EpisodeResults


def play_episodes(
    key: jax.Array,
    env: Environment,
    levels: Level,
    act: ActFn,
    carry: Carry = (),
    params: EnvParams | None = None,
    *,
    max_steps: int = 256,
    limit: jax.Array | int | None = None,
    keep_states: bool = False,
) -> EpisodeResults:
    """Plays one episode of every level; pure, to be called inside `jit`.

    Args:
      key: random key, split into one key for each step of the batch.
      env: environment without auto-reset, or a wrapper of one.
      levels: batch of levels `[B]`.
      act: chooses the actions of a batch: `act(key, carry, obs, state, first) -> (carry, actions)`. `first`,
        bool `[B]`, is True in the first step; `env.action_mask` under `vmap` gives masks of `state`.
      carry: memory of `act` before the first step, any pytree.
      params: numbers of the game; the environment's defaults if None.
      max_steps: environment steps after which an unfinished episode has outcome 0; static.
      limit: a smaller bound than `max_steps` that may be traced; `max_steps` if None.
      keep_states: also return all states; static. Otherwise the loop stops when all episodes have ended.

    Raises:
      ValueError: the environment resets itself, or `keep_states` with a `limit`.
    """
    if env.auto_reset:
        raise ValueError("whole episodes need an environment without auto_reset")
    if keep_states and limit is not None:
        raise ValueError("keep_states plays max_steps, give no limit")
    params = env.default_params if params is None else params
    obs, start = jax.vmap(env.reset_to_level, (0, None))(levels, params)
    step_env = jax.vmap(env.step, (0, 0, 0, None))
    keys = jax.random.split(key, max_steps)

    def advance(progress: _Progress, key: jax.Array) -> _Progress:
        obs, state, carry, first, running, results = progress
        carry, action = act(key, carry, obs, state, first)
        keys = jax.random.split(jax.random.fold_in(key, 1), running.shape[0])  # for wrappers that draw
        obs, state, _, done, info = step_env(keys, state, action, params)
        result = info["solved"].astype(jnp.int32) - info["failed"].astype(jnp.int32)
        distance = info["distance"]
        results = EpisodeResults(
            outcome=jnp.where(running, result, results.outcome),
            length=results.length + running,
            closest=jnp.where(running, jnp.minimum(distance, results.closest), results.closest),
            final=jnp.where(running, distance, results.final),
        )
        return _Progress(obs, state, carry, jnp.zeros_like(first), running & ~done, results)

    def advance_and_keep(progress: _Progress, key: jax.Array) -> tuple[_Progress, EnvState]:
        after = advance(progress, key)
        kept = jax.tree.map(
            lambda new, old: jnp.where(progress.running.reshape(-1, *[1] * (new.ndim - 1)), new, old),
            after.state,
            progress.state,
        )
        return after._replace(state=kept), kept

    count = levels.batch_shape[0]
    zeros, true = jnp.zeros(count, jnp.int32), jnp.ones(count, bool)
    distance = start.unwrapped.distance
    results = EpisodeResults(outcome=zeros, length=zeros, closest=distance, final=distance)
    progress = _Progress(obs, start, carry, true, true, results)
    if keep_states:
        progress, rest = jax.lax.scan(advance_and_keep, progress, keys)
        join = lambda first, later: jnp.concatenate([first[None], later])
        states = jax.tree.map(join, start, rest)
        return progress.results._replace(states=states, carry=progress.carry)

    most = max_steps if limit is None else jnp.minimum(limit, max_steps)
    more = lambda carried: (carried[0] < most) & carried[1].running.any()
    one_step = lambda carried: (carried[0] + 1, advance(carried[1], keys[carried[0]]))
    _, progress = jax.lax.while_loop(more, one_step, (jnp.int32(0), progress))
    return progress.results._replace(carry=progress.carry)


def action_sequence(actions: jax.Array) -> ActFn:
    """Returns an `act` for `play_episodes` that plays fixed actions whatever happens.

    Its carry is the number of steps played, 0 at the start.

    Args:
      actions: actions `[B, T, ...]`, one row of `T` environment steps for each level.
    """

    def act(key, carry, obs, state, first):
        return carry + 1, jax.lax.dynamic_index_in_dim(actions, carry, 1, keepdims=False)

    return act
