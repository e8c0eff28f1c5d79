"""Pieces that several families share."""

from __future__ import annotations

from jax2d.scene import Body
from kinetix_py.levels.builder import LevelBuilder, Point


def add_car(
    builder: LevelBuilder,
    x: float,
    ground: float = 0.4,
    *,
    length: float = 0.8,
    role: str = "green",
    speed: float = 1.0,
    power: float = 1.0,
    radius: float = 0.2,
    bindings: tuple[int, int] = (0, 0),
    density: float = 1.0,
) -> Body:
    """A box on two driven wheels that stand on the ground; action +1 drives right. Returns the box."""
    axle = ground + radius
    body = builder.box((x, axle + 0.16), length, 0.2, role, density=density)
    for side, binding in zip((-0.36, 0.36), bindings, strict=True):
        wheel = builder.circle((x + side * length, axle), radius)
        builder.motor(body, wheel, (x + side * length, axle), binding, speed=-speed, power=power)
    return body


def add_limb(
    builder: LevelBuilder,
    parent: Body,
    points: list[Point],
    bindings: list[int],
    *,
    thickness: float = 0.12,
    speed: float = 1.0,
    power: float = 1.5,
    limits: tuple[float, float] | None = (-60, 60),
    role: str = "none",
) -> list[Body]:
    """A chain of beams through points [m], each driven against the one before; the last has the role."""
    made = []
    for start, end, binding in zip(points[:-1], points[1:], bindings, strict=True):
        last = end == points[-1]
        part = builder.beam(start, end, thickness, role if last else "none", overhang=0.04)
        builder.motor(parent, part, start, binding, speed=speed, power=power, limits=limits)
        made.append(part)
        parent = part
    return made
