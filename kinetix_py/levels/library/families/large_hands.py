"""Arms and tools on the large size: reaching, grasping, throwing, catching, stacking, poking."""

from __future__ import annotations

from kinetix_py.levels.builder import LevelBuilder, Point
from kinetix_py.levels.library.families.parts import add_limb
from kinetix_py.levels.library.family import LibraryLevel, family


def reach(goal: Point = (4.0, 2.0), reds: tuple[Point, ...] = (), links: int = 3) -> LevelBuilder:
    """An arm of three links reaches round red discs."""
    builder = LevelBuilder("l")
    base = builder.static_circle((2.5, 0.9), 0.2)
    points = [(2.5, 0.9 + 0.75 * number) for number in range(links + 1)]
    add_limb(
        builder, base, points, list(range(links)), role="green", speed=0.5, power=2.0, limits=(-130, 130)
    )
    builder.static_circle(goal, 0.2, "blue")
    for red in reds:
        builder.static_box(red, 0.3, 0.3, "red")
    return builder


def grasp(height: float = 0.2, distance: float = 2.6) -> LevelBuilder:
    """A flying hand of two fingers; the ball has to get over a red sill on to the blue plate."""
    builder = LevelBuilder("l")
    palm = builder.box((1.3, 1.6), 0.7, 0.16)
    builder.thruster(palm, 90, 0.6, 0)
    builder.thruster(palm, 0, 0.15, 1)
    for side, binding in ((-0.3, 0), (0.3, 1)):
        top = (1.3 + side, 1.55)
        finger = builder.beam(top, (1.3 + side * 1.1, 0.95), 0.1)
        limits = (-20, 60) if side < 0 else (-60, 20)
        builder.motor(palm, finger, top, binding, speed=0.6 * (1 if side < 0 else -1), limits=limits)
    builder.circle((1.3, 0.56), 0.16, "green", density=0.4, friction=2.0)
    builder.static_box((distance, 0.4 + height / 2), 0.2, height, "red")
    builder.static_box(((distance + 5.2) / 2, 0.45), 4.8 - distance, 0.1, "blue")
    return builder


def throw(goal: Point = (4.4, 2.4), wall: float = 1.6) -> LevelBuilder:
    """An arm with a cup throws a ball over a red wall."""
    builder = LevelBuilder("l")
    base = builder.static_circle((1.1, 1.2), 0.15)
    arm = builder.beam((1.1, 1.2), (0.3, 1.2), 0.14, density=2.0, overhang=0.08)
    builder.motor(base, arm, (1.1, 1.2), 0, speed=-2.0, power=2.0, limits=(-150, 20))
    rim = builder.box((0.62, 1.36), 0.08, 0.18, density=0.5)
    builder.weld(arm, rim, (0.62, 1.26))
    end = builder.box((0.24, 1.36), 0.08, 0.18, density=0.5)
    builder.weld(arm, end, (0.24, 1.26))
    builder.circle((0.43, 1.4), 0.12, "green")
    builder.static_box((2.6, 0.4 + wall / 2), 0.2, wall, "red")
    builder.static_box(goal, 0.3, 0.9, "blue")
    return builder


def catch(speed: float = 1.5, height: float = 4.2, base: float = 2.3) -> LevelBuilder:
    """A ball flies in; the blue plate at the end of an arm must get to where it comes down."""
    builder = LevelBuilder("l", floor="red", right="red")
    foot = builder.static_circle((base, 0.9), 0.15)
    upper = builder.beam((base, 0.9), (base, 1.7), 0.14, density=2.0)
    builder.motor(foot, upper, (base, 0.9), 0, speed=0.4, power=2.0, limits=(-80, 80))
    plate = builder.box((base + 0.35, 1.7), 0.8, 0.1, "blue")
    builder.motor(upper, plate, (base, 1.7), 1, speed=0.4, power=2.0, limits=(-120, 200))
    builder.circle((0.4, height), 0.14, "green", velocity=(speed, 0.0))
    return builder


def stack(count: int = 2, width: float = 0.6) -> LevelBuilder:
    """A pusher shoves the green box from its shelf on to a tower; the ground is red."""
    builder = LevelBuilder("l", floor="red")
    for number in range(count):
        role = "blue" if number == count - 1 else "none"
        builder.box((3.0, 0.62 + 0.44 * number), width, 0.44, role)
    height = 0.4 + 0.44 * count + 0.4
    builder.static_box((1.3, height - 0.1), 2.3, 0.2)
    builder.box((1.3, height + 0.2), 0.4, 0.4, "green", friction=0.2)
    base = builder.static_circle((0.9, height + 1.6), 0.12)
    arm = builder.beam((0.9, height + 1.6), (0.4, height + 0.25), 0.14, density=2.0)
    builder.motor(base, arm, (0.9, height + 1.6), 0, speed=0.6, power=3.0, limits=(-10, 120))
    return builder


