"""A level played one physics frame at a time, by hand or by an agent.

The environment steps one frame of 1/60 s at a time, not two as in training, so that a key works in the very
next frame. Time limits are therefore counted in frames: 256 steps of 2 frames are 512 frames.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.actions import actuator_controls, bindings_in_use
from kinetix_py.env.environment import Environment
from kinetix_py.env.progress import switched_controls
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.play.keys import key_action
from kinetix_py.play.levels import NamedLevel
from kinetix_py.play.session import Drag
from kinetix_py.rendering.contacts import contact_points
from kinetix_py.rendering.host import to_host
from kinetix_py.rendering.rule_marks import goal_numbers
from kinetix_py.sizes import LevelSize

NO_LIMIT = 2**31 - 1  # frames: an episode that lasts until it is decided
PULL_FRAMES = 4  # frames in which a body that is dragged gets where it is dragged to
PULL_SPEED = 15.0  # m/s, at most
PULL_DAMPING = 0.9  # factor on its turning, each frame
# Outcomes of an episode, by the index that the compiled frame gives.
OUTCOMES = ("", "solved", "failed", "time", "diverged")


@dataclasses.dataclass(frozen=True)
class Relevance:
    """Weight of each body in a player's last action.

    Attributes:
      kind: `"attention"`, shares of the attention of green and blue bodies; or `"leave-one-out"`, how far the
        probabilities of the player's actions move if it does not see the body (total variation).
      weights: float `[N]` in 0 .. 1.
    """

    kind: str
    weights: np.ndarray


class Player(Protocol):
    """An agent that plays instead of a person.

    Attributes:
      name: name that the page shows.
      frame_skip: physics frames that each of its actions lasts.
      value: its estimate of the return at its last action; None if it makes none.
      relevance: weight of each body in its last action; None if it does not tell.
    """

    name: str
    frame_skip: int

    @property
    def value(self) -> float | None: ...

    @property
    def relevance(self) -> Relevance | None: ...

    def begin(self) -> Any:
        """Returns its memory before an episode."""

    def act(self, memory: Any, state: EnvState, first: bool) -> tuple[Any, np.ndarray]:
        """Chooses an action.

        Args:
          memory: memory from `begin`, or from its last action.
          state: current state; its `step_count` counts the player's own steps.
          first: whether this is its first action of the episode.

        Returns:
          its memory, and the value of every binding, float `[num_bindings]`.
        """


class FrameView(NamedTuple):
    """The part of a frame that a page shows; arrays on the host."""

    position: Any  # float [N, 2] m
    rotation: Any  # float [N] rad
    touching_slots: Any  # bool [K], as in EnvState
    controls: Any  # float [J + T] of motors and thrusters, 0 where there is none
    time: Any  # int [], frames since the episode began
    distance: Any  # float [] m, as in EnvState
    outcome: Any  # int [], index of OUTCOMES
    progress: Any  # as in EnvState


def environment(size: LevelSize) -> Environment:
    """Makes the environment of a game: no observation, one physics frame a step, continuous actions."""
    return Environment(size, observation_type="blind", action_type="continuous", frame_skip=1)


def _view(state: EnvState, controls: jax.Array, outcome: jax.Array) -> FrameView:
    sim = state.sim
    joints = sim.joints
    driven = jnp.concatenate([joints.active & joints.motor_on & ~joints.weld, sim.thrusters.active])
    return FrameView(
        position=sim.position,
        rotation=sim.rotation,
        touching_slots=state.touching_slots,
        controls=jnp.where(driven, controls, 0),
        time=state.step_count,
        distance=state.distance,
        outcome=outcome,
        progress=state.progress,
    )


@functools.partial(jax.jit, static_argnames="env")
def first_frame(env: Environment, level: Any, params: EnvParams) -> tuple[EnvState, FrameView]:
    """Starts an episode."""
    _, state = env.reset_to_level(level, params)
    return state, _view(state, jnp.zeros(env.sim_spec.num_actions), jnp.int32(0))


def pull(state: EnvState, body: jax.Array, target: jax.Array, dt: Any) -> EnvState:
    """Gives a movable body the velocity that brings its center to a place within `PULL_FRAMES` frames.

    Args:
      state: one environment.
      body: index of the body; -1 for none.
      target: place of its center, float `[2]` m.
      dt: duration of a frame [s].
    """
    sim = state.sim
    pulled = (jnp.arange(state.size.num_bodies) == body) & (sim.inverse_mass > 0) & sim.active
    velocity = jnp.clip((target[None] - sim.position) / (PULL_FRAMES * dt), -PULL_SPEED, PULL_SPEED)
    velocity = jnp.where(pulled[:, None], velocity, sim.velocity)
    turning = jnp.where(pulled, PULL_DAMPING * sim.angular_velocity, sim.angular_velocity)
    sim = dataclasses.replace(sim, velocity=velocity, angular_velocity=turning)
    return dataclasses.replace(state, sim=sim)


@functools.partial(jax.jit, static_argnames="env")
def next_frame(
    env: Environment,
    state: EnvState,
    values: jax.Array,
    params: EnvParams,
    body: jax.Array | int = -1,
    target: Any = (0.0, 0.0),
) -> tuple[EnvState, FrameView]:
    """Plays one frame under values of the bindings, float `[num_bindings]`, pulling a body as `pull` does."""
    state = pull(state, jnp.asarray(body), jnp.stack(target), params.sim.dt)
    controls = actuator_controls(values, state)
    if state.rules is not None and state.progress is not None:
        controls = switched_controls(controls, state.rules, state.progress)
    _, next_state, _, _, info = env.step(jax.random.key(0), state, values, params)
    ends = [info["solved"], info["failed"], info["truncated"], info["diverged"]]
    outcome = jnp.where(jnp.any(jnp.stack(ends)), jnp.argmax(jnp.stack(ends)) + 1, 0)
    return next_state, _view(next_state, controls, outcome)


def _grip(drag: Drag | None) -> tuple[int, tuple[float, float]]:
    """Returns body and target as `next_frame` takes them."""
    return (-1, (0.0, 0.0)) if drag is None else (drag.body, (drag.x, drag.y))


class Game:
    """A level being played; not for several threads at once.

    Attributes:
      name: the level's name.
      scene: its first state, on the host.
      view: the last frame.
      watching: whether the player plays, not the keys.
    """

    name: str
    scene: Any
    view: FrameView
    _state: EnvState

    def __init__(
        self,
        size: LevelSize,
        levels: Iterator[NamedLevel],
        params: EnvParams,
        player: Player | None = None,
        watching: bool = False,
    ):
        """Compiles the game and begins with the first level.

        Args:
          size: size of all levels.
          levels: endless iterator of levels.
          params: numbers of the game; their time limit counts frames.
          player: agent that can take over; None without one.
          watching: whether the player begins.
        """
        self.env, self.player, self.watching = environment(size), player, watching and player is not None
        self._levels, self._params = levels, jax.device_put(params)
        self.next_level()
        self._state, _ = next_frame(self.env, self._state, self.key_action(()), self._params, *_grip(None))
        if player is not None:
            player.act(player.begin(), self._state, True)
        self.restart()

    @property
    def outcome(self) -> str:
        """Outcome of the episode, one of `OUTCOMES`; empty while it goes on."""
        return OUTCOMES[int(self.view.outcome)]

    @property
    def time_limit(self) -> int:
        """Time limit of an episode [frames]."""
        return int(self._params.max_timesteps)

    @property
    def frame_seconds(self) -> float:
        """Duration of one frame [s]."""
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
        self._state, view = first_frame(self.env, self._level, self._params)
        self.view = jax.device_get(view)
        self._hand_over()

    def set_watching(self, watching: bool) -> None:
        """Hands over to the player, whose memory begins anew, or to the keys."""
        self.watching = watching and self.player is not None
        self._hand_over()

    def _hand_over(self) -> None:
        self._memory = None if self.player is None else self.player.begin()
        self._since, self._values = 0, self.key_action(())

    def key_action(self, held: Collection[str]) -> np.ndarray:
        """Returns the action of held keys: float `[num_bindings]`."""
        return key_action(held, self.env.size)

    @property
    def value(self) -> float | None:
        """Return that the player expects; None if the keys play, or it does not say."""
        return self.player.value if self.player is not None and self.watching else None

    @property
    def relevance(self) -> Relevance | None:
        """Weight of each body for the player; None if the keys play, or it does not say."""
        return self.player.relevance if self.player is not None and self.watching else None

    @property
    def action(self) -> np.ndarray | None:
        """Last action of the player, float `[num_bindings]`; None if the keys play."""
        return self._values if self.watching else None

    def tick(self, held: Collection[str], drag: Drag | None = None) -> None:
        """Plays one frame; does nothing after the end of the episode.

        Args:
          held: codes of the held keys; ignored while watching.
          drag: body that is dragged.
        """
        if self.outcome:
            return
        values = self._player_values() if self.watching else self.key_action(held)
        self._state, view = next_frame(self.env, self._state, values, self._params, *_grip(drag))
        self.view = jax.device_get(view)

    def _player_values(self) -> np.ndarray:
        player = self.player
        assert player is not None
        if self._since % player.frame_skip == 0:
            state = dataclasses.replace(self._state, step_count=self._state.step_count // player.frame_skip)
            self._memory, self._values = player.act(self._memory, state, self._since == 0)
        self._since += 1
        return self._values

    def goal(self) -> dict[str, Any] | None:
        """Returns the goal that is to be touched, its place among how many, and the share of the time held.

        None in a level of the plain game.
        """
        numbers = goal_numbers(self.scene)
        if not numbers:
            return None
        now, every = int(self.view.progress.goal), sorted(set(numbers.values()))
        held = max(self.view.progress.held[body] / self.scene.rules.hold[body] for body in numbers)
        place = bisect.bisect_left(every, now) + 1
        return {"number": now, "place": place, "count": len(every), "held": round(min(float(held), 1.0), 2)}

    def contacts(self) -> np.ndarray:
        """Returns the points where shapes touch: float `[m, 2]` m."""
        sim = dataclasses.replace(self.scene.sim, position=self.view.position, rotation=self.view.rotation)
        now = dataclasses.replace(self.scene, sim=sim, touching_slots=self.view.touching_slots)
        return contact_points(now)
