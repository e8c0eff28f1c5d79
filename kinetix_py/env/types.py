"""The environment's state between steps, and the numbers of the game."""

from __future__ import annotations

import dataclasses

import jax

import jax2d
from kinetix_py.env.progress import Progress
from kinetix_py.levels.level import Level, LevelLabels
from kinetix_py.levels.rules import Rules
from kinetix_py.sizes import LevelSize


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EnvParams:
    """Numbers of the game and of its physics: traced, so changing one never recompiles."""

    sim: jax2d.SimParams = dataclasses.field(default_factory=jax2d.SimParams)
    dense_reward_scale: jax.Array | float = 0.2
    """Reward per meter that green and blue come closer [1/m]; 0 leaves +1 and -1 only."""
    max_timesteps: jax.Array | int = 256
    """Environment steps after which an episode is truncated."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BodyMotion:
    """Positions and velocities of the bodies at the start of an episode, which a reset restores."""

    position: jax.Array  # float [N, 2] m
    rotation: jax.Array  # float [N]    rad
    velocity: jax.Array  # float [N, 2] m/s
    angular_velocity: jax.Array  # float [N]    rad/s


MOTION_FIELDS = tuple(field.name for field in dataclasses.fields(BodyMotion))


def body_motion(sim: jax2d.SimState) -> BodyMotion:
    """Returns the positions and velocities of a scene's bodies."""
    return BodyMotion(**{name: getattr(sim, name) for name in MOTION_FIELDS})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EnvState:
    """One environment: a level, the motion of its bodies, and the episode so far."""

    sim: jax2d.SimState  # the engine's state, now
    labels: LevelLabels  # of the level
    initial: BodyMotion  # at the start of the episode
    component: jax.Array  # int32 [N], equal for bodies that joints link
    touching_slots: jax.Array  # bool [K], contact slots that overlapped in the last physics step
    step_count: jax.Array  # int32 [], environment steps since the episode began
    distance: jax.Array  # float [] m, summed over green-blue pairs, now; with rules the way to go
    episode_return: jax.Array  # float [], rewards since the episode began
    level_index: jax.Array  # int32 [], index of the level in a batch of levels; -1 for a level given by value
    size: LevelSize = dataclasses.field(metadata={"static": True})
    rules: Rules | None = None  # of the level; None: the plain game, without progress
    progress: Progress | None = None  # None exactly if the rules are

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Axes in front of those of one state."""
        return tuple(self.labels.role.shape[:-1])

    @property
    def unwrapped(self) -> EnvState:
        """The state itself, as the states of wrappers have it."""
        return self

    @property
    def level(self) -> Level:
        """The level being played; its `sim` is as the episode started."""
        motion = {name: getattr(self.initial, name) for name in MOTION_FIELDS}
        sim = jax2d.edit.clear_impulses(dataclasses.replace(self.sim, **motion))
        return Level(sim=sim, labels=self.labels, size=self.size, rules=self.rules)
