"""Wrappers that remember something between steps: what to do before the environment acts, and after."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_py.env.types import EnvParams
from kinetix_py.levels.level import Level

Memory = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class WrapperState:
    """The wrapped environment's state, and what the wrapper remembers."""

    env: Any  # EnvState, or the WrapperState of a wrapper inside
    memory: Memory

    @property
    def unwrapped(self):
        """The innermost `EnvState`."""
        return self.env.unwrapped if isinstance(self.env, WrapperState) else self.env


@dataclasses.dataclass(frozen=True)
class Wrapper:
    """Has the methods of `kinetix_py.Environment`; whatever it does not define is the environment's.

    Subclasses override the four hooks `begin`, `act`, `record` and `view`. Their memory begins anew with
    every episode, also when the environment resets itself.
    """

    env: Any  # Environment or Wrapper

    def __getattr__(self, name: str):
        if name.startswith("__") or name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)

    def begin(self, obs) -> Memory:
        """What is remembered as an episode begins with an observation."""
        return ()

    def act(self, key: jax.Array, memory: Memory, action: jax.Array) -> tuple[jax.Array, Memory]:
        """The action that the environment gets, and what is remembered."""
        return action, memory

    def record(self, memory: Memory, obs) -> Memory:
        """What is remembered after a step that led to an observation."""
        return memory

    def view(self, memory: Memory, obs):
        """The observation that the agent gets."""
        return obs

    def _wrap(self, obs, state) -> tuple[Any, WrapperState]:
        memory = self.begin(obs)
        return self.view(memory, obs), WrapperState(state, memory)

    def reset(
        self,
        key: jax.Array,
        params: EnvParams | None = None,
        *,
        level: Level | None = None,
        levels: Level | None = None,
    ):
        """As `Environment.reset`."""
        return self._wrap(*self.env.reset(key, params, level=level, levels=levels))

    def reset_to_level(self, level: Level, params: EnvParams | None = None):
        """As `Environment.reset_to_level`."""
        return self._wrap(*self.env.reset_to_level(level, params))

    def step(
        self,
        key: jax.Array,
        state: WrapperState,
        action: jax.Array,
        params: EnvParams | None = None,
        levels: Level | None = None,
    ):
        """As `Environment.step`."""
        act_key, env_key = jax.random.split(key)
        action, memory = self.act(act_key, state.memory, self.action_adapter.check(action))
        obs, inner, reward, done, info = self.env.step(env_key, state.env, action, params, levels)
        if not self.auto_reset:
            memory = self.record(memory, obs)
            return self.view(memory, obs), WrapperState(inner, memory), reward, done, info
        last = info["final_observation"]
        memory = self.record(memory, last)
        info = info | {"final_observation": self.view(memory, last)}
        # Where the episode goes on, the last observation is the present one.
        memory = jax.tree.map(lambda new, old: jnp.where(done, new, old), self.begin(obs), memory)
        return self.view(memory, obs), WrapperState(inner, memory), reward, done, info

    def action_mask(self, state: WrapperState) -> jax.Array:
        """As `Environment.action_mask`."""
        return self.env.action_mask(state.env)
