"""The game as Gymnasium environments, one or a vector of them, for learners that are not written in JAX.

Needs the package `gymnasium` (`pip install 'kinetix-py[gymnasium]'`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.vector.utils import batch_space

import kinetix_py.spaces as kx_spaces
from kinetix_py.actions import single_player_bindings
from kinetix_py.env.environment import Environment
from kinetix_py.env.types import EnvParams
from kinetix_py.levels.level import Level
from kinetix_py.rendering.pixels import render_pixels

RENDER_SIZE = 500  # pixels along each side
PHYSICS_STEPS_PER_SECOND = 60


def render_fps(env: Environment) -> float:
    """Environment steps a second at which pictures of them show the game at its own speed."""
    return PHYSICS_STEPS_PER_SECOND / env.frame_skip


def _leaf_space(leaf: jax.ShapeDtypeStruct) -> gymnasium.Space:
    if leaf.dtype == bool:
        return gymnasium.spaces.MultiBinary(leaf.shape)
    dtype = np.dtype(leaf.dtype)
    if dtype.kind == "i":
        return gymnasium.spaces.Box(0, np.iinfo(dtype).max, leaf.shape, dtype.type)
    return gymnasium.spaces.Box(-np.inf, np.inf, leaf.shape, dtype.type)


def _as_dict(tree) -> dict | Any:
    """A dataclass as a dictionary of the fields that it has, anything else as it is."""
    if not dataclasses.is_dataclass(tree):
        return tree
    return {name: value for name, value in vars(tree).items() if value is not None}


def observation_space(env: Environment) -> gymnasium.Space:
    """Gymnasium's space of one observation: a `Box`, or a `Dict` by the fields of the entity observation.

    Raises:
      ValueError: the observation is neither an array nor a flat dataclass of arrays.
    """
    example = _as_dict(env.observation_space.example)
    if isinstance(example, dict):
        return gymnasium.spaces.Dict({name: _leaf_space(leaf) for name, leaf in example.items()})
    if isinstance(example, jax.ShapeDtypeStruct):
        return _leaf_space(example)
    raise ValueError(f"no Gymnasium space for an observation of structure {env.observation_space.structure}")


def action_space(env: Environment) -> gymnasium.Space:
    """Gymnasium's space of one action."""
    space = env.action_space
    if isinstance(space, kx_spaces.Discrete):
        return gymnasium.spaces.Discrete(space.n)
    if isinstance(space, kx_spaces.MultiDiscrete):
        return gymnasium.spaces.MultiDiscrete(list(space.nvec))
    bounds = (np.asarray(bound, np.float32) for bound in (space.low, space.high))
    low, high = (np.broadcast_to(bound, space.shape) for bound in bounds)
    return gymnasium.spaces.Box(low, high, space.shape, np.float32)


def to_numpy(obs):
    """JAX arrays as numpy arrays of the types that Gymnasium's spaces have."""
    convert = lambda x: np.array(x, np.int8 if x.dtype == bool else x.dtype)
    return jax.tree.map(convert, _as_dict(obs))


def _alone(env: Environment, state: Any, action: jax.Array) -> jax.Array:
    """The action of one who plays alone: in a level whose agents are opposed, agent 1 does nothing."""
    state = state.unwrapped
    if state.rules is None:
        return action
    return env.action_adapter.only(action, *single_player_bindings(state))


