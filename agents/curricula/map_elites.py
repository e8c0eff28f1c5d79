"""MAP-Elites: an archive of the most learnable level of each kind, which edits fill."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.accel import ACCEL
from agents.curricula.buffer import LevelBuffer, checksums, first_equal
from agents.curricula.outcome import Outcome
from agents.curricula.protocol import LevelBatch, Metrics
from agents.curricula.replay import ReplayState
from agents.curricula.scores import SCORES, History
from agents.curricula.structure import level_structure
from kinetix_py.sizes import ROOM

DESCRIPTORS = (
    "shapes",
    "static_shapes",
    "joints",
    "motors",
    "thrusters",
    "goal_distance",
    "episode_length",
    "solve_rate",
)


def describe(
    levels: kx.Level, outcome: Outcome, history: History, max_timesteps: jax.Array | int
) -> dict[str, jax.Array]:
    """Describes levels by their structure, and by how they were played.

    Args:
      levels: levels `[N]`.
      outcome: how they were played now, rows `[N]`.
      history: how they were played so far, rows `[N]`.
      max_timesteps: time limit of an episode [steps].

    Returns:
      float `[N]` in 0 .. 1 by name, one for each of `DESCRIPTORS`: shares of the slots in use (shapes and
      static shapes of those without walls), the distance between green and blue as a share of the room's
      width, the length of episodes as a share of the time limit, and the share of solved attempts.
    """
    size = levels.size
    most = {
        "shapes": size.num_bodies - size.num_walls,
        "static_shapes": size.num_bodies - size.num_walls,
        "joints": size.num_joints,
        "motors": size.num_joints,
        "thrusters": size.num_thrusters,
        "goal_distance": ROOM,
    }
    values = {name: value / max(most[name], 1) for name, value in level_structure(levels).items()}
    values["episode_length"] = outcome.episode_length / max_timesteps
    values["solve_rate"] = history.solved / jnp.maximum(history.attempts, 1e-6)
    return {name: jnp.clip(values[name], 0.0, 1.0) for name in DESCRIPTORS}


def cell_index(values: dict[str, jax.Array], bins: tuple[tuple[str, int], ...]) -> jax.Array:
    """Numbers the cells that descriptors fall into: int32 `[N]`, the last descriptor counts fastest.

    Args:
      values: descriptors in 0 .. 1, float `[N]` by name.
      bins: name and number of equal bins of each descriptor that counts.
    """
    index = jnp.int32(0)
    for name, count in bins:
        index = index * count + jnp.clip(jnp.int32(values[name] * count), 0, count - 1)
    return index


def keep_elites(cell: jax.Array, score: jax.Array, candidates: LevelBuffer, num_cells: int) -> LevelBuffer:
    """Keeps the highest score of each cell: a buffer whose slots are the cells.

    Args:
      cell: int32 `[M]`, cell of each candidate.
      score: float `[M]`, -infinity for rows that are none; of equal ones the first counts.
      candidates: candidates, leading axis `[M]`.
      num_cells: number of cells.
    """
    best = jnp.full(num_cells, -jnp.inf).at[cell].max(score)
    row = jnp.arange(cell.shape[0])
    wins = (score == best[cell]) & (score > -jnp.inf)
    winner = jnp.full(num_cells, cell.shape[0]).at[jnp.where(wins, cell, num_cells)].min(row, mode="drop")
    filled = winner < cell.shape[0]
    kept: LevelBuffer = jax.tree.map(lambda leaf: leaf[jnp.where(filled, winner, 0)], candidates)
    # An empty cell must not be taken for one that holds the level of row 0.
    checksum = jnp.where(filled[:, None], kept.checksum, 0)
    return dataclasses.replace(kept, checksum=checksum, score=jnp.where(filled, kept.score, -jnp.inf))


@dataclasses.dataclass(frozen=True)
class MapElites(ACCEL):
    """Mouret and Clune, "Illuminating search spaces by mapping elites" (2015), with levels in the archive.

    The archive has a cell for each combination of descriptors, which holds the level with the highest score
    of all that fell into it: by default the most learnable one. An update replays elites, plays edits of
    those that were replayed before, and fresh levels; all of them compete for their cells. So edits fill the
    archive with levels that are as unlike as the descriptors tell, and the agent learns from all kinds.

    What changes with the agent, scores and descriptors of behavior, is measured anew whenever an elite is
    played, and the elite then competes for the cell that it now belongs to, as archives under noise need it
    (Flageat and Cully, "Uncertain quality-diversity: evaluation methodology and new methods for
    quality-diversity in uncertain domains", 2023). On several devices each has an archive of its own.

    Other fields are those of `ACCEL`; the size of the buffer is the number of cells.

    Attributes:
      bins: name, one of `DESCRIPTORS`, and number of bins of each descriptor.

    Raises:
      ValueError: a number is out of its bounds, or a name is unknown or there twice, naming it.
    """

    score: str = "learnability"
    prioritization: str = "proportional"
    staleness: float = 0.1
    min_fill: float = 0.02
    bins: tuple[tuple[str, int], ...] = (
        ("shapes", 5),
        ("motors", 4),
        ("thrusters", 3),
        ("goal_distance", 5),
        ("episode_length", 4),
    )

    def __post_init__(self) -> None:
        names = [name for name, _ in self.bins]
        known = set(names) <= set(DESCRIPTORS) and len(set(names)) == len(names)
        self._check("bins", bool(names) and known, f"of some of {DESCRIPTORS}")
        self._check("bins", all(count >= 1 for _, count in self.bins), "at least 1 each")
        object.__setattr__(self, "buffer_size", math.prod(count for _, count in self.bins))
        super().__post_init__()

    def cells(self, levels: kx.Level, outcome: Outcome, history: History) -> jax.Array:
        """Cells of levels `[N]`: int32 `[N]`."""
        return cell_index(describe(levels, outcome, history, self.env_params.max_timesteps), self.bins)

    def record(self, buffer: LevelBuffer, batch: LevelBatch, outcome: Outcome, now: jax.Array) -> LevelBuffer:
        """Scores and describes all levels that were played; each cell keeps its best."""
        score, count, capacity = SCORES[self.score], batch.source.shape[0], self.buffer_size
        checksum = checksums(batch.start)
        first = first_equal(jnp.concatenate([buffer.checksum, checksum]))[capacity:]
        slot = jnp.where(batch.source >= 0, batch.source, jnp.where(first < capacity, first, -1))
        known = outcome.merge(slot, capacity)
        elites = buffer.update(
            known.attempts > 0, score(known, buffer.history), buffer.history.after(known), now
        )
        elite_cell = self.cells(elites.levels, known, elites.history)
        elite_cell = jnp.where(known.attempts > 0, elite_cell, jnp.arange(capacity))

        group = jnp.where(slot < 0, first - capacity, -1)
        fresh, nothing = outcome.merge(group, count), History.empty(count)
        history, fresh_score = nothing.after(fresh), score(fresh, nothing)
        new = (fresh.attempts > 0) & jnp.isfinite(fresh_score)
        times = jnp.full(count, now, jnp.int32)
        entrants = LevelBuffer(batch.start, checksum, jnp.where(new, fresh_score, -jnp.inf), times, history)
        cell = jnp.concatenate([elite_cell, self.cells(batch.start, fresh, history)])
        rows = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), elites, entrants)
        return keep_elites(cell, rows.score, rows, capacity)

    def redistribute(self, states: ReplayState, num_devices: int) -> ReplayState:
        """Gives each device the best of one or several archives, cell by cell; none is left out."""
        scores = states.buffer.score
        old = jnp.arange(scores.shape[0])[None]
        device = jnp.arange(num_devices)[:, None]
        mine = (old % num_devices == device) | (old == device % scores.shape[0])
        best = jnp.where(mine[..., None], scores[None], -jnp.inf).argmax(1)
        cell = jnp.arange(self.buffer_size)[None]
        # The first of its archives where all of them have an empty cell.
        buffer = jax.tree.map(lambda leaf: leaf[best, cell], states.buffer)
        empty = ~jnp.where(mine[..., None], scores[None] > -jnp.inf, False).any(1)
        buffer = dataclasses.replace(buffer, score=jnp.where(empty, -jnp.inf, buffer.score))
        dealt = self.deal_parents(states, num_devices)
        pools, unfiltered = self.fresh.empty_pools(num_devices), jnp.zeros(num_devices, jnp.int32)
        return dataclasses.replace(dealt, buffer=buffer, pool=pools, unfiltered=unfiltered)

    def own_metrics(self, state: ReplayState, outcome: Outcome) -> Metrics:
        """Sum of all scores in the archive, which the field calls the QD score."""
        total = jnp.where(state.buffer.filled, state.buffer.score, 0).sum()
        return super().own_metrics(state, outcome) | {"qd_score": total}
