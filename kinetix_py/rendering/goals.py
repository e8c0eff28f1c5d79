"""Marks of goals in a drawing: numbers, times to hold, and which of them it is the turn of."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinetix_py.env.types import EnvState
from kinetix_py.roles import BLUE

STEPS_PER_SECOND = 60  # physics steps, at their default duration
DASHES = "9 6"  # of the outline of a goal whose turn has not come
REACHED_OPACITY = 0.35


def goal_numbers(scene: Any) -> dict[int, int]:
    """Returns the numbers of the blue shapes, by body; none if the scene has the goals of the plain game.

    Args:
      scene: one level or state, on the host.
    """
    if scene.rules is None:
        return {}
    blue = np.flatnonzero(scene.sim.active & (scene.labels.role == BLUE)).tolist()
    numbers = {body: int(scene.rules.goal[body]) for body in blue}
    holds = any(int(scene.rules.hold[body]) > 1 for body in blue)
    return numbers if holds or len(set(numbers.values())) > 1 else {}


def current_goal(scene: Any) -> int:
    """Returns the number of the goal that is to be touched now; of a level, the first."""
    if isinstance(scene, EnvState) and scene.progress is not None:
        return int(scene.progress.goal)
    return min(goal_numbers(scene).values(), default=1)


def goal_texts(scene: Any, body: int) -> list[str]:
    """Returns what may be written on a goal, from the longest; none for other shapes."""
    numbers = goal_numbers(scene)
    if body not in numbers:
        return []
    several = len(set(numbers.values())) > 1
    short = f"B{numbers[body]}" if several else "B"
    hold = int(scene.rules.hold[body])
    return [short] if hold == 1 else [f"{short} {hold_text(hold)}", short]


def hold_text(hold: int) -> str:
    """Formats a number of physics steps as a time."""
    return f"{hold / STEPS_PER_SECOND:.2g} s"


def goal_attributes(scene: Any, body: int) -> str:
    """Returns the attributes of a goal's outline: dashed until its turn comes, faded when it was reached."""
    number = goal_numbers(scene).get(body)
    if number is None:
        return ""
    now = current_goal(scene)
    state = f' stroke-dasharray="{DASHES}"' if number > now else ""
    state += f' opacity="{REACHED_OPACITY:g}"' if number < now else ""
    return f' data-goal="{number}"{state}'
