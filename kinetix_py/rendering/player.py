"""Episodes as one self-contained web page that plays them: no network, no other files."""

from __future__ import annotations

import base64
import importlib.resources
import json
import re
from typing import Any

import numpy as np

from kinetix_py.rendering import parts
from kinetix_py.rendering.recording import Episode
from kinetix_py.rendering.style import MOTOR_COLORS, THRUSTER_COLORS, hex_color
from kinetix_py.rendering.svg import SIDE, draw_room, framed

VERSION = 1
PREFIX = "kx-"
POSITION_STEP, ROTATION_STEP, CONTROL_STEP = 1e-3, 1e-4, 1e-2  # m, rad, 1: what a stored unit is
_INSERT = re.compile(r"/\*INSERT ([\w/]+\.\w+)\*/")
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def pack(values: np.ndarray, dtype: str, step: float = 1.0) -> dict[str, Any]:
    """Encodes an array for JSON: little-endian numbers in base64, in units of `step`.

    Integers are rounded, and clipped to what their type holds.
    """
    stored = np.asarray(values, float) / step
    if np.issubdtype(dtype, np.integer):
        bounds = np.iinfo(dtype)
        stored = np.clip(np.round(stored), bounds.min, bounds.max)
    raw = stored.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    shape = list(np.shape(values))
    return {"type": dtype, "shape": shape, "step": step, "data": base64.b64encode(raw).decode()}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Decodes the array that `pack` was given, to the nearest step."""
    raw = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["type"]).newbyteorder("<"))
    return raw.reshape(packed["shape"]) * packed["step"]


def moving_bodies(episode: Episode) -> np.ndarray:
    """Returns the bodies that ever leave their first pose: int `[M]`."""
    position, rotation = episode.position, episode.rotation
    moved = (position != position[:1]).any((0, 2)) | (rotation != rotation[:1]).any(0)
    return np.flatnonzero(moved & episode.scene.sim.active)


def _motion(episode: Episode, bodies: np.ndarray) -> dict[str, Any]:
    """Encodes poses of some bodies: `[F, M, 3]`, rotations in -pi .. pi."""
    turns = np.mod(episode.rotation[:, bodies] + np.pi, 2 * np.pi) - np.pi
    units = [POSITION_STEP, POSITION_STEP, ROTATION_STEP]
    return pack(np.concatenate([episode.position[:, bodies], turns[..., None]], axis=2) / units, "int16")


def _inputs(episode: Episode) -> list[dict[str, Any]]:
    """Lists the bindings that a level uses, each with an actuator whose control shows its value."""
    scene, joints = episode.scene, episode.scene.sim.joints
    driven = joints.active & joints.motor_on & ~joints.weld & ~scene.labels.motor_auto
    count = len(joints.active)
    kinds = (
        ("motor", np.flatnonzero(driven), scene.labels.motor_binding, 0, MOTOR_COLORS),
        (
            "thruster",
            np.flatnonzero(scene.sim.thrusters.active),
            scene.labels.thruster_binding,
            count,
            THRUSTER_COLORS,
        ),
    )
    found = {}
    for kind, slots, binding, first, colors in kinds:
        for slot in slots.tolist()[::-1]:
            b = int(binding[slot])
            color = hex_color(colors[b % len(colors)])
            found[kind, b] = {"name": f"{kind} {b}", "control": first + slot, "color": color}
    return [found[key] for key in sorted(found)]


def _record(episode: Episode, title: str) -> dict[str, Any]:
    """Makes the page's record of an episode."""
    bodies = moving_bodies(episode)
    optional = lambda values, *options: None if values is None else pack(values, *options)
    return {
        "title": title,
        "length": episode.length,
        "solved": episode.solved,
        "joints": len(episode.scene.sim.joints.active),
        "bodies": bodies.tolist(),
        "motion": _motion(episode, bodies),
        "touches": pack(np.array([len(spots) for spots in episode.contacts]), "uint8"),
        "contacts": pack(np.concatenate(episode.contacts), "int16", POSITION_STEP),
        "inputs": _inputs(episode) if episode.controls is not None else [],
        "controls": optional(episode.controls, "int8", CONTROL_STEP),
        "reward": optional(episode.reward, "float32"),
        "value": optional(episode.value, "float32"),
        "goal": optional(episode.goal, "uint8"),
        "on": optional(episode.on, "uint8"),
    }


