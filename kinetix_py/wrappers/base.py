"""The base of wrappers: a memory between steps, and hooks before and after a step of the environment."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_py.env.types import EnvParams
from kinetix_py.levels.level import Level, empty_level
from kinetix_py.spaces import PyTreeSpace

Memory = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class WrapperState:
    """The wrapped environment's state, and what the wrapper remembers."""

    env_state: Any  # EnvState, or the WrapperState of a wrapper inside
    memory: Memory

    @property
    def unwrapped(self):
        """The innermost `EnvState`."""
        return self.env_state.unwrapped if isinstance(self.env_state, WrapperState) else self.env_state


@dataclasses.dataclass(frozen=True)
class Wrapper:
    """Has the methods of `kinetix_py.Environment`; whatever it does not define is the environment's.

    Subclasses override the hooks `init_memory`, `transform_action`, `update_memory` and
    `transform_observation`. Their memory begins anew with every episode, also when the environment resets
    itself.
    """

    env: Any  # Environment or Wrapper

    def __getattr__(self, name: str):
        if name.startswith("__") or name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)

    def init_memory(self, obs) -> Memory:
        """Returns the memory at the start of an episode, from its first observation."""
        return ()

    def transform_action(self, key: jax.Array, memory: Memory, action: jax.Array) -> tuple[jax.Array, Memory]:
        """Returns the action that the environment gets, and the memory afterwards."""
        return action, memory

    def update_memory(self, memory: Memory, obs) -> Memory:
        """Returns the memory after a step that led to an observation."""
        return memory

    def transform_observation(self, memory: Memory, obs):
        """Returns the observation that the agent gets."""
        return obs

    @functools.cached_property
    def observation_space(self) -> PyTreeSpace:
        """Structure, shapes and types of what the agent sees."""
        level = jax.eval_shape(lambda: empty_level(self.size))
        return PyTreeSpace.of(jax.eval_shape(lambda level: self.reset_to_level(level)[0], level))

    def observe(self, state: WrapperState, params: EnvParams | None = None):
        """Returns what the agent sees in a state, as the step that led to it did."""
        return self.transform_observation(state.memory, self.env.observe(state.env_state, params))

    def _wrap(self, obs, state) -> tuple[Any, WrapperState]:
        memory = self.init_memory(obs)
        return self.transform_observation(memory, obs), WrapperState(state, memory)

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
        action, memory = self.transform_action(act_key, state.memory, self.action_adapter.check(action))
        obs, inner, reward, done, info = self.env.step(env_key, state.env_state, action, params, levels)
        if not self.auto_reset:
            memory = self.update_memory(memory, obs)
            return self.transform_observation(memory, obs), WrapperState(inner, memory), reward, done, info
        last = info["final_observation"]
        memory = self.update_memory(memory, last)
        info = info | {"final_observation": self.transform_observation(memory, last)}
        # Where the episode goes on, the last observation is the present one.
        memory = jax.tree.map(lambda new, old: jnp.where(done, new, old), self.init_memory(obs), memory)
        return self.transform_observation(memory, obs), WrapperState(inner, memory), reward, done, info

    def action_mask(self, state: WrapperState) -> jax.Array:
        """As `Environment.action_mask`."""
        return self.env.action_mask(state.env_state)
