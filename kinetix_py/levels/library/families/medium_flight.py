"""Thrusters on the medium size: lunar landers, steering, needles, carts that are blown along."""

from __future__ import annotations

from kinetix_py.levels.library.family import LibraryLevel, family
from kinetix_py.levels.library.sketch import Point, Sketch


def lunar_lander(pad: float = 1.0, place: float = 3.6, start: float = 1.2, floor: str = "red") -> Sketch:
    """A box with two engines, left and right of its middle, that tilt it when they differ."""
    sketch = Sketch("m", gravity=5.0, floor=floor, left="red", right="red")
    box = sketch.box((start, 3.8), 0.6, 0.3, "green")
    for side, binding in ((-0.2, 0), (0.2, 1)):
        sketch.thruster(box, 90, 0.1, binding, at=(start + side, 3.7))
    sketch.block((place, 0.6), pad, 0.4, "blue")
    return sketch


def thrust_the_needle(gap: float = 0.9, hole: float = 2.6) -> Sketch:
    """A ball with engines to the right and up flies through a gap in a red wall."""
    sketch = Sketch("m", right="blue")
    ball = sketch.ball((0.7, 0.6), 0.16, "green")
    sketch.thruster(ball, 0, 0.12, 0)
    sketch.thruster(ball, 90, 0.18, 1)
    low, high = hole - gap / 2, hole + gap / 2
    sketch.block((2.8, (0.4 + low) / 2), 0.2, low - 0.4, "red")
    sketch.block((2.8, (5 + high) / 2), 0.2, 5 - high, "red")
    return sketch


def thrust_control(goal: Point = (0.6, 4.2), gravity: float = 4.0) -> Sketch:
    """A ball with engines left and right is steered on its way down, or a box with them upwards."""
    sketch = Sketch("m", gravity=gravity, floor="red")
    box = sketch.box((2.5, 2.4), 0.5, 0.25, "green")
    sketch.thruster(box, 90, 0.1, 0, at=(2.32, 2.3))
    sketch.thruster(box, 90, 0.1, 1, at=(2.68, 2.3))
    sketch.peg(goal, 0.25, "blue")
    sketch.peg((2.5, 3.6), 0.3, "red")
    return sketch


def thrust_fall(goal: str = "left", width: float = 1.6) -> Sketch:
    """A ball falls towards a red shelf; weak engines push it sideways on to the blue side."""
    blue = (0.9, 0.6) if goal == "left" else (4.1, 0.6)
    sketch = Sketch("m", gravity=3.0, floor="red")
    ball = sketch.ball((2.5, 4.4), 0.2, "green")
    sketch.thruster(ball, 180, 0.04, 0)
    sketch.thruster(ball, 0, 0.04, 1)
    sketch.block((2.5, 2.4), width, 0.2, "red")
    sketch.block(blue, 0.8, 0.4, "blue")
    return sketch


def thrust_block(shelf: float = 2.0) -> Sketch:
    """A ball with two engines pushes a box off a shelf on to the blue disc."""
    sketch = Sketch("m")
    ball = sketch.ball((0.6, 0.62), 0.22)
    sketch.thruster(ball, 30, 0.5, 0)
    sketch.thruster(ball, 100, 0.4, 1)
    sketch.block((2.2, shelf), 1.2, 0.2)
    sketch.box((2.2, shelf + 0.3), 0.4, 0.4, "green")
    sketch.peg((3.5, 0.7), 0.3, "blue")
    return sketch


def thrust_shoot(goal: Point = (4.3, 2.8)) -> Sketch:
    """A driven ball knocks a free green one over a kicker's edge."""
    sketch = Sketch("m")
    pusher = sketch.ball((0.6, 0.65), 0.25, density=2.0)
    sketch.thruster(pusher, 0, 1.6, 0)
    sketch.ball((1.4, 0.55), 0.15, "green")
    sketch.wedge([(3.3, 0.9), (3.3, 0.4), (2.0, 0.4)])
    sketch.block(goal, 0.3, 1.4, "blue")
    return sketch


def cart_pole_thrust(length: float = 1.1, distance: float = 3.0, friction: float = 0.0) -> Sketch:
    """A cart that slides without friction, blown left and right; its pole must not touch the red floor."""
    sketch = Sketch("m", floor="red", left="red")
    cart = sketch.box((1.0, 0.5), 0.7, 0.2, friction=friction, density=2.0)
    pole = sketch.box((1.0, 0.6 + length / 2), 0.1, length, "green")
    sketch.hinge(cart, pole, (1.0, 0.6))
    sketch.thruster(cart, 0, 0.3, 0)
    sketch.thruster(cart, 180, 0.3, 1)
    sketch.peg((1.0 + distance, 0.6 + length), 0.3, "blue")
    return sketch


