"""Parts of a drawing: shapes, joints and thrusters, each in the frame of its body.

A drawing has `UNITS` units per meter and its second axis points down: a point (x, y) of a body's frame is at
(100 x, -100 y). Roles, bindings and kinds differ in hatching, outline and letters, not only in color.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jax2d.geometry import rotate
from kinetix_py.rendering.host import polygon_corners, shape_depth
from kinetix_py.rendering.rule_marks import LOCK_RADIUS, binding_text, lock, rule_attributes, rule_texts
from kinetix_py.rendering.style import (
    FLAME_COLORS,
    INK,
    MOTOR_COLORS,
    PAPER,
    ROLE_COLORS,
    ROLE_LETTERS,
    STATIC_DARKENING,
    THRUSTER_COLORS,
    UNITS,
    hex_color,
)
from kinetix_py.roles import ROLES
from kinetix_py.sizes import ROOM

MARK = 7.0  # radius of a joint's mark
ARC = 15.0  # radius of the arc that shows a joint's limits
NOZZLE = ((0, -4), (0, 4), (-15, 9), (-15, -9))  # a thruster that pushes along the first axis
FLAME = "M0,-7 L-9,-5 L-14,-8 L-20,-3 L-30,0 L-20,3 L-14,8 L-9,5 L0,7 Z"
CORE = "M0,-3.5 L-8,-2 L-16,0 L-8,2 L0,3.5 Z"
# An arrow three quarters around a motor, counter-clockwise; its head at the end.
ARROW = "M0,11 A11,11 0 1 0 -11,0 M-15.5,-1.5 L-11,4.5 L-6.5,-1.5"
LETTER_SIZES = (8.0, 22.0)
# Texts about shapes outside of the room: distance to the edge, half the width of a letter [m], size [units].
EDGE_MARGIN, EDGE_LETTER, EDGE_SIZE = 0.25, 0.055, 16.0


class Text(NamedTuple):
    """A letter that stays upright at a point of a body's frame."""

    body: int
    x: float  # units of the drawing
    y: float
    text: str
    size: float


def number(value: float) -> str:
    """Formats a number with at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def points(vertices: Any) -> str:
    """Formats points of a body's frame [m] as an SVG `points` attribute."""
    return " ".join(f"{number(UNITS * x)},{number(-UNITS * y)}" for x, y in vertices)


def definitions(prefix: str) -> str:
    """Makes the fills of the roles: plain, striped, dotted and cross-hatched tiles."""
    lines = {
        "none": ("", 10),
        "static": ("", 10),
        "green": ('<path d="M0,0V14" stroke="#0b6b2b" stroke-width="4"/>', 14),
        "blue": ('<circle cx="6" cy="6" r="2.4" fill="#dbe6ff"/>', 12),
        "red": ('<path d="M0,6H12M6,0V12" stroke="#ffc9c9" stroke-width="1.8"/>', 12),
    }
    colors = dict(zip(ROLES, map(hex_color, ROLE_COLORS), strict=True))
    colors["static"] = hex_color(ROLE_COLORS[0], STATIC_DARKENING)
    tiles = [
        f'<pattern id="{prefix}{name}" width="{size}" height="{size}" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="{size}" height="{size}" fill="{colors[name]}"/>'
        f"{line}</pattern>"
        for name, (line, size) in lines.items()
    ]
    return f"<defs>{''.join(tiles)}</defs>"


def fill_name(role: int, static: bool) -> str:
    """Returns the name of a shape's fill in `definitions`."""
    return "static" if role == 0 and static else ROLES[role]


def _reach(scene: Any, body: int) -> float:
    """Returns the distance from a body's center to its edge along the first axis of its frame [units]."""
    polygons = scene.sim.vertices.shape[0]
    if body >= polygons:
        return UNITS * float(scene.sim.radius[body - polygons])
    steps = np.linspace(0, 1, 65)[:, None] * [np.abs(polygon_corners(scene, body)).max() * 1.5, 0]
    inside = shape_depth(scene, body, steps) >= 0
    return UNITS * float(steps[inside][-1, 0]) if inside.any() else 0.0


def _rotation_mark(reach: float) -> str:
    """Draws a tick from the edge toward the center, along the first axis of the body's frame."""
    line = f"M{number(0.62 * reach)},0H{number(reach)}"
    strokes = ((PAPER, 4), (INK, 2))
    return "".join(f'<path d="{line}" stroke="{color}" stroke-width="{wide}"/>' for color, wide in strokes)


def draw_body(scene: Any, body: int, prefix: str) -> str:
    """Draws a body: role as fill, thick double outline if static, else a tick that shows its rotation."""
    sim = scene.sim
    polygons = sim.vertices.shape[0]
    static = bool(sim.inverse_mass[body] == 0)
    fill = fill_name(int(scene.labels.role[body]), static)
    if body < polygons:
        what = f'<polygon points="{points(polygon_corners(scene, body))}"'
    else:
        what = f'<circle r="{number(UNITS * sim.radius[body - polygons])}"'
    drawn = f'{what} fill="url(#{prefix}{fill})" stroke="{INK}" stroke-width="{5 if static else 1.6}"'
    drawn += f"{rule_attributes(scene, body)}/>"
    if static:
        drawn += f'{what} fill="none" stroke="{PAPER}" stroke-width="1.4"/>'
    elif sim.inverse_inertia[body] > 0:
        drawn += _rotation_mark(_reach(scene, body))
    return drawn + lock(scene, "body", body)


