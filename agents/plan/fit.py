"""Environments that fit the memory of a device, from plans of two numbers of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from agents.config import TrainConfig
from agents.plan.program import plan_training
from agents.plan.targets import Target

# Memory of common devices [GB, 10^9 bytes], and the share of it for programs beside the driver and XLA.
MEMORIES = (8, 24, 48, 80, 140)
USABLE = 0.9


class FitError(ValueError):
    """Plans from which nothing follows for other numbers of environments."""


@dataclasses.dataclass(frozen=True)
class MemoryLine:
    """Memory of a program as a line: `fixed + each * num_envs` bytes."""

    fixed: float
    each: float

    @classmethod
    def through(cls, first: tuple[int, int], second: tuple[int, int]) -> MemoryLine:
        """Draws the line through two plans, each a number of environments and the bytes that they need.

        Raises:
          FitError: more environments do not need more memory.
        """
        each = (second[1] - first[1]) / (second[0] - first[0])
        if not each > 0:
            raise FitError(f"memory does not grow from {first} to {second}, environments and bytes")
        return cls(first[1] - each * first[0], each)

    def largest(self, memory: float) -> int:
        """Largest power of 2 of environments that fit a memory [B]; 0 if none does."""
        most = int((memory - self.fixed) / self.each)
        return 1 << (most.bit_length() - 1) if most >= 1 else 0


def with_num_envs(config: TrainConfig, count: int) -> TrainConfig:
    """Config with another number of environments."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, num_envs=count))


def plan_fit(config: TrainConfig, target: Target, memories: Sequence[float] = MEMORIES) -> dict[str, Any]:
    """Plans training with all and with half of a config's environments, and tells how many would fit.

    The minibatch and all else stay as they are, so that the rest of the memory grows with the number of
    environments alone.

    Args:
      config: config of the run, of which one device's share is planned.
      target: device to compile for.
      memories: memories [GB].

    Returns:
      a report, ready for JSON: bytes of both plans, and under `"fits"` the largest power of 2 of
      environments by memory.

    Raises:
      ConfigError: a config that cannot be run.
      FitError: half of the environments cannot be run, or need as much memory.
    """
    count = config.training.num_envs
    counts = (count // 2, count)
    try:
        configs = [with_num_envs(config, each) for each in counts]
    except ValueError as error:
        raise FitError(f"half of the {count} environments: {error}") from None
    needed = [plan_training(each, target)["needed_bytes"] for each in configs]
    line = MemoryLine.through((counts[0], needed[0]), (counts[1], needed[1]))
    return {
        "part": "fit",
        "size": config.env.size,
        "target": target.name,
        "num_envs": counts,
        "needed_bytes": needed,
        "fixed_bytes": round(line.fixed),
        "bytes_per_env": round(line.each),
        "fits": {str(memory): line.largest(USABLE * memory * 1e9) for memory in memories},
    }


def fit_table(report: dict[str, Any]) -> str:
    """Writes a report of `plan_fit` for people."""
    lines = [
        f"training, size {report['size']}, on {report['target']}: "
        f"{report['fixed_bytes'] / 1e9:.2f} GB and {report['bytes_per_env'] / 1e3:.0f} kB for each "
        "environment",
        "",
        f"{'memory [GB]':>12}{'environments':>14}",
    ]
    return "\n".join(lines + [f"{memory:>12}{count:>14,}" for memory, count in report["fits"].items()])
