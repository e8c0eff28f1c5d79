"""How hard a level is, as measured: what its file keeps beside its solution."""

from __future__ import annotations

import dataclasses
from typing import Any

from kinetix_py.levels.checks import Node, shortest

GRADES = ("easy", "normal", "hard")


@dataclasses.dataclass(frozen=True)
class Difficulty:
    """Measurements of one level under the default physics and the default frame skip.

    Attributes:
      grade: what its author calls it, `"easy"`, `"normal"` or `"hard"`.
      noop: whether doing nothing solves it.
      random: share of episodes that uniform random actions solve, 0 .. 1.
      random_episodes: how many those were, at least 1.
      effort: episodes that the search for the solution played until the first that solved the level.
      robustness: share of tries in which the solution still solves the level when every movable body
        starts 0.0001 m from its place, 0 .. 1.
      delicate: the author knows that a solution by heart fails when the start moves so little.
    """

    grade: str
    noop: bool
    random: float
    random_episodes: int
    effort: int
    robustness: float
    delicate: bool = False


def read_difficulty(node: Node) -> Difficulty:
    """The field `difficulty` of a file.

    Raises:
      LevelError: a field is missing, unknown, or out of its bounds.
    """
    names = [field.name for field in dataclasses.fields(Difficulty)]
    node.object(names[:-1], names[-1:])
    return Difficulty(
        grade=node["grade"].choice(GRADES),
        noop=node["noop"].flag(),
        random=float(node["random"].number(0, 1)),
        random_episodes=node["random_episodes"].integer(1, 10**9),
        effort=node["effort"].integer(1, 10**9),
        robustness=float(node["robustness"].number(0, 1)),
        delicate=node.get("delicate", False).flag(),
    )


def written_difficulty(difficulty: Difficulty) -> dict[str, Any]:
    """What `read_difficulty` reads back."""
    row = dataclasses.asdict(difficulty)
    row |= {name: shortest(row[name]) for name in ("random", "robustness")}
    return row if difficulty.delicate else {k: v for k, v in row.items() if k != "delicate"}
