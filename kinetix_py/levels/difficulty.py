"""Measured difficulty of a level, which its file keeps beside its solution."""

from __future__ import annotations

import dataclasses
from typing import Any

from kinetix_py.levels.json_node import JsonNode, shortest_decimal

LABELS = ("easy", "normal", "hard")


@dataclasses.dataclass(frozen=True)
class Difficulty:
    """Measured difficulty of one level under the default physics and the default frame skip.

    Attributes:
      label: the author's judgement, `"easy"`, `"normal"` or `"hard"`.
      noop_solves: whether the level is solved without any action.
      random_solve_rate: share of episodes that uniform random actions solve, 0 .. 1.
      random_episodes: number of these episodes, at least 1.
      search_episodes: episodes that the search for a solution played until the first that solved the level.
      robustness: share of perturbed starts from which the solution still solves the level, 0 .. 1; every
        movable body is shifted by 0.0001 m.
      fragile: whether the author accepts a low robustness.
    """

    label: str
    noop_solves: bool
    random_solve_rate: float
    random_episodes: int
    search_episodes: int
    robustness: float
    fragile: bool = False


def read_difficulty(node: JsonNode) -> Difficulty:
    """Reads the field `difficulty` of a file.

    Raises:
      LevelError: a field is missing, unknown, or out of its bounds.
    """
    names = [field.name for field in dataclasses.fields(Difficulty)]
    node.require_keys(names[:-1], names[-1:])
    return Difficulty(
        label=node["label"].choice(LABELS),
        noop_solves=node["noop_solves"].boolean(),
        random_solve_rate=float(node["random_solve_rate"].number(0, 1)),
        random_episodes=node["random_episodes"].integer(1, 10**9),
        search_episodes=node["search_episodes"].integer(1, 10**9),
        robustness=float(node["robustness"].number(0, 1)),
        fragile=node.get("fragile", False).boolean(),
    )


def difficulty_row(difficulty: Difficulty) -> dict[str, Any]:
    """Makes the JSON object that `read_difficulty` reads back; `fragile` is left out where it is false."""
    row = dataclasses.asdict(difficulty)
    row |= {name: shortest_decimal(row[name]) for name in ("random_solve_rate", "robustness")}
    return row if difficulty.fragile else {k: v for k, v in row.items() if k != "fragile"}
