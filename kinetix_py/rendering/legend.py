"""The legend of a drawing and its scale bar."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinetix_py.rendering.parts import ARC, ARROW, FLAME, MARK, NOZZLE, number
from kinetix_py.rendering.rule_marks import DASHES, draw_lock, goal_numbers, has_two_agents
from kinetix_py.rendering.style import (
    CONTACT_COLOR,
    FLAME_COLORS,
    INK,
    MOTOR_COLORS,
    PAPER,
    THRUSTER_COLORS,
    UNITS,
    hex_color,
)

LEGEND_WIDTH = 240.0  # room for the longest line in a wide font
ROW = 25.0
SCALE_HEIGHT = 30.0


def _swatch(fill: str, static: bool, letter: str = "") -> str:
    box = '<rect x="-14" y="-8" width="34" height="16"'
    drawn = f'{box} fill="url(#{fill})" stroke="{INK}" stroke-width="{4 if static else 1.6}"/>'
    if static:
        drawn += f'{box} fill="none" stroke="{PAPER}" stroke-width="1.2"/>'
    return drawn + (_letter(letter, *((13, -5) if len(letter) == 1 else (10, 3))) if letter else "")


def _letter(text: str, size: float, x: float = 0) -> str:
    return (
        f'<text x="{x:g}" font-size="{size:g}" font-weight="bold" text-anchor="middle" fill="{INK}" '
        f'stroke="{PAPER}" stroke-width="{size / 4:g}" paint-order="stroke">{text}</text>'
    )


def _disc(color: str, text: str, dashes: str = "") -> str:
    return f'<circle r="{MARK:g}" fill="{color}" {_LINE}{dashes}/>' + _letter(text, 10)


_LINE = f'stroke="{INK}" stroke-width="1.8"'


def _nozzle(color: str, text: str) -> str:
    corners = " ".join(f"{a + 8},{b}" for a, b in NOZZLE)
    return f'<polygon points="{corners}" fill="{color}" {_LINE}/>' + _letter(text, 10, -1.5)


def _shape_rows(prefix: str) -> list[tuple[str, str]]:
    return [
        (_swatch(f"{prefix}green", False, "G"), "green: should touch blue"),
        (_swatch(f"{prefix}blue", False, "B"), "blue: the goal"),
        (_swatch(f"{prefix}red", False, "R"), "red: green must not touch it"),
        (_swatch(f"{prefix}none", False), "no role"),
        (_swatch(f"{prefix}static", True), "static (double outline)"),
        (f'<circle r="9" fill="none" {_LINE}/><path d="M4,0H9" {_LINE}/>', "tick: rotation of a shape"),
    ]


def _goal_rows(scenes: list[Any], prefix: str) -> list[tuple[str, str]]:
    numbers = [set(goal_numbers(one).values()) for one in scenes]
    rows = []
    if any(len(found) > 1 for found in numbers):
        swatch = _swatch(f"{prefix}blue", False, "B2")
        rows += [(swatch, "goal 2: after goal 1"), (_dashed(swatch), "goal whose turn has not come")]
    if any(int(one.rules.hold[body]) > 1 for one in scenes for body in goal_numbers(one)):
        rows.append((_swatch(f"{prefix}blue", False, "B 1 s"), "goal to touch for 1 s"))
    if any(one.rules is not None and bool(one.rules.sensor.any()) for one in scenes):
        rows.append((_swatch(f"{prefix}none", False, "S1"), "sensor: green turns switch 1 on"))
        rows.append((draw_lock(1), "waits for switch 1"))
    if any(has_two_agents(one) for one in scenes):
        rows.append((_disc(PAPER, "0a"), "binding of agent a (0)"))
        rows.append((_disc(PAPER, "0b"), "binding of agent b (1)"))
    return rows


def _dashed(swatch: str) -> str:
    return swatch.replace("/>", f' stroke-dasharray="{DASHES}"/>', 1)


def _joint_rows(scenes: list[Any]) -> list[tuple[str, str]]:
    bound = [one.labels.motor_binding[_driven(one) & ~one.labels.motor_auto] for one in scenes]
    bindings = sorted({int(b) for row in bound for b in row})
    has = lambda test: any(bool(np.any(test(one))) for one in scenes)
    rows = []
    if has(lambda one: one.sim.joints.active & ~one.sim.joints.weld & ~one.sim.joints.motor_on):
        rows.append((f'<circle r="6" fill="{PAPER}" {_LINE}/><circle r="1.5" fill="{INK}"/>', "free joint"))
    if has(lambda one: one.sim.joints.active & one.sim.joints.weld):
        box = f'<rect x="-6" y="-6" width="12" height="12" fill="{PAPER}" {_LINE}/>'
        rows.append((f'{box}<path d="M-6,-6L6,6M-6,6L6,-6" {_LINE}/>', "weld joint"))
    for b in bindings:
        disc = _disc(hex_color(MOTOR_COLORS[b % len(MOTOR_COLORS)]), str(b))
        rows.append((disc, f"motor of binding {b}"))
    if has(lambda one: _driven(one) & one.labels.motor_auto):
        rows.append((_disc(PAPER, "A", ' stroke-dasharray="3 2"'), "motor that runs by itself"))
    if has(lambda one: one.sim.joints.active & one.sim.joints.limits_on & ~one.sim.joints.weld):
        arc = f'<path d="M-11,5A{ARC:g},{ARC:g} 0 0 1 11,5M0,8V-3" fill="none" {_LINE}/>'
        rows.append((arc, "limits of a joint, and its hand"))
    return rows


def _driven(one: Any) -> np.ndarray:
    joints = one.sim.joints
    return joints.active & joints.motor_on & ~joints.weld


def _thruster_rows(scenes: list[Any]) -> list[tuple[str, str]]:
    bound = [one.labels.thruster_binding[one.sim.thrusters.active] for one in scenes]
    bindings = sorted({int(b) for row in bound for b in row})
    return [
        (_nozzle(hex_color(THRUSTER_COLORS[b % len(THRUSTER_COLORS)]), str(b)), f"thruster of binding {b}")
        for b in bindings
    ]


def _action_rows(scenes: list[Any]) -> list[tuple[str, str]]:
    rows = []
    if any(_driven(one).any() for one in scenes):
        rows.append(
            (f'<path d="{ARROW}" fill="none" transform="scale(.75)" {_LINE}/>', "motor is on, this way")
        )
    if any(one.sim.thrusters.active.any() for one in scenes):
        fire = f'<path d="{FLAME}" fill="{FLAME_COLORS[0]}" transform="translate(12 0) scale(.8)" {_LINE}/>'
        rows.append((fire, "thruster is firing"))
    diamond = f'<path d="M0,-6L6,0L0,6L-6,0Z" fill="{CONTACT_COLOR}" stroke="{PAPER}" stroke-width="1.5"/>'
    return [*rows, (diamond, "shapes touch")]


def legend_rows(scenes: list[Any], prefix: str, left: float) -> str:
    """Draws the legend of the marks that scenes have, `LEGEND_WIDTH` wide.

    Args:
      scenes: levels or states, on the host.
      prefix: prefix of the names of `parts.definitions`.
      left: left edge [units].
    """
    rows = (
        _shape_rows(prefix)
        + _goal_rows(scenes, prefix)
        + _joint_rows(scenes)
        + _thruster_rows(scenes)
        + _action_rows(scenes)
    )
    pitch = min(ROW, 500 / len(rows))
    lines = [
        f'<g transform="translate({number(left + 18)} {number(pitch * (i + 0.6))})">{mark}'
        f'<text x="28" font-size="11.5" fill="{INK}">{text}</text></g>'
        for i, (mark, text) in enumerate(rows)
    ]
    return f'<g class="legend" font-family="sans-serif" dominant-baseline="central">{"".join(lines)}</g>'


def scale_bar_row(top: float) -> str:
    """Draws the length of 1 m below the pictures, which end at `top` [units]."""
    y = top + 12
    bar = f'<path d="M1,{number(y - 4)}v8m0,-4h{UNITS:g}m0,-4v8" {_LINE}/>'
    text = f'<text x="{UNITS + 8:g}" y="{number(y)}" font-size="14" fill="{INK}">1 m</text>'
    return f'<g class="scale" font-family="sans-serif" dominant-baseline="central">{bar}{text}</g>'
