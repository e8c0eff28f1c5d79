"""Vector drawings of levels and states: SVG for notebooks, papers and the player."""

from __future__ import annotations

import html
import pathlib
import zlib
from typing import Any

import jax
import numpy as np

from kinetix_py.atomic import atomic_write
from kinetix_py.env.types import EnvState
from kinetix_py.rendering import parts
from kinetix_py.rendering.contacts import contact_points
from kinetix_py.rendering.host import Drawable, controls, row, to_host
from kinetix_py.rendering.legend import LEGEND_WIDTH, SCALE_HEIGHT, legend_rows, scale_bar_row
from kinetix_py.rendering.parts import Text, number
from kinetix_py.rendering.style import CONTACT_COLOR, INK, PAPER, UNITS
from kinetix_py.sizes import ROOM
from kinetix_py.validation import check_integer

SIDE = ROOM * UNITS  # of a picture [units]
GAP = 12.0  # between pictures of a batch [units]
MAX_WIDTH = 10_000
DIAMOND = "M0,-6L6,0L0,6L-6,0Z"


class Drawing(str):
    """An SVG document; a notebook shows it as a picture."""

    def _repr_html_(self) -> str:
        return str(self)

    def save(self, path: str | pathlib.Path) -> None:
        """Writes the document to a file."""
        atomic_write(path, str(self))


def body_transform(position: np.ndarray, rotation: float) -> str:
    """Returns the SVG transform of a body's frame.

    Args:
      position: center of mass, float `[2]` m.
      rotation: rotation [rad].
    """
    x, y = UNITS * position[0], UNITS * (ROOM - position[1])
    return f"translate({number(x)} {number(y)}) rotate({number(-np.degrees(rotation))})"


def text_transform(position: np.ndarray, rotation: float, text: Text) -> str:
    """Returns the SVG transform of an upright letter; arguments as for `body_transform`."""
    upright = number(np.degrees(rotation))
    return (
        f"{body_transform(position, rotation)} translate({number(text.x)} {number(text.y)}) rotate({upright})"
    )


def _texts(scene: Any, texts: list[Text]) -> str:
    """Draws letters on top of everything else, dark with a light rim."""
    position, rotation = scene.sim.position, scene.sim.rotation
    lines = [
        f'<text data-text="{t.body}" data-x="{number(t.x)}" data-y="{number(t.y)}" '
        f'font-size="{number(t.size)}" stroke-width="{number(t.size / 4)}" '
        f'transform="{text_transform(position[t.body], rotation[t.body], t)}">{t.text}</text>'
        for t in texts
    ]
    style = (
        f'font-family="sans-serif" font-weight="bold" text-anchor="middle" fill="{INK}" stroke="{PAPER}" '
        'stroke-linejoin="round" paint-order="stroke" dominant-baseline="central"'
    )
    return f"<g {style}>{''.join(lines)}</g>"


def _in_body_frames(scene: Any, pieces: list[tuple[int, str]]) -> str:
    """Puts parts of a drawing into the frames of their bodies."""
    position, rotation = scene.sim.position, scene.sim.rotation
    return "".join(
        f'<g data-body="{body}" transform="{body_transform(position[body], rotation[body])}">{piece}</g>'
        for body, piece in pieces
    )


def contact_marks(places: np.ndarray) -> str:
    """Draws diamonds at contact points `[m, 2]` [m]."""
    spots = [f"{number(UNITS * x)} {number(UNITS * (ROOM - y))}" for x, y in places]
    return "".join(f'<path d="{DIAMOND}" transform="translate({spot})"/>' for spot in spots)


def draw_room(scene: Any, prefix: str, control: np.ndarray | None, places: np.ndarray | None) -> str:
    """Draws everything in the room, without the frame around it.

    Args:
      scene: one level or state, on the host.
      prefix: prefix of the names of `parts.definitions`.
      control: controls of motors and thrusters, float `[J + T]`; None leaves out arrows and flames.
      places: points where shapes touch, float `[m, 2]` m; None leaves out the marks.
    """
    sim, count = scene.sim, scene.sim.joints.active.shape[0]
    bodies, joints = np.flatnonzero(sim.active).tolist(), np.flatnonzero(sim.joints.active).tolist()
    letters = [parts.role_letter(scene, body) for body in bodies]
    pieces = [(body, parts.draw_body(scene, body, prefix)) for body in bodies]
    for j in (j for j in joints if sim.joints.limits_on[j] and not sim.joints.weld[j]):
        arc, hand = parts.draw_limits(scene, j)
        pieces += [(int(sim.joints.body_a[j]), arc), (int(sim.joints.body_b[j]), hand)]
    for t in np.flatnonzero(sim.thrusters.active).tolist():
        drawn, letter = parts.draw_thruster(scene, t, None if control is None else float(control[count + t]))
        pieces.append((int(sim.thrusters.body[t]), drawn))
        letters.append(letter)
    for j in joints:
        drawn, mark = parts.draw_joint(scene, j, None if control is None else float(control[j]))
        pieces.append((int(sim.joints.body_a[j]), drawn))
        letters.append(mark)
    touches = "" if places is None else contact_marks(places)
    style = f'fill="{CONTACT_COLOR}" stroke="{PAPER}" stroke-width="1.5"'
    return (
        _in_body_frames(scene, pieces)
        + f'<g class="contacts" {style}>{touches}</g>'
        + _texts(scene, [letter for letter in letters if letter])
    )


