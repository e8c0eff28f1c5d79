"""Machines and mazes on the large size: gears, clocks, gates, locks, rails, platforms, pinball."""

from __future__ import annotations

from kinetix_py.levels.builder import LevelBuilder, Point
from kinetix_py.levels.library.families.parts import add_car
from kinetix_py.levels.library.family import LibraryLevel, family


def _flyer(
    builder: LevelBuilder, at: Point, right: float = 0.08, up: float = 0.22, radius: float = 0.15
) -> None:
    """A green ball with an engine to the right (binding 0) and one up (binding 1)."""
    ball = builder.circle(at, radius, "green")
    builder.thruster(ball, 0, right, 0)
    builder.thruster(ball, 90, up, 1)


def maze(walls: int = 3, opening: float = 0.9) -> LevelBuilder:
    """Red walls with openings above and below in turn; engines to the right and up."""
    builder = LevelBuilder("l", gravity=3.0)
    _flyer(builder, (0.5, 0.56), right=0.04, up=0.06)
    step = 4.0 / (walls + 1)
    for number in range(walls):
        x, height = 0.6 + step * (number + 1), 4.6 - opening
        below = number % 2 == 0
        builder.static_box((x, 0.4 + height / 2 if below else 5 - height / 2), 0.16, height, "red")
    builder.static_circle((4.6, 0.9 if walls % 2 == 0 else 4.0), 0.25, "blue")
    return builder


def platforms(rise: float = 0.5, width: float = 0.7, steps: int = 3) -> LevelBuilder:
    """Platforms over a red floor; the box hops with a strong but clumsy engine."""
    builder = LevelBuilder("l", floor="red")
    hero = builder.box((0.5, 1.12), 0.3, 0.24, "green")
    builder.thruster(hero, 90, 0.2, 0)
    builder.thruster(hero, 0, 0.1, 1)
    builder.static_box((0.5, 0.9), 0.9, 0.2)
    spacing = 4.2 / (steps + 1)
    for number in range(steps):
        last = number == steps - 1
        x, y = 0.5 + spacing * (number + 1.2), 0.9 + rise * (number + 1)
        builder.static_box((x, y), width, 0.2, "blue" if last else "none")
    builder.static_box((2.6, 3.9), 2.0, 0.2, "red")
    return builder


def flappy(gaps: tuple[float, ...] = (2.0, 3.0, 2.2), opening: float = 1.5) -> LevelBuilder:
    """A bird through several gates of two red posts."""
    builder = LevelBuilder("l", gravity=5.0, floor="red", ceiling="red", right="blue")
    bird = builder.circle((0.4, 2.6), 0.13, "green", velocity=(1.0, 0.0))
    builder.thruster(bird, 90, 0.08, 0)
    for number, middle in enumerate(gaps):
        x = 1.4 + 1.2 * number
        low, high = middle - opening / 2, middle + opening / 2
        builder.static_box((x, (0.4 + low) / 2), 0.2, low - 0.4, "red")
        builder.static_box((x, (5 + high) / 2), 0.2, 5 - high, "red")
    return builder


def pinball(goal: Point = (2.5, 4.2), bumpers: int = 2) -> LevelBuilder:
    """Two flippers, bumpers, slopes towards the drain, which is red."""
    builder = LevelBuilder("l", floor="red")
    for side, binding in ((-1, 0), (1, 1)):
        hinge = (2.5 + side * 1.15, 1.3)
        wall = builder.beam((2.5 + side * 2.45, 2.0), hinge, 0.1, static=True)
        flipper = builder.beam(hinge, (2.5 + side * 0.3, 1.05), 0.14, density=3.0)
        limits = (-70, 15) if side > 0 else (-15, 70)
        builder.motor(wall, flipper, hinge, binding, speed=-side * 2.0, power=2.5, limits=limits)
    builder.circle((1.75, 3.2), 0.14, "green", restitution=0.4)
    for number in range(bumpers):
        builder.static_circle((1.2 + 2.6 * number, 3.4), 0.2, restitution=0.8)
    builder.static_box(goal, 0.9, 0.2, "blue")
    return builder


