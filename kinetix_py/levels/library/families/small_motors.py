"""Motors on the smallest size: unicycles, swing-up, tilting, batting."""

from __future__ import annotations

from typing import Any

from kinetix_py.levels.builder import LevelBuilder, Point
from kinetix_py.levels.library.family import LibraryLevel, family


def unicycle(
    start: float = 1.0, goal: Point = (4.4, 0.7), tall: float = 0.7, power: float = 1.0
) -> LevelBuilder:
    """A box on one wheel; the motor between them drives, and tips the box over."""
    builder = LevelBuilder("s")
    wheel = builder.circle((start, 0.65), 0.25)
    body = builder.box((start, 0.65 + tall / 2), 0.3, tall, "green")
    builder.motor(body, wheel, (start, 0.65), 0, power=power)
    builder.static_circle(goal, 0.25, "blue")
    return builder


def unicycle_balance(height: float = 1.3, red: str = "red", distance: float = 2.6) -> LevelBuilder:
    """The box on the wheel must stay up: the floor is red, and blue hangs where only its top reaches."""
    builder = LevelBuilder("s", floor=red, left="red")
    wheel = builder.circle((1.2, 0.65), 0.25)
    body = builder.box((1.2, 0.65 + height / 2), 0.2, height, "green")
    builder.motor(body, wheel, (1.2, 0.65), 0, power=1.0)
    builder.static_circle((1.2 + distance, 0.75 + height), 0.3, "blue")
    return builder


def one_wheel_car(length: float = 1.4, goal: str = "right", speed: float = -1.0) -> LevelBuilder:
    """A long car with a wheel at one end; its other end drags on the ground."""
    builder = LevelBuilder(
        "s", right="blue" if goal == "right" else "none", left="blue" if goal == "left" else "red"
    )
    wheel = builder.circle((1.0, 0.65), 0.25)
    body = builder.box((1.0 + length / 2 - 0.1, 0.75), length, 0.2, "green")
    builder.motor(body, wheel, (1.0, 0.7), 0, speed=speed, power=1.0)
    return builder


def rotate_to_fall(angle: float = 0.0, start: float = 0.0, blue: str = "right") -> LevelBuilder:
    """A ball lies on a beam that a motor tilts; one wall is blue, the other red."""
    red = "left" if blue == "right" else "right"
    walls: dict[str, Any] = {blue: "blue", red: "red"}
    builder = LevelBuilder("s", floor="red", **walls)
    pivot = builder.static_circle((2.5, 2.0), 0.12)
    beam = builder.box((2.5, 2.2), 2.2, 0.14, angle=angle, density=2.0)
    builder.motor(pivot, beam, (2.5, 2.2), 0, speed=0.3, power=2.0, limits=(-60, 60))
    builder.circle((2.5 + start, 2.2 + 0.07 + 0.18), 0.18, "green")
    return builder


def swing_up(power: float = 0.06, length: float = 1.2) -> LevelBuilder:
    """A rod hangs from a pivot whose motor is too weak to lift it at once; blue is at the top."""
    builder = LevelBuilder("s")
    pivot = builder.static_circle((2.5, 2.4), 0.1)
    rod = builder.box((2.5, 2.4 - length / 2), 0.16, length + 0.1, "green")
    builder.motor(pivot, rod, (2.5, 2.4), 0, power=power)
    builder.static_circle((2.5, 2.4 + length + 0.2), 0.2, "blue")
    return builder


def bat(blue: str = "right", drop: float = 2.2, speed: float = 2.5) -> LevelBuilder:
    """A bat hits a falling ball; only the ceiling or the far wall is blue."""
    walls: dict[str, Any] = {blue: "blue"}
    builder = LevelBuilder("s", floor="red", **walls)
    pivot = builder.static_circle((1.0, 1.2), 0.12)
    stick = builder.box((1.5, 1.2), 1.3, 0.16, density=3.0)
    builder.motor(pivot, stick, (1.0, 1.2), 0, speed=speed, power=2.0, limits=(-50, 70))
    builder.circle((1.75, 1.3 + drop), 0.18, "green")
    return builder


LEVELS: list[LibraryLevel] = [
    *family(
        unicycle,
        "s",
        "locomotion unicycle",
        "Ride or tumble to the blue disc.",
        {
            "unicycle_right_easy": {"goal": (3.0, 0.7)},
            "unicycle_left": {"start": 4.0, "goal": (0.4, 1.0)},
            "unicycle_right": {"goal": (4.5, 0.9)},
        },
        held_out=["unicycle_left"],
    ),
    *family(
        unicycle_balance,
        "s",
        "locomotion unicycle balance",
        "Stay upright on the wheel and bring the top of the box to the blue disc; the floor is red.",
        {"unicycle_balance": {"distance": 1.5}, "unicycle_balance_hard": {"distance": 1.9, "height": 1.1}},
    ),
    *family(
        one_wheel_car,
        "s",
        "locomotion car",
        "Drive to the blue wall on one wheel.",
        {"one_wheel_car": {}},
    ),
    *family(
        rotate_to_fall,
        "s",
        "balance manipulation",
        "Tilt the beam so that the ball rolls to the blue wall and not to the red one.",
        {"rotate_to_fall": {"start": -0.3}, "rotate_to_fall_hard": {"start": -0.8}},
    ),
    *family(
        swing_up,
        "s",
        "swing-up",
        "Swing the rod up to the blue disc; the motor cannot lift it in one go.",
        {"swing_up_easy": {"power": 0.16}, "swing_up": {"power": 0.08}, "swing_up_hard": {"power": 0.045}},
        held_out=["swing_up"],
    ),
    *family(
        bat,
        "s",
        "manipulation hit",
        "Hit the falling ball with the bat, away from the red floor.",
        {"bat_right": {}, "bat_up": {"blue": "ceiling"}},
        held_out=["bat_up"],
    ),
]
