"""The engine against formulas: every test states the one that it checks.

A step is semi-implicit Euler: n steps of a constant acceleration g give v_n = v_0 + g n dt and
x_n = x_0 + v_0 n dt + g dt^2 n (n + 1) / 2 exactly, which is off the parabola by g t dt / 2.
"""

import dataclasses
from math import atan, cos, hypot, pi, radians, sin, sqrt

import numpy as np
import pytest

import jax2d
from tests.jax2d.simulate import SPEC, run

DT = 1 / 60
SLOP = 0.01
G = 9.81
FLOOR = 0.4
OCTAGONS = dataclasses.replace(SPEC, max_vertices=8)
COLD = dataclasses.replace(SPEC, warm_start=False)


def new_scene(gravity=G, spec=SPEC):
    scene = jax2d.Scene(spec)
    scene.set_gravity((0, -gravity))
    return scene


def drive(actuator, value=1.0):
    actions = np.zeros(SPEC.num_actions)
    actions[actuator.action] = value
    return actions


def of(values, *bodies):
    """The rows `[steps, bodies, ...]` of some bodies, in double precision."""
    return np.asarray(values, np.float64)[:, [body.index for body in bodies]]


def inertias(state, *bodies):
    index = [body.index for body in bodies]
    inverses = state.inverse_mass, state.inverse_inertia
    return tuple(1 / np.asarray(inverse, np.float64)[index] for inverse in inverses)


def to_world(states, body, local):
    """Where a point of a body is at every step: `[steps, 2]`."""
    angle, centre = np.asarray(states.rotation)[:, body], np.asarray(states.position)[:, body]
    x, y = local
    turned = (np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y)
    return centre + np.stack(turned, axis=1)


def anchor_gaps(scene, states):
    """How far apart the anchors of each joint in use are: `[steps, joints]`."""
    joints = scene.build().joints
    gaps = []
    for j in np.flatnonzero(joints.active):
        a = to_world(states, int(joints.body_a[j]), joints.anchor_a[j])
        b = to_world(states, int(joints.body_b[j]), joints.anchor_b[j])
        gaps.append(np.linalg.norm(b - a, axis=1))
    return np.stack(gaps, axis=1)


def corner_heights(scene, states, body):
    """Heights of a polygon's corners above the floor, in rising order, at the end."""
    state = scene.build()
    corners = np.asarray(state.vertices[body.index])[: int(state.num_vertices[body.index])]
    return np.sort([to_world(states, body.index, corner)[-1, 1] for corner in corners]) - FLOOR


def period(angle, dt=DT):
    """Mean time between upward zero crossings, interpolated within steps."""
    before = np.flatnonzero((angle[:-1] < 0) & (angle[1:] >= 0))
    crossings = before + angle[before] / (angle[before] - angle[before + 1])
    return np.diff(crossings).mean() * dt


def regular_polygon(sides, radius=0.3):
    angle = -2 * pi * np.arange(sides) / sides
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


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
    hook = scene.add_box((5, 5), 0.2, 0.2, immovable=True, collision_mode=0)
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
    """Velocity down an immovable slope, and distance moved, of a box laid on it at rest."""
    along, up = np.array([cos(slope), -sin(slope)]), np.array([sin(slope), cos(slope)])
    scene = new_scene()
    scene.add_box((5, 5), 16, 1, rotation=-slope, immovable=True, friction=friction_ramp)
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