def gears(reach: float = 1.3, goal: Point = (2.1, 2.9), speed: float = 0.4) -> LevelBuilder:
    """A driven wheel of four teeth turns a second one, and that one swings the green arm."""
    builder = LevelBuilder("l")
    driven, follower = (1.7, 1.6), (2.52, 1.6)
    axle = builder.static_circle(driven, 0.1)
    level_bar = builder.box(driven, 1.0, 0.1, density=2.0)
    builder.motor(axle, level_bar, driven, 0, speed=speed, power=3.0)
    builder.weld(level_bar, builder.box(driven, 0.1, 1.0, density=2.0), driven)
    axle = builder.static_circle(follower, 0.1)
    short, long = 0.5 / 2**0.5, reach / 2**0.5
    tip = (follower[0] + long, follower[1] + long)
    arm = builder.beam((follower[0] - short, follower[1] - short), tip, 0.1, "green", density=0.5)
    builder.revolute(axle, arm, follower)
    builder.weld(arm, builder.box(follower, 1.0, 0.1, angle=-45, density=2.0), follower)
    builder.static_circle(goal, 0.2, "blue")
    return builder


def clock(speed: float = 0.15, hands: int = 2) -> LevelBuilder:
    """Red hands go round by themselves; the flyer has to pass between them."""
    builder = LevelBuilder("l", gravity=3.0, right="blue")
    hub = builder.static_circle((2.6, 2.7), 0.1)
    first = builder.box((2.6, 2.7), 0.12, 3.6, "red", density=2.0)
    builder.motor(hub, first, (2.6, 2.7), 3, speed=speed, power=3.0, auto=True)
    if hands > 1:
        second = builder.box((2.6, 2.7), 3.6, 0.12, "red", density=2.0)
        builder.weld(first, second, (2.6, 2.7))
    _flyer(builder, (0.35, 0.56), right=0.05, up=0.06)
    return builder


def escapement(speed: float = 0.2, slope: float = 0.5) -> LevelBuilder:
    """A wheel of paddles turns by itself; the car must slip under a paddle in time."""
    builder = LevelBuilder("l")
    hub = builder.static_circle((2.8, 1.9), 0.1)
    first = builder.box((2.8, 1.9), 0.12, 2.4, "red", density=2.0)
    builder.motor(hub, first, (2.8, 1.9), 3, speed=speed, power=3.0, auto=True)
    second = builder.box((2.8, 1.9), 2.4, 0.12, "red", density=2.0)
    builder.weld(first, second, (2.8, 1.9))
    add_car(builder, 0.7, length=0.6, radius=0.15, speed=1.0 + slope)
    builder.static_box((4.85, 1.05), 0.3, 0.6, "blue")
    return builder


def lock(gates: int = 2, tilt: float = 0.5) -> LevelBuilder:
    """A ball rolls down a slope through gates, each of which a motor has to lift, one after the other."""
    builder = LevelBuilder("l", floor="red")
    high, low = (0.2, 2.4 + tilt), (4.1, 2.4 - tilt)
    builder.beam(high, low, 0.12, static=True)
    builder.circle((0.5, 2.62 + tilt * 0.85), 0.15, "green")
    for number in range(gates):
        x = 1.4 + 1.2 * number
        ground = 2.4 + tilt - 2 * tilt * (x - 0.2) / 3.9 + 0.08
        hinge = (x, ground + 1.0)
        block = builder.static_box((x, hinge[1] + 0.12), 0.14, 0.14)
        gate = builder.beam(hinge, (x, ground + 0.04), 0.1, density=3.0)
        builder.motor(block, gate, hinge, number, speed=0.4, power=2.0, limits=(-100, 1))
    builder.static_box((4.6, 0.65), 0.7, 0.5, "blue")
    return builder


