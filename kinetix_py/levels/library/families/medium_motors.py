"""Motors on the medium size: cars, arms, catapults, hoppers, beams, flippers, levers."""

from __future__ import annotations

from kinetix_py.levels.builder import LevelBuilder, Point
from kinetix_py.levels.library.family import LibraryLevel, family


def car(start: float = 1.0, goal: Point = (4.5, 0.7), speed: float = 1.0, mass: float = 1.0) -> LevelBuilder:
    """A box on two driven wheels on flat ground."""
    builder = LevelBuilder("m")
    body = builder.box((start, 0.85), 1.0, 0.24, "green", density=mass)
    for side in (-0.35, 0.35):
        wheel = builder.circle((start + side, 0.62), 0.22)
        builder.motor(body, wheel, (start + side, 0.62), 0, speed=-speed)
    builder.static_circle(goal, 0.25, "blue")
    return builder


def car_ramp(height: float = 0.7, length: float = 1.6, goal: Point = (4.6, 2.0)) -> LevelBuilder:
    """A car takes a ramp at speed and jumps to what hangs behind it."""
    builder = LevelBuilder("m")
    body = builder.box((0.7, 0.85), 0.8, 0.2, "green")
    for side, binding in ((-0.28, 0), (0.28, 1)):
        wheel = builder.circle((0.7 + side, 0.62), 0.22)
        builder.motor(body, wheel, (0.7 + side, 0.62), binding, speed=-2.0, power=1.5)
    end = 1.6 + length
    builder.static_polygon([(end, 0.4 + height), (end, 0.4), (1.6, 0.4)])
    builder.static_circle(goal, 0.3, "blue")
    return builder


def arm(goal: Point = (4.0, 3.2), red: Point | None = None, lengths: Point = (1.1, 1.0)) -> LevelBuilder:
    """A two-link arm; its second link reaches for a disc."""
    builder = LevelBuilder("m")
    base = builder.static_circle((2.5, 1.6), 0.2)
    elbow = (2.5, 1.6 + lengths[0])
    upper = builder.beam((2.5, 1.6), elbow, 0.18, overhang=0.06)
    tip = (2.5, elbow[1] + lengths[1])
    lower = builder.beam(elbow, tip, 0.14, "green", overhang=0.05)
    builder.motor(base, upper, (2.5, 1.6), 0, speed=0.5, power=2.0)
    builder.motor(upper, lower, elbow, 1, speed=0.5, power=1.5)
    builder.static_circle(goal, 0.2, "blue")
    if red is not None:
        builder.static_circle(red, 0.25, "red")
    return builder


def angry_birds(height: float = 1.0, place: float = 4.2, power: float = 2.0) -> LevelBuilder:
    """A sling arm throws a bird at a disc that stands on a tower."""
    builder = LevelBuilder("m")
    pivot = builder.static_circle((1.3, 0.9), 0.1)
    sling = builder.beam((0.6, 0.9), (1.5, 0.9), 0.14, density=3.0)
    builder.motor(pivot, sling, (1.3, 0.9), 0, speed=-3.0, power=power, limits=(-110, 10))
    builder.circle((0.72, 1.13), 0.15, "green")
    builder.static_box((place, 0.4 + height / 2), 0.4, height)
    builder.circle((place, 0.4 + height + 0.2), 0.2, "blue")
    return builder


def hopper(goal: Point = (4.4, 1.4), gravity: float = 9.81, power: float = 1.5) -> LevelBuilder:
    """A trunk over one leg with a foot: hip driven, ankle driven."""
    builder = LevelBuilder("m", gravity=gravity)
    trunk = builder.box((1.0, 1.5), 0.35, 0.7, "green")
    leg = builder.box((1.0, 0.85), 0.16, 0.7)
    foot = builder.circle((1.0, 0.55), 0.15)
    builder.motor(trunk, leg, (1.0, 1.18), 0, speed=1.5, power=power, limits=(-70, 70))
    builder.motor(leg, foot, (1.0, 0.55), 1, speed=1.0, power=1.0)
    builder.static_circle(goal, 0.3, "blue")
    return builder


