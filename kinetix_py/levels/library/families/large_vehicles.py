"""Vehicles on the large size: cart-poles, ramps, gaps, stairs, lorries, bridges."""

from __future__ import annotations

from kinetix_py.levels.library.families.parts import add_car
from kinetix_py.levels.library.family import LibraryLevel, family
from kinetix_py.levels.library.sketch import Point, Sketch


def cart_pole(distance: float = 2.0, length: float = 1.2, poles: int = 1, tilt: float = 0.0) -> Sketch:
    """A cart on two driven wheels with a pole that stands on it; the floor is red for the pole."""
    sketch = Sketch("l", floor="red", left="red")
    cart = add_car(sketch, 1.2, role="none", speed=1.0, radius=0.18, density=2.0)
    foot, parent = (1.2, 0.84), cart
    for number in range(poles):
        top = (foot[0] + tilt, foot[1] + length / poles)
        pole = sketch.plank(foot, top, 0.09, "green" if number == poles - 1 else "none")
        sketch.hinge(parent, pole, foot)
        foot, parent = top, pole
    sketch.peg((1.2 + distance, 0.84 + length), 0.3, "blue")
    return sketch


def ramps(heights: tuple[float, ...] = (0.3, 0.5), goal: Point = (4.6, 1.05), power: float = 1.5) -> Sketch:
    """A car drives over ramps, each with a slope on both sides."""
    sketch = Sketch("l")
    add_car(sketch, 0.6, speed=1.5, power=power, bindings=(0, 1))
    width = 2.9 / len(heights)
    for number, height in enumerate(heights):
        start = 1.2 + number * width
        top = start + width / 2
        sketch.wedge([(top, 0.4 + height), (start + width, 0.4), (start, 0.4)])
    sketch.peg(goal, 0.25, "blue")
    return sketch


def gap(width: float = 0.8, lip: float = 0.25) -> Sketch:
    """A car has to jump a red pit between two platforms."""
    sketch = Sketch("l", floor="red")
    left_end = 2.8
    sketch.block((left_end / 2, 0.7), left_end, 0.6)
    right_start = left_end + width
    sketch.block(((right_start + 5) / 2, 0.7), 5 - right_start, 0.6)
    sketch.wedge([(left_end, 1.0 + lip), (left_end, 1.0), (left_end - 0.9, 1.0)])
    add_car(sketch, 0.7, 1.0, length=0.6, speed=2.5, power=2.0, radius=0.16, bindings=(0, 1))
    sketch.peg((4.7, 1.6), 0.25, "blue")
    return sketch


def stairs(steps: int = 3, rise: float = 0.12) -> Sketch:
    """A car climbs stairs."""
    sketch = Sketch("l")
    add_car(sketch, 0.7, speed=1.0, power=2.5, radius=0.26, length=0.8, bindings=(0, 1))
    depth = 2.6 / steps
    for number in range(steps):
        height = rise * (number + 1)
        sketch.block((1.8 + (number + 0.5) * depth, 0.4 + height / 2), depth, height)
    sketch.peg((4.6, 1.2 + rise * steps), 0.3, "blue")
    return sketch


def lorry(ramp: float = 0.0) -> Sketch:
    """A driven tractor pulls a trailer on a hitch."""
    sketch = Sketch("l")
    cab = add_car(sketch, 2.0, length=0.8, power=2.0)
    bed = sketch.box((1.0, 0.76), 1.0, 0.16, density=1.5)
    wheel = sketch.ball((0.7, 0.6), 0.2)
    sketch.hinge(bed, wheel, (0.7, 0.6))
    sketch.hinge(cab, bed, (1.55, 0.76))
    if ramp:
        sketch.wedge([(3.4, 0.4 + ramp), (4.0, 0.4), (2.8, 0.4)])
    sketch.peg((4.7, 1.05), 0.25, "blue")
    return sketch


def bridge(planks: int = 3, sag: float = 0.0) -> Sketch:
    """A car drives over a bridge of up to 3 hinged planks above a red floor."""
    sketch = Sketch("l", floor="red")
    left = sketch.block((0.75, 1.0), 1.5, 1.2)
    right = sketch.block((4.25, 1.0), 1.5, 1.2)
    width = 2.0 / planks
    parent, start = left, (1.5, 1.52)
    for number in range(planks):
        end = (1.5 + (number + 1) * width, 1.52 - sag * (number + 1 < planks))
        plank = sketch.plank(start, end, 0.12, density=2.0)
        sketch.hinge(parent, plank, start)
        parent, start = plank, end
    sketch.hinge(parent, right, start)
    add_car(sketch, 0.6, 1.6, length=0.6, speed=1.5, power=1.5, radius=0.15)
    sketch.peg((4.7, 2.2), 0.25, "blue")
    return sketch


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
