"""Prioritized level replay: levels from which there was much to learn are played again."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.curricula.buffer import PRIORITIZATIONS, LevelBuffer, deal_out
from agents.curricula.fresh import FreshLevels, FreshPool
from agents.curricula.outcome import Outcome, episode_metrics, masked_average
from agents.curricula.protocol import LevelBatch, Metrics
from agents.curricula.scores import SCORES
from agents.policy import Params, Policy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ReplayState:
    """State of a curriculum that replays levels."""

    buffer: LevelBuffer
    pool: FreshPool  # fresh levels of later updates
    unfiltered: jax.Array  # int32 [], levels of the last draw that the no-op policy may solve
    parents: kx.Level | None = None  # [num_edited], levels that the last update replayed, to be edited
    has_parents: jax.Array | None = None  # bool [], whether it replayed any
    log_weight: jax.Array | None = None  # float [capacity], of levels whose chances are learnt


@dataclasses.dataclass(frozen=True)
class PLR:
    """Jiang et al., "Prioritized level replay" (2021), and its robust form, of "Replay-guided adversarial
    environment design" (2021).

    In a share of the environments, an update replays levels of a buffer, chosen by their score and by the
    time since they were last played; in the others it plays fresh random levels, which enter the buffer in
    the place of lower scores. In the robust form (`learn_fresh=False`) fresh levels are only played to be
    scored, and nothing is learnt from them. Until the buffer is filled to `min_fill`, all levels are fresh.

    Attributes:
      env, env_params: environment and numbers of the game, by which the no-op policy plays.
      num_envs: levels of an update.
      buffer_size: levels that the buffer holds.
      buffer_share: share of replayed levels in an update, in 0 .. 1.
      score: name of a score in `agents.curricula.scores.SCORES`.
      prioritization, temperature, staleness: as for `LevelBuffer.weights`.
      min_fill: share of the buffer, in 0 .. 1, that must be filled before levels are replayed.
      learn_fresh: whether levels are learnt from that do not come from the buffer.
      history_decay: share to which attempts at a level fade with every update, in 0 .. 1; for scores that
        count attempts.
      generator: distribution of fresh levels: its parameters, or another distribution.
      max_rounds: bound on the rounds of drawing and filtering; where it is reached, unfiltered levels take
        the missing places, and the metric `unfiltered_levels` counts them.

    Raises:
      ValueError: a number is out of its bounds, or a name is unknown, naming it.
    """

    env: kx.Environment
    env_params: kx.EnvParams
    num_envs: int
    buffer_size: int = 4000
    buffer_share: float = 0.5
    score: str = "max_mc"
    prioritization: str = "rank"
    temperature: float = 1.0
    staleness: float = 0.3
    min_fill: float = 0.5
    learn_fresh: bool = True
    history_decay: float = 0.9
    generator: kx.LevelDistribution = dataclasses.field(default_factory=kx.GeneratorParams)
    max_rounds: int = 256

    def __post_init__(self) -> None:
        for name in ("num_envs", "buffer_size", "max_rounds"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("buffer_share", "staleness", "min_fill", "history_decay"):
            self._check(name, 0 <= getattr(self, name) <= 1, "in 0 .. 1")
        self._check("temperature", self.temperature > 0, "above 0")
        self._check("score", self.score in SCORES, f"one of {tuple(SCORES)}")
        self._check("prioritization", self.prioritization in PRIORITIZATIONS, f"one of {PRIORITIZATIONS}")

    def _check(self, name: str, fits: bool, bound: str) -> None:
        if not fits:
            raise ValueError(f"{type(self).__name__}.{name} must be {bound}, got {getattr(self, name)!r}")

    @property
    def num_attempted(self) -> int:
        """Candidates that an update may attempt; for curricula derived from this."""
        return 0

    @property
    def num_edited(self) -> int:
        """Environments of an update whose levels are edits; for curricula derived from this."""
        return 0

    @property
    def num_replayed(self) -> int:
        """Environments of an update whose levels come from the buffer."""
        return round(self.buffer_share * self.num_envs)

    @property
    def num_fresh(self) -> int:
        """Environments of an update whose levels are fresh, once the buffer is filled."""
        return self.num_envs - self.num_edited - self.num_replayed

    @property
    def learning_share(self) -> float:
        """Share of the environments that are learnt from, once the buffer is filled."""
        return 1.0 if self.learn_fresh else self.num_replayed / self.num_envs

    @property
    def num_drawn(self) -> int:
        """Rows of levels that the largest draw needs."""
        return max(self.num_envs, self.num_fresh + self.num_attempted)

    def init(self, key: jax.Array, device: jax.Array | int = 0) -> ReplayState:
        """Returns an empty buffer."""
        return ReplayState(
            LevelBuffer.empty(self.buffer_size, self.env.size), self.fresh.empty(), jnp.int32(0)
        )

    def redistribute(self, states: ReplayState, num_devices: int) -> ReplayState:
        """Deals the levels of all buffers out to new ones, of the same size together; draws fresh ones anew.

        Raises:
          ValueError: the new buffers would hold another number of levels.
        """
        held, needed = states.buffer.score.size, self.buffer_size * num_devices
        if held != needed:
            raise ValueError(f"buffers of {held} levels cannot become {num_devices} that hold {needed}")
        buffer, weight = deal_out((states.buffer, states.log_weight), states.buffer.score, num_devices)
        pools, unfiltered = self.fresh.empty_pools(num_devices), jnp.zeros(num_devices, jnp.int32)
        return ReplayState(buffer, pools, unfiltered, log_weight=weight)

    def is_ready(self, buffer: LevelBuffer) -> jax.Array:
        """Tells whether levels may be replayed: bool `[]`."""
        return buffer.filled.any() & (buffer.filled.mean() >= self.min_fill)

    @property
    def fresh(self) -> FreshLevels:
        """Source of fresh levels."""
        rows, usual = self.num_drawn, self.num_fresh
        return FreshLevels(self.env, self.env_params, rows, usual, self.generator, self.max_rounds)

    def draw(
        self, key: jax.Array, pool: FreshPool, wanted: jax.Array | int
    ) -> tuple[FreshPool, kx.Level, jax.Array]:
        """Takes fresh levels, as `FreshLevels.take`: `wanted` of `num_drawn` rows."""
        return self.fresh.take(key, pool, wanted)

    def num_wanted(self, state: ReplayState, num_updates: jax.Array | int) -> jax.Array:
        """Fresh levels that the next update needs: int32 `[]`."""
        edited = 0 if state.has_parents is None else jnp.where(state.has_parents, 0, self.num_edited)
        return jnp.where(self.is_ready(state.buffer), self.num_fresh + edited, self.num_envs)

    def prepare(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: ReplayState,
        drawn: kx.Level,
        num_updates: jax.Array | int,
    ) -> tuple[ReplayState, jax.Array | int]:
        """Changes the buffer before levels are chosen from it; does nothing here.

        Returns:
          the state, and the number of steps that the policy took.
        """
        return state, 0

    def record(self, buffer: LevelBuffer, batch: LevelBatch, outcome: Outcome, now: jax.Array) -> LevelBuffer:
        """Scores the levels of an update, and inserts those that are not in the buffer."""
        return buffer.record(batch.start, batch.source, outcome, SCORES[self.score], now)

    def replay_weights(self, state: ReplayState, num_updates: jax.Array | int) -> jax.Array:
        """Chances with which levels of the buffer are replayed: float `[capacity]`, of sum 1."""
        now = jnp.int32(num_updates)
        return state.buffer.weights(self.prioritization, self.temperature, self.staleness, now)

    def edited(self, key: jax.Array, state: ReplayState, fresh: kx.Level) -> kx.Level:
        """Edits of replayed levels `[num_edited]`, or the given fresh ones where there are none."""
        return fresh

    def remember(self, state: ReplayState, batch: LevelBatch) -> ReplayState:
        """Keeps levels of an update to edit them; keeps none here."""
        return state

    def own_metrics(self, state: ReplayState, outcome: Outcome) -> Metrics:
        """Metrics beside those of all replay; `state` is that before `remember`."""
        return {}

    def propose(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: ReplayState,
        num_updates: jax.Array | int,
    ) -> tuple[ReplayState, LevelBatch]:
        """Mixes fresh levels, edits of replayed ones, and levels of the buffer, in this order."""
        draw_key, prepare_key, edit_key, index_key = jax.random.split(key, 4)
        pool, drawn, unfiltered = self.draw(draw_key, state.pool, self.num_wanted(state, num_updates))
        state, steps = self.prepare(prepare_key, policy, params, state, drawn, num_updates)
        state = dataclasses.replace(state, pool=pool, unfiltered=unfiltered)

        fresh, others = self.num_fresh, self.num_envs - self.num_replayed
        ready, buffer = self.is_ready(state.buffer), state.buffer
        index = buffer.sample(index_key, self.num_replayed, self.replay_weights(state, num_updates))
        rows = lambda levels, start, stop: jax.tree.map(lambda leaf: leaf[start:stop], levels)
        replayed = jax.tree.map(
            lambda old, new: jnp.where(ready, old[index], new[others : self.num_envs]), buffer.levels, drawn
        )
        parts = [rows(drawn, 0, fresh), self.edited(edit_key, state, rows(drawn, fresh, others)), replayed]
        levels = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
        source = jnp.full(self.num_envs, -1, jnp.int32).at[others:].set(jnp.where(ready, index, -1))
        return state, LevelBatch(levels, source, steps, None if self.learn_fresh else source >= 0)

    def observe(
        self,
        key: jax.Array,
        policy: Policy,
        params: Params,
        state: ReplayState,
        batch: LevelBatch,
        outcome: Outcome,
        num_updates: jax.Array | int,
    ) -> tuple[ReplayState, Metrics]:
        """Scores all levels, and inserts those that are not in the buffer."""
        now = jnp.int32(num_updates + 1)
        buffer = self.record(state.buffer.fade(self.history_decay), batch, outcome, now)
        filled, replayed = buffer.filled, batch.source >= 0
        row = jnp.arange(self.num_envs)
        average = lambda values, chosen: masked_average(values, chosen, outcome.axis)
        metrics = episode_metrics(outcome) | {
            "solve_rate_fresh": average(outcome.solved, (row < self.num_fresh) & ~replayed),
            "solve_rate_replayed": average(outcome.solved, replayed),
            "buffer_filled": filled.mean(),
            "buffer_score": average(buffer.score, filled),
            "buffer_age": average(now - buffer.last_played, filled).astype(jnp.float32),
            "unfiltered_levels": state.unfiltered,
        }
        state = dataclasses.replace(state, buffer=buffer)
        return self.remember(state, batch), metrics | self.own_metrics(state, outcome)
