"""The environment: `reset` and `step` in the gymnax manner, pure; `vmap` them for many at once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.actions import Actions, bindings_in_use, to_engine
from kinetix_py.env.game import contact_outcomes, goal_distance, is_finite, outcome
from kinetix_py.env.types import EnvParams, EnvState, Motion
from kinetix_py.levels.level import Level, empty_level, pad_level
from kinetix_py.observations.registry import OBSERVATIONS, Observe
from kinetix_py.spaces import Box, Discrete, MultiDiscrete, Tree
from kinetix_py.spec import EnvSpec, as_spec

MOTION = tuple(field.name for field in dataclasses.fields(Motion))
# What physics changes in a scene.
MOVING = (*MOTION, "contact_impulse", "joint_impulse")


@dataclasses.dataclass(frozen=True)
class Environment:
    """The game on levels of one size; hashable, so that it may be a static argument.

    Attributes:
      spec: sizes.
      observation: a name in `kinetix_py.observations.OBSERVATIONS`, or a function
        `(EnvState, EnvParams, EnvSpec) -> pytree`.
      action: `"continuous"`, `"multi_discrete"` or `"discrete"` (`kinetix_py.actions.Actions`).
      frame_skip: physics steps in one environment step, all under the same action.
      auto_reset: start the next episode in the step that ends one.

    Raises:
      ValueError: an unknown observation or action, or a frame skip below 1.
    """

    spec: EnvSpec
    observation: str | Observe = "entity"
    action: str = "multi_discrete"
    frame_skip: int = 2
    auto_reset: bool = False

    def __post_init__(self) -> None:
        if not callable(self.observation) and self.observation not in OBSERVATIONS:
            names = tuple(OBSERVATIONS)
            raise ValueError(f"observation must be one of {names} or a function, got {self.observation!r}")
        if isinstance(self.frame_skip, bool) or not isinstance(self.frame_skip, int) or self.frame_skip < 1:
            raise ValueError(f"frame_skip must be an integer of at least 1, got {self.frame_skip!r}")
        _ = self.actions

    @property
    def actions(self) -> Actions:
        """The action type."""
        return Actions(self.action, self.spec)

    @property
    def action_space(self) -> Box | MultiDiscrete | Discrete:
        """The space of one action."""
        return self.actions.space

    @property
    def noop_action(self) -> jax.Array:
        """The action that leaves every motor and thruster off."""
        return self.actions.noop

    @property
    def default_params(self) -> EnvParams:
        """What `reset` and `step` use if they are given no parameters."""
        return EnvParams()

    @functools.cached_property
    def observation_space(self) -> Tree:
        """Structure, shapes and types of an observation."""
        level = jax.eval_shape(lambda: empty_level(self.spec))
        observe = lambda level: self.observe(_start(level, jnp.int32(-1)))
        leaves, structure = jax.tree.flatten(jax.eval_shape(observe, level))
        return Tree(tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves), structure)

    def sample_action(self, key: jax.Array) -> jax.Array:
        """A uniform random action."""
        return self.action_space.sample(key)

    def action_mask(self, state: EnvState) -> jax.Array:
        """Which choices can change anything in this level: bool, shaped as `Actions.mask` says."""
        return self.actions.mask(*bindings_in_use(state.level, self.spec))

    def observe(self, state: EnvState, params: EnvParams | None = None) -> Any:
        """The observation of a state: a pytree in `observation_space`."""
        chosen = self.observation if callable(self.observation) else OBSERVATIONS[self.observation]
        return chosen(state, self.default_params if params is None else params, self.spec)

    def reset(self, key: jax.Array, level: Level, params: EnvParams | None = None) -> tuple[Any, EnvState]:
        """Starts an episode of a level; a level smaller than the environment is padded.

        Args:
          key: unused; an episode starts as its level says.
          level: one level; `vmap` over a batch of them.
          params: numbers of the game; `default_params` if None.

        Returns:
          The observation and the state.

        Raises:
          ValueError: the level does not fit the size, or is a batch.
        """
        if level.role.ndim != 1:
            raise ValueError(f"reset takes one level, got a batch {level.role.shape[:-1]}: vmap it")
        params = self.default_params if params is None else params
        return self._reset(pad_level(level, self.spec), -1, params)

    def reset_to_any(
        self, key: jax.Array, levels: Level, params: EnvParams | None = None
    ) -> tuple[Any, EnvState]:
        """Starts an episode of one of a batch of levels, each equally likely."""
        params = self.default_params if params is None else params
        index, level = _draw(key, levels)
        return self._reset(pad_level(level, self.spec), index, params)

    def step(
        self,
        key: jax.Array,
        state: EnvState,
        action: jax.Array,
        params: EnvParams | None = None,
        levels: Level | None = None,
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, dict[str, Any]]:
        """Plays one action.

        Args:
          key: draws the next level from `levels`; unused without them.
          state: of one environment.
          action: in `action_space`; numbers out of range are clipped.
          params: numbers of the game; `default_params` if None.
          levels: with auto-reset, a batch of levels of this size from which the next episode's is drawn,
            each equally likely; if None, an episode starts again from its own level.

        Returns:
          observation, state, reward (float), done (bool) and info:
            terminated: green touched blue or red, or the state was no longer finite.
            truncated: the time limit was reached, and it did not terminate.
            solved, lost: green touched blue; or red, which wins.
            not_finite: the physics left the finite numbers; the state stays as it was before.
            distance: green-blue distance after the step [m].
            episode_return, episode_length: of the episode so far; where done, of the whole episode.
            level_index: of the level just played, -1 if it was not drawn from `levels`.
            final_observation: with auto-reset only, the observation before the reset.

        Raises:
          ValueError: the action's shape or type is wrong, or `levels` are not of this size.
        """
        params = self.default_params if params is None else params
        return self._step(key, state, self.actions.check(action), params, levels)

    @functools.partial(jax.jit, static_argnums=0)
    def _reset(self, level: Level, index, params: EnvParams):
        state = _start(level, jnp.asarray(index, jnp.int32))
        return self.observe(state, params), state

    @functools.partial(jax.jit, static_argnums=0)
    def _step(self, key, state: EnvState, action, params: EnvParams, levels):
        after, result, finite = self._play(state, action, params)
        terminated = (result != 0) | ~finite
        truncated = ~terminated & (after.time >= params.max_timesteps)
        done = terminated | truncated
        closer = jnp.where(state.time == 0, 0, state.distance - after.distance)
        reward = result.astype(jnp.float32) + params.dense_reward_scale * closer
        after = dataclasses.replace(after, episode_return=state.episode_return + reward)
        info = {
            "terminated": terminated,
            "truncated": truncated,
            "solved": result == 1,
            "lost": result == -1,
            "not_finite": ~finite,
            "distance": after.distance,
            "episode_return": after.episode_return,
            "episode_length": after.time,
            "level_index": state.level_index,
        }
        if not self.auto_reset:
            return self.observe(after, params), after, reward, done, info
        info["final_observation"] = self.observe(after, params)
        begun = self._begin(key, after, levels)
        after = jax.tree.map(lambda new, old: jnp.where(done, new, old), begun, after)
        return self.observe(after, params), after, reward, done, info

    def _begin(self, key, state: EnvState, levels: Level | None) -> EnvState:
        """The next episode's first state."""
        if levels is None:
            return _restart(state)
        if levels.sizes != empty_sizes(self.spec):
            raise ValueError(f"levels are of {levels.sizes}, but this environment is of {self.spec}")
        index, level = _draw(key, levels)
        return _start(level, index)

    def _play(self, state: EnvState, action, params: EnvParams):
        """The state after the frames of one action, the outcome, and whether it stayed finite."""
        spec, meaning = self.spec.sim, contact_outcomes(state.role, self.spec.sim)
        controls = to_engine(self.actions.values(action), state, self.spec)

        def frame(carry, _):
            sim, result, _ = carry
            sim, contacts = jax2d.step(sim, controls, params.sim, spec)
            result = jnp.where(result != 0, result, outcome(contacts.active, meaning))
            return (sim, result, contacts.active), None

        carry = (state.sim, jnp.int32(0), state.contact)
        (sim, result, contact), _ = jax.lax.scan(frame, carry, length=self.frame_skip)
        finite = is_finite(sim)
        result = jnp.where(finite, result, 0)  # what touches what is not known of such a state
        contact = jnp.where(finite, contact, state.contact)
        keep = lambda name: jnp.where(finite, getattr(sim, name), getattr(state.sim, name))
        kept: dict[str, Any] = {name: keep(name) for name in MOVING}
        sim = dataclasses.replace(state.sim, **kept)
        after = dataclasses.replace(
            state, sim=sim, contact=contact, time=state.time + 1, distance=goal_distance(sim, state.role)
        )
        return after, result, finite


