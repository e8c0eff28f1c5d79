"""The engine against pymunk (Chipmunk), which shares nothing with it: same scenes, same start.

Chipmunk moves bodies before it accelerates them, this engine after: where that matters, both run
with steps of 1/600 s and the tolerance is what is left, about g t dt. A pair's friction and
restitution are products in pymunk, so its floor has 1 and its bodies the pair's value.
"""

from math import cos, hypot, pi, sin

import numpy as np
import pymunk
import pytest

import jax2d
from tests.jax2d.simulate import SPEC, run

pytestmark = pytest.mark.usefixtures("compiled_fast")

DT = 1 / 60
FINE = 1 / 600
SLOP = 0.01
G = 9.81
FLOOR = 0.4
FRICTIONS = (0.3, 0.6)
MU = 0.4 * hypot(*FRICTIONS)


def new_scene(gravity=G, floor=False):
    scene = jax2d.Scene(SPEC)
    scene.set_gravity((0, -gravity))
    if floor:
        scene.add_walls(width=14, friction=FRICTIONS[1])
    return scene


def new_space(gravity=G, floor=False):
    space = pymunk.Space()
    space.gravity = (0, -gravity)
    space.iterations = 30
    space.collision_slop = SLOP
    if floor:
        ground = pymunk.Segment(space.static_body, (-20, FLOOR - 1), (30, FLOOR - 1), 1.0)
        ground.friction = 1.0
        space.add(ground)
    return space


def add(space, shape, mass, position, *, velocity=(0, 0), spin=0.0, angle=0.0, restitution=0.0):
    """Adds a box (width, height) or a circle (radius) to pymunk's space."""
    body = pymunk.Body()
    body.position, body.velocity = position, velocity
    body.angle, body.angular_velocity = angle, spin
    fixture = pymunk.Circle(body, shape) if isinstance(shape, float) else box_of(body, *shape)
    fixture.mass, fixture.friction, fixture.elasticity = mass, MU, restitution
    space.add(body, fixture)
    return body


def box_of(body, width, height):
    return pymunk.Poly.create_box(body, (width, height))


def step(space, steps, read, dt=DT):
    """Values of `read()` after every step of pymunk's space: `[steps, ...]`."""
    values = []
    for _ in range(steps):
        space.step(dt)
        values.append(read())
    return np.array(values)


def track(values, body):
    return np.asarray(values, np.float64)[:, body.index]


def period(angle, dt):
    """Mean time between upward zero crossings, interpolated within steps."""
    before = np.flatnonzero((angle[:-1] < 0) & (angle[1:] >= 0))
    crossings = before + angle[before] / (angle[before] - angle[before + 1])
    return np.diff(crossings).mean() * dt


def test_projectile_with_spin():
    """1 s of flight: velocity and angle agree to rounding, position to g t dt = 1.6 cm."""
    scene = new_scene()
    start = {"velocity": (3, 4), "angular_velocity": 2.5}
    box = scene.add_box((2, 5), 0.4, 0.2, **start)
    states, _ = run(scene, 600, params=jax2d.SimParams(dt=FINE))
    space = new_space()
    peer = add(space, (0.4, 0.2), 0.08, (2, 5), velocity=(3, 4), spin=2.5)
    read = lambda: (*peer.velocity, peer.angle, *peer.position)
    theirs = step(space, 600, read, FINE)
    np.testing.assert_allclose(track(states.velocity, box), theirs[:, :2], atol=1e-3)
    np.testing.assert_allclose(track(states.rotation, box), theirs[:, 2], atol=1e-3)
    np.testing.assert_allclose(track(states.position, box), theirs[:, 3:], atol=0.02)


