"""Thrusters on the smallest size: pushing, aiming, landing, flying through gaps."""

from __future__ import annotations

from kinetix_py.levels.library.family import LibraryLevel, family
from kinetix_py.levels.library.sketch import Point, Sketch


def weak_thrust(angle: float = 55, power: float = 0.2, goal: Point = (4.4, 3.4)) -> Sketch:
    """A ball whose thruster hardly carries it; it pushes one way only."""
    sketch = Sketch("s", left="red")
    ball = sketch.ball((0.8, 0.6), 0.2, "green")
    sketch.thruster(ball, angle, power)
    sketch.block(goal, 0.4, 1.0, "blue")
    return sketch


def thrust_over_ball(radius: float = 0.4, power: float = 0.5) -> Sketch:
    """A box with one slanted thruster hops over a red disc."""
    sketch = Sketch("s")
    box = sketch.box((0.8, 0.56), 0.36, 0.3, "green")
    sketch.thruster(box, 65, power)
    sketch.peg((2.5, 0.4 + radius), radius, "red")
    sketch.peg((4.4, 0.65), 0.25, "blue")
    return sketch


def point_the_thruster(goal: Point = (4.2, 4.2), power: float = 0.5) -> Sketch:
    """A ball that carries its thruster round: a motor against the box below turns it."""
    sketch = Sketch("s")
    box = sketch.box((1.5, 0.56), 0.7, 0.3)
    ball = sketch.ball((1.5, 0.9), 0.2, "green")
    sketch.motor(box, ball, (1.5, 0.9), 0, speed=0.5)
    sketch.thruster(ball, 180, power)
    sketch.peg(goal, 0.3, "blue")
    return sketch


def thrust_aim(turn: float = 0.4, width: float = 1.2) -> Sketch:
    """A ball turns its thruster against a disc below it; a red shelf hangs over them, a wall is the goal."""
    sketch = Sketch("s", left="blue", ceiling="red")
    sled = sketch.ball((3.6, 0.64), 0.24)
    ball = sketch.ball((3.6, 0.9), 0.18, "green")
    sketch.motor(sled, ball, (3.6, 0.9), 0, speed=turn)
    sketch.thruster(ball, -30, 0.4)
    sketch.block((2.2, 0.4 + width / 2), 0.2, width, "red")
    return sketch


def thrust_landing(speed: float = 1.6, width: float = 0.8, floor: str = "red", place: float = 3.6) -> Sketch:
    """A ball falls with some speed; its thruster points up, and only the pad may be touched."""
    sketch = Sketch("s", floor=floor, right="red")
    ball = sketch.ball((0.6, 3.6), 0.2, "green", velocity=(speed, 0.0))
    sketch.thruster(ball, 90, 0.26)
    sketch.block((place, 0.7), width, 0.6, "blue")
    return sketch


def flappy(gap: float = 1.2, speed: float = 1.2, gravity: float = 5.0) -> Sketch:
    """A bird that only flaps has to pass between a red post and a red disc to the blue wall."""
    sketch = Sketch("s", gravity=gravity, floor="red", ceiling="red", right="blue")
    bird = sketch.ball((0.6, 2.6), 0.15, "green", velocity=(speed, 0.0))
    sketch.thruster(bird, 90, 0.1)
    top = 2.0
    sketch.block((2.4, (0.4 + top) / 2), 0.3, top - 0.4, "red")
    sketch.peg((2.4, top + gap + 0.4), 0.4, "red")
    return sketch


def balance_thruster(height: float = 1.3, power: float = 0.3) -> Sketch:
    """A tall box slides on its end; a thruster low on it tips it, and a red disc hangs in the way."""
    sketch = Sketch("s", right="blue", left="red")
    box = sketch.box((0.9, 0.4 + height / 2), 0.3, height, "green", friction=0.1)
    sketch.thruster(box, 0, power, at=(0.9, 0.4 + 0.3 * height))
    sketch.peg((2.9, 0.4 + height + 0.45), 0.35, "red")
    return sketch


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
