"""Bodies with legs on the large size: walker, hopper, half-cheetah, swimmer, crab."""

from __future__ import annotations

from kinetix_py.levels.builder import LevelBuilder
from kinetix_py.levels.library.families.parts import add_limb
from kinetix_py.levels.library.family import LibraryLevel, family


def walker(distance: float = 2.0, gravity: float = 9.81, head: float = 0.0) -> LevelBuilder:
    """A trunk on two legs of two links; blue hangs at the height of the trunk."""
    builder = LevelBuilder("l", gravity=gravity)
    hip = (1.2, 1.4)
    trunk = builder.box((1.2, 1.7), 0.3, 0.7, "green")
    for side, first in ((-0.08, 0), (0.08, 2)):
        points = [hip, (1.2 + side, 0.92), (1.2 + 2 * side, 0.47)]
        add_limb(builder, trunk, points, [first, first + 1], thickness=0.12, power=1.0)
    builder.static_circle((1.2 + distance, 1.2 + head), 0.3, "blue")
    return builder


def hopper(distance: float = 2.2, gravity: float = 9.81) -> LevelBuilder:
    """A trunk on one leg of two links and a foot."""
    builder = LevelBuilder("l", gravity=gravity)
    trunk = builder.box((1.0, 1.75), 0.3, 0.6, "green")
    points = [(1.0, 1.5), (0.88, 1.0), (1.0, 0.48)]
    shin = add_limb(builder, trunk, points, [0, 1], thickness=0.12)[-1]
    foot = builder.box((1.06, 0.45), 0.45, 0.1)
    builder.motor(shin, foot, (1.0, 0.46), 2, speed=1.0, power=1.5, limits=(-45, 45))
    builder.static_circle((1.0 + distance, 1.3), 0.3, "blue")
    return builder


def half_cheetah(distance: float = 2.6, gravity: float = 9.81) -> LevelBuilder:
    """A long trunk on a hind and a front leg, each of two links."""
    builder = LevelBuilder("l", gravity=gravity)
    trunk = builder.box((1.2, 1.15), 1.2, 0.2, "green")
    add_limb(builder, trunk, [(0.7, 1.12), (0.55, 0.8), (0.75, 0.48)], [0, 1])
    add_limb(builder, trunk, [(1.7, 1.12), (1.6, 0.8), (1.75, 0.48)], [2, 3])
    builder.static_circle((1.8 + distance, 0.9), 0.3, "blue")
    return builder


def swimmer(distance: float = 1.2, gravity: float = 3.0, links: int = 4) -> LevelBuilder:
    """A chain of links that wriggles over the ground; the first link has to arrive."""
    builder = LevelBuilder("l", gravity=gravity)
    length = 0.45
    xs = [0.4 + length * number for number in range(links + 1)]
    tail = builder.beam((xs[0], 0.47), (xs[1], 0.47), 0.12, overhang=0.03)
    points = [(x, 0.47) for x in xs[1:]]
    bindings = list(range(links - 1))
    add_limb(builder, tail, points, bindings, thickness=0.12, role="green", limits=(-80, 80))
    builder.static_circle((xs[-1] + distance, 0.8), 0.3, "blue")
    return builder


def crab(distance: float = 2.2) -> LevelBuilder:
    """A low body between two arms that pull and push it."""
    builder = LevelBuilder("l")
    trunk = builder.box((1.5, 0.62), 0.7, 0.3, "green")
    add_limb(builder, trunk, [(1.2, 0.72), (0.85, 0.95), (0.6, 0.5)], [0, 1], limits=(-70, 70))
    add_limb(builder, trunk, [(1.8, 0.72), (2.15, 0.95), (2.4, 0.5)], [2, 3], limits=(-70, 70))
    builder.static_circle((1.5 + distance, 1.1), 0.3, "blue")
    return builder


LEVELS: list[LibraryLevel] = [
    *family(
        walker,
        "l",
        "locomotion walker",
        "Bring the trunk to the blue disc on two legs.",
        {
            "walker_easy": {"distance": 1.5, "gravity": 5.0, "head": 0.5},
            "walker": {"distance": 2.0, "head": -0.2},
            "walker_hard": {"distance": 2.6, "head": -0.1},
        },
        held_out=["walker_easy"],
    ),
    *family(
        hopper,
        "l",
        "locomotion hopper",
        "Bring the trunk to the blue disc on one leg.",
        {"hopper_large_easy": {"distance": 1.0, "gravity": 5.0}, "hopper_large": {"distance": 1.6}},
    ),
    *family(
        half_cheetah,
        "l",
        "locomotion half-cheetah",
        "Run to the blue disc.",
        {"half_cheetah_easy": {"distance": 0.7, "gravity": 5.0}, "half_cheetah": {"distance": 1.6}},
        held_out=["half_cheetah_easy"],
    ),
    *family(
        swimmer,
        "l",
        "locomotion swimmer",
        "Wriggle along the ground until the head is at the blue disc.",
        {"swimmer_easy": {"distance": 0.65}, "swimmer": {"distance": 1.2, "gravity": 6.0}},
        held_out=["swimmer_easy"],
    ),
    *family(
        crab,
        "l",
        "locomotion",
        "Crawl sideways to the blue disc.",
        {"crab_easy": {"distance": 1.1}, "crab": {"distance": 1.5}},
    ),
]