def beam_balance(start: float = 0.4, blue: float = -0.95, red: float = 1.05) -> LevelBuilder:
    """A ball rolls on a beam; at one of its ends lies blue, over the other hangs red."""
    builder = LevelBuilder("m", floor="red")
    pivot = builder.static_circle((2.5, 1.8), 0.12)
    beam = builder.box((2.5, 2.0), 2.8, 0.12, density=2.0)
    builder.motor(pivot, beam, (2.5, 2.0), 0, speed=0.3, power=2.0, limits=(-35, 35))
    builder.circle((2.5 + start, 2.0 + 0.06 + 0.16), 0.16, "green")
    builder.static_circle((2.5 + blue, 2.72), 0.2, "blue")
    builder.static_box((2.5 + red, 2.9), 0.2, 0.4, "red")
    return builder


def lever(load: float = 0.6, goal: float = 3.4) -> LevelBuilder:
    """A heavy ball drops on one end of a see-saw and flings the green one up, once a motor lets it go."""
    builder = LevelBuilder("m")
    pivot = builder.static_circle((2.5, 0.55), 0.15)
    board = builder.box((2.5, 0.78), 3.0, 0.12)
    builder.motor(pivot, board, (2.5, 0.78), 0, speed=1.0, power=0.5, limits=(-10, 10))
    builder.circle((3.8, 0.99), 0.15, "green")
    builder.static_box((3.9, goal), 1.2, 0.2, "blue")
    builder.circle((1.2, 1.14), 0.3, density=load)
    return builder


def spin_the_right_way(start: float = 2.4) -> LevelBuilder:
    """A cross of two welded bars turns; the ball on it must leave on the blue side."""
    builder = LevelBuilder("m", right="blue", left="red", floor="red")
    hub = builder.static_circle((2.5, 1.8), 0.12)
    bar = builder.box((2.5, 1.8), 2.0, 0.14, density=2.0)
    post = builder.box((2.5, 1.8), 0.14, 1.4, density=2.0)
    builder.motor(hub, bar, (2.5, 1.8), 0, speed=0.6, power=2.0)
    builder.weld(bar, post, (2.5, 1.8))
    builder.circle((start, 3.4), 0.18, "green")
    return builder


LEVELS: list[LibraryLevel] = [
    *family(
        car,
        "m",
        "locomotion car",
        "Drive to the blue disc.",
        {
            "car_right_easy": {"goal": (3.2, 0.9), "speed": 0.6},
            "car_right": {"goal": (4.6, 0.95)},
            "car_left_hard": {"start": 4.2, "goal": (0.3, 1.25), "speed": 1.5},
        },
    ),
    *family(
        car_ramp,
        "m",
        "locomotion car jump",
        "Take the ramp and jump to the blue disc.",
        {
            "car_ramp_easy": {"height": 0.4, "goal": (4.5, 1.0)},
            "car_ramp": {"goal": (4.6, 1.5)},
        },
        held_out=["car_ramp"],
    ),
    *family(
        arm,
        "m",
        "manipulation arm",
        "Reach the blue disc with the outer link.",
        {
            "arm_left": {"goal": (0.8, 2.4)},
            "arm_right": {"goal": (4.2, 2.4)},
            "arm_hard": {"goal": (3.4, 0.7), "red": (4.4, 1.9)},
        },
        held_out=["arm_right"],
    ),
    *family(
        angry_birds,
        "m",
        "manipulation throw catapult",
        "Throw the bird at the blue disc on its tower.",
        {
            "angry_birds_easy": {"height": 0.7, "place": 3.8},
            "angry_birds": {},
            "angry_birds_hard": {"height": 2.2, "place": 4.4},
        },
        held_out=["angry_birds"],
    ),
    *family(
        hopper,
        "m",
        "locomotion hopper",
        "Hop, or fall and crawl, to the blue disc.",
        {"hopper_easy": {"goal": (2.6, 0.9), "gravity": 5.0}, "hopper": {"goal": (3.0, 1.1)}},
    ),
    *family(
        beam_balance,
        "m",
        "balance",
        "Roll the ball to the blue disc at the end of the beam.",
        {"beam_balance": {}, "beam_balance_hard": {"start": 0.8, "blue": -1.2}},
        held_out=["beam_balance"],
    ),
    *family(
        lever,
        "m",
        "manipulation lever",
        "Fling the green ball up to the blue shelf.",
        {"lever": {"goal": 3.4}, "lever_hard": {"goal": 4.2}},
    ),
    *family(
        spin_the_right_way,
        "m",
        "manipulation",
        "Turn the cross so that the ball leaves to the blue wall.",
        {"spin_the_right_way": {}},
    ),
]
