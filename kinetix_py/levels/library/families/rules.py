"""Levels with rules beyond the plain game: goals in a sequence, touches that last, switches, two agents."""

from __future__ import annotations

import jax2d
from kinetix_py.levels.builder import LevelBuilder, Point
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


def drop() -> LevelBuilder:
    """A ball must roll against the sensor, which lets the blue ball over it fall."""
    builder = LevelBuilder("s")
    ball = builder.circle((1.0, 0.65), 0.25, "green")
    builder.thruster(ball, 0, 0.1)
    builder.sensor(builder.static_box((3.4, 0.7), 0.3, 0.6), 1)
    builder.wait(builder.circle((2.9, 2.6), 0.3, "blue"), 1)
    return builder


def start_the_engine(goal: Point = (0.8, 3.2)) -> LevelBuilder:
    """A ball must first be pushed against the sensor, which frees the engine that lifts it to the disc."""
    builder = LevelBuilder("m", gravity=4.0)
    ball = builder.box((1.6, 0.6), 0.4, 0.4, "green", friction=0.2)
    builder.thruster(ball, 0, 0.1, 0, at=(1.4, 0.6))
    builder.wait(builder.thruster(ball, 110, 0.14, 1, at=(1.6, 0.4)), 1)
    builder.sensor(builder.static_box((4.4, 0.8), 0.3, 0.8), 1)
    builder.static_circle(goal, 0.3, "blue")
    return builder


def open_the_gate(power: float = 0.06) -> LevelBuilder:
    """A ball must go to the sensor on the left, which unlocks the hanging gate on its way to the right."""
    builder = LevelBuilder("m")
    ball = builder.circle((1.6, 0.6), 0.2, "green", friction=0.0)
    builder.thruster(ball, 180, power, 0)
    builder.thruster(ball, 0, power, 1)
    pivot = builder.static_circle((3.0, 2.2), 0.12)
    gate = builder.box((3.0, 1.35), 0.16, 1.7, density=0.2)
    builder.revolute(pivot, gate, (3.0, 2.2))
    builder.wait(gate, 1)
    builder.sensor(builder.static_box((0.4, 0.7), 0.3, 0.6), 1)
    builder.static_circle((4.4, 0.7), 0.3, "blue")
    return builder


def carry_together(hold: int = 30) -> LevelBuilder:
    """A tray has an engine of each agent; they must press the ball on it against the bar."""
    builder = LevelBuilder("m", gravity=4.0)
    tray = builder.box((2.5, 0.6), 2.4, 0.16, density=0.5)
    for side, binding in ((-1.0, 0), (1.0, 1)):
        builder.thruster(tray, 90, 0.13, binding, at=(2.5 + side, 0.55))
    builder.circle((2.5, 0.9), 0.2, "green")
    builder.goal(builder.static_box((2.5, 3.7), 1.6, 0.6, "blue"), hold=hold)
    builder.agents(thrusters=(0, 1))
    return builder


def tug_of_war() -> LevelBuilder:
    """A box has an engine of agent 0 to the right, where blue is, and a weaker one of agent 1 to the left."""
    builder = LevelBuilder("m", right="blue", left="red")
    box = builder.box((2.5, 0.65), 0.5, 0.5, "green", friction=0.3)
    builder.thruster(box, 0, 0.3, 0, at=(2.25, 0.6))
    builder.thruster(box, 180, 0.25, 1, at=(2.75, 0.6))
    builder.agents(thrusters=(0, 1), opposed=True)
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
    *family(
        drop,
        "s",
        "rules switches",
        "Touch the sensor, which drops the goal.",
        {"drop_easy": {}},
    ),
    *family(
        start_the_engine,
        "m",
        "rules switches",
        "Touch the sensor, which frees the engine to fly to the disc.",
        {"start_the_engine": {}},
    ),
    *family(
        open_the_gate,
        "m",
        "rules switches",
        "Touch the sensor, then go through the gate that it unlocks.",
        {"open_the_gate": {}},
    ),
    *family(
        carry_together,
        "m",
        "rules agents",
        "Two agents lift the tray until the ball is pressed against the bar.",
        {"carry_together": {}},
    ),
    *family(
        tug_of_war,
        "m",
        "rules agents",
        "Agent 0 pulls green to blue, agent 1 to red.",
        {"tug_of_war_easy": {}},
    ),
]