@pytest.mark.parametrize("restitution", [1.0, 0.5])
def test_head_on_collision_of_circles(restitution):
    """1 s at 2 m/s, 3 : 1 masses, no gravity: same speeds and places after the collision.

    The circles first overlap by half the slop, so that neither engine pushes them apart.
    """
    scene, space = new_scene(gravity=0), new_space(gravity=0)
    other = 2.4 + 30 * 2.0 * DT - SLOP / 2
    mine, theirs = [], []
    for x, speed, mass, e in ((2, 1.5, 0.3, restitution), (other, -0.5, 0.1, 1.0)):
        motion = {"velocity": (speed, 0), "restitution": e}
        mine.append(scene.add_circle((x, 3), 0.2, mass=mass, **motion))
        theirs.append(add(space, 0.2, mass, (x, 3), **motion))
    states, _ = run(scene, 60)
    read = lambda: [(body.position.x, body.velocity.x) for body in theirs]
    expected = step(space, 60, read)
    for i, body in enumerate(mine):
        assert track(states.velocity, body)[-1, 0] == pytest.approx(expected[-1, i, 1], abs=1e-4)
        assert track(states.position, body)[-1, 0] == pytest.approx(expected[-1, i, 0], abs=1e-3)
    speeds = [track(states.velocity, body)[-1, 0] for body in mine]
    assert speeds[1] - speeds[0] == pytest.approx(2 * restitution, abs=1e-4)


@pytest.mark.parametrize("speed", [1.5, 3.0])
def test_sliding_box_stops_at_the_same_place(speed):
    """Stopping distance v^2 / (2 mu g), in each engine and in theory, to v dt = 5 mm."""
    scene, space = new_scene(floor=True), new_space(floor=True)
    start = (2, FLOOR + 0.1 - SLOP / 2)
    box = scene.add_box(start, 0.6, 0.2, velocity=(speed, 0), friction=FRICTIONS[0])
    states, _ = run(scene, 1200, params=jax2d.SimParams(dt=FINE))
    peer = add(space, (0.6, 0.2), 0.12, start, velocity=(speed, 0))
    theirs = step(space, 1200, lambda: (*peer.position, peer.velocity.x), FINE)
    place = track(states.position, box)[-1]
    np.testing.assert_allclose(place, theirs[-1, :2], atol=0.006)
    assert place[0] - 2 == pytest.approx(speed**2 / (2 * MU * G), abs=0.005)
    assert abs(track(states.velocity, box)[-1, 0]) < 1e-3


def test_sliding_disc_comes_to_roll():
    """A solid disc thrown along the floor ends rolling at 2/3 of its speed, w = -v / r; 1 %.

    It starts with 1 mm of overlap, as friction's lever here is the radius less the overlap.
    """
    scene, space = new_scene(floor=True), new_space(floor=True)
    start = (2, FLOOR + 0.2 - SLOP / 10)
    options = {"friction": FRICTIONS[0], "solid_inertia": True}
    disc = scene.add_circle(start, 0.2, velocity=(2.4, 0), **options)
    states, _ = run(scene, 300)
    peer = add(space, 0.2, pi * 0.2**2, start, velocity=(2.4, 0))
    theirs = step(space, 300, lambda: (peer.velocity.x, peer.angular_velocity))
    mine = (track(states.velocity, disc)[-1, 0], track(states.angular_velocity, disc)[-1])
    np.testing.assert_allclose(mine, theirs[-1], rtol=0.01)
    np.testing.assert_allclose(mine, (1.6, -8.0), rtol=0.01)


def swing(size, start, steps, dt):
    """Angles of a box that hangs from a point near its end, here and in pymunk."""
    arm = size[1] / 2 - 0.05
    position = (5 + arm * sin(start), 5 - arm * cos(start))
    scene = new_scene()
    hook = scene.add_box((5, 5), 0.2, 0.2, static=True, collision_mode=0)
    body = scene.add_box(position, *size, rotation=start)
    scene.add_revolute_joint(hook, body, (5, 5))
    states, _ = run(scene, steps, params=jax2d.SimParams(dt=dt))
    space = new_space()
    peer = add(space, size, size[0] * size[1], position, angle=start)
    space.add(pymunk.PivotJoint(space.static_body, peer, (5, 5)))
    return track(states.rotation, body), step(space, steps, lambda: peer.angle, dt)


