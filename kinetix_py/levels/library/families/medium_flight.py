"""Thrusters on the medium size: lunar landers, steering, needles, carts that are blown along."""

from __future__ import annotations

from kinetix_py.levels.builder import LevelBuilder, Point
from kinetix_py.levels.library.family import LibraryLevel, family


def lunar_lander(
    pad: float = 1.0, place: float = 3.6, start: float = 1.2, floor: str = "red"
) -> LevelBuilder:
    """A box with two engines, left and right of its middle, that tilt it when they differ."""
    builder = LevelBuilder("m", gravity=5.0, floor=floor, left="red", right="red")
    box = builder.box((start, 3.8), 0.6, 0.3, "green")
    for side, binding in ((-0.2, 0), (0.2, 1)):
        builder.thruster(box, 90, 0.1, binding, at=(start + side, 3.7))
    builder.static_box((place, 0.6), pad, 0.4, "blue")
    return builder


def thrust_the_needle(gap: float = 0.9, hole: float = 2.6) -> LevelBuilder:
    """A ball with engines to the right and up flies through a gap in a red wall."""
    builder = LevelBuilder("m", right="blue")
    ball = builder.circle((0.7, 0.6), 0.16, "green")
    builder.thruster(ball, 0, 0.12, 0)
    builder.thruster(ball, 90, 0.18, 1)
    low, high = hole - gap / 2, hole + gap / 2
    builder.static_box((2.8, (0.4 + low) / 2), 0.2, low - 0.4, "red")
    builder.static_box((2.8, (5 + high) / 2), 0.2, 5 - high, "red")
    return builder


def thrust_control(goal: Point = (0.6, 4.2), gravity: float = 4.0) -> LevelBuilder:
    """A ball with engines left and right is steered on its way down, or a box with them upwards."""
    builder = LevelBuilder("m", gravity=gravity, floor="red")
    box = builder.box((2.5, 2.4), 0.5, 0.25, "green")
    builder.thruster(box, 90, 0.1, 0, at=(2.32, 2.3))
    builder.thruster(box, 90, 0.1, 1, at=(2.68, 2.3))
    builder.static_circle(goal, 0.25, "blue")
    builder.static_circle((2.5, 3.6), 0.3, "red")
    return builder


def thrust_fall(goal: str = "left", width: float = 1.6) -> LevelBuilder:
    """A ball falls towards a red shelf; weak engines push it sideways on to the blue side."""
    blue = (0.9, 0.6) if goal == "left" else (4.1, 0.6)
    builder = LevelBuilder("m", gravity=3.0, floor="red")
    ball = builder.circle((2.5, 4.4), 0.2, "green")
    builder.thruster(ball, 180, 0.04, 0)
    builder.thruster(ball, 0, 0.04, 1)
    builder.static_box((2.5, 2.4), width, 0.2, "red")
    builder.static_box(blue, 0.8, 0.4, "blue")
    return builder


def thrust_block(shelf: float = 2.0) -> LevelBuilder:
    """A ball with two engines pushes a box off a shelf on to the blue disc."""
    builder = LevelBuilder("m")
    ball = builder.circle((0.6, 0.62), 0.22)
    builder.thruster(ball, 30, 0.5, 0)
    builder.thruster(ball, 100, 0.4, 1)
    builder.static_box((2.2, shelf), 1.2, 0.2)
    builder.box((2.2, shelf + 0.3), 0.4, 0.4, "green")
    builder.static_circle((3.5, 0.7), 0.3, "blue")
    return builder


def thrust_shoot(goal: Point = (4.3, 2.8)) -> LevelBuilder:
    """A driven ball knocks a free green one over a kicker's edge."""
    builder = LevelBuilder("m")
    pusher = builder.circle((0.6, 0.65), 0.25, density=2.0)
    builder.thruster(pusher, 0, 1.6, 0)
    builder.circle((1.4, 0.55), 0.15, "green")
    builder.static_polygon([(3.3, 0.9), (3.3, 0.4), (2.0, 0.4)])
    builder.static_box(goal, 0.3, 1.4, "blue")
    return builder


def cart_pole_thrust(length: float = 1.1, distance: float = 3.0, friction: float = 0.0) -> LevelBuilder:
    """A cart that slides without friction, blown left and right; its pole must not touch the red floor."""
    builder = LevelBuilder("m", floor="red", left="red")
    cart = builder.box((1.0, 0.5), 0.7, 0.2, friction=friction, density=2.0)
    pole = builder.box((1.0, 0.6 + length / 2), 0.1, length, "green")
    builder.revolute(cart, pole, (1.0, 0.6))
    builder.thruster(cart, 0, 0.3, 0)
    builder.thruster(cart, 180, 0.3, 1)
    builder.static_circle((1.0 + distance, 0.6 + length), 0.3, "blue")
    return builder


def flappy(gap: float = 1.5, speed: float = 1.0) -> LevelBuilder:
    """A bird between red posts, the second gap higher or lower than the first."""
    builder = LevelBuilder("m", gravity=5.0, floor="red", ceiling="red", right="blue")
    bird = builder.circle((0.5, 2.4), 0.14, "green", velocity=(speed, 0.0))
    builder.thruster(bird, 90, 0.085, 0)
    builder.static_box((1.7, (0.4 + 3.2 - gap) / 2), 0.25, 2.8 - gap, "red")
    builder.static_box((3.4, (5 + 1.6 + gap) / 2), 0.25, 3.4 - gap, "red")
    builder.static_circle((1.7, 3.6), 0.4, "red")
    return builder


def maze(opening: float = 0.9) -> LevelBuilder:
    """Without gravity, round two walls with engines to the right and upwards, and bounces."""
    builder = LevelBuilder("m", gravity=0.0, restitution=0.9)
    ball = builder.circle((0.6, 0.9), 0.18, "green", restitution=0.9)
    builder.thruster(ball, 0, 0.05, 0)
    builder.thruster(ball, 90, 0.05, 1)
    builder.static_box((1.6, (0.4 + 5 - opening) / 2), 0.2, 4.6 - opening, "red")
    builder.static_box((3.2, (5 + 0.4 + opening) / 2), 0.2, 4.6 - opening, "red")
    builder.static_circle((4.4, 1.0), 0.25, "blue")
    return builder


def trampoline(shelf: float = 3.4, bounce: float = 0.9) -> LevelBuilder:
    """Too weak to fly, the ball must bounce higher and higher before it goes right to the shelf."""
    builder = LevelBuilder("m")
    builder.static_box((1.0, 0.5), 1.6, 0.2, restitution=bounce)
    ball = builder.circle((1.0, 1.6), 0.2, "green", restitution=bounce)
    builder.thruster(ball, 90, 0.1, 0)
    builder.thruster(ball, 0, 0.06, 1)
    builder.static_box((4.0, shelf), 1.2, 0.2, "blue")
    return builder


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
