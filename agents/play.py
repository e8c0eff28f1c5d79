"""A checkpoint that plays one live game, as `kinetix_py.play` asks for it."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.loading import LoadedPolicy, load_policy
from agents.policy import Carry, Params, Policy


@functools.partial(jax.jit, static_argnames=("policy", "env"))
def choose_action(
    key: jax.Array,
    policy: Policy,
    params: Params,
    carry: Carry,
    env: kx.Environment,
    env_params: kx.EnvParams,
    state: kx.EnvState,
    first: jax.Array | bool,
) -> tuple[Carry, jax.Array]:
    """Draws an action for one state, as in training.

    Args:
      key: random key of the action.
      policy, params: policy that acts.
      carry: memory for a batch of one.
      env, env_params: environment and numbers of the game.
      state: state of one environment.
      first: the state begins an episode.

    Returns:
      the carry, and the value for each binding, float `[num_bindings]`.
    """
    obs, mask, reset = env.observe(state, env_params), env.action_mask(state), jnp.asarray(first)
    obs, mask, reset = jax.tree.map(lambda value: value[None], (obs, mask, reset))
    output = policy.step(params, carry, obs, reset, mask)
    return output.carry, env.action_adapter.binding_values(output.distribution.sample(seed=key)[0])


@dataclasses.dataclass
class CheckpointPlayer:
    """Plays with a trained policy, as `kinetix_py.play.game.Game` asks a player to.

    Attributes:
      loaded: trained policy.
      seed: seed of the actions; every episode has random numbers of its own.
      episodes: number of episodes so far.
    """

    loaded: LoadedPolicy
    seed: int = 0
    episodes: int = 0

    @classmethod
    def load(cls, path: str | pathlib.Path, size: str | None = None, seed: int = 0) -> CheckpointPlayer:
        """Loads a player; arguments and errors as for `agents.load_policy`."""
        return cls(load_policy(path, size), seed)

    @property
    def name(self) -> str:
        """Name of the run and checkpoint."""
        return self.loaded.name

    @functools.cached_property
    def env(self) -> kx.Environment:
        """Environment of the run, without auto-reset."""
        return self.loaded.env

    @functools.cached_property
    def env_params(self) -> kx.EnvParams:
        """Numbers of the game that the policy was trained in."""
        return self.loaded.env_params

    @property
    def frame_skip(self) -> int:
        """Physics frames that each action lasts."""
        return self.env.frame_skip

    def begin(self) -> tuple[jax.Array, Carry]:
        """Makes the memory before an episode: a random key, and the policy's empty memory."""
        self.episodes += 1
        key = jax.random.fold_in(jax.random.key(self.seed), self.episodes)
        return key, self.loaded.policy.initial_carry(1)

    def act(self, memory: tuple[jax.Array, Carry], state: kx.EnvState, first: bool) -> tuple[Any, np.ndarray]:
        """Chooses an action.

        Args:
          memory: memory from `begin`, or from the last call.
          state: current state; its `step_count` counts the player's own steps.
          first: nothing was chosen before in this episode.

        Returns:
          the memory, and the value for each binding, float `[num_bindings]`.
        """
        key, carry = memory
        key, action_key = jax.random.split(key)
        policy, params = self.loaded.policy, self.loaded.params
        carry, values = choose_action(
            action_key, policy, params, carry, self.env, self.env_params, state, first
        )
        return (key, carry), np.asarray(values)
