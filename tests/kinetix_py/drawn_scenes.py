"""A scene with one of every mark, states of it along time, and a rasteriser of what an SVG says."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
import kinetix_py as kx
from kinetix_py.rendering.style import ROLE_COLORS, STATIC_DARKENING

SIZE = kx.LevelSize(num_polygons=9, num_circles=3, num_joints=4, num_thrusters=2)
BOX, TRIANGLE, LONG, STATIC, ARM = range(4, 9)
BALL, WHEEL, ROCK = range(9, 12)
TRIANGLE_CORNERS = ((0.0, 0.0), (0.0, 0.8), (0.6, 0.0))


def level():
    """Movable and static shapes of every role, apart from each other but for an arm on a joint."""
    scene = jax2d.Scene(SIZE.sim_spec())
    scene.add_walls()
    box = scene.add_box((1.0, 4.0), 0.8, 0.5, rotation=0.4)
    wedge = scene.add_polygon((2.2, 3.6), TRIANGLE_CORNERS)
    beam = scene.add_box((4.0, 4.0), 1.2, 0.3, rotation=-0.7)
    scene.add_box((1.0, 2.4), 0.7, 0.7, rotation=1.0, static=True)
    arm = scene.add_box((4.0, 1.5), 0.2, 0.9)
    scene.add_circle((2.6, 2.4), 0.3)
    wheel = scene.add_circle((4.0, 2.4), 0.4)
    scene.add_circle((1.2, 1.0), 0.35, static=True)
    scene.add_revolute_joint(wheel, arm, (4.0, 1.85), motor=True, limits=(-1.0, 0.5))
    scene.add_weld_joint(box, wedge, (1.6, 3.9))
    scene.add_revolute_joint(beam, wedge, (3.1, 3.9))
    scene.add_revolute_joint(beam, wheel, (4.0, 3.0), motor=True)
    scene.add_thruster(box, (1.0, 4.0), direction=0.5)
    scene.add_thruster(arm, (4.0, 1.2), direction=np.pi / 2)
    return kx.from_scene(
        scene.build(),
        SIZE,
        role=[0, 0, 0, 0, 1, 2, 3, 0, 0, 2, 0, 3],
        motor_binding=[2, 0, 0, 1],
        motor_auto=[False, False, False, True],
        thruster_binding=[0, 1],
    )


def start():
    """The state at the start of an episode."""
    return kx.make(SIZE, observation_type="blind").reset_to_level(level())[1]


def along_time(state, frames, seed=0):
    """States `[frames]` whose movable bodies wander, and whose contacts are drawn by chance."""
    rng = np.random.default_rng(seed)
    stacked = jax.tree.map(lambda value: np.stack([np.asarray(value)] * frames), state)
    movable = np.asarray(state.sim.inverse_mass > 0)[None]
    wander = lambda *shape: np.cumsum(rng.normal(scale=0.02, size=(frames, *shape)), axis=0).astype(
        np.float32
    )
    bodies = movable.shape[1]
    position = stacked.sim.position + wander(bodies, 2) * movable[..., None]
    rotation = stacked.sim.rotation + 20 * wander(bodies) * movable
    contact = rng.random(stacked.touching_slots.shape) < 0.05
    sim = dataclasses.replace(stacked.sim, position=position, rotation=rotation)
    return jax.tree.map(jnp.asarray, dataclasses.replace(stacked, sim=sim, touching_slots=contact))


def placed(transform):
    """Translation (x, y) and angle [degrees] of a body's transform in an SVG."""
    found = re.fullmatch(r"translate\((\S+) (\S+)\) rotate\((\S+)\)", transform)
    return [float(value) for value in found.groups()]


def rooms(svg):
    """The pictures of an SVG or XHTML document."""
    return [e for e in ElementTree.fromstring(svg).iter() if e.get("class") == "room"]


def bodies(room):
    """Transforms of the bodies' shapes in a picture, by body."""
    found = {}
    for group in room:
        if group.get("data-body"):
            found.setdefault(int(group.get("data-body")), group.get("transform"))
    return found


def _inside(shape, x, y):
    """Depth of points in a shape of an SVG, in its own frame [units]."""
    if shape.get("r"):
        return float(shape.get("r")) - np.hypot(x, y)
    corners = np.array([[float(v) for v in pair.split(",")] for pair in shape.get("points").split()])
    depth = np.full(x.shape, np.inf)
    for here, there in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (there - here) / np.hypot(*(there - here))
        # Clockwise corners stay clockwise on paper, where y points down: the inside is to the right.
        depth = np.minimum(depth, along[0] * (y - here[1]) - along[1] * (x - here[0]))
    return depth


def rasterise(svg, size):
    """The fills of an SVG's first picture: float `[size, size, 3]`, and pixels' distances from an edge."""
    colors = dict(zip(("none", "green", "blue", "red"), np.array(ROLE_COLORS), strict=True))
    colors["static"] = colors["none"] * STATIC_DARKENING
    center = (np.arange(size) + 0.5) * 500 / size
    x, y = np.meshgrid(center, center)
    picture, clear = np.ones((size, size, 3)), np.full((size, size), np.inf)
    for group in rooms(svg)[0]:
        shape = next(iter(group), None)
        fill = None if shape is None else re.fullmatch(r"url\(#.*-(\w+)\)", shape.get("fill") or "")
        if group.get("data-body") is None or not fill:
            continue
        left, top, degrees = placed(group.get("transform"))
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        depth = _inside(shape, cos * (x - left) + sin * (y - top), cos * (y - top) - sin * (x - left))
        picture[depth > 0] = colors[fill.group(1)]
        clear = np.where(depth > 0, depth, np.minimum(clear, -depth))
    return picture, clear
