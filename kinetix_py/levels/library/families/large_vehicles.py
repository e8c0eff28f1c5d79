"""Vehicles on the large size: cart-poles, ramps, gaps, stairs, lorries, bridges."""

from __future__ import annotations

from kinetix_py.levels.builder import LevelBuilder, Point
from kinetix_py.levels.library.families.parts import add_car
from kinetix_py.levels.library.family import LibraryLevel, family


def cart_pole(distance: float = 2.0, length: float = 1.2, poles: int = 1, tilt: float = 0.0) -> LevelBuilder:
    """A cart on two driven wheels with a pole that stands on it; the floor is red for the pole."""
    builder = LevelBuilder("l", floor="red", left="red")
    cart = add_car(builder, 1.2, role="none", speed=1.0, radius=0.18, density=2.0)
    foot, parent = (1.2, 0.84), cart
    for number in range(poles):
        top = (foot[0] + tilt, foot[1] + length / poles)
        pole = builder.beam(foot, top, 0.09, "green" if number == poles - 1 else "none")
        builder.revolute(parent, pole, foot)
        foot, parent = top, pole
    builder.static_circle((1.2 + distance, 0.84 + length), 0.3, "blue")
    return builder


def ramps(
    heights: tuple[float, ...] = (0.3, 0.5), goal: Point = (4.6, 1.05), power: float = 1.5
) -> LevelBuilder:
    """A car drives over ramps, each with a slope on both sides."""
    builder = LevelBuilder("l")
    add_car(builder, 0.6, speed=1.5, power=power, bindings=(0, 1))
    width = 2.9 / len(heights)
    for number, height in enumerate(heights):
        start = 1.2 + number * width
        top = start + width / 2
        builder.static_polygon([(top, 0.4 + height), (start + width, 0.4), (start, 0.4)])
    builder.static_circle(goal, 0.25, "blue")
    return builder


def gap(width: float = 0.8, lip: float = 0.25) -> LevelBuilder:
    """A car has to jump a red pit between two platforms."""
    builder = LevelBuilder("l", floor="red")
    left_end = 2.8
    builder.static_box((left_end / 2, 0.7), left_end, 0.6)
    right_start = left_end + width
    builder.static_box(((right_start + 5) / 2, 0.7), 5 - right_start, 0.6)
    builder.static_polygon([(left_end, 1.0 + lip), (left_end, 1.0), (left_end - 0.9, 1.0)])
    add_car(builder, 0.7, 1.0, length=0.6, speed=2.5, power=2.0, radius=0.16, bindings=(0, 1))
    builder.static_circle((4.7, 1.6), 0.25, "blue")
    return builder


def stairs(steps: int = 3, rise: float = 0.12) -> LevelBuilder:
    """A car climbs stairs."""
    builder = LevelBuilder("l")
    add_car(builder, 0.7, speed=1.0, power=2.5, radius=0.26, length=0.8, bindings=(0, 1))
    depth = 2.6 / steps
    for number in range(steps):
        height = rise * (number + 1)
        builder.static_box((1.8 + (number + 0.5) * depth, 0.4 + height / 2), depth, height)
    builder.static_circle((4.6, 1.2 + rise * steps), 0.3, "blue")
    return builder


def lorry(ramp: float = 0.0) -> LevelBuilder:
    """A driven tractor pulls a trailer on a hitch."""
    builder = LevelBuilder("l")
    cab = add_car(builder, 2.0, length=0.8, power=2.0)
    bed = builder.box((1.0, 0.76), 1.0, 0.16, density=1.5)
    wheel = builder.circle((0.7, 0.6), 0.2)
    builder.revolute(bed, wheel, (0.7, 0.6))
    builder.revolute(cab, bed, (1.55, 0.76))
    if ramp:
        builder.static_polygon([(3.4, 0.4 + ramp), (4.0, 0.4), (2.8, 0.4)])
    builder.static_circle((4.7, 1.05), 0.25, "blue")
    return builder


def bridge(planks: int = 3, sag: float = 0.0) -> LevelBuilder:
    """A car drives over a bridge of up to 3 hinged planks above a red floor."""
    builder = LevelBuilder("l", floor="red")
    left = builder.static_box((0.75, 1.0), 1.5, 1.2)
    right = builder.static_box((4.25, 1.0), 1.5, 1.2)
    width = 2.0 / planks
    parent, start = left, (1.5, 1.52)
    for number in range(planks):
        end = (1.5 + (number + 1) * width, 1.52 - sag * (number + 1 < planks))
        plank = builder.beam(start, end, 0.12, density=2.0)
        builder.revolute(parent, plank, start)
        parent, start = plank, end
    builder.revolute(parent, right, start)
    add_car(builder, 0.6, 1.6, length=0.6, speed=1.5, power=1.5, radius=0.15)
    builder.static_circle((4.7, 2.2), 0.25, "blue")
    return builder


LEVELS: list[LibraryLevel] = [
    *family(
        cart_pole,
        "l",
        "cart-pole balance",
        "Keep the pole up while the cart brings it to the blue disc.",
        {"cart_pole_easy": {"distance": 1.0}, "cart_pole": {"distance": 1.9}},
    ),
    *family(
        ramps,
        "l",
        "locomotion car",
        "Drive over the ramps to the blue disc.",
        {"car_ramps_easy": {"heights": (0.25,)}, "car_ramps": {}},
    ),
    *family(
        gap,
        "l",
        "locomotion car jump",
        "Jump over the red pit.",
        {"car_gap_easy": {"width": 0.45}, "car_gap": {}},
    ),
    *family(
        stairs,
        "l",
        "locomotion car",
        "Climb the stairs to the blue disc.",
        {"car_stairs": {}},
        held_out=["car_stairs"],
    ),
    *family(
        lorry,
        "l",
        "locomotion car lorry",
        "Drive the lorry with its trailer to the blue disc.",
        {"lorry_easy": {}, "lorry": {"ramp": 0.25}},
    ),
    *family(
        bridge,
        "l",
        "locomotion car bridge",
        "Cross the bridge of hinged planks; the ground below is red.",
        {"bridge": {}, "bridge_hard": {"sag": 0.25}},
        held_out=["bridge"],
    ),
]