def poke(slot: float = 0.5, depth: float = 1.0) -> LevelBuilder:
    """The arm is too short for the tunnel; it has to shove the loose stick at the ball in there."""
    builder = LevelBuilder("l")
    builder.static_box((3.4, 1.1), 2.4, 0.2)
    builder.static_box((3.4 + 0.2, 1.3 + slot), 2.0, 0.2)
    builder.circle((3.1 + depth * 0.3, 1.2 + 0.14), 0.14, "green")
    builder.box((2.3, 1.2 + 0.06), 1.2, 0.12, friction=0.4)
    builder.static_box((4.8, 0.6), 0.4, 0.4, "blue")
    base = builder.static_circle((1.2, 1.9), 0.12)
    arm = builder.beam((1.2, 1.9), (0.6, 0.9), 0.14, density=2.0)
    builder.motor(base, arm, (1.2, 1.9), 0, speed=0.5, power=3.0, limits=(-60, 120))
    return builder


def wrecking_ball(links: int = 3, tower: int = 2) -> LevelBuilder:
    """A ball on a chain is swung at a tower; the green box on top must fall on the blue ground plate."""
    builder = LevelBuilder("l")
    mast = builder.static_circle((2.0, 3.6), 0.12)
    parent, start = mast, (2.0, 3.6)
    for number in range(links):
        end = (2.0, 3.6 - 0.55 * (number + 1))
        link = builder.beam(start, end, 0.1, density=1.5)
        if number == 0:
            builder.motor(parent, link, start, 0, speed=1.0, power=15.0)
        else:
            builder.revolute(parent, link, start)
        parent, start = link, end
    weight = builder.circle((2.0, start[1] - 0.1), 0.25, density=2.0)
    builder.revolute(parent, weight, start)
    for number in range(tower):
        builder.box((2.65, 0.7 + 0.6 * number), 0.35, 0.6, "green" if number == tower - 1 else "none")
    builder.static_box((3.8, 0.45), 1.2, 0.1, "blue")
    return builder


def angry_birds(tower: int = 3, place: float = 3.8) -> LevelBuilder:
    """A sling throws the bird at a tower of loose boxes with the pig on top."""
    builder = LevelBuilder("l")
    pivot = builder.static_circle((1.3, 0.9), 0.1)
    sling = builder.beam((0.5, 0.9), (1.5, 0.9), 0.14, density=3.0)
    builder.motor(pivot, sling, (1.3, 0.9), 0, speed=-3.0, power=2.0, limits=(-110, 10))
    builder.circle((0.65, 1.13), 0.15, "green")
    for number in range(tower):
        builder.box((place, 0.6 + 0.4 * number), 0.4 - 0.06 * number, 0.4)
    builder.circle((place, 0.4 + 0.4 * tower + 0.15), 0.15, "blue")
    return builder


LEVELS: list[LibraryLevel] = [
    *family(
        reach,
        "l",
        "manipulation arm",
        "Reach the blue disc with the last link, not the red blocks.",
        {
            "arm_reach_easy": {"goal": (3.9, 2.4)},
            "arm_reach": {"goal": (4.2, 1.2), "reds": ((3.9, 2.6),)},
            "arm_reach_hard": {"goal": (3.1, 0.7), "reds": ((4.3, 1.6), (1.2, 2.4))},
        },
        held_out=["arm_reach"],
    ),
    *family(
        grasp,
        "l",
        "manipulation grasp",
        "Fly the hand to the ball, grip it and carry it over the red sill to the blue plate.",
        {"grasp": {}},
    ),
    *family(
        throw,
        "l",
        "manipulation throw catapult",
        "Throw the ball over the red wall at the blue block.",
        {
            "throw_easy": {"wall": 0.4, "goal": (3.6, 1.0)},
            "throw": {},
            "throw_hard": {"wall": 2.2, "goal": (4.6, 0.85)},
        },
        held_out=["throw_easy"],
    ),
    *family(
        catch,
        "l",
        "manipulation catch",
        "Get the blue plate under the ball that flies in.",
        {"catch": {"speed": 2.0}, "catch_hard": {"speed": 1.2}},
    ),
    *family(
        stack,
        "l",
        "manipulation stacking",
        "Push the green box on to the tower; the ground is red.",
        {"stack_easy": {"width": 1.0}, "stack": {}, "stack_hard": {"count": 3, "width": 0.45}},
        held_out=["stack"],
    ),
    *family(
        poke,
        "l",
        "manipulation tools",
        "Use the stick to push the ball out of the tunnel.",
        {"tool_stick_easy": {}},
    ),
    *family(
        wrecking_ball,
        "l",
        "manipulation chains",
        "Swing the ball on the chain against the tower.",
        {"wrecking_ball": {}},
    ),
    *family(
        angry_birds,
        "l",
        "manipulation throw catapult",
        "Throw the bird at the blue disc on its tower of loose boxes.",
        {"angry_birds_tower": {}, "angry_birds_tower_hard": {"tower": 4, "place": 4.4}},
        held_out=["angry_birds_tower"],
    ),
]