def _start(level: Level, index: jax.Array) -> EnvState:
    """The first state of an episode."""
    sim = jax2d.edit.clear_impulses(level.sim)
    connected = jax2d.connected(sim)
    return EnvState(
        sim=sim,
        start=Motion(*(getattr(sim, name) for name in MOTION)),
        role=level.role,
        density=level.density,
        motor_binding=level.motor_binding,
        motor_auto=level.motor_auto,
        thruster_binding=level.thruster_binding,
        component=jnp.argmax(connected, axis=1).astype(jnp.int32),
        contact=jnp.zeros(sim.contact_impulse.shape[:1], bool),
        time=jnp.int32(0),
        distance=goal_distance(sim, level.role),
        episode_return=jnp.float32(0),
        level_index=index,
    )


def _restart(state: EnvState) -> EnvState:
    """The first state of another episode of the same level; nothing about its joints is found anew."""
    sim = state.level.sim
    return dataclasses.replace(
        state,
        sim=sim,
        contact=jnp.zeros_like(state.contact),
        time=jnp.int32(0),
        distance=goal_distance(sim, state.role),
        episode_return=jnp.float32(0),
    )


def _draw(key: jax.Array, levels: Level) -> tuple[jax.Array, Level]:
    """One of a batch of levels, and its place in the batch."""
    index = jax.random.randint(key, (), 0, levels.role.shape[0])
    return index, jax.tree.map(lambda value: value[index], levels)


def empty_sizes(spec: EnvSpec) -> dict[str, int]:
    """The counts of `Level.sizes` that a spec asks for."""
    names = ("num_polygons", "num_circles", "num_joints", "num_thrusters", "max_vertices")
    return {name: getattr(spec, name) for name in names}


def make(
    size: str | EnvSpec = "s",
    *,
    observation: str | Callable = "entity",
    action: str = "multi_discrete",
    frame_skip: int = 2,
    auto_reset: bool = False,
    **changes: Any,
) -> Environment:
    """An environment by the name of its size.

    Args:
      size: `"s"`, `"m"`, `"l"`, or any `EnvSpec`.
      observation, action, frame_skip, auto_reset: as in `Environment`.
      changes: fields of the size's `EnvSpec` to replace, such as `contact_order="kinetix"`.

    Raises:
      ValueError: an unknown name or a number out of its bounds.
      TypeError: an unknown field.
    """
    spec = dataclasses.replace(as_spec(size), **changes)
    if isinstance(observation, str):
        observation = observation.replace("-", "_")
    return Environment(spec, observation, action.replace("-", "_"), frame_skip, auto_reset)
