"""The engine against formulas: every test states the one that it checks.

A step is semi-implicit Euler: n steps of a constant acceleration g give v_n = v_0 + g n dt and
x_n = x_0 + v_0 n dt + g dt^2 n (n + 1) / 2 exactly, which is off the parabola by g t dt / 2.
"""

from math import atan, cos, hypot, pi, radians, sin, sqrt

import numpy as np
import pytest

import jax2d
from tests.jax2d.simulate import SPEC, run
from tests.jax2d.theory import (
    COLD,
    DT,
    FLOOR,
    OCTAGONS,
    SLOP,
    G,
    anchor_gaps,
    corner_heights,
    inertias,
    new_scene,
    of,
    period,
    regular_polygon,
)

pytestmark = pytest.mark.usefixtures("compiled_fast")


@pytest.mark.parametrize("velocity", [(0, 0), (1.5, 2.0)])
@pytest.mark.parametrize("shape", ["circle", "box"])
def test_free_fall_and_projectile(shape, velocity):
    """x = x0 + vx n dt; y = y0 + vy n dt - g dt^2 n (n + 1) / 2; float32 leaves 1e-5 m."""
    scene = new_scene()
    if shape == "circle":
        body = scene.add_circle((2, 7), 0.1, velocity=velocity)
    else:
        body = scene.add_box((2, 7), 0.3, 0.2, velocity=velocity)
    states, _ = run(scene, 60)
    n = np.arange(1, 61)
    x = 2 + velocity[0] * n * DT
    y = 7 + velocity[1] * n * DT - G * DT**2 * n * (n + 1) / 2
    np.testing.assert_allclose(of(states.position, body)[:, 0], np.stack([x, y], 1), atol=1e-5)
    speed = of(states.velocity, body)[:, 0, 1]
    np.testing.assert_allclose(speed, velocity[1] - G * n * DT, atol=1e-5)


def test_spin_is_conserved():
    """No torque: w stays, th = w n dt."""
    scene = new_scene()
    box = scene.add_box((2, 7), 0.4, 0.1, angular_velocity=3)
    circle = scene.add_circle((4, 7), 0.2, angular_velocity=-7)
    states, _ = run(scene, 60)
    spins = np.broadcast_to([3, -7], (60, 2))
    np.testing.assert_array_equal(of(states.angular_velocity, box, circle), spins)
    angles = spins * np.arange(1, 61)[:, None] * DT
    np.testing.assert_allclose(of(states.rotation, box, circle), angles, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "height", "arm"),
    [(0.2, 0.2, 1.0), (0.1, 0.8, 0.4), (0.6, 0.3, 0.3)],
    ids=["bob", "rod", "plate"],
)
def test_pendulum_period(width, height, arm):
    """T = 2 pi sqrt(I / (m g L)), I = m (L^2 + (w^2 + h^2) / 12).

    From 0.05 rad; the finite swing adds th^2 / 16 = 0.02 %. The joint may damp, not drive.
    """
    scene = new_scene()
    hook = scene.add_box((5, 5), 0.2, 0.2, static=True, collision_mode=0)
    start = 0.05
    position = (5 + arm * sin(start), 5 - arm * cos(start))
    body = scene.add_box(position, width, height, rotation=start)
    scene.add_revolute_joint(hook, body, (5, 5))
    states, _ = run(scene, 600)
    angle = of(states.rotation, body)[:, 0]
    expected = 2 * pi * sqrt((arm**2 + (width**2 + height**2) / 12) / (G * arm))
    assert period(angle) == pytest.approx(expected, rel=0.005)
    assert np.abs(angle).max() < 1.01 * start
    assert anchor_gaps(scene, states).max() < 0.01


FRICTIONS = [(1.0, 1.0), (0.6, 0.8), (0.5, 0.0)]


def slide_down(slope, friction_ramp, friction_box, steps):
    """Velocity down an static slope, and distance moved, of a box laid on it at rest."""
    along, up = np.array([cos(slope), -sin(slope)]), np.array([sin(slope), cos(slope)])
    scene = new_scene()
    scene.add_box((5, 5), 16, 1, rotation=-slope, static=True, friction=friction_ramp)
    start = np.array([5, 5]) - 5 * along + (0.5 + 0.1 - SLOP / 2) * up
    box = scene.add_box(start, 0.4, 0.2, rotation=-slope, friction=friction_box)
    states, _ = run(scene, steps)
    moved = of(states.position, box)[-1, 0] - np.asarray(scene.build().position[box.index])
    return of(states.velocity, box)[:, 0] @ along, np.linalg.norm(moved)