class GymnasiumEnv(gymnasium.Env):
    """One environment; `reset` draws one of the levels.

    A level for two agents is played by one, who has the bindings of both, or those of agent 0 if they are
    opposed.
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
          env: without auto-reset.
          levels: a batch of levels (`kinetix_py.stack_levels`).
          params: numbers of the game.
          render_mode: `"rgb_array"` or None.

        Raises:
          ValueError: `env` resets itself, `levels` is no batch, or an unknown render mode.
        """
        if env.auto_reset:
            raise ValueError("GymnasiumEnv needs an environment without auto_reset")
        check_levels(levels)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": render_fps(env)}
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.env, self.levels, self.render_mode = env, levels, render_mode
        self.params = env.default_params if params is None else params
        self.observation_space, self.action_space = observation_space(env), action_space(env)
        reset = lambda key, levels, params: env.reset(key, params, levels=levels)
        step = lambda key, state, action, params: env.step(key, state, _alone(env, state, action), params)
        self._reset, self._step = jax.jit(reset), jax.jit(step)
        self._render = jax.jit(lambda state: render_pixels(state, RENDER_SIZE))
        self._state: Any = None

    def _next_key(self) -> jax.Array:
        return jax.random.key(int(self.np_random.integers(2**31)))

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Starts an episode of a level drawn at random; see `gymnasium.Env.reset`."""
        super().reset(seed=seed)
        obs, self._state = self._reset(self._next_key(), self.levels, self.params)
        return to_numpy(obs), {"level_index": int(self._state.unwrapped.level_index)}

    def step(self, action):
        """Plays one action; see `gymnasium.Env.step`."""
        action = jnp.asarray(action)
        obs, self._state, reward, _, info = self._step(self._next_key(), self._state, action, self.params)
        info = {name: np.asarray(value)[()] for name, value in info.items()}
        ends = bool(info.pop("terminated")), bool(info.pop("truncated"))
        return to_numpy(obs), float(reward), *ends, info

    def render(self) -> np.ndarray | None:
        """The room as a picture: uint8 `[500, 500, 3]`, with render mode `"rgb_array"`."""
        if self.render_mode is None or self._state is None:
            return None
        return np.asarray(255 * self._render(self._state.unwrapped) + 0.5, np.uint8)


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv):
    """Many environments in one compiled call; an episode that ends starts again in the same step."""

    def __init__(
        self, env: Environment, levels: Level, num_envs: int, params: EnvParams | None = None
    ) -> None:
        """Makes a vector of environments.

        Args:
          env: with auto-reset.
          levels: a batch of levels of the environment's size, from which every episode's is drawn.
          num_envs: how many play at once.
          params: numbers of the game.

        Raises:
          ValueError: `env` does not reset itself, `levels` is no batch, or `num_envs < 1`.
        """
        if not env.auto_reset:
            raise ValueError("GymnasiumVectorEnv needs an environment with auto_reset=True")
        check_levels(levels)
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs!r}")
        mode = gymnasium.vector.AutoresetMode.SAME_STEP
        self.metadata = {"autoreset_mode": mode, "render_fps": render_fps(env)}
        self.env, self.levels, self.num_envs = env, levels, num_envs
        self.params = env.default_params if params is None else params
        self.single_observation_space, self.single_action_space = observation_space(env), action_space(env)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        reset = lambda key, levels, params: env.reset(key, params, levels=levels)
        self._reset = jax.jit(jax.vmap(reset, (0, None, None)))
        step = lambda key, state, action, params, levels: env.step(
            key, state, _alone(env, state, action), params, levels
        )
        self._step = jax.jit(jax.vmap(step, (0, 0, 0, None, None)))
        self._state: Any = None

    def _next_keys(self) -> jax.Array:
        return jax.random.split(jax.random.key(int(self.np_random.integers(2**31))), self.num_envs)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Starts an episode in every environment; see `gymnasium.vector.VectorEnv.reset`."""
        super().reset(seed=seed)
        obs, self._state = self._reset(self._next_keys(), self.levels, self.params)
        return to_numpy(obs), {"level_index": np.asarray(self._state.unwrapped.level_index)}

    def step(self, actions):
        """Plays one action in each; see `gymnasium.vector.VectorEnv.step`.

        `info["final_obs"]` is a batch like the observations, to be read where `info["_final_obs"]`, and
        `info["final_info"]` has what else is in `info` where `info["_final_info"]`: both are of the episode
        that ended, as all of `info` is.
        """
        actions = jnp.asarray(actions)
        out = self._step(self._next_keys(), self._state, actions, self.params, self.levels)
        obs, self._state, reward, done, info = out
        final = to_numpy(info.pop("final_observation"))
        info = {name: np.asarray(value) for name, value in info.items()}
        ends, over = (info.pop("terminated"), info.pop("truncated")), np.asarray(done)
        everywhere = {f"_{name}": np.ones(self.num_envs, bool) for name in info}
        of_ended = info | {f"_{name}": over for name in info}
        info |= everywhere | {
            "final_obs": final,
            "_final_obs": over,
            "final_info": of_ended,
            "_final_info": over,
        }
        return to_numpy(obs), np.asarray(reward), *ends, info


def check_levels(levels: Level) -> None:
    """Checks that levels are a batch.

    Raises:
      ValueError: another number of batch axes than one.
    """
    if len(levels.batch_shape) != 1:
        raise ValueError(
            f"levels must be a batch (kx.stack_levels), got a batch of shape {levels.batch_shape}"
        )