@pytest.mark.parametrize("size", [(0.1, 0.8), (0.3, 0.6)], ids=["rod", "plate"])
def test_compound_pendulum_angle(size):
    """Let go at 1 rad, 2 s in steps of 1/600 s: the angles agree to 0.02 rad at every step."""
    mine, theirs = swing(size, 1.0, 1200, FINE)
    assert theirs.min() < -0.9
    np.testing.assert_allclose(mine, theirs, atol=0.02)


@pytest.mark.parametrize("size", [(0.1, 0.8), (0.3, 0.6)], ids=["rod", "plate"])
def test_compound_pendulum_period(size):
    """Let go at 0.3 rad, 10 s in the usual steps: the periods agree to 0.5 %."""
    mine, theirs = swing(size, 0.3, 600, DT)
    assert period(mine, DT) == pytest.approx(period(theirs, DT), rel=0.005)


def test_stack_falls_and_rests_at_the_same_heights():
    """Three boxes dropped a few cm apart: heights at rest agree to the slop, 1 cm."""
    scene, space = new_scene(floor=True), new_space(floor=True)
    mine, theirs = [], []
    for i in range(3):
        start = (2.5 + 0.02 * i, FLOOR + 0.15 + 0.25 * i)
        mine.append(scene.add_box(start, 0.4, 0.2, friction=FRICTIONS[0]))
        theirs.append(add(space, (0.4, 0.2), 0.08, start))
    states, _ = run(scene, 600)
    read = lambda: [(*body.position, body.angle) for body in theirs]
    expected = step(space, 600, read)[-1]
    for i, body in enumerate(mine):
        x, y = track(states.position, body)[-1]
        assert y == pytest.approx(expected[i, 1], abs=SLOP)
        assert y == pytest.approx(FLOOR + 0.1 + 0.2 * i, abs=SLOP * (i + 1.1))
        assert x == pytest.approx(2.5 + 0.02 * i, abs=0.02)
        assert abs(track(states.rotation, body)[-1]) < 2 * SLOP / 0.4
        assert np.abs(track(states.velocity, body)[-1]).max() < 1e-3


SHAPES = {
    "box": [(0.2, 0.1), (0.2, -0.1), (-0.2, -0.1), (-0.2, 0.1)],
    "triangle": [(0.1, 0.0), (0.2, 0.5), (0.7, 0.1)],
    "trapezoid": [(-0.4, 0.0), (-0.1, 0.5), (0.3, 0.5), (0.5, 0.0)],
    "pentagon": [(0.0, 0.4), (0.4, 0.2), (0.3, -0.2), (-0.3, -0.3), (-0.4, 0.1)],
}


@pytest.mark.parametrize("name", SHAPES)
def test_mass_centroid_and_inertia_of_polygons(name):
    """The polygon's area, center of gravity and moment about it, to float32 rounding."""
    corners = SHAPES[name]
    spec = jax2d.SimSpec(
        num_polygons=1, num_circles=0, num_joints=0, num_thrusters=0, max_vertices=5, num_walls=0
    )
    scene = jax2d.Scene(spec)
    body = scene.add_polygon((0, 0), corners, density=2.5)
    state = scene.build()
    peer = pymunk.Poly(pymunk.Body(), corners)
    peer.density = 2.5
    center = peer.center_of_gravity
    about_center = pymunk.moment_for_poly(peer.mass, corners, (-center.x, -center.y))
    assert 1 / float(state.inverse_mass[body.index]) == pytest.approx(peer.mass, rel=1e-5)
    assert 1 / float(state.inverse_inertia[body.index]) == pytest.approx(about_center, rel=1e-5)
    np.testing.assert_allclose(state.position[body.index], center, atol=1e-6)


def test_inertia_of_a_solid_disc():
    """m r^2 / 2, as pymunk has it."""
    scene = new_scene()
    disc = scene.add_circle((2, 3), 0.3, mass=1.7, solid_inertia=True)
    inertia = 1 / float(scene.build().inverse_inertia[disc.index])
    assert inertia == pytest.approx(pymunk.moment_for_circle(1.7, 0, 0.3), rel=1e-6)