@pytest.mark.parametrize("frictions", FRICTIONS)
def test_box_stays_on_a_slope_just_below_the_friction_angle(frictions):
    """tan(slope) < mu = 0.4 sqrt(fa^2 + fb^2), by half a degree: at rest, here for 5 s."""
    slope = atan(0.4 * hypot(*frictions)) - radians(0.5)
    velocity, moved = slide_down(slope, *frictions, steps=300)
    assert moved < 1e-4
    assert np.abs(velocity).max() < 1e-4


@pytest.mark.parametrize("frictions", FRICTIONS)
@pytest.mark.parametrize("degrees", [0.5, 2, 10])
def test_box_slides_down_a_slope_above_the_friction_angle(frictions, degrees):
    """tan(slope) > mu: v = g (sin(slope) - mu cos(slope)) t, after 1 s."""
    mu = 0.4 * hypot(*frictions)
    slope = atan(mu) + radians(degrees)
    velocity, _ = slide_down(slope, *frictions, steps=60)
    expected = G * (sin(slope) - mu * cos(slope))
    assert expected > 0.07
    assert velocity[-1] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("restitution", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("floor_restitution", [None, 1.0], ids=["equal", "floor 1"])
def test_bounce_height(restitution, floor_restitution):
    """Height after the first bounce / height of the fall = e^2, e the smaller of the pair's two.

    The fall is chosen to end a step with half the slop of overlap, for which nothing is pushed out.
    It takes n = 240 steps of 1/240 s; steps alone change the ratio by (e^2 + e) / n < 0.009.
    """
    dt, n = 1 / 240, 240
    fall = G * dt**2 * n * (n + 1) / 2
    scene = new_scene()
    walls = restitution if floor_restitution is None else floor_restitution
    scene.add_walls(height=9, restitution=walls)
    rest = FLOOR + 0.1
    circle = scene.add_circle((2.5, rest + fall - SLOP / 2), 0.1, restitution=restitution)
    states, _ = run(scene, 600, params=jax2d.SimParams(dt=dt))
    first_bounce = slice(n, n + int(restitution * n) + 5)
    top = of(states.position, circle)[first_bounce, 0, 1].max() - rest
    assert top / fall == pytest.approx(restitution**2, abs=0.009)


def collide(shape, restitution):
    """Two bodies head on at 2 m/s that first overlap by half the slop: nothing is pushed out."""
    scene = new_scene(gravity=0)
    apart = 30 * 2.0 * DT - SLOP / 2
    starts = [((2, 3), (1.5, 0), 3.0), ((2.4 + apart, 3), (-0.5, 0), 1.0)]
    bodies = []
    for position, velocity, density in starts:
        options = {"velocity": velocity, "density": density, "restitution": restitution}
        if shape == "circle":
            bodies.append(scene.add_circle(position, 0.2, **options))
        else:
            bodies.append(scene.add_box(position, 0.4, 0.4, **options))
    states, _ = run(scene, 60)
    mass, _ = inertias(scene.build(), *bodies)
    return mass, of(states.velocity, *bodies), of(states.angular_velocity, *bodies)


@pytest.mark.parametrize("shape", ["circle", "box"])
@pytest.mark.parametrize("restitution", [0.0, 0.5, 1.0])
def test_head_on_collision(shape, restitution):
    """m1 v1 + m2 v2 stays; v2' - v1' = e (v1 - v2); with e = 1 so does (m1 v1^2 + m2 v2^2) / 2."""
    mass, velocity, spin = collide(shape, restitution)
    momentum = np.einsum("b,tbk->tk", mass, velocity)
    np.testing.assert_allclose(momentum, momentum[:1].repeat(60, axis=0), atol=1e-6)
    before, after = velocity[0, :, 0], velocity[-1, :, 0]
    assert after[1] - after[0] == pytest.approx(restitution * (before[0] - before[1]), abs=1e-5)
    energy = np.einsum("b,tbk->t", mass, velocity**2) / 2
    reduced = mass.prod() / mass.sum()
    lost = (1 - restitution**2) * reduced * (before[0] - before[1]) ** 2 / 2
    assert energy[0] - energy[-1] == pytest.approx(lost, abs=1e-5)
    assert np.abs(spin).max() < 1e-5


def test_glancing_elastic_collision_without_friction():
    """Momentum (both components) and energy stay; pushing overlap out is turned off."""
    scene = new_scene(gravity=0)
    options = {"restitution": 1.0, "friction": 0.0}
    a = scene.add_circle((2, 3), 0.2, velocity=(1.5, 0), density=2, **options)
    b = scene.add_circle((2.9, 3.2), 0.2, velocity=(-0.5, 0), **options)
    states, _ = run(scene, 60, params=jax2d.SimParams(contact_bias=0.0))
    mass, _ = inertias(scene.build(), a, b)
    velocity = of(states.velocity, a, b)
    momentum = np.einsum("b,tbk->tk", mass, velocity)
    energy = np.einsum("b,tbk->t", mass, velocity**2) / 2
    np.testing.assert_allclose(momentum[-1], momentum[0], atol=1e-6)
    assert energy[-1] == pytest.approx(energy[0], rel=1e-5)
    assert abs(velocity[-1, 1, 1]) > 0.5


def test_glancing_collision_with_friction_conserves_angular_momentum():
    """sum of m cross(x, v) + I w stays, since both bodies are pushed at the same point."""
    scene = new_scene(gravity=0)
    a = scene.add_circle((2, 3), 0.2, velocity=(1.5, 0), density=2)
    b = scene.add_circle((2.9, 3.2), 0.2, velocity=(-0.5, 0), angular_velocity=5)
    states, _ = run(scene, 60)
    mass, inertia = inertias(scene.build(), a, b)
    x, v = of(states.position, a, b), of(states.velocity, a, b)
    spin = of(states.angular_velocity, a, b)
    orbital = mass * (x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0])
    momentum = (orbital + inertia * spin).sum(axis=1)
    np.testing.assert_allclose(momentum, momentum[0], atol=1e-5)
    assert abs(spin[-1, 0]) > 0.01


