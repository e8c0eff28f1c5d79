"""The environment: `reset` and `step` in the gymnax manner, pure; `vmap` them for many at once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

import jax2d
from jax2d.params import Backend, ContactOrder
from kinetix_py.actions import ActionAdapter, actuator_controls, single_player_bindings
from kinetix_py.env.game import (
    distance_left,
    motion_is_finite,
    outcome,
    outcome_by_rules,
    slot_outcomes,
    step_by_rules,
)
from kinetix_py.env.start import initial_state, same_level_again
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.levels.distributions import LevelDistribution, LevelList, RandomLevels, draw_level
from kinetix_py.levels.level import Level, empty_level, pad_level, with_rules
from kinetix_py.observations.registry import OBSERVATIONS, ObservationFn
from kinetix_py.rewards import REWARDS, RewardFn
from kinetix_py.sizes import LevelSize, as_size
from kinetix_py.spaces import Box, Discrete, MultiDiscrete, PyTreeSpace
from kinetix_py.validation import check_integer


@dataclasses.dataclass(frozen=True)
class Environment:
    """The game on levels of one size; hashable, so that it may be a static argument.

    Attributes:
      size: sizes of the levels.
      observation_type: a name in `kinetix_py.observations.registry.OBSERVATIONS`, or a function
        `(EnvState, EnvParams) -> pytree`.
      action_type: `"continuous"`, `"multi_discrete"` or `"discrete"` (`kinetix_py.ActionAdapter`).
      frame_skip: physics steps in one environment step, all under the same action.
      auto_reset: start the next episode in the step that ends one.
      reward: a name in `kinetix_py.rewards.REWARDS`, or a function
        `(previous EnvState, EnvState, outcome, EnvParams) -> float`.
      levels: distribution that `reset` draws from, such as `kinetix_py.RandomLevels()` or
        `kinetix_py.LevelList(levels)`.
      rules: whether observations tell the rules of a level (`kinetix_py.Rules`) and how far they are met;
        plain levels then get the rules of the plain game. If False, a level with rules is played by them
        all the same, and its observations are those of a plain level.
      solver_iterations, warm_start, contact_order: as in `jax2d.SimSpec`; `contact_order="kinetix"`
        reproduces published episodes, `"parallel"` depends neither on slot order nor on padding.
      backend: as in `jax2d.SimSpec`: what computes the physics on an NVIDIA GPU.

    Raises:
      ValueError: an unknown observation type, action type or reward, or an option out of its bounds.
    """

    size: LevelSize
    observation_type: str | ObservationFn = "entity"
    action_type: str = "multi_discrete"
    frame_skip: int = 2
    auto_reset: bool = False
    reward: str | RewardFn = "distance"
    levels: LevelDistribution = dataclasses.field(default_factory=RandomLevels)
    rules: bool = False
    solver_iterations: int = 10
    warm_start: bool = True
    contact_order: ContactOrder = "parallel"
    backend: Backend = "xla"

    def __post_init__(self) -> None:
        if not callable(self.observation_type) and self.observation_type not in OBSERVATIONS:
            names = tuple(OBSERVATIONS)
            raise ValueError(
                f"observation_type must be one of {names} or a function, got {self.observation_type!r}"
            )
        if not callable(self.reward) and self.reward not in REWARDS:
            raise ValueError(f"reward must be one of {tuple(REWARDS)} or a function, got {self.reward!r}")
        check_integer("frame_skip", self.frame_skip, 1)
        _ = self.action_adapter, self.sim_spec

    @property
    def sim_spec(self) -> jax2d.SimSpec:
        """The engine's spec: the size and the solver options."""
        return self.size.sim_spec(
            solver_iterations=self.solver_iterations,
            warm_start=self.warm_start,
            contact_order=self.contact_order,
            backend=self.backend,
        )

    @property
    def action_adapter(self) -> ActionAdapter:
        """The action type for this size."""
        return ActionAdapter(self.action_type, self.size)

    @property
    def action_space(self) -> Box | MultiDiscrete | Discrete:
        """The space of one action."""
        return self.action_adapter.space

    @property
    def noop_action(self) -> jax.Array:
        """The action that leaves every motor and thruster off."""
        return self.action_adapter.noop

    @property
    def default_params(self) -> EnvParams:
        """The parameters of `reset` and `step` if they are given none."""
        return EnvParams()

    @functools.cached_property
    def observation_space(self) -> PyTreeSpace:
        """Structure, shapes and types of an observation."""
        level = jax.eval_shape(lambda: empty_level(self.size))
        observe = lambda level: self.observe(initial_state(self._with_rules(level)))
        return PyTreeSpace.of(jax.eval_shape(observe, level))

    def sample_action(self, key: jax.Array) -> jax.Array:
        """Samples a uniform random action."""
        return self.action_space.sample(key)

    def action_mask(self, state: EnvState) -> jax.Array:
        """Returns the choices that can change anything: bool, shaped as `ActionAdapter.mask` says.

        Of a level whose agents are opposed, those of agent 0.
        """
        return self.action_adapter.mask(*single_player_bindings(state))

    def observe(self, state: EnvState, params: EnvParams | None = None) -> Any:
        """Returns the observation of a state: a pytree in `observation_space`."""
        chosen = self.observation_type
        function = chosen if callable(chosen) else OBSERVATIONS[chosen]
        if not self.rules and state.rules is not None:
            state = dataclasses.replace(state, rules=None, progress=None)
        return function(state, self.default_params if params is None else params)

    def reset(
        self,
        key: jax.Array,
        params: EnvParams | None = None,
        *,
        level: Level | None = None,
        levels: Level | None = None,
    ) -> tuple[Any, EnvState]:
        """Starts an episode; a level smaller than the environment is padded.

        Args:
          key: random key that draws the level from `levels`, or from `self.levels` if none is given.
          params: numbers of the game; `default_params` if None.
          level: one level to start from, which leaves the key unused.
          levels: a batch of levels of which one is drawn, each equally likely.

        Returns:
          The observation and the state.

        Raises:
          ValueError: both a level and levels, a level that does not fit the size, or a batch as `level`.
        """
        if level is not None and levels is not None:
            raise ValueError("reset takes a level or levels, got both")
        index: jax.Array | int = -1
        if levels is not None:
            if len(levels.batch_shape) != 1:
                raise ValueError(f"levels must have one batch axis, got {levels.batch_shape}")
            index, level = draw_level(key, levels)
        elif level is None:
            level = self.levels.sample(key, self.size)
        return self._start(level, index, params)

    def reset_to_level(self, level: Level, params: EnvParams | None = None) -> tuple[Any, EnvState]:
        """Starts an episode of a level; a level smaller than the environment is padded.

        Args:
          level: one level; `vmap` over a batch of them.
          params: numbers of the game; `default_params` if None.

        Returns:
          The observation and the state.

        Raises:
          ValueError: the level does not fit the size, or is a batch.
        """
        return self._start(level, -1, params)

    def _start(self, level: Level, index: jax.Array | int, params: EnvParams | None) -> tuple[Any, EnvState]:
        if level.batch_shape:
            raise ValueError(f"an episode starts from one level, got a batch {level.batch_shape}: vmap it")
        params = self.default_params if params is None else params
        return self._reset(self._with_rules(pad_level(level, self.size)), index, params)

    def _with_rules(self, level: Level) -> Level:
        return with_rules(level) if self.rules else level

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
          key: random key that draws the next level from `levels`; unused without them.
          state: state of one environment.
          action: action in `action_space`; numbers out of range are clipped.
          params: numbers of the game; `default_params` if None.
          levels: with auto-reset, a batch of levels from which the next episode's is drawn, each equally
            likely; if None, an episode starts again from its own level.

        Returns:
          observation, state, reward (float), done (bool) and info:
            terminated: green touched blue or red, or the state was no longer finite.
            truncated: the time limit was reached, and it did not terminate.
            solved, failed: green touched blue; or red, which wins.
            diverged: the physics left the finite numbers; the state stays as it was before.
            distance: green-blue distance after the step [m]; with rules the way to go, from goal to goal.
            episode_return, episode_length: of the episode so far; where done, of the whole episode.
            level_index: of the level just played, -1 if it was not drawn from `levels`.
            final_observation: with auto-reset only, the observation before the reset.

        Raises:
          ValueError: the action's shape or type is wrong, the state is a batch or of another size, or
            `levels` do not fit this size.
        """
        if state.batch_shape:
            raise ValueError(f"step takes one state, got a batch {state.batch_shape}: vmap env.step")
        if state.size != self.size:
            raise ValueError(f"the state is of {state.size}, but this environment of {self.size}")
        params = self.default_params if params is None else params
        return self._step(key, state, self.action_adapter.check(action), params, levels)

    @functools.partial(jax.jit, static_argnums=0)
    def _reset(self, level: Level, index, params: EnvParams):
        state = initial_state(level, index)
        return self.observe(state, params), state

    @functools.partial(jax.jit, static_argnums=0)
    def _step(self, key, state: EnvState, action, params: EnvParams, levels):
        next_state, result, finite = self.simulate(state, action, params)
        terminated = (result != 0) | ~finite
        truncated = ~terminated & (next_state.step_count >= params.max_timesteps)
        done = terminated | truncated
        reward_fn = self.reward if callable(self.reward) else REWARDS[self.reward]
        reward = reward_fn(state, next_state, result, params)
        next_state = dataclasses.replace(next_state, episode_return=state.episode_return + reward)
        info = {
            "terminated": terminated,
            "truncated": truncated,
            "solved": result == 1,
            "failed": result == -1,
            "diverged": ~finite,
            "distance": next_state.distance,
            "episode_return": next_state.episode_return,
            "episode_length": next_state.step_count,
            "level_index": state.level_index,
        }
        if not self.auto_reset:
            return self.observe(next_state, params), next_state, reward, done, info
        info["final_observation"] = self.observe(next_state, params)
        following = self._next_episode(key, next_state, levels)
        next_state = jax.tree.map(lambda new, old: jnp.where(done, new, old), following, next_state)
        return self.observe(next_state, params), next_state, reward, done, info

    def _next_episode(self, key, state: EnvState, levels: Level | None) -> EnvState:
        """Returns the first state of the next episode."""
        if levels is None:
            return same_level_again(state)
        index, level = draw_level(key, levels)
        level = self._with_rules(pad_level(level, self.size))
        if (level.rules is None) != (state.rules is None):
            raise ValueError(
                "step: some of the state's level and of levels have rules and others have not; "
                "make the environment with rules=True"
            )
        return initial_state(level, index)

    def simulate(
        self, state: EnvState, action: jax.Array, params: EnvParams
    ) -> tuple[EnvState, jax.Array, jax.Array]:
        """Plays the physics steps of one action: the rules of the game without rewards and resets.

        Args:
          state: state of one environment.
          action: action in `action_space`.
          params: numbers of the game.

        Returns:
          the state afterwards, the outcome (int32, +1 solved, -1 failed, 0 neither) of the first physics
          step that decides, and whether the state stayed finite; if it did not, it is the state before.
        """
        spec = self.sim_spec
        slot_outcome = slot_outcomes(state.labels.role, spec)
        controls = actuator_controls(self.action_adapter.binding_values(action), state)

        def frame(carry, _):
            sim, result, _, progress = carry
            if progress is None:
                sim, contacts = jax2d.step(sim, controls, params.sim, spec)
            else:
                sim, contacts = step_by_rules(sim, controls, state, progress, params.sim, spec)
            decided = result != 0
            if progress is None:
                now = outcome(contacts.active, slot_outcome)
            else:
                progress, now = outcome_by_rules(contacts.active, slot_outcome, state, progress, spec)
            result = jnp.where(decided, result, now)
            return (sim, result, contacts.active, progress), None

        carry = (state.sim, jnp.int32(0), state.touching_slots, state.progress)
        (sim, result, touching, progress), _ = jax.lax.scan(frame, carry, length=self.frame_skip)
        finite = motion_is_finite(sim)
        result = jnp.where(finite, result, 0)  # contacts of a state that is not finite are meaningless
        touching = jnp.where(finite, touching, state.touching_slots)
        keep = lambda name: jnp.where(finite, getattr(sim, name), getattr(state.sim, name))
        kept: dict[str, Any] = {name: keep(name) for name in jax2d.DYNAMIC_FIELDS}
        sim = dataclasses.replace(state.sim, **kept)
        progress = jax.tree.map(lambda new, old: jnp.where(finite, new, old), progress, state.progress)
        next_state = dataclasses.replace(
            state,
            sim=sim,
            touching_slots=touching,
            step_count=state.step_count + 1,
            distance=distance_left(sim, state.labels.role, state.rules, progress),
            progress=progress,
        )
        return next_state, result, finite


def make(
    size: str | LevelSize = "s",
    *,
    observation_type: str | Callable = "entity",
    action_type: str = "multi_discrete",
    frame_skip: int = 2,
    auto_reset: bool = False,
    levels: LevelDistribution | Level | Sequence[Level] | None = None,
    reward: str | RewardFn = "distance",
    rules: bool | None = None,
    **solver_options: Any,
) -> Environment:
    """Makes an environment by the name of its size.

    Args:
      size: `"s"`, `"m"`, `"l"`, or any `LevelSize`.
      observation_type, action_type, frame_skip, auto_reset, reward: as in `Environment`.
      levels: distribution that `reset` draws from, or levels for a `LevelList`; `RandomLevels()` if None.
      rules: as in `Environment`; if None, whether one of the given levels has rules.
      solver_options: `solver_iterations`, `warm_start`, `contact_order` and `backend`, as in `Environment`.

    Raises:
      ValueError: an unknown name or a number out of its bounds.
      TypeError: an unknown option.
    """
    if isinstance(observation_type, str):
        observation_type = observation_type.replace("-", "_")
    action_type = action_type.replace("-", "_")
    if levels is None:
        levels = RandomLevels()
    elif isinstance(levels, (Level, Sequence)):
        levels = LevelList(levels)
    if rules is None:
        rules = isinstance(levels, LevelList) and levels.have_rules
    return Environment(
        size=as_size(size),
        observation_type=observation_type,
        action_type=action_type,
        frame_skip=frame_skip,
        auto_reset=auto_reset,
        reward=reward,
        levels=levels,
        rules=rules,
        **solver_options,
    )