def draw_joint(scene: Any, index: int, turning: float | None) -> tuple[str, Text | None]:
    """Draws a joint's mark at its anchor in body a's frame, and returns its letter apart.

    Args:
      turning: control of its motor, -1 .. 1; None if unknown.
    """
    joints = scene.sim.joints
    x, y = UNITS * joints.anchor_a[index] * [1, -1]
    place, line = f'transform="translate({number(x)} {number(y)})"', f'stroke="{INK}" stroke-width="1.8"'
    if joints.weld[index]:
        cross = '<path d="M-6,-6L6,6M-6,6L6,-6"/>'
        box = f'<rect x="-6" y="-6" width="12" height="12" fill="{PAPER}"/>'
        return f"<g {place} {line}>{box}{cross}</g>", None
    if not joints.motor_on[index]:
        ring = f'<circle r="6" fill="{PAPER}"/><circle r="1.5" fill="{INK}"/>'
        return f"<g {place} {line}>{ring}</g>", None
    binding, auto = int(scene.labels.motor_binding[index]), bool(scene.labels.motor_auto[index])
    color = PAPER if auto else hex_color(MOTOR_COLORS[binding % len(MOTOR_COLORS)])
    dashes = ' stroke-dasharray="3 2"' if auto else ""
    disc = f'<circle r="{MARK:g}" fill="{color}"{dashes}/>'
    letter = Text(
        int(joints.body_a[index]),
        float(x),
        float(y),
        "A" if auto else binding_text(scene, "motor", binding),
        10,
    )
    arrow = "" if turning is None else draw_arrow(index, turning, joints.motor_speed[index] < 0)
    return f"<g {place} {line}>{disc}{arrow}{lock(scene, 'joint', index, 14, -12)}</g>", letter


def draw_arrow(index: int, turning: float, backwards: bool = False) -> str:
    """Draws an arrow around a motor in the direction in which it turns body b; hidden while it is off.

    A motor of negative speed turns backwards.
    """
    flip = ' transform="scale(-1 1)"' if (turning < 0) != backwards else ""
    shown = "" if turning else ' visibility="hidden"'
    sign = ' data-sign="-1"' if backwards else ""
    return f'<path class="turn" data-turn="{index}"{sign} d="{ARROW}" fill="none"{flip}{shown}/>'


def draw_limits(scene: Any, index: int) -> tuple[str, str]:
    """Draws a joint's limits: an arc in body a's frame, and a hand in body b's frame that stays within it.

    The hand points from the joint to the center of body b, or along its first axis if that is the joint.
    """
    joints = scene.sim.joints
    away = -joints.anchor_b[index]
    hand = float(np.arctan2(away[1], away[0])) if np.hypot(*away) > 0.01 else 0.0
    zero = float(joints.reference_rotation[index]) + hand
    low, high = zero + float(joints.min_rotation[index]), zero + float(joints.max_rotation[index])
    line = f'fill="none" stroke="{INK}" stroke-width="1.6"'
    x, y = UNITS * joints.anchor_a[index] * [1, -1]
    place = f'transform="translate({number(x)} {number(y)})"'
    at = lambda angle, radius: ",".join(map(number, (radius * np.cos(angle), -radius * np.sin(angle))))
    if high - low >= 2 * np.pi:
        arc = f'<circle r="{ARC:g}"/>'
    else:
        large = int(high - low > np.pi)
        ends = "".join(f"M{at(a, ARC - 5)}L{at(a, ARC + 4)}" for a in (low, high))
        arc = f'<path d="M{at(low, ARC)}A{ARC:g},{ARC:g} 0 {large} 0 {at(high, ARC)}{ends}"/>'
    x_b, y_b = UNITS * joints.anchor_b[index] * [1, -1]
    place_b = f'transform="translate({number(x_b)} {number(y_b)})"'
    needle = f'<path {place_b} {line} stroke-dasharray="2 1.5" d="M{at(hand, MARK)}L{at(hand, ARC + 2)}"/>'
    return f'<g class="limits" {place} {line}>{arc}</g>', needle


def draw_thruster(scene: Any, index: int, push: float | None) -> tuple[str, Text]:
    """Draws a thruster: a nozzle at its anchor, opposite to its push, with a flame while it fires.

    Args:
      push: its control, 0 .. 1; None if unknown.
    """
    part = scene.sim.thrusters
    x, y = UNITS * part.anchor[index] * [1, -1]
    angle, binding = float(part.direction[index]), int(scene.labels.thruster_binding[index])
    color = hex_color(THRUSTER_COLORS[binding % len(THRUSTER_COLORS)])
    corners = " ".join(f"{a},{b}" for a, b in NOZZLE)
    nozzle = f'<polygon points="{corners}" fill="{color}"/>'
    burning = "" if push is None else draw_flame(index, push)
    place = f"translate({number(x)} {number(y)}) rotate({number(-np.degrees(angle))})"
    text_x, text_y = np.array([x, y]) + rotate(np.array([-9.5, 0.0]), angle) * [1, -1]
    letter = Text(
        int(part.body[index]), float(text_x), float(text_y), binding_text(scene, "thruster", binding), 10
    )
    drawn = f'<g transform="{place}" stroke="{INK}" stroke-width="1.6" stroke-linejoin="round">'
    return f"{drawn}{burning}{nozzle}{lock(scene, 'thruster', index, -8, 17)}</g>", letter