def test_stack_of_four_boxes_stays():
    """Statics: from rest, 20 s move no body by 1 cm, the last 10 s by nothing.

    The boxes start with half the slop of overlap, which is a position of rest.
    """
    scene = new_scene()
    scene.add_walls()
    lower = 0.2 - SLOP / 2
    boxes = [scene.add_box((2.5, FLOOR - 0.1 + lower * i), 0.2, 0.2) for i in range(1, 5)]
    states, _ = run(scene, 1200)
    start = np.asarray(scene.build().position)[[box.index for box in boxes]]
    position = of(states.position, *boxes)
    assert np.linalg.norm(position - start, axis=-1).max() < 0.01
    assert np.linalg.norm(position[600:] - position[-1], axis=-1).max() < 1e-4
    assert np.abs(of(states.rotation, *boxes)).max() < 0.01


@pytest.mark.parametrize("mode_a", [0, 1, 2])
@pytest.mark.parametrize("mode_b", [0, 1, 2])
def test_collision_modes(mode_a, mode_b):
    """Two bodies collide if either has mode 2, or both have mode 1; else they pass through."""
    scene = new_scene(gravity=0)
    a = scene.add_circle((2, 3), 0.2, velocity=(2, 0), collision_mode=mode_a)
    b = scene.add_box((3, 3), 0.4, 0.4, collision_mode=mode_b)
    states, contacts = run(scene, 60)
    collide = 2 in (mode_a, mode_b) or mode_a == mode_b == 1
    velocity = of(states.velocity, a, b)[-1, :, 0]
    if collide:
        assert velocity[1] > 0.5
    else:
        np.testing.assert_array_equal(velocity, [2, 0])
    assert bool(contacts.active.any()) == collide


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_walls_stop_every_mode(mode):
    """Walls have mode 2, so that a body of any mode comes to rest on the floor."""
    scene = new_scene()
    scene.add_walls()
    circle = scene.add_circle((2.5, 1), 0.2, collision_mode=mode)
    states, _ = run(scene, 300)
    height = of(states.position, circle)[-1, 0, 1] - FLOOR - 0.2
    assert -1.1 * SLOP < height < 0


def test_static_body_stays():
    """Inverse mass 0: neither gravity nor a hit of 14 kg moves it."""
    scene = new_scene()
    block = scene.add_box((5, 3), 1, 1, rotation=0.2, static=True)
    ball = scene.add_circle((5.2, 4.5), 0.3, density=50)
    states, contacts = run(scene, 60)
    assert contacts.active.any()
    assert np.ptp(of(states.position, block), axis=0).max() == 0
    assert np.ptp(of(states.rotation, block)) == 0
    assert of(states.velocity, ball)[-1, 0, 0] < -0.1


def trapezoid_case():
    """Parallel sides a, b, height h: A = (a + b) h / 2, centroid h (a + 2b) / (3 (a + b)) above a,
    I / density = h^3 (a^2 + 4ab + b^2) / (36 (a + b)) + h (a + b) (a^2 + b^2) / 48."""
    a, b, h = 0.8, 0.3, 0.5
    corners = [(-a / 2, 0), (-b / 2, h), (b / 2, h), (a / 2, 0)]
    inertia = h**3 * (a**2 + 4 * a * b + b**2) / (36 * (a + b))
    inertia += h * (a + b) * (a**2 + b**2) / 48
    return corners, (a + b) * h / 2, inertia, (0, h * (a + 2 * b) / (3 * (a + b)))