def framed(inside: str, x: float = 0, y: float = 0) -> str:
    """Clips a picture at the walls of the room, on white, in a thin frame."""
    box = f'x="{number(x)}" y="{number(y)}" width="{SIDE:g}" height="{SIDE:g}"'
    room = f'viewBox="0 0 {SIDE:g} {SIDE:g}" overflow="hidden"'
    paper = f'<rect width="{SIDE:g}" height="{SIDE:g}" fill="{PAPER}"/>'
    edge = f'<rect {box} fill="none" stroke="#999" stroke-width="1"/>'
    return f'<svg class="room" {box} {room}>{paper}{inside}</svg>{edge}'


def _check(scene: Any, width: int, columns: int, limit: int) -> None:
    for name, value, most in (("width", width, MAX_WIDTH), ("columns", columns, 100), ("limit", limit, 1000)):
        check_integer(name, value, 1, most)
    shape = scene.batch_shape
    if len(shape) > 1:
        raise ValueError(f"a drawing takes one level or state, or a batch with one axis; got a batch {shape}")
    if shape == (0,):
        raise ValueError("a drawing needs at least one level, got a batch of 0")


def render_svg(
    scene: Drawable,
    *,
    action: jax.Array | np.ndarray | None = None,
    action_type: str = "multi_discrete",
    contacts: bool = False,
    legend: bool = False,
    scale_bar: bool = False,
    width: int = 400,
    columns: int = 4,
    limit: int = 8,
) -> Drawing:
    """Draws the room, 5 m x 5 m, as an SVG.

    Roles are told apart by color, hatching (green striped, blue dotted, red cross-hatched) and letter,
    static shapes by a double outline. Weld joints are crossed boxes, free ones rings, motors discs in the
    color and with the number of their binding (`A`: runs by itself), thrusters nozzles likewise. A tick in a
    shape shows its rotation, an arc the limits of a joint.

    Args:
      scene: a level or a state; of a batch `[B]` the first few are drawn in a grid.
      action: current action, `[...]` or `[B, ...]`; flames and arrows then show which thrusters and motors
        are on.
      action_type: type of the action, such as `env.action_type`.
      contacts: whether to mark where shapes touched in the last physics step (states only).
      legend: whether to explain the marks, to the right.
      scale_bar: whether to draw the length of 1 m, below.
      width: width of one picture [pixels], 1 .. 10,000.
      columns, limit: pictures in a row of a grid, and in all.

    Returns:
      an SVG document, a `str` that notebooks show as a picture.

    Raises:
      ValueError: no level or state, a batch with more than one axis or of nothing, a number out of its
        bounds, an action that does not fit, contacts of a level.
    """
    host = to_host(scene)
    _check(host, width, columns, limit)
    if contacts and not isinstance(host, EnvState):
        raise ValueError("contacts are known of an EnvState, got a Level")
    batch = len(host.batch_shape) == 1
    scenes = [row(host, i) for i in range(min(limit, host.batch_shape[0]))] if batch else [host]
    actions: list[Any] = [None] * len(scenes)
    if action is not None:
        actions = list(np.asarray(action))[: len(scenes)] if batch else [np.asarray(action)]
        if len(actions) != len(scenes):
            raise ValueError(f"a batch of {len(scenes)} needs as many actions, got {len(actions)}")
    all_controls = [
        None if one is None else controls(state, one, action_type)
        for state, one in zip(scenes, actions, strict=True)
    ]
    spots = [contact_points(state) if contacts else None for state in scenes]
    return _document(scenes, all_controls, spots, legend, scale_bar, width, min(columns, len(scenes)))


def _document(
    scenes, all_controls, spots, legend: bool, scale_bar: bool, width: int, columns: int
) -> Drawing:
    """Makes the SVG document of pictures in a grid, with legend and scale bar."""
    # Names that two drawings on one page share must mean the same: they come from what is drawn.
    marker = b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in jax.tree.leaves(scenes))
    prefix = f"k{zlib.crc32(marker):08x}-"
    step, rows = SIDE + GAP, -(-len(scenes) // columns)
    panels = [
        framed(draw_room(one, prefix, control, spot), step * (i % columns), step * (i // columns))
        for i, (one, control, spot) in enumerate(zip(scenes, all_controls, spots, strict=True))
    ]
    full_width, full_height = columns * step - GAP, rows * step - GAP
    extra = ""
    if legend:
        extra += legend_rows(scenes, prefix, full_width + GAP)
        full_width += GAP + LEGEND_WIDTH
    if scale_bar:
        extra += scale_bar_row(full_height)
        full_height += SCALE_HEIGHT
    box = f"-1 -1 {number(full_width + 2)} {number(full_height + 2)}"
    scale = width / SIDE
    size = f'width="{number(scale * (full_width + 2))}" height="{number(scale * (full_height + 2))}"'
    label = html.escape(f"{len(scenes)} scene{'s' if len(scenes) > 1 else ''} of a Kinetix room, 5 m x 5 m")
    return Drawing(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="{box}" role="img" aria-label="{label}">'
        f"{parts.definitions(prefix)}{''.join(panels)}{extra}</svg>"
    )