@pytest.mark.parametrize("lean", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("load", [1.0, 10.0])
def test_anchors_of_a_chain_stay_together(lean, load):
    """Three links on a hook, the last `load` times as dense, let go `lean` rad off the vertical.

    A joint's constraint is that its anchors coincide; here to 1 cm.
    """
    scene = new_scene()
    previous = scene.add_box((5, 8), 0.2, 0.2, immovable=True, collision_mode=0)
    down = np.array([sin(lean), -cos(lean)])
    for i in range(3):
        top = np.array([5, 8]) + 0.3 * i * down
        density = load if i == 2 else 1.0
        link = scene.add_box(top + 0.15 * down, 0.1, 0.3, rotation=lean, density=density)
        scene.add_revolute_joint(previous, link, top)
        previous = link
    states, _ = run(scene, 600)
    assert anchor_gaps(scene, states).max() < 0.01
    lowest = of(states.position, previous)[:, 0, 1].min()
    assert lowest == pytest.approx(8 - 0.75, abs=0.02)


@pytest.mark.parametrize("beams", [1, 2, 3])
def test_cantilever_stays_straight(beams):
    """Beams of 0.5 m, fixed end to end to a wall: anchors within 1 cm, angles within 0.05 rad of 0.

    The bend of up to 0.05 rad (3 degrees) is a transient of the first steps, in which the impulses
    that balance the weight build up from 0; what is left after 10 s is below 1 mrad.
    """
    scene = new_scene()
    previous = scene.add_walls()[1]
    bodies = []
    for i in range(beams):
        body = scene.add_box((0.5 * i + 0.25, 3), 0.5, 0.1)
        scene.add_fixed_joint(previous, body, (0.5 * i, 3))
        bodies.append(body)
        previous = body
    states, _ = run(scene, 600)
    angle = np.abs(of(states.rotation, *bodies))
    assert anchor_gaps(scene, states).max() < 0.01
    assert angle.max() < 0.05
    assert angle[-1].max() < 1e-3


@pytest.mark.parametrize("speed", [0.5, 1.0, -1.0])
@pytest.mark.parametrize("immovable", [True, False])
@pytest.mark.parametrize("arm", [0.0, 0.3])
def test_motor_reaches_its_speed(speed, immovable, arm):
    """w_b - w_a -> speed * 6 rad/s; 1.5 %, as an off-centre joint brakes a little."""
    scene = new_scene(gravity=0)
    a = scene.add_box((5, 5), 0.4, 0.4, immovable=immovable, collision_mode=0)
    b = scene.add_box((5 + arm, 5), 0.6, 0.1, collision_mode=0)
    motor = scene.add_revolute_joint(a, b, (5, 5), motor=True, motor_speed=speed)
    states, _ = run(scene, 300, drive(motor))
    spin = of(states.angular_velocity, a, b)
    relative = spin[:, 1] - spin[:, 0]
    np.testing.assert_allclose(relative[60:], speed * 6, rtol=0.015)


def test_motor_between_free_bodies_gives_no_net_spin():
    """I_a w_a + I_b w_b stays 0 when the joint is at both centres of mass."""
    scene = new_scene(gravity=0)
    a = scene.add_box((5, 5), 0.4, 0.4, collision_mode=0)
    b = scene.add_circle((5, 5), 0.3, collision_mode=0)
    motor = scene.add_revolute_joint(a, b, (5, 5), motor=True)
    states, _ = run(scene, 300, drive(motor))
    _, inertia = inertias(scene.build(), a, b)
    spin = of(states.angular_velocity, a, b)
    assert np.abs(spin @ inertia).max() < 1e-6
    assert spin[-1, 1] - spin[-1, 0] == pytest.approx(6, rel=1e-3)


@pytest.mark.parametrize("limit", [0.3, 0.5])
@pytest.mark.parametrize("side", [1, -1])
def test_joint_limit_stops_a_falling_rod(limit, side):
    """A rod let go level turns at w = sqrt(3 g sin(limit) / L) when it comes to its limit.

    It may pass the limit by one step of that, w dt, and comes to rest in between: a limit takes the
    speed away, and does not pull back what no longer moves. Here it rests within 0.05 rad.
    """
    length = 0.5
    scene = new_scene()
    hook = scene.add_box((5, 8), 0.2, 0.2, immovable=True, collision_mode=0)
    rod = scene.add_box((5 + side * length / 2, 8), length, 0.02)
    scene.add_revolute_joint(hook, rod, (5, 8), limits=(-limit, limit))
    states, _ = run(scene, 600)
    turned = -side * of(states.rotation, rod)[:, 0]
    speed = sqrt(3 * G * sin(limit) / length)
    assert limit < turned.max() < limit + speed * DT
    assert limit - 1e-3 < turned[-1] < limit + 0.05
    assert abs(of(states.angular_velocity, rod)[-1, 0]) < 1e-3


@pytest.mark.parametrize("action", [1.0, 0.4])
def test_thruster_at_the_centre(action):
    """a = power * 10 N * action / m along its direction, no turning."""
    scene = new_scene(gravity=0)
    box = scene.add_box((5, 5), 0.4, 0.2, rotation=0.3)
    thruster = scene.add_thruster(box, direction=2.0, power=0.05)
    states, _ = run(scene, 60, drive(thruster, action))
    acceleration = 0.05 * 10 * action / (0.4 * 0.2)
    expected = acceleration * np.array([cos(2.0), sin(2.0)])
    np.testing.assert_allclose(of(states.velocity, box)[-1, 0], expected, atol=1e-4)
    assert np.abs(of(states.angular_velocity, box)).max() < 1e-6


def test_thruster_off_the_centre():
    """dw/dt = cross(r, F) / I, constant as both turn together; I = m (w^2 + h^2) / 12."""
    scene = new_scene(gravity=0)
    box = scene.add_box((5, 5), 0.4, 0.2, rotation=0.3)
    thruster = scene.add_thruster(box, anchor_local=(-0.1, 0.05), direction_local=0.5, power=0.04)
    states, _ = run(scene, 60, drive(thruster))
    mass = 0.4 * 0.2
    force = 0.04 * 10 * np.array([cos(0.5), sin(0.5)])
    torque = -0.1 * force[1] - 0.05 * force[0]
    spin = torque / (mass * (0.4**2 + 0.2**2) / 12)
    times = np.arange(1, 61) * DT
    np.testing.assert_allclose(of(states.angular_velocity, box)[:, 0], spin * times, rtol=1e-4)
    pushed = 0.04 * 10 / mass * np.array([cos(0.8), sin(0.8)])
    np.testing.assert_allclose(of(states.velocity, box)[0, 0], pushed * DT, rtol=1e-4)


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


def test_immovable_body_stays():
    """Inverse mass 0: neither gravity nor a hit of 14 kg moves it."""
    scene = new_scene()
    block = scene.add_box((5, 3), 1, 1, rotation=0.2, immovable=True)
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
    [(TRIANGLE, SPEC), (regular_polygon(8), OCTAGONS)],
    ids=["triangle", "octagon"],
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