def triangle_case():
    """A = cross / 2, centroid the mean of the corners, I = m (sum of squared sides) / 36."""
    corners = np.array([(0.1, 0.0), (0.2, 0.5), (0.7, 0.1)])
    u, v = corners[1] - corners[0], corners[2] - corners[0]
    area = abs(u[0] * v[1] - u[1] * v[0]) / 2
    sides = (u**2).sum() + (v**2).sum() + ((u - v) ** 2).sum()
    return corners, area, area * sides / 36, corners.mean(axis=0)


def regular_case(sides, radius=0.3):
    """A = n R^2 sin(2 pi / n) / 2, I = m R^2 (2 + cos(2 pi / n)) / 6."""
    turn = 2 * pi / sides
    area = sides * radius**2 * sin(turn) / 2
    corners = regular_polygon(sides, radius) + np.array([0.2, -0.1])
    return corners, area, area * radius**2 * (2 + cos(turn)) / 6, (0.2, -0.1)


@pytest.mark.parametrize(
    "case",
    [trapezoid_case(), triangle_case(), regular_case(6), regular_case(8)],
    ids=["trapezoid", "triangle", "hexagon", "octagon"],
)
def test_mass_inertia_and_centroid_of_polygons(case):
    """Closed forms, in the docstrings of the cases; density 3."""
    corners, area, inertia, centroid = case
    scene = new_scene(spec=OCTAGONS)
    angle = 0.7
    body = scene.add_polygon((2, 3), corners, rotation=angle, density=3)
    state = scene.build()
    mass, moment = inertias(state, body)
    assert mass[0] == pytest.approx(3 * area, rel=1e-6)
    assert moment[0] == pytest.approx(3 * inertia, rel=1e-6)
    turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    expected = np.array([2, 3]) + turn @ np.array(centroid)
    np.testing.assert_allclose(state.position[body.index], expected, rtol=1e-6)
    local = np.asarray(state.vertices[body.index])[: len(corners)]
    np.testing.assert_allclose(local, np.asarray(corners) - centroid, atol=1e-6)


def test_mass_and_inertia_of_circles():
    """m = density pi r^2; I = m r^2 / 2 for a solid disc, half of it by default."""
    scene = new_scene()
    solid = scene.add_circle((2, 3), 0.3, density=2, solid_inertia=True)
    default = scene.add_circle((3, 3), 0.3, density=2)
    mass, inertia = inertias(scene.build(), solid, default)
    expected = 2 * pi * 0.3**2
    np.testing.assert_allclose(mass, expected, rtol=1e-6)
    np.testing.assert_allclose(inertia, expected * 0.3**2 / np.array([2, 4]), rtol=1e-6)


TRIANGLE = [(-0.3, -0.2), (0.0, 0.4), (0.3, -0.2)]


@pytest.mark.parametrize(
    ("corners", "spec"),
    [
        pytest.param(TRIANGLE, SPEC, id="triangle"),
        pytest.param(regular_polygon(8), OCTAGONS, id="octagon", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("rotation", [0.3, -0.1])
def test_polygon_comes_to_rest_on_a_side(corners, spec, rotation):
    """At rest two corners are in the floor, neither deeper than the slop; the others far above."""
    scene = new_scene(spec=spec)
    scene.add_walls()
    body = scene.add_polygon((2.5, 1.2), corners, rotation=rotation)
    states, _ = run(scene, 600)
    assert np.abs(of(states.velocity, body)[-60:]).max() < 1e-4
    assert np.abs(of(states.angular_velocity, body)[-60:]).max() < 1e-4
    heights = corner_heights(scene, states, body)
    assert -1.1 * SLOP < heights[0] <= heights[1] < 0
    assert heights[2] > 0.1


@pytest.mark.parametrize("spec", [SPEC, COLD], ids=["warm", "cold"])
def test_box_at_rest_stays(spec):
    """Statics, with and without warm starting: 10 s move a resting box by less than 0.1 mm."""
    scene = new_scene(spec=spec)
    scene.add_walls()
    box = scene.add_box((2.5, FLOOR + 0.1 - SLOP / 2), 0.4, 0.2)
    states, _ = run(scene, 600)
    start = np.asarray(scene.build().position[box.index])
    assert np.linalg.norm(of(states.position, box) - start, axis=-1).max() < 1e-4
    assert np.abs(of(states.rotation, box)).max() < 1e-3