def page_frame(name: str) -> str:
    """Returns the text of a page with the definitions that its pictures need and the files that it names.

    Args:
      name: path of the page in this package. In it `<!--DEFINITIONS-->` stands for the definitions, and
        `/*INSERT path*/` for the text of a style sheet or script of this package.
    """
    root = importlib.resources.files("kinetix_py")
    definitions = f'<svg class="definitions" aria-hidden="true">{parts.definitions(PREFIX)}</svg>'
    page = root.joinpath(name).read_text("utf-8").replace("<!--DEFINITIONS-->", definitions, 1)
    return _INSERT.sub(lambda mark: root.joinpath(mark[1]).read_text("utf-8"), page)


def room_picture(scene: Any, control: np.ndarray | None, places: np.ndarray | None) -> str:
    """Draws a picture for a page; arguments as for `svg.draw_room`."""
    return (
        f'<svg class="picture" viewBox="0 0 {SIDE:g} {SIDE:g}" role="img" aria-label="the room, drawn">'
        f"{framed(draw_room(scene, PREFIX, control, places))}</svg>"
    )


def player_page(episodes: list[Episode], *, titles: list[str], fps: float) -> str:
    """Makes the page: data, pictures of the first frames and the player's code in one HTML document.

    Args:
      episodes: episodes from `recording.collect`.
      titles: title of each episode.
      fps: frames per second at speed 1.
    """
    count = len(episodes[0].scene.sim.joints.active) + len(episodes[0].scene.sim.thrusters.active)
    pictures = []
    for episode in episodes:
        control = None if episode.controls is None else np.zeros(count)
        pictures.append(room_picture(episode.scene, control, episode.contacts[0]))
    records = [_record(episode, title) for episode, title in zip(episodes, titles, strict=True)]
    data = {
        "version": VERSION,
        "fps": fps,
        "frames": max(len(episode.position) for episode in episodes),
        "position_step": POSITION_STEP,
        "rotation_step": ROTATION_STEP,
        "episodes": records,
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # nothing ends the script early
    page = page_frame("rendering/player.html")
    cards = "".join(f'<article class="episode">{drawn}</article>' for drawn in pictures)
    # The records come last: only they hold text of the caller's, which might contain another mark.
    for mark, content in (("EPISODES", cards), ("RECORDS", text)):
        page = page.replace(f"<!--{mark}-->", content, 1)
    return page


def read_player(page: str) -> list[dict[str, Any]]:
    """Reads the episodes of a page that `kinetix_py.save_video` wrote.

    Args:
      page: text of the file.

    Returns:
      for each episode `title`, `length` (environment steps), `solved`, `bodies` (int `[M]`, those that
      move), `position` (float `[F, M, 2]` m, to the millimeter), `rotation` (float `[F, M]` rad in
      -pi .. pi), `contacts` (for each frame float `[m, 2]` m), and `controls` `[F, J + T]`,
      `reward` `[F]` and `value` `[F]` or None.

    Raises:
      ValueError: the text is no such page.
    """
    found = _DATA.search(page)
    if not found:
        raise ValueError("the page has no episodes: it was not written by kinetix_py.save_video")
    data = json.loads(found.group(1))
    if data.get("version") != VERSION:
        raise ValueError(f"the page is of version {data.get('version')!r}, this package reads {VERSION}")
    return [_read_record(record, data) for record in data["episodes"]]


def _read_record(record: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    motion = unpack(record["motion"])
    ends = np.cumsum(unpack(record["touches"]).astype(int))[:-1]
    optional = lambda name: None if record[name] is None else unpack(record[name])
    return {name: record[name] for name in ("title", "length", "solved")} | {
        "bodies": np.array(record["bodies"], int),
        "position": motion[..., :2] * data["position_step"],
        "rotation": motion[..., 2] * data["rotation_step"],
        "contacts": np.split(unpack(record["contacts"]), ends),
        **{name: optional(name) for name in ("controls", "reward", "value")},
    }
