"""Several evaluations beside each other: one table, and performance profiles with their bands."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from agents.config import ConfigError

THRESHOLDS = np.linspace(0, 1, 101)


@dataclasses.dataclass(frozen=True)
class Result:
    """What one policy of one run achieved on one set of levels.

    Attributes:
      label: the run, or the policy's name for one that is in many runs.
      level_set: the set's name.
      levels: names.
      rates: solve rate of each level, `[L]`.
      attempts: episodes of each level.
      interval: 95 % stratified bootstrap interval of the mean.
    """

    label: str
    level_set: str
    levels: tuple[str, ...]
    rates: np.ndarray
    attempts: int
    interval: tuple[float, float]

    @property
    def solve_rate(self) -> float:
        """Mean over the levels."""
        return float(self.rates.mean())


def read_results(path: pathlib.Path) -> list[Result]:
    """The results in an evaluation.json, or in the newest one of a run folder.

    Raises:
      ConfigError: no such file, or one that no evaluation wrote.
    """
    file = path / "evaluation" / "evaluation.json" if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        file = path / "evaluation.json"
    if not file.is_file():
        raise ConfigError(f"{path}: no evaluation.json; kinetix evaluate RUN writes one")
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    label = (folder.parent if folder.name == "evaluation" else folder).name
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return [_result(row, label) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: not what kinetix evaluate writes: {error!r}") from None


def _result(row: dict, label: str) -> Result:
    low, high = row["interval_95"]
    return Result(
        label=f"{label} ({row['policy']})",
        level_set=row["level_set"],
        levels=tuple(level["level"] for level in row["levels"]),
        rates=np.array([level["solve_rate"] for level in row["levels"]], float),
        attempts=int(row["attempts"]),
        interval=(float(low), float(high)),
    )


def comparison_table(results: Sequence[Result]) -> str:
    """One line for every result, set by set, the best of a set first."""
    wide = max(len(result.label) for result in results)
    lines = [f"{'levels':<24}  {'run':<{wide}}  solve rate  95 % interval   levels  attempts"]
    for name in dict.fromkeys(result.level_set for result in results):
        rows = [result for result in results if result.level_set == name]
        for row in sorted(rows, key=lambda row: -row.solve_rate):
            low, high = row.interval
            lines.append(
                f"{name:<24}  {row.label:<{wide}}  {row.solve_rate:10.3f}  {low:.3f} .. {high:.3f}  "
                f"{len(row.levels):7d}  {row.attempts:8d}"
            )
    return "\n".join(lines)


def profile(rates: np.ndarray) -> np.ndarray:
    """Share of levels with at least each of `THRESHOLDS` as solve rate: float `[101]`, falling."""
    return (rates[:, None] >= THRESHOLDS[None] - 1e-9).mean(0)


def profile_band(result: Result, num_resamples: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """95 % band of a profile, point by point: attempts are resampled within each level.

    Returns:
      lower and upper bound, float `[101]` each.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(result.attempts, result.rates, (num_resamples, len(result.rates))) / result.attempts
    profiles = np.stack([profile(rates) for rates in drawn])
    low, high = np.quantile(profiles, [0.025, 0.975], axis=0)
    return low, high
