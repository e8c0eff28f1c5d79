"""Joints, motors, limits and thrusters against formulas: every test states the one that it checks."""

from math import cos, sin, sqrt

import numpy as np
import pytest

from tests.jax2d.simulate import run
from tests.jax2d.theory import DT, G, anchor_gaps, drive, inertias, new_scene, of

pytestmark = pytest.mark.usefixtures("compiled_fast")


@pytest.mark.parametrize("lean", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("load", [1.0, 10.0])
def test_anchors_of_a_chain_stay_together(lean, load):
    """Three links on a hook, the last `load` times as dense, let go `lean` rad off the vertical.

    A joint's constraint is that its anchors coincide; here to 1 cm.
    """
    scene = new_scene()
    previous = scene.add_box((5, 8), 0.2, 0.2, static=True, collision_mode=0)
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
        scene.add_weld_joint(previous, body, (0.5 * i, 3))
        bodies.append(body)
        previous = body
    states, _ = run(scene, 600)
    angle = np.abs(of(states.rotation, *bodies))
    assert anchor_gaps(scene, states).max() < 0.01
    assert angle.max() < 0.05
    assert angle[-1].max() < 1e-3


@pytest.mark.parametrize("speed", [0.5, 1.0, -1.0])
@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("arm", [0.0, 0.3])
def test_motor_reaches_its_speed(speed, static, arm):
    """w_b - w_a -> speed * 6 rad/s; 1.5 %, as an off-center joint brakes a little."""
    scene = new_scene(gravity=0)
    a = scene.add_box((5, 5), 0.4, 0.4, static=static, collision_mode=0)
    b = scene.add_box((5 + arm, 5), 0.6, 0.1, collision_mode=0)
    motor = scene.add_revolute_joint(a, b, (5, 5), motor=True, motor_speed=speed)
    states, _ = run(scene, 300, drive(motor))
    spin = of(states.angular_velocity, a, b)
    relative = spin[:, 1] - spin[:, 0]
    np.testing.assert_allclose(relative[60:], speed * 6, rtol=0.015)


def test_motor_between_free_bodies_gives_no_net_spin():
    """I_a w_a + I_b w_b stays 0 when the joint is at both centers of mass."""
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
    hook = scene.add_box((5, 8), 0.2, 0.2, static=True, collision_mode=0)
    rod = scene.add_box((5 + side * length / 2, 8), length, 0.02)
    scene.add_revolute_joint(hook, rod, (5, 8), limits=(-limit, limit))
    states, _ = run(scene, 600)
    turned = -side * of(states.rotation, rod)[:, 0]
    speed = sqrt(3 * G * sin(limit) / length)
    assert limit < turned.max() < limit + speed * DT
    assert limit - 1e-3 < turned[-1] < limit + 0.05
    assert abs(of(states.angular_velocity, rod)[-1, 0]) < 1e-3


@pytest.mark.parametrize("action", [1.0, 0.4])
def test_thruster_at_the_center(action):
    """a = power * 10 N * action / m along its direction, no turning."""
    scene = new_scene(gravity=0)
    box = scene.add_box((5, 5), 0.4, 0.2, rotation=0.3)
    thruster = scene.add_thruster(box, direction=2.0, power=0.05)
    states, _ = run(scene, 60, drive(thruster, action))
    acceleration = 0.05 * 10 * action / (0.4 * 0.2)
    expected = acceleration * np.array([cos(2.0), sin(2.0)])
    np.testing.assert_allclose(of(states.velocity, box)[-1, 0], expected, atol=1e-4)
    assert np.abs(of(states.angular_velocity, box)).max() < 1e-6


def test_thruster_off_the_center():
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
