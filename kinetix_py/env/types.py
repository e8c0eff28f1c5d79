"""What an environment carries between steps, and the numbers of the game."""

from __future__ import annotations

import dataclasses

import jax

import jax2d
from kinetix_py.levels.level import Level


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
class Motion:
    """What moves in a scene, as an episode starts: what a reset brings back."""

    position: jax.Array  # float [N, 2] m
    rotation: jax.Array  # float [N]    rad
    velocity: jax.Array  # float [N, 2] m/s
    angular_velocity: jax.Array  # float [N]    rad/s


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EnvState:
    """One environment: a level, where its bodies are now, and the episode so far."""

    sim: jax2d.SimState  # the engine's state, now
    start: Motion  # the level's
    role: jax.Array  # int32 [N], as in Level, and so on
    density: jax.Array  # float [N]
    motor_binding: jax.Array  # int32 [J]
    motor_auto: jax.Array  # bool [J]
    thruster_binding: jax.Array  # int32 [T]
    component: jax.Array  # int32 [N], equal for bodies that joints link
    contact: jax.Array  # bool [K], contact slots that overlapped in the last physics step
    time: jax.Array  # int32 [], environment steps since the episode began
    distance: jax.Array  # float [] m, summed over green-blue pairs, now
    episode_return: jax.Array  # float [], rewards since the episode began
    level_index: jax.Array  # int32 [], place in the buffer of levels; -1 for a level given by value

    @property
    def level(self) -> Level:
        """The level being played; its `sim` is as the episode started."""
        start = {f.name: getattr(self.start, f.name) for f in dataclasses.fields(Motion)}
        sim = jax2d.edit.clear_impulses(dataclasses.replace(self.sim, **start))
        return Level(sim, self.role, self.density, self.motor_binding, self.motor_auto, self.thruster_binding)
