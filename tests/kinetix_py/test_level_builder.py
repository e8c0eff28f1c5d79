"""Levels built in meters and degrees, against hand arithmetic on their arrays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import kinetix_py as kx

SIZE = kx.SIZES["l"]


def test_every_part_is_as_it_was_asked_for():
    builder = kx.LevelBuilder("l", floor="red", ceiling=2, gravity=5.0)
    box = builder.box((1.0, 2.0), 0.4, 0.2, "green", angle=90, density=2.0)
    disc = builder.static_circle((1.0, 3.0), 0.3, "blue")
    ball = builder.circle((4.0, 3.0), 0.1)
    builder.motor(disc, box, (1.0, 2.2), 3, speed=-0.5, power=2.0, limits=(-90, 45), auto=True)
    builder.weld(disc, ball, (2.0, 3.0))
    builder.thruster(box, 90, 0.7, 1, at=(1.0, 1.8))
    level = builder.level()
    kx.validate_level(level)
    sim, joints, thrusters = level.sim, level.sim.joints, level.sim.thrusters

    roles = np.zeros(SIZE.num_bodies, int)
    roles[[0, 3, box.index, disc.index]] = 3, 2, 1, 2
    np.testing.assert_array_equal(level.labels.role, roles)
    np.testing.assert_allclose(sim.gravity, (0, -5))
    np.testing.assert_allclose(sim.position[box.index], (1, 2))
    assert sim.rotation[box.index] == pytest.approx(np.pi / 2)
    assert 1 / sim.inverse_mass[box.index] == pytest.approx(2.0 * 0.4 * 0.2)
    assert sim.inverse_mass[disc.index] == 0
    assert 1 / sim.inverse_mass[ball.index] == pytest.approx(np.pi * 0.1**2)

    # The box is turned by a quarter: 0.2 m above its center in the room is 0.2 m along its own first axis.
    np.testing.assert_allclose(joints.anchor_b[0], (0.2, 0), atol=1e-6)
    np.testing.assert_allclose(joints.anchor_a[0], (0, -0.8), atol=1e-6)
    limits = float(joints.min_rotation[0]), float(joints.max_rotation[0])
    assert limits == pytest.approx((-np.pi / 2, np.pi / 4))
    assert (joints.motor_speed[0], joints.motor_power[0]) == (-0.5, 2.0)
    assert list(joints.weld[:2]) == [False, True]
    assert (level.labels.motor_binding[0], level.labels.motor_auto[0], level.labels.motor_auto[1]) == (
        3,
        True,
        False,
    )

    # It pushes up in the room, which is along the box's own first axis.
    assert thrusters.direction[0] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(thrusters.anchor[0], (-0.2, 0), atol=1e-6)
    assert (thrusters.power[0], level.labels.thruster_binding[0]) == (np.float32(0.7), 1)


def test_a_beam_reaches_beyond_its_ends_by_the_overhang():
    builder = kx.LevelBuilder(SIZE)
    beam = builder.beam((1.0, 1.0), (1.0, 3.0), 0.2, overhang=0.1)
    sim = builder.level().sim
    np.testing.assert_allclose(sim.position[beam.index], (1, 2))
    assert sim.rotation[beam.index] == pytest.approx(np.pi / 2)
    corners = np.abs(sim.vertices[beam.index])
    np.testing.assert_allclose(corners, np.broadcast_to([1.1, 0.1], (4, 2)), rtol=1e-6)


def test_wrong_roles_and_bindings_are_named_and_add_nothing():
    builder = kx.LevelBuilder("s")
    body = builder.box((1.0, 1.0), 0.4, 0.2)
    for role in ("yellow", 4, True, -1):
        with pytest.raises(ValueError, match=f"role must be one of none, green, blue, red, .* got {role!r}"):
            builder.circle((1.0, 1.0), 0.1, role)
    with pytest.raises(ValueError, match=r"thruster binding must be an integer in 0 .. 1, got 2"):
        builder.thruster(body, 0, 1.0, 2)
    with pytest.raises(ValueError, match=r"thruster binding must be an integer in 0 .. 1, got 0.5"):
        builder.thruster(body, 0, 1, binding=0.5)
    with pytest.raises(ValueError, match=r"motor binding must be an integer in 0 .. 3, got -1"):
        builder.motor(0, body, (1.0, 1.0), -1)
    sim = builder.level().sim
    assert (sim.active.sum(), sim.joints.active.sum(), sim.thrusters.active.sum()) == (5, 0, 0)
    with pytest.raises(ValueError, match="a size with 3 walls has no wall 3"):
        kx.LevelBuilder(dataclasses.replace(SIZE, num_walls=3), ceiling="red")
