"""Thrusters on the smallest size: pushing, aiming, landing, flying through gaps."""

from __future__ import annotations

from kinetix_py.levels.builder import LevelBuilder, Point
from kinetix_py.levels.library.family import LibraryLevel, family


def weak_thrust(angle: float = 55, power: float = 0.2, goal: Point = (4.4, 3.4)) -> LevelBuilder:
    """A ball whose thruster hardly carries it; it pushes one way only."""
    builder = LevelBuilder("s", left="red")
    ball = builder.circle((0.8, 0.6), 0.2, "green")
    builder.thruster(ball, angle, power)
    builder.static_box(goal, 0.4, 1.0, "blue")
    return builder


def thrust_over_ball(radius: float = 0.4, power: float = 0.5) -> LevelBuilder:
    """A box with one slanted thruster hops over a red disc."""
    builder = LevelBuilder("s")
    box = builder.box((0.8, 0.56), 0.36, 0.3, "green")
    builder.thruster(box, 65, power)
    builder.static_circle((2.5, 0.4 + radius), radius, "red")
    builder.static_circle((4.4, 0.65), 0.25, "blue")
    return builder


def point_the_thruster(goal: Point = (4.2, 4.2), power: float = 0.5) -> LevelBuilder:
    """A ball that carries its thruster round: a motor against the box below turns it."""
    builder = LevelBuilder("s")
    box = builder.box((1.5, 0.56), 0.7, 0.3)
    ball = builder.circle((1.5, 0.9), 0.2, "green")
    builder.motor(box, ball, (1.5, 0.9), 0, speed=0.5)
    builder.thruster(ball, 180, power)
    builder.static_circle(goal, 0.3, "blue")
    return builder


def thrust_aim(turn: float = 0.4, width: float = 1.2) -> LevelBuilder:
    """A ball turns its thruster against a disc below it; a red shelf hangs over them, a wall is the goal."""
    builder = LevelBuilder("s", left="blue", ceiling="red")
    sled = builder.circle((3.6, 0.64), 0.24)
    ball = builder.circle((3.6, 0.9), 0.18, "green")
    builder.motor(sled, ball, (3.6, 0.9), 0, speed=turn)
    builder.thruster(ball, -30, 0.4)
    builder.static_box((2.2, 0.4 + width / 2), 0.2, width, "red")
    return builder


def thrust_landing(
    speed: float = 1.6, width: float = 0.8, floor: str = "red", place: float = 3.6
) -> LevelBuilder:
    """A ball falls with some speed; its thruster points up, and only the pad may be touched."""
    builder = LevelBuilder("s", floor=floor, right="red")
    ball = builder.circle((0.6, 3.6), 0.2, "green", velocity=(speed, 0.0))
    builder.thruster(ball, 90, 0.26)
    builder.static_box((place, 0.7), width, 0.6, "blue")
    return builder


def flappy(gap: float = 1.2, speed: float = 1.2, gravity: float = 5.0) -> LevelBuilder:
    """A bird that only flaps has to pass between a red post and a red disc to the blue wall."""
    builder = LevelBuilder("s", gravity=gravity, floor="red", ceiling="red", right="blue")
    bird = builder.circle((0.6, 2.6), 0.15, "green", velocity=(speed, 0.0))
    builder.thruster(bird, 90, 0.1)
    top = 2.0
    builder.static_box((2.4, (0.4 + top) / 2), 0.3, top - 0.4, "red")
    builder.static_circle((2.4, top + gap + 0.4), 0.4, "red")
    return builder


def balance_thruster(height: float = 1.3, power: float = 0.3) -> LevelBuilder:
    """A tall box slides on its end; a thruster low on it tips it, and a red disc hangs in the way."""
    builder = LevelBuilder("s", right="blue", left="red")
    box = builder.box((0.9, 0.4 + height / 2), 0.3, height, "green", friction=0.1)
    builder.thruster(box, 0, power, at=(0.9, 0.4 + 0.3 * height))
    builder.static_circle((2.9, 0.4 + height + 0.45), 0.35, "red")
    return builder


LEVELS: list[LibraryLevel] = [
    *family(
        weak_thrust,
        "s",
        "thrusters",
        "A weak thruster pushes one way; reach the block on the right.",
        {"weak_thrust_easy": {"goal": (4.2, 1.2)}, "weak_thrust": {}},
    ),
    *family(
        thrust_over_ball,
        "s",
        "thrusters",
        "Hop over the red disc to the blue one.",
        {"thrust_over_ball": {}, "thrust_over_ball_hard": {"radius": 0.7}},
    ),
    *family(
        point_the_thruster,
        "s",
        "thrusters",
        "Turn the thruster with the motor, then fly to the blue disc.",
        {"point_the_thruster": {}, "point_the_thruster_hard": {"goal": (0.8, 3.4)}},
    ),
    *family(
        thrust_aim,
        "s",
        "thrusters",
        "Turn the thruster, clear the red post and reach the blue wall.",
        {"thrust_aim_easy": {"width": 0.6}, "thrust_aim": {}},
    ),
    *family(
        balance_thruster,
        "s",
        "thrusters balance",
        "Slide upright to the blue wall, or duck: the disc on the way is red.",
        {"thrust_balance": {}},
    ),
    *family(
        thrust_landing,
        "s",
        "thrusters landing",
        "Fly on to the blue pad and touch nothing red.",
        {
            "thrust_landing_easy": {"width": 1.6, "place": 3.2},
            "thrust_landing": {},
            "thrust_landing_hard": {"width": 0.4, "place": 4.1, "speed": 1.3},
        },
        held_out=["thrust_landing"],
    ),
    *family(
        flappy,
        "s",
        "thrusters flappy",
        "Flap through the gap to the blue wall; all else is red.",
        {"flappy_small": {}, "flappy_small_hard": {"gap": 0.75}},
    ),
]
