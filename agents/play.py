"""A trained policy that plays one live game, as `kinetix_py.play` asks for it."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.evaluation.episodes import attempt_levels
from agents.loading import LoadedPolicy, load_policy
from agents.networks.config import ATTENTION_KINDS
from agents.policy import Carry, Params, Policy
from agents.relevance import body_relevance
from kinetix_py.play.game import Relevance


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
) -> tuple[Carry, jax.Array, jax.Array]:
    """Draws an action for one state, as in training.

    Args:
      key: random key of the action.
      policy, params: policy that acts.
      carry: memory for a batch of one.
      env, env_params: environment and numbers of the game.
      state: state of one environment.
      first: the state begins an episode.

    Returns:
      the carry, the value for each binding, float `[num_bindings]`, and the return that the policy expects,
      float `[]`.
    """
    obs, mask, reset = env.observe(state, env_params), env.action_mask(state), jnp.asarray(first)
    obs, mask, reset = jax.tree.map(lambda value: value[None], (obs, mask, reset))
    output = policy.step(params, carry, obs, reset, mask)
    action = env.action_adapter.binding_values(output.distribution.sample(seed=key)[0])
    return output.carry, action, output.value[0]


@dataclasses.dataclass
class PolicyPlayer:
    """Plays with a trained policy, as `kinetix_py.play.game.Game` asks a player to.

    Attributes:
      loaded: trained policy.
      seed: seed of the actions; every episode has random numbers of its own.
      episodes: number of episodes so far.
      value: return that the policy expected at its last action; None before the first.
      relevance: weight of each body in its last action; None before the first.
    """

    loaded: LoadedPolicy
    seed: int = 0
    episodes: int = 0
    value: float | None = None
    relevance: Relevance | None = None

    @classmethod
    def load(cls, path: str | pathlib.Path, size: str | None = None, seed: int = 0) -> PolicyPlayer:
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

    @property
    def _relevance_kind(self) -> str:
        return "attention" if self.loaded.config.network.kind in ATTENTION_KINDS else "leave-one-out"

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
        weights = body_relevance(policy, params, carry, self.env, self.env_params, state, first)
        carry, values, value = choose_action(
            action_key, policy, params, carry, self.env, self.env_params, state, first
        )
        self.value = float(value)
        self.relevance = Relevance(self._relevance_kind, np.asarray(weights))
        return (key, carry), np.asarray(values)


class AgentOfAnySize:
    """A checkpoint that plays and judges levels of every size that its network can play.

    Attributes:
      name: name of the run and checkpoint.
    """

    def __init__(self, path: str | pathlib.Path, seed: int = 0):
        """Loads it in the size that it was trained in.

        Args:
          path: run folder or checkpoint, as for `agents.load_policy`.
          seed: seed of the actions.

        Raises:
          ConfigError, CheckpointError: as for `agents.load_policy`.
        """
        self._path, self._seed = path, seed
        first = load_policy(path)
        self.name = first.name
        self._loaded = {first.env.size: first}

    def _load(self, size: kx.LevelSize) -> LoadedPolicy:
        if size not in self._loaded:
            name = next((name for name, known in kx.SIZES.items() if known == size), None)
            if name is None:
                raise ValueError(f"agents play levels of the sizes {', '.join(kx.SIZES)}, got {size}")
            self._loaded[size] = load_policy(self._path, name)
        return self._loaded[size]

    def player(self, size: kx.LevelSize) -> PolicyPlayer:
        """Returns a player of levels of a size.

        Raises:
          ConfigError, ValueError: its network cannot play this size.
        """
        return PolicyPlayer(self._load(size), self._seed)

    def solve_rate(self, level: kx.Level, episodes: int) -> float:
        """Plays a level several times and returns the share of episodes that it solves, 0 .. 1.

        Args:
          level: one level.
          episodes: number of episodes.

        Raises:
          ConfigError, ValueError: its network cannot play this size.
        """
        loaded = self._load(level.size)
        results = attempt_levels(
            jax.random.key(self._seed),
            loaded.policy,
            loaded.params,
            loaded.env,
            jax.tree.map(lambda value: jnp.asarray(value)[None], level),
            loaded.env_params,
            attempts=episodes,
            max_steps=int(loaded.env_params.max_timesteps),
        )
        return float(np.asarray(results.solved).mean())
