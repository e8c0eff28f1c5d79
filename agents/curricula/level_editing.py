"""An environment in which levels are built, edit by edit: the game of an adversary."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.accel import minimal_levels
from kinetix_py.env.start import initial_state
from kinetix_py.generator.edits import EDITS
from kinetix_py.generator.mutations import DEFAULT_EDITS
from kinetix_py.sizes import FLOOR, ROOM
from kinetix_py.spaces import Discrete


@dataclasses.dataclass(frozen=True)
class EditActions(kx.ActionAdapter):
    """Actions of one who builds: a number of choices, of which the first does nothing.

    Attributes:
      num_choices: number of choices.
    """

    num_choices: int = 1

    @property
    def space(self) -> Discrete:
        """The space of one action."""
        return Discrete(self.num_choices)

    @property
    def noop(self) -> jax.Array:
        """The action that changes nothing."""
        return jnp.zeros((), self.space.dtype)


@dataclasses.dataclass(frozen=True)
class LevelEditing(kx.Environment):
    """An environment whose states are levels at their start, and whose actions edit them.

    Action 0 leaves the level as it is; action `1 + kind * grid**2 + cell` makes an edit of a kind at a random
    point of a cell of the room, counted row by row from the lower left: a new shape appears there, any other
    edit changes what is nearest to it. An episode starts at a level as it is given, and ends after
    `num_edits` actions. Rewards are 0: what a level is worth is known when it has been played.

    Observations are those that players have of the level. Other fields are those of `kinetix_py.Environment`;
    physics and the action type of players have no part in it.

    Attributes:
      num_edits: actions of an episode.
      grid: cells of the room along each axis.
      edits: kinds of edits, names in `kinetix_py.generator.edits.EDITS`.
      generator: sizes and powers of what is added.

    Raises:
      ValueError: an unknown edit, or a number below 1.
    """

    num_edits: int = 24
    grid: int = 4
    edits: tuple[str, ...] = DEFAULT_EDITS
    generator: kx.GeneratorParams = dataclasses.field(default_factory=kx.GeneratorParams)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_edits", "grid"):
            if getattr(self, name) < 1:
                raise ValueError(f"LevelEditing.{name} must be at least 1, got {getattr(self, name)}")
        if not self.edits or not set(self.edits) <= set(EDITS):
            raise ValueError(f"LevelEditing.edits must be some of {tuple(EDITS)}, got {self.edits}")
        if self.auto_reset:
            raise ValueError("LevelEditing.auto_reset must be False: the level would be lost, got True")

    @property
    def num_cells(self) -> int:
        """Number of cells of the room."""
        return self.grid**2

    @property
    def default_params(self) -> kx.EnvParams:
        """The parameters of `reset` and `step`: the time limit is the number of edits."""
        return kx.EnvParams(max_timesteps=self.num_edits)

    @property
    def action_adapter(self) -> EditActions:
        """The choices of one who builds."""
        return EditActions("discrete", self.size, 1 + len(self.edits) * self.num_cells)

    def action_mask(self, state: kx.EnvState) -> jax.Array:
        """Returns which choices there are: bool `[num_choices]`, all of them."""
        return jnp.ones(self.action_adapter.num_choices, bool)

    def starts(self, key: jax.Array, count: int) -> kx.Level:
        """Draws the levels `[count]` that episodes start at: the simplest ones, of three shapes."""
        return kx.sample_levels(key, count, self.size, minimal_levels())

    def edit(self, key: jax.Array, level: kx.Level, action: jax.Array) -> kx.Level:
        """Edits a level as an action says.

        Args:
          key: random key of the point in the cell, and of all that the action leaves open.
          level: one level.
          action: int32 `[]`.
        """
        place_key, edit_key = jax.random.split(key)
        kind, cell = jnp.divmod(action - 1, self.num_cells)
        corner = jnp.stack([cell % self.grid, cell // self.grid]).astype(jnp.float32)
        share = (corner + jax.random.uniform(place_key, (2,))) / self.grid
        low = jnp.array([0.0, FLOOR])
        place = low + share * (ROOM - low)

        def of(name):
            return lambda key, level, place: EDITS[name](key, level, self.generator, place)

        nothing = lambda key, level, place: level
        branches = [nothing, *map(of, self.edits)]
        branch = jnp.where(action > 0, 1 + kind, 0)
        edited: kx.Level = jax.lax.switch(branch, branches, edit_key, level, place)
        return edited

    def step(
        self,
        key: jax.Array,
        state: kx.EnvState,
        action: jax.Array,
        params: kx.EnvParams | None = None,
        levels: kx.Level | None = None,
    ) -> tuple[Any, kx.EnvState, jax.Array, jax.Array, dict[str, Any]]:
        """Makes an edit; arguments and results are those of `kinetix_py.Environment.step`, for one state.

        `params` and `levels` change nothing.

        Raises:
          ValueError: the action is no integer `[]`.
        """
        level = self.edit(key, state.level, self.action_adapter.check(action))
        count = state.step_count + 1
        later = dataclasses.replace(initial_state(level, state.level_index), step_count=count)
        done, never = count >= self.num_edits, jnp.bool_(False)
        obs, reward = self.observe(later), jnp.float32(0)
        info = {
            "terminated": done,
            "truncated": never,
            "solved": never,
            "failed": never,
            "diverged": never,
            "distance": later.distance,
            "episode_return": reward,
            "episode_length": count,
            "level_index": state.level_index,
            "final_observation": obs,
        }
        return obs, later, reward, done, info