def flappy(gap: float = 1.5, speed: float = 1.0) -> Sketch:
    """A bird between red posts, the second gap higher or lower than the first."""
    sketch = Sketch("m", gravity=5.0, floor="red", ceiling="red", right="blue")
    bird = sketch.ball((0.5, 2.4), 0.14, "green", velocity=(speed, 0.0))
    sketch.thruster(bird, 90, 0.085, 0)
    sketch.block((1.7, (0.4 + 3.2 - gap) / 2), 0.25, 2.8 - gap, "red")
    sketch.block((3.4, (5 + 1.6 + gap) / 2), 0.25, 3.4 - gap, "red")
    sketch.peg((1.7, 3.6), 0.4, "red")
    return sketch


def maze(opening: float = 0.9) -> Sketch:
    """Without gravity, round two walls with engines to the right and upwards, and bounces."""
    sketch = Sketch("m", gravity=0.0, bounce=0.9)
    ball = sketch.ball((0.6, 0.9), 0.18, "green", restitution=0.9)
    sketch.thruster(ball, 0, 0.05, 0)
    sketch.thruster(ball, 90, 0.05, 1)
    sketch.block((1.6, (0.4 + 5 - opening) / 2), 0.2, 4.6 - opening, "red")
    sketch.block((3.2, (5 + 0.4 + opening) / 2), 0.2, 4.6 - opening, "red")
    sketch.peg((4.4, 1.0), 0.25, "blue")
    return sketch


def trampoline(shelf: float = 3.4, bounce: float = 0.9) -> Sketch:
    """Too weak to fly, the ball must bounce higher and higher before it goes right to the shelf."""
    sketch = Sketch("m")
    sketch.block((1.0, 0.5), 1.6, 0.2, restitution=bounce)
    ball = sketch.ball((1.0, 1.6), 0.2, "green", restitution=bounce)
    sketch.thruster(ball, 90, 0.1, 0)
    sketch.thruster(ball, 0, 0.06, 1)
    sketch.block((4.0, shelf), 1.2, 0.2, "blue")
    return sketch


LEVELS: list[LibraryLevel] = [
    *family(
        lunar_lander,
        "m",
        "thrusters landing lander",
        "Land on the blue pad with two engines; the ground is red.",
        {
            "lunar_lander_easy": {"pad": 2.0, "place": 2.9, "floor": "none"},
            "lunar_lander": {"pad": 1.4, "place": 2.6},
            "lunar_lander_hard": {"pad": 0.8, "place": 3.8},
        },
        held_out=["lunar_lander"],
    ),
    *family(
        thrust_the_needle,
        "m",
        "thrusters",
        "Fly through the gap between the red blocks.",
        {
            "thrust_the_needle_easy": {"gap": 1.8},
            "thrust_the_needle": {},
            "thrust_the_needle_hard": {"gap": 0.55},
        },
        held_out=["thrust_the_needle"],
    ),
    *family(
        thrust_control,
        "m",
        "thrusters",
        "Fly round the red disc to the blue one with two engines that tilt the box.",
        {
            "thrust_control_left": {},
            "thrust_control_right": {"goal": (4.4, 4.2)},
            "thrust_control_low_easy": {"goal": (4.2, 2.2)},
        },
    ),
    *family(
        thrust_fall,
        "m",
        "thrusters",
        "Fall past the red shelf on to the blue block.",
        {"thrustfall_left": {}, "thrustfall_right_hard": {"goal": "right", "width": 2.2}},
    ),
    *family(
        thrust_block,
        "m",
        "thrusters manipulation",
        "Push the box off its shelf on to the blue disc.",
        {"thrust_block": {"shelf": 1.2}, "thrust_block_hard": {"shelf": 2.2}},
    ),
    *family(
        thrust_shoot,
        "m",
        "thrusters manipulation throw",
        "Shoot the green ball over the ramp at the blue block.",
        {"thrust_shoot": {"goal": (4.3, 1.9)}},
    ),
    *family(
        cart_pole_thrust,
        "m",
        "cart-pole balance",
        "Bring the pole, upright, to the blue disc; the engines push the cart.",
        {"cart_pole_thrust_easy": {"distance": 1.4}, "cart_pole_thrust": {"distance": 2.4}},
        held_out=["cart_pole_thrust_easy"],
    ),
    *family(
        flappy,
        "m",
        "flappy thrusters",
        "Flap over one red post and under the next to the blue wall.",
        {"flappy": {}, "flappy_hard": {"gap": 1.15}},
        held_out=["flappy"],
    ),
    *family(
        maze,
        "m",
        "maze thrusters",
        "Float round the red walls to the blue disc; there is no gravity.",
        {"maze_small_easy": {"opening": 1.8}, "maze_small": {"opening": 1.2}},
    ),
    *family(
        trampoline,
        "m",
        "trampoline thrusters",
        "Bounce up to the blue shelf; the engines alone are too weak.",
        {"trampoline": {"shelf": 2.4}, "trampoline_hard": {"shelf": 3.4}},
    ),
]
