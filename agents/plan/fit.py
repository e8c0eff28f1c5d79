"""Environments that fit the memory of a device, from plans of two numbers of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from agents.config import TrainConfig
from agents.plan.program import USABLE, plan_training
from agents.plan.targets import Target

MEMORIES = (8, 24, 48, 80, 140)  # of common devices [GB, 10^9 bytes]


class FitError(ValueError):
    """Plans from which nothing follows for other numbers of environments."""


@dataclasses.dataclass(frozen=True)
class MemoryBound:
    """Bound on the memory of a program, from plans of two numbers of environments, `few` and `many` [B].

    What is in memory at a moment grows linearly with the environments, from what is always needed; a plan
    is the most of all moments, and so a convex function of the environments. Between two plans it is at most
    on the line through them, and beyond the greater one at most in proportion to it, as long as XLA makes the
    same program.
    """

    few: tuple[int, int]
    many: tuple[int, int]

    def __post_init__(self) -> None:
        if not self.few[1] < self.many[1]:
            raise FitError(f"memory does not grow from {self.few} to {self.many}, environments and bytes")

    @property
    def each(self) -> float:
        """Bytes for each environment, between the two plans."""
        return (self.many[1] - self.few[1]) / (self.many[0] - self.few[0])

    def needed(self, count: int) -> float:
        """Most memory that a number of environments may need [B]."""
        if count >= self.many[0]:
            return self.many[1] * count / self.many[0]
        return self.few[1] + self.each * max(count - self.few[0], 0)

    def largest(self, memory: float) -> int:
        """Largest power of 2 of environments that surely fit a memory [B]; 0 if the few do not."""
        if self.few[1] > memory:
            return 0
        count = 1 << (self.few[0].bit_length() - 1)
        while self.needed(2 * count) <= memory:
            count *= 2
        return count


def with_num_envs(config: TrainConfig, count: int) -> TrainConfig:
    """Config with another number of environments."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, num_envs=count))


def with_few_envs(config: TrainConfig) -> TrainConfig:
    """Halves the environments of a config up to five times, as long as it can be run.

    Raises:
      FitError: half of the environments cannot be run.
    """
    few = config
    for _ in range(5):
        try:
            few = with_num_envs(few, few.training.num_envs // 2)
        except ValueError as error:
            if few is config:
                raise FitError(f"half of the {config.training.num_envs} environments: {error}") from None
            break
    return few


def plan_fit(config: TrainConfig, target: Target, memories: Sequence[float] = MEMORIES) -> dict[str, Any]:
    """Plans training with all and with few of a config's environments, and tells how many surely fit.

    Few are a 32nd of all, or as few as can be cut into the minibatches. The minibatch and all else stay as
    they are.

    Args:
      config: config of the run, of which one device's share is planned.
      target: device to compile for.
      memories: memories [GB].

    Returns:
      a report, ready for JSON: bytes of both plans, and under `"fits"` the largest power of 2 of
      environments by memory, 0 where the few do not fit.

    Raises:
      ConfigError: a config that cannot be run.
      FitError: half of the environments cannot be run, or need as much memory.
    """
    count = config.training.num_envs
    few = with_few_envs(config)
    counts = (few.training.num_envs, count)
    needed = [plan_training(each, target)["needed_bytes"] for each in (few, config)]
    bound = MemoryBound((counts[0], needed[0]), (counts[1], needed[1]))
    return {
        "part": "fit",
        "size": config.env.size,
        "target": target.name,
        "num_envs": counts,
        "needed_bytes": needed,
        "bytes_per_env": round(bound.each),
        "fits": {str(memory): bound.largest(USABLE * memory * 1e9) for memory in memories},
    }


def fit_table(report: dict[str, Any]) -> str:
    """Writes a report of `plan_fit` for people."""
    plans = [
        f"{count:,} environments need {needed / 1e9:.2f} GB"
        for count, needed in zip(report["num_envs"], report["needed_bytes"], strict=True)
    ]
    lines = [
        f"training, size {report['size']}, on {report['target']}: {', '.join(plans)}",
        "",
        f"{'memory [GB]':>12}{'environments':>14}",
    ]
    return "\n".join(lines + [f"{memory:>12}{count:>14,}" for memory, count in report["fits"].items()])
