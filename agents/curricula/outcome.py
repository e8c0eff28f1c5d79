"""Outcomes of the levels of an update: one row for each environment, computed once for all curricula."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from agents.ppo.devices import Axis, sum_over_devices
from agents.ppo.rollout import PlayedSteps


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Outcome:
    """Sums and means over the steps of an update, a row `[N]` for each environment or each level; floats."""

    attempts: jax.Array  # first episodes: 1 of each environment
    solved: jax.Array  # those of them in which the level was solved
    episodes: jax.Array  # episodes that ended
    episodes_solved: jax.Array  # those of them in which the level was solved
    episode_return: jax.Array  # mean over episodes that ended; where none did, of the one so far
    episode_length: jax.Array  # the same of the length [steps]
    max_return: jax.Array  # largest return of an episode that ended; where none did, of the one so far
    value: jax.Array  # mean over all steps of the value of the observation before the step
    initial_value: jax.Array  # value of the level's first observation
    positive_advantage: jax.Array  # mean over all steps of max(A, 0), A: generalized advantage estimate
    negative_advantage: jax.Array  # mean over all steps of max(-A, 0)
    # The same of `agents.ppo.gae.negative_advantages`, negated; None where no score needs it.
    maximized_negative: jax.Array | None = None
    # Axis of devices in `jax.shard_map`, over which metrics are taken; None on one device.
    axis: Axis = dataclasses.field(default=None, metadata={"static": True})

    @classmethod
    def of(cls, steps: PlayedSteps, axis: Axis = None) -> Outcome:
        """Summarizes all steps of an update `[T, B]`, in order, as rows `[B]`.

        Only first episodes are an unbiased sample of whether a level is solved: of later ones, those that end
        soon are seen more often. An episode that has not ended counts as unsolved.
        """
        done = steps.done.astype(jnp.float32)
        count = done.sum(0)
        first = steps.done & (jnp.cumsum(steps.done, axis=0) == 1)
        ended = lambda name: jnp.where(
            count > 0, (done * steps.info[name]).sum(0) / jnp.maximum(count, 1), steps.info[name][-1]
        )
        returns = steps.info["episode_return"]
        best = jnp.where(steps.done, returns, -jnp.inf).max(0)
        return cls(
            attempts=jnp.ones(count.shape),
            solved=(first & steps.info["solved"]).any(0).astype(jnp.float32),
            episodes=count,
            episodes_solved=(done * steps.info["solved"]).sum(0),
            episode_return=ended("episode_return"),
            episode_length=ended("episode_length"),
            max_return=jnp.where(count > 0, best, returns[-1]),
            value=steps.value.mean(0),
            initial_value=steps.value[0],
            positive_advantage=jnp.maximum(steps.advantage, 0).mean(0),
            negative_advantage=jnp.maximum(-steps.advantage, 0).mean(0),
            maximized_negative=None
            if steps.maximized_negative is None
            else -steps.maximized_negative.mean(0),
            axis=axis,
        )

    def merge(self, group: jax.Array, num_groups: int) -> Outcome:
        """Merges the rows of one level: counts are added up, returns compared, all else is averaged.

        Args:
          group: int32 `[N]`, row of the result; those outside 0 .. num_groups - 1 are left out.
          num_groups: number of rows of the result; static.

        Returns:
          rows `[num_groups]`; those of no level have 0 attempts, a largest return of -infinity, and zeros.
        """
        group = jnp.where(group < 0, num_groups, group)
        total = lambda value: jnp.zeros(num_groups).at[group].add(value, mode="drop")
        rows = total(jnp.ones_like(self.attempts))
        merged: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "axis" or value is None:
                merged[field.name] = value
            elif field.name == "max_return":
                merged[field.name] = jnp.full(num_groups, -jnp.inf).at[group].max(value, mode="drop")
            elif field.name in ("attempts", "solved", "episodes", "episodes_solved"):
                merged[field.name] = total(value)
            else:
                merged[field.name] = total(value) / jnp.maximum(rows, 1)
        return Outcome(**merged)


def masked_average(values: jax.Array, chosen: jax.Array, axis: Axis = None) -> jax.Array:
    """Average of the chosen values of all devices, see `Outcome.axis`; 0 where none is chosen."""
    total, count = sum_over_devices((jnp.where(chosen, values, 0).sum(), chosen.sum()), axis)
    return total / jnp.maximum(count, 1)


def episode_metrics(outcome: Outcome) -> dict[str, jax.Array]:
    """Averages over the episodes of an update, on all devices.

    Args:
      outcome: rows of all environments.

    Returns:
      `solve_rate`, share of the environments that solved their level in their first episode, unfinished ones
      included; `solve_rate_ended`, share of the episodes that ended with a solution, in which quick episodes
      count more often; means of `episode_return` and `episode_length` over the episodes that ended; and
      `episodes`, their number on this device.
    """
    total = lambda value: sum_over_devices(value.sum(), outcome.axis)
    count = jnp.maximum(total(outcome.episodes), 1)
    return {
        "solve_rate": total(outcome.solved) / jnp.maximum(total(outcome.attempts), 1),
        "solve_rate_ended": total(outcome.episodes_solved) / count,
        "episode_return": total(outcome.episodes * outcome.episode_return) / count,
        "episode_length": total(outcome.episodes * outcome.episode_length) / count,
        "episodes": outcome.episodes.sum(),
    }
