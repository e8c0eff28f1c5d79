"""Levels with rules beyond the plain game: goals in a sequence, any of several, touches that must last."""

from __future__ import annotations

import jax2d
from kinetix_py.levels.builder import LevelBuilder
from kinetix_py.levels.library.family import LibraryLevel, family

LEFT_WALL, RIGHT_WALL, CEILING = (jax2d.Body(slot) for slot in (1, 2, 3))


def press(hold: int = 60) -> LevelBuilder:
    """A ball with an engine must be pressed against the blue ceiling for a while."""
    builder = LevelBuilder("s", ceiling="blue")
    ball = builder.circle((2.5, 0.6), 0.2, "green")
    builder.thruster(ball, 90, 0.3)
    builder.goal(CEILING, hold=hold)
    return builder


def there_and_back(tall: float = 0.5) -> LevelBuilder:
    """A box on a wheel must touch the right wall and then the left one."""
    builder = LevelBuilder("s", left="blue", right="blue")
    wheel = builder.circle((2.5, 0.65), 0.25)
    body = builder.box((2.5, 0.65 + tall / 2), 0.9, tall, "green", density=0.5)
    builder.motor(body, wheel, (2.5, 0.65), 0, power=1.0)
    builder.goal(RIGHT_WALL, 1)
    builder.goal(LEFT_WALL, 2)
    return builder


def metronome(power: float = 0.1) -> LevelBuilder:
    """A hanging rod must swing to the right disc and then to the left one."""
    builder = LevelBuilder("m")
    pivot = builder.static_circle((2.5, 3.0), 0.1)
    rod = builder.box((2.5, 2.3), 0.16, 1.5, "green")
    builder.motor(pivot, rod, (2.5, 3.0), 0, power=power)
    builder.goal(builder.static_circle((3.9, 3.3), 0.2, "blue"), 1)
    builder.goal(builder.static_circle((1.1, 3.3), 0.2, "blue"), 2)
    return builder


def two_pads(floor: str = "none", apart: float = 2.6) -> LevelBuilder:
    """A ball with engines to the right and up must touch the near pad and then the far one."""
    builder = LevelBuilder("m", gravity=4.0, floor=floor)
    ball = builder.circle((0.5, 2.0), 0.2, "green")
    builder.thruster(ball, 0, 0.06, 0)
    builder.thruster(ball, 90, 0.12, 1)
    builder.goal(builder.static_box((1.4, 0.6), 0.6, 0.4, "blue"), 1)
    builder.goal(builder.static_box((1.4 + apart, 0.6), 0.6, 0.4, "blue"), 2)
    return builder


def either_wall(power: float = 0.1) -> LevelBuilder:
    """A ball must touch one of the side walls, whichever, and then the disc in the middle."""
    builder = LevelBuilder("m", gravity=2.0, left="blue", right="blue")
    ball = builder.circle((2.5, 0.65), 0.25, "green")
    builder.thruster(ball, 180, power, 0)
    builder.thruster(ball, 60, power, 1)
    builder.goal(LEFT_WALL, 1)
    builder.goal(RIGHT_WALL, 1)
    builder.goal(builder.static_circle((2.5, 2.4), 0.3, "blue"), 2)
    return builder


def rest(hold: int = 45, pad: float = 1.2) -> LevelBuilder:
    """A lander must come to rest on the pad."""
    builder = LevelBuilder("m", gravity=3.0, floor="red", left="red", right="red")
    box = builder.box((1.6, 3.6), 0.6, 0.3, "green")
    for side, binding in ((-0.2, 0), (0.2, 1)):
        builder.thruster(box, 90, 0.08, binding, at=(1.6 + side, 3.5))
    builder.goal(builder.static_box((2.6, 0.7), pad, 0.6, "blue", restitution=0.0), hold=hold)
    return builder


LEVELS: list[LibraryLevel] = [
    *family(
        press,
        "s",
        "rules goals",
        "Press green against the blue ceiling until the touch counts.",
        {"press_easy": {}},
    ),
    *family(
        there_and_back,
        "s",
        "rules goals",
        "Drive to the right wall, then to the left one.",
        {"there_and_back": {}},
    ),
    *family(
        metronome,
        "m",
        "rules goals",
        "Swing to the right disc, then to the left one.",
        {"metronome": {}},
    ),
    *family(
        two_pads,
        "m",
        "rules goals",
        "Touch the near pad, then the far one.",
        {"two_pads": {}, "two_pads_hard": {"floor": "red"}},
    ),
    *family(
        either_wall,
        "m",
        "rules goals",
        "Touch either wall, then the disc.",
        {"either_wall": {}},
    ),
    *family(
        rest,
        "m",
        "rules goals",
        "Land on the pad and stay there.",
        {"rest": {}},
    ),
]
