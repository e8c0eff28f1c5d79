"""One level being played, a physics frame at a time, by hand or by an agent.

The environment steps one frame of 1/60 s at a time, not two as in training, so that a key works in the very
next frame. Time limits are therefore counted in frames: 256 steps of 2 frames are 512 frames.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.actions import actuator_controls, bindings_in_use
from kinetix_py.env.environment import Environment
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.play.keys import asked_values
from kinetix_py.play.levels import NamedLevel
from kinetix_py.rendering.contacts import contact_points
from kinetix_py.rendering.host import to_host
from kinetix_py.sizes import LevelSize

NO_LIMIT = 2**31 - 1  # frames: an episode that lasts until it is decided
# How an episode ended, by the number that the compiled frame gives.
OUTCOMES = ("", "solved", "failed", "time", "diverged")


class Pilot(Protocol):
    """What plays instead of a person.

    Attributes:
      name: for the page.
      frame_skip: physics frames that each of its actions lasts.
    """

    name: str
    frame_skip: int

    def begin(self) -> Any:
        """Its memory before an episode."""

    def act(self, memory: Any, state: EnvState, first: bool) -> tuple[Any, np.ndarray]:
        """Chooses an action.

        Args:
          memory: from `begin`, or what it returned last.
          state: now; its `step_count` counts the pilot's own steps.
          first: nothing was chosen before in this episode.

        Returns:
          its memory, and float `[num_bindings]`, what it asks of every binding.
        """


class Shown(NamedTuple):
    """What a page needs to know of a frame; arrays of the host."""

    position: Any  # float [N, 2] m
    rotation: Any  # float [N] rad
    touching_slots: Any  # bool [K], as in EnvState
    controls: Any  # float [J + T], what motors and thrusters did
    time: Any  # int [], frames since the episode began
    distance: Any  # float [] m, as in EnvState
    outcome: Any  # int [], index of OUTCOMES


def environment(size: LevelSize) -> Environment:
    """The environment that is played: no observation, one physics frame a step, continuous actions."""
    return Environment(size, observation_type="blind", action_type="continuous", frame_skip=1)


def _shown(state: EnvState, controls: jax.Array, outcome: jax.Array) -> Shown:
    sim = state.sim
    joints = sim.joints
    driven = jnp.concatenate([joints.active & joints.motor_on & ~joints.weld, sim.thrusters.active])
    seen = jnp.where(driven, controls, 0)
    return Shown(
        position=sim.position,
        rotation=sim.rotation,
        touching_slots=state.touching_slots,
        controls=seen,
        time=state.step_count,
        distance=state.distance,
        outcome=outcome,
    )


@functools.partial(jax.jit, static_argnames="env")
def first_frame(env: Environment, level: Any, params: EnvParams) -> tuple[EnvState, Shown]:
    """The start of an episode."""
    _, state = env.reset(jax.random.key(0), level, params)
    return state, _shown(state, jnp.zeros(env.sim_spec.num_actions), jnp.int32(0))


@functools.partial(jax.jit, static_argnames="env")
def next_frame(
    env: Environment, state: EnvState, values: jax.Array, params: EnvParams
) -> tuple[EnvState, Shown]:
    """One frame: `values` is float `[num_bindings]`, what is asked of every binding."""
    _, after, _, _, info = env.step(jax.random.key(0), state, values, params)
    ends = [info["solved"], info["failed"], info["truncated"], info["diverged"]]
    outcome = jnp.where(jnp.any(jnp.stack(ends)), jnp.argmax(jnp.stack(ends)) + 1, 0)
    return after, _shown(after, actuator_controls(values, state), outcome)


class Game:
    """A level being played; not for several threads at once.

    Attributes:
      name, scene: the level's name, and its first state on the host.
      shown: the last frame.
      watching: the pilot plays.
    """

    name: str
    scene: Any
    shown: Shown
    _state: EnvState

    def __init__(
        self,
        size: LevelSize,
        levels: Iterator[NamedLevel],
        params: EnvParams,
        pilot: Pilot | None = None,
        watching: bool = False,
    ):
        """Compiles, and begins with the first level.

        Args:
          levels: of this size, without end.
          params: their time limit counts frames.
        """
        self.env, self.pilot, self.watching = environment(size), pilot, watching and pilot is not None
        self._levels, self._params = levels, jax.device_put(params)
        self.next_level()
        self._state, _ = next_frame(self.env, self._state, self.asked(()), self._params)
        if pilot is not None:
            pilot.act(pilot.begin(), self._state, True)
        self.restart()

    @property
    def outcome(self) -> str:
        """How the episode ended, one of `OUTCOMES`; empty while it goes on."""
        return OUTCOMES[int(self.shown.outcome)]

    @property
    def time_limit(self) -> int:
        """Frames of an episode."""
        return int(self._params.max_timesteps)

    @property
    def frame_seconds(self) -> float:
        """Time of one frame [s]."""
        return float(self._params.sim.dt)

    def next_level(self) -> None:
        """Begins the next level."""
        self.name, self._level = next(self._levels)
        motors, thrusters = bindings_in_use(self._level)
        self.used = np.flatnonzero(np.concatenate([motors, thrusters])).tolist()
        self.restart()
        self.scene = to_host(self._state)

    def restart(self) -> None:
        """Begins the same level again."""
        self._state, shown = first_frame(self.env, self._level, self._params)
        self.shown = jax.device_get(shown)
        self._hand_over()

    def set_watching(self, watching: bool) -> None:
        """Lets the pilot play, or the keys; the pilot then knows nothing of what was before."""
        self.watching = watching and self.pilot is not None
        self._hand_over()

    def _hand_over(self) -> None:
        self._memory = None if self.pilot is None else self.pilot.begin()
        self._since, self._values = 0, self.asked(())

    def asked(self, held: Collection[str]) -> np.ndarray:
        """What held keys ask of every binding: float `[num_bindings]`."""
        return asked_values(held, self.env.size)

    def tick(self, held: Collection[str]) -> None:
        """Plays one frame; nothing happens after the end.

        Args:
          held: codes of the keys that are down; ignored while watching.
        """
        if self.outcome:
            return
        values = self._pilot_values() if self.watching else self.asked(held)
        self._state, shown = next_frame(self.env, self._state, values, self._params)
        self.shown = jax.device_get(shown)

    def _pilot_values(self) -> np.ndarray:
        pilot = self.pilot
        assert pilot is not None
        if self._since % pilot.frame_skip == 0:
            state = dataclasses.replace(self._state, step_count=self._state.step_count // pilot.frame_skip)
            self._memory, self._values = pilot.act(self._memory, state, self._since == 0)
        self._since += 1
        return self._values

    def contacts(self) -> np.ndarray:
        """Where shapes touch now: float `[m, 2]` m."""
        sim = dataclasses.replace(self.scene.sim, position=self.shown.position, rotation=self.shown.rotation)
        now = dataclasses.replace(self.scene, sim=sim, touching_slots=self.shown.touching_slots)
        return contact_points(now)
