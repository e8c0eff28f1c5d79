"""Marks of rules in a drawing: numbers and times of goals, sensors, locks of what waits for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinetix_py.env.types import EnvState
from kinetix_py.rendering.style import INK, ROLE_LETTERS, SENSOR_COLOR, hex_color
from kinetix_py.roles import BLUE

STEPS_PER_SECOND = 60  # physics steps, at their default duration
DASHES = "9 6"  # of the outline of a goal whose turn has not come
REACHED_OPACITY = 0.35
AGENT_LETTERS = "ab"
LOCK_RADIUS = 0.1  # m, around a lock in the middle of a shape


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


def rule_texts(scene: Any, body: int) -> list[str]:
    """Returns what may be written on a goal or a sensor, from the longest; none for other shapes."""
    sensor = 0 if scene.rules is None else int(scene.rules.sensor[body])
    written = _goal_texts(scene, body)
    if sensor:
        letter = ROLE_LETTERS[int(scene.labels.role[body])]
        return [f"{text} S{sensor}".strip() for text in written or [letter]]
    return written


def _goal_texts(scene: Any, body: int) -> list[str]:
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


def rule_attributes(scene: Any, body: int) -> str:
    """Returns the attributes of the outline of a goal or sensor.

    A goal is dashed until its turn comes and faded when it was reached, a sensor faded when its switch is on.
    """
    number = goal_numbers(scene).get(body)
    sensor = 0 if scene.rules is None else int(scene.rules.sensor[body])
    text, faded, now = "", False, current_goal(scene)
    if number is not None:
        text, faded = f' data-goal="{number}"', number < now
        text += f' stroke-dasharray="{DASHES}"' if number > now else ""
    elif sensor:
        text, faded = f' data-sensor="{sensor}"', sensor in switches_on(scene)
    return text + (f' opacity="{REACHED_OPACITY:g}"' if faded else "")


def switches_on(scene: Any) -> set[int]:
    """Returns the numbers, from 1, of the switches that are on; none in a level."""
    if not isinstance(scene, EnvState) or scene.progress is None:
        return set()
    return {number + 1 for number in np.flatnonzero(scene.progress.on).tolist()}


def has_two_agents(scene: Any) -> bool:
    """Tells whether some binding belongs to agent 1."""
    return scene.rules is not None and bool(scene.rules.motor_agent.any() or scene.rules.thruster_agent.any())


def binding_text(scene: Any, kind: str, binding: int) -> str:
    """Returns what is written on a motor or thruster: its binding, and with two agents whose it is, a or b.

    Args:
      scene: one level or state, on the host.
      kind: `"motor"` or `"thruster"`.
      binding: index of its binding.
    """
    if not has_two_agents(scene):
        return str(binding)
    return f"{binding}{AGENT_LETTERS[int(getattr(scene.rules, f'{kind}_agent')[binding])]}"


def lock(scene: Any, kind: str, index: int, x: float = 0, y: float = 0) -> str:
    """Draws a lock with the number of the switch that an entity waits for, hidden when that is on.

    Args:
      scene: one level or state, on the host.
      kind: `"body"`, `"joint"` or `"thruster"`.
      index: slot of the entity.
      x, y: place in the frame around it [units].

    Returns:
      an SVG element; empty if the entity waits for nothing.
    """
    switch = 0 if scene.rules is None else int(getattr(scene.rules, f"{kind}_waits_for")[index])
    if not switch:
        return ""
    shown = ' visibility="hidden"' if switch in switches_on(scene) else ""
    place = f'transform="translate({x:g} {y:g})"'
    return f'<g class="lock" data-lock="{switch}" {place}{shown}>{draw_lock(switch)}</g>'


def draw_lock(switch: int) -> str:
    """Draws a lock with the number of a switch about the origin."""
    style = f'font-size="9" font-weight="bold" text-anchor="middle" dominant-baseline="auto" fill="{INK}"'
    return (
        f'<g stroke="{INK}" stroke-width="1.6" font-family="sans-serif">'
        f'<path d="M-4,-2V-5A4,4 0 0 1 4,-5V-2" fill="none"/>'
        f'<rect x="-6.5" y="-2" width="13" height="10" rx="1.5" fill="{hex_color(SENSOR_COLOR)}"/>'
        f'<text y="6.2" {style} stroke="none">{switch}</text></g>'
    )
