"""Levels for two agents as an environment of PettingZoo's parallel interface.

Needs the package `pettingzoo` (`pip install 'kinetix-py[pettingzoo]'`).
"""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pettingzoo
from gymnasium.utils import seeding

from kinetix_py.env.agents import agent_action_mask, agent_rewards, as_agent, joint_action
from kinetix_py.env.environment import Environment
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.levels.level import Level, with_rules
from kinetix_py.levels.rules import NUM_AGENTS
from kinetix_py.observations.flat import flat_observation
from kinetix_py.rendering.pixels import render_pixels
from kinetix_py.wrappers.gymnasium import (
    RENDER_SIZE,
    action_space,
    check_levels,
    observation_space,
    render_fps,
    to_numpy,
)

AGENTS = tuple(f"agent_{number}" for number in range(NUM_AGENTS))


class PettingZooEnv(pettingzoo.ParallelEnv):
    """One environment for two agents; `reset` draws one of the levels.

    Both have the whole action space, of which the bindings of the level that belong to the agent count:
    `infos[agent]["action_mask"]` tells which choices can change anything. Both see the same but for whose
    bindings are whose. They earn the same reward, or opposite ones if the level's agents are opposed.
    """

    def __init__(
        self,
        env: Environment,
        levels: Level,
        params: EnvParams | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Makes one environment.

        Args:
          env: without auto-reset, of multi-discrete or continuous actions; with `rules=True` the agents see
            which bindings are theirs.
          levels: a batch of levels (`kinetix_py.stack_levels`).
          params: numbers of the game.
          render_mode: `"rgb_array"` or None.

        Raises:
          ValueError: `env` resets itself or has discrete actions, `levels` is no batch, or an unknown render
            mode.
        """
        if env.auto_reset or env.action_type == "discrete":
            raise ValueError("PettingZooEnv needs no auto_reset, and multi_discrete or continuous actions")
        check_levels(levels)
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.metadata = {
            "name": "kinetix_v0",
            "render_modes": ["rgb_array"],
            "render_fps": render_fps(env),
            "is_parallelizable": True,
        }
        self.env, self.levels, self.render_mode = env, with_rules(levels), render_mode
        self.params = env.default_params if params is None else params
        self.possible_agents: list[str] = list(AGENTS)
        self.agents: list[str] = []
        self.observation_spaces = {agent: observation_space(env) for agent in AGENTS}
        self.action_spaces = {agent: action_space(env) for agent in AGENTS}
        self._reset, self._step = jax.jit(self._start), jax.jit(self._play)
        self._render = jax.jit(lambda state: render_pixels(state, RENDER_SIZE))
        self._state: EnvState | None = None
        self._random, _ = seeding.np_random()

    def observation_space(self, agent: str) -> gymnasium.Space:
        """The space of an agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space:
        """The space of an agent's actions."""
        return self.action_spaces[agent]

    def _views(self, state: EnvState, params: EnvParams) -> tuple[list[Any], list[jax.Array]]:
        """Observation of each agent, with the mask of its actions."""
        numbers, adapter = range(NUM_AGENTS), self.env.action_adapter
        observations = [self.env.observe(as_agent(state, number), params) for number in numbers]
        return observations, [agent_action_mask(adapter, state, number) for number in numbers]

    def _start(self, key: jax.Array, levels: Level, params: EnvParams) -> Any:
        _, state = self.env.reset(key, params, levels=levels)
        return state, self._views(state, params)

    def _play(self, key: jax.Array, state: EnvState, actions: list[jax.Array], params: EnvParams) -> Any:
        action = joint_action(self.env.action_adapter, state, actions)
        _, state, reward, _, info = self.env.step(key, state, action, params)
        return state, self._views(state, params), agent_rewards(state, reward), info

    def _next_key(self) -> jax.Array:
        return jax.random.key(int(self._random.integers(2**31)))

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Starts an episode of a level drawn at random; see `pettingzoo.ParallelEnv.reset`."""
        if seed is not None:
            self._random, _ = seeding.np_random(seed)
        self._state, views = self._reset(self._next_key(), self.levels, self.params)
        self.agents = list(AGENTS)
        return self._told(views, {"level_index": int(self._state.level_index)})

    def _told(self, views: Any, info: dict[str, Any]) -> tuple[dict, dict]:
        observations = {agent: to_numpy(obs) for agent, obs in zip(AGENTS, views[0], strict=True)}
        masks = {agent: np.asarray(mask, np.int8) for agent, mask in zip(AGENTS, views[1], strict=True)}
        return observations, {agent: {**info, "action_mask": masks[agent]} for agent in AGENTS}

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Plays one action of each agent; see `pettingzoo.ParallelEnv.step`.

        Raises:
          ValueError: there is no episode, or an agent has no action.
        """
        if self._state is None or not self.agents:
            raise ValueError("there is no episode: call reset first")
        missing = [agent for agent in AGENTS if agent not in actions]
        if missing:
            raise ValueError(f"step needs an action of each agent, got none of {', '.join(missing)}")
        chosen = [jnp.asarray(actions[agent]) for agent in AGENTS]
        out = self._step(self._next_key(), self._state, chosen, self.params)
        self._state, views, rewards, info = out
        info = {name: np.asarray(value)[()] for name, value in info.items()}
        terminated, truncated = (
            dict.fromkeys(AGENTS, bool(info.pop(name))) for name in ("terminated", "truncated")
        )
        observations, infos = self._told(views, info)
        earned = {agent: float(reward) for agent, reward in zip(AGENTS, rewards, strict=True)}
        if any([*terminated.values(), *truncated.values()]):
            self.agents = []
        return observations, earned, terminated, truncated, infos

    def render(self) -> np.ndarray | None:
        """The room as a picture: uint8 `[500, 500, 3]`, with render mode `"rgb_array"`."""
        if self.render_mode is None or self._state is None:
            return None
        return np.asarray(255 * self._render(self._state) + 0.5, np.uint8)

    def state(self) -> np.ndarray:
        """The scene as one vector, what the flat observation of agent 0 tells.

        Raises:
          ValueError: there is no episode yet.
        """
        if self._state is None:
            raise ValueError("there is no state yet: call reset first")
        return np.asarray(flat_observation(self._state, self.params))
