"""ACCEL: replayed levels are edited, so that levels grow more complex in small steps."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.outcome import Outcome, masked_average
from agents.curricula.protocol import LevelBatch, Metrics
from agents.curricula.replay import PLR, ReplayState
from kinetix_py.generator.mutations import DEFAULT_EDITS


def minimal_levels() -> kx.GeneratorParams:
    """Distribution of the simplest levels: green, blue and one more shape, with one joint or thruster.

    Edits make them grow, as ACCEL does from empty rooms.
    """
    return kx.GeneratorParams(
        red_floor_chance=0.0,
        blue_floor_chance=0.0,
        motor_and_thruster_weight=0.0,
        joined_shape_weight=0.0,
        free_shape_weight=0.0,
        no_shape_weight=1.0,
        red_weight=0.0,
        thruster_chance=0.0,
    )


@dataclasses.dataclass(frozen=True)
class ACCEL(PLR):
    """Parker-Holder et al., "Evolving curricula with regret-based environment design" (2022), algorithm 1.

    Robust prioritized level replay, and in a share of the environments edits of the levels that the update
    before replayed. Edits are played to be scored, and enter the buffer as fresh levels do. Other fields are
    those of `PLR`; `generator=minimal_levels()` starts from the simplest levels.

    Attributes:
      edited_share: share of edited levels in an update, in 0 .. 1; at most `buffer_share`.
      num_edits: edits of each of them, each a kind of `edits`.
      edits: names in `kinetix_py.generator.edits.EDITS`.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    learn_fresh: bool = False
    edited_share: float = 0.4
    num_edits: int = 5
    edits: tuple[str, ...] = DEFAULT_EDITS

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("num_edits", self.num_edits >= 1, "at least 1")
        self._check("edited_share", 0 <= self.edited_share <= self.buffer_share, "in 0 .. buffer_share")
        self._check("edited_share", self.num_fresh >= 0, "at most 1 - buffer_share")

    @property
    def num_edited(self) -> int:
        """Environments of an update whose levels are edits."""
        return round(self.edited_share * self.num_envs)

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> ReplayState:
        """Returns an empty buffer, and no levels to edit."""
        state = super().init(key, device)
        empty = lambda leaf: jnp.zeros((self.num_edited, *leaf.shape[1:]), leaf.dtype)
        parents = jax.tree.map(empty, state.buffer.levels)
        return dataclasses.replace(state, parents=parents, has_parents=jnp.bool_(False))

    def redistribute(self, states: ReplayState, num_devices: int) -> ReplayState:
        """Deals out the buffers, and the levels to edit, which are copies of levels in them."""
        dealt = super().redistribute(states, num_devices)
        edits = self.deal_parents(states, num_devices)
        return dataclasses.replace(dealt, parents=edits.parents, has_parents=edits.has_parents)

    def deal_parents(self, states: ReplayState, num_devices: int) -> ReplayState:
        """Deals out the levels to edit, and leaves the rest of the states as it is.

        Shares of environments are rounded to whole ones on each device, so that there may be more or fewer
        levels to edit than before: some are then edited twice, or left out.
        """
        assert states.parents is not None and states.has_parents is not None
        whole = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), states.parents)
        known = jnp.repeat(states.has_parents, states.parents.batch_shape[1])
        if whole.batch_shape[0] == 0:  # there was nothing to edit
            whole = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:1], states.buffer.levels)
            known = jnp.zeros(1, bool)
        order = jnp.argsort(~known, stable=True)
        row = jnp.arange(num_devices * self.num_edited) % jnp.maximum(known.sum(), 1)
        parents = jax.tree.map(
            lambda leaf: leaf[order[row]].reshape(num_devices, self.num_edited, *leaf.shape[1:]), whole
        )
        return dataclasses.replace(states, parents=parents, has_parents=jnp.full(num_devices, known.any()))

    def edited(self, key: jax.Array, state: ReplayState, fresh: kx.Level) -> kx.Level:
        """Edits each of the levels that the last update replayed."""
        assert state.has_parents is not None
        params = self.generator if isinstance(self.generator, kx.GeneratorParams) else None
        edit = lambda key, level: kx.mutate_level(key, level, params, self.num_edits, self.edits)
        children = jax.vmap(edit)(jax.random.split(key, self.num_edited), state.parents)
        has_parents = state.has_parents
        return jax.tree.map(lambda a, b: jnp.where(has_parents, a, b), children, fresh)

    def remember(self, state: ReplayState, batch: LevelBatch) -> ReplayState:
        """Keeps the first levels that were replayed, to edit them in the next update."""
        first = self.num_envs - self.num_replayed
        parents = jax.tree.map(lambda leaf: leaf[first : first + self.num_edited], batch.start)
        return dataclasses.replace(state, parents=parents, has_parents=(batch.source[first:] >= 0).any())

    def own_metrics(self, state: ReplayState, outcome: Outcome) -> Metrics:
        """Share of the edited levels that were solved at the first attempt."""
        assert state.has_parents is not None
        row = jnp.arange(self.num_envs)
        edited = state.has_parents & (row >= self.num_fresh) & (row < self.num_fresh + self.num_edited)
        return {"solve_rate_edited": masked_average(outcome.solved, edited, outcome.axis)}