def draw_flame(index: int, push: float) -> str:
    """Draws a flame with a length in proportion to the push; hidden while there is none."""
    shown = "" if push else ' visibility="hidden"'
    outer, inner = FLAME_COLORS
    shapes = f'<path d="{FLAME}" fill="{outer}"/><path d="{CORE}" fill="{inner}" stroke="none"/>'
    scale = f"translate(-15 0) scale({number(push)} 1)"
    return f'<g class="flame" data-flame="{index}" transform="{scale}"{shown}>{shapes}</g>'


def _obstacles(scene: Any, body: int) -> np.ndarray:
    """Returns the discs that marks cover on a body: `[m, 3]` m, centers in its frame and radii."""
    joints, thrusters = scene.sim.joints, scene.sim.thrusters
    mark = lambda anchor: [*anchor, MARK / UNITS + 0.01]
    found = [mark(joints.anchor_a[j]) for j in np.flatnonzero(joints.active & (joints.body_a == body))]
    found += [mark(joints.anchor_b[j]) for j in np.flatnonzero(joints.active & (joints.body_b == body))]
    for t in np.flatnonzero(thrusters.active & (thrusters.body == body)).tolist():
        middle = thrusters.anchor[t] - 0.08 * np.array(
            [np.cos(thrusters.direction[t]), np.sin(thrusters.direction[t])]
        )
        found.append([*middle, 0.12])
    if scene.sim.inverse_inertia[body] > 0:
        reach = _reach(scene, body) / UNITS
        found += [[0.72 * reach, 0, 0.02], [0.9 * reach, 0, 0.02]]
    if scene.rules is not None and scene.rules.body_waits_for[body]:
        found.append([0, 0, LOCK_RADIUS])
    return np.array(found).reshape(-1, 3)


def _at_the_edge(scene: Any, body: int, text: str, place: np.ndarray) -> Text:
    """Writes a text inside the room, as near as it can be to a place [m] outside."""
    margin = np.array([max(EDGE_MARGIN, EDGE_LETTER * len(text)), EDGE_MARGIN])
    inside = np.clip(place, margin, ROOM - margin)
    x, y = rotate(inside - scene.sim.position[body], -scene.sim.rotation[body])
    return Text(body, UNITS * float(x), -UNITS * float(y), text, EDGE_SIZE)


def role_letter(scene: Any, body: int) -> Text | None:
    """Places the letter of a body's role where it is visible and covers no mark; None if there is no room.

    A body outside of the room, such as a wall, has it at the edge.

    A goal in a sequence, or one that must be held, has its number and time behind the letter; a sensor has an
    S and the number of its switch.
    """
    letter = ROLE_LETTERS[int(scene.labels.role[body])]
    goal = rule_texts(scene, body)
    texts = goal or [letter]
    if not texts[0]:
        return None
    sim, polygons = scene.sim, scene.sim.vertices.shape[0]
    radius = None if body < polygons else float(sim.radius[body - polygons])
    extent = np.array([[-1, -1], [1, 1]]) * radius if radius is not None else polygon_corners(scene, body)
    world = sim.position[body] + (extent if radius is not None else rotate(extent, sim.rotation[body]))
    low, high = np.maximum(world.min(0), 0), np.minimum(world.max(0), ROOM)
    if (low >= high).any():  # outside, such as a wall
        return _at_the_edge(scene, body, texts[0], (world.min(0) + world.max(0)) / 2)
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 25).T), axis=-1).reshape(-1, 2)
    local = rotate(grid - sim.position[body], -sim.rotation[body])
    room = np.minimum(shape_depth(scene, body, local), np.minimum(grid, ROOM - grid).min(1))
    for other in np.flatnonzero(sim.active).tolist():
        if other > body:  # drawn over this one
            above = rotate(grid - sim.position[other], -sim.rotation[other])
            room = np.minimum(room, -shape_depth(scene, other, above))
    for x, y, size in _obstacles(scene, body):
        room = np.minimum(room, np.hypot(local[:, 0] - x, local[:, 1] - y) - size)
    # Of places with about as much room, the one nearest to the middle.
    best = np.argmax(room - 0.02 * np.linalg.norm(grid - (low + high) / 2, axis=1))
    for text in texts:
        size = min(LETTER_SIZES[1], min(1.5, 3.2 / len(text)) * UNITS * float(room[best]))
        if size >= LETTER_SIZES[0]:
            return Text(body, UNITS * float(local[best, 0]), -UNITS * float(local[best, 1]), text, size)
    return None