def rail(height: float = 2.4, drop: float = 0.8) -> LevelBuilder:
    """A carriage slides between two rails, blown by its engine; the ball it pushes has to fall on blue."""
    builder = LevelBuilder("l", floor="red")
    builder.beam((0.1, height), (3.2, height - drop * 0.2), 0.12, static=True, friction=0.2)
    angle = builder.box((0.8, height + 0.19), 0.5, 0.24, friction=0.1)
    builder.thruster(angle, 0, 0.35, 0)
    builder.thruster(angle, 180, 0.35, 1)
    builder.circle((1.6, height + 0.06 + 0.16), 0.16, "green", friction=0.5)
    builder.static_box((2.4, height - 0.04), 0.1, 0.1)
    builder.static_box((3.9, 0.6), 0.5, 0.4, "blue")
    return builder


def trampolines(shelf: float = 3.6, bounce: float = 0.95) -> LevelBuilder:
    """From trampoline to trampoline over a red floor, and up to a shelf."""
    builder = LevelBuilder("l", floor="red")
    for x in (0.9, 2.5):
        builder.static_box((x, 0.7), 1.1, 0.2, restitution=bounce)
    ball = builder.circle((0.9, 2.6), 0.18, "green", restitution=bounce)
    builder.thruster(ball, 90, 0.07, 0)
    builder.thruster(ball, 0, 0.04, 1)
    builder.static_box((4.2, shelf), 1.0, 0.2, "blue")
    builder.static_box((1.7, 1.0), 0.1, 0.8, "red")
    return builder


LEVELS: list[LibraryLevel] = [
    *family(
        maze,
        "l",
        "maze thrusters",
        "Fly round the red walls to the blue disc.",
        {"maze_easy": {"walls": 1, "opening": 1.4}, "maze": {"walls": 2}},
        held_out=["maze_easy"],
    ),
    *family(
        platforms,
        "l",
        "platformer thrusters",
        "Hop from platform to platform to the blue one; the ground is red.",
        {
            "platforms_easy": {"rise": 0.2, "steps": 2, "width": 0.9},
            "platforms": {},
            "platforms_hard": {"rise": 0.8},
        },
    ),
    *family(
        flappy,
        "l",
        "flappy thrusters",
        "Flap through all gates to the blue wall.",
        {"flappy_gates": {"gaps": (2.0, 3.0)}, "flappy_gates_hard": {"opening": 1.2}},
    ),
    *family(
        pinball,
        "l",
        "pinball manipulation",
        "Flip the ball up to the blue bar; the drain is red.",
        {"pinball": {}},
    ),
    *family(
        gears,
        "l",
        "gears manipulation",
        "Turn the small wheel so that the arm on the large one goes to the blue disc.",
        {"gears_easy": {}, "gears": {"goal": (1.35, 2.4)}},
        held_out=["gears"],
    ),
    *family(
        clock,
        "l",
        "clocks thrusters",
        "Pass the turning red hands to the blue wall.",
        {"clock_easy": {"hands": 1}},
        held_out=["clock_easy"],
    ),
    *family(
        escapement,
        "l",
        "clocks car locomotion",
        "Drive past the turning red paddles to the blue block.",
        {"escapement": {}},
    ),
    *family(
        lock,
        "l",
        "locks manipulation",
        "Lift the gates one after the other; the ball has to roll on to the blue block.",
        {"lock_easy": {"gates": 1}, "lock": {}, "lock_hard": {"gates": 3}},
        held_out=["lock_easy"],
    ),
    *family(
        rail,
        "l",
        "rails thrusters manipulation",
        "Push the ball along the rail, over the sill and on to the blue block.",
        {"rail_easy": {}},
    ),
    *family(
        trampolines,
        "l",
        "trampoline thrusters",
        "Bounce to the blue shelf; the ground is red.",
        {"trampolines": {"shelf": 2.6}, "trampolines_hard": {}},
    ),
]
