"""The benchmark's scenes are the same in Chipmunk as in this engine."""

import sys

import jax
import numpy as np
import pytest

import jax2d
from agents.benchmark.chipmunk import import_pymunk, time_chipmunk, to_chipmunk
from agents.benchmark.scenes import SIZES, random_actions, random_scenes
from tests.jax2d.simulate import SPEC, run

pytestmark = pytest.mark.usefixtures("compiled_fast")

STEPS = 60


def both(scene, action):
    """The scene after some steps of both engines: a state, and one in Chipmunk."""
    state = jax.tree.map(np.asarray, scene.build())
    ours = jax.tree.map(lambda value: value[-1], run(scene, STEPS, action)[0])
    chipmunk = to_chipmunk(state, SPEC, np.asarray(jax2d.connected(state)).argmax(-1))
    for _ in range(STEPS):
        chipmunk.step(list(action))
    return ours, chipmunk


@pytest.mark.slow
def test_bodies_fall_and_thrusters_push_alike():
    scene = jax2d.Scene(SPEC)
    box = scene.add_box((2.5, 4.0), 1.2, 1.0, rotation=0.3)
    thruster = scene.add_thruster(box, (2.5, 4.0), direction=1.0, power=0.5)
    action = np.zeros(SPEC.num_actions, np.float32)
    action[thruster.action] = 1
    ours, chipmunk = both(scene, action)
    np.testing.assert_allclose(chipmunk.bodies[box.index].velocity, ours.velocity[box.index], rtol=1e-3)


@pytest.mark.slow
def test_motors_turn_and_joints_hold_alike():
    scene = jax2d.Scene(SPEC)
    scene.set_gravity((0, 0))
    arm, ball = scene.add_box((2.5, 2.0), 1.0, 0.1), scene.add_circle((3.0, 2.0), 0.2)
    motor = scene.add_revolute_joint(arm, ball, (3.0, 2.0), motor=True)
    action = np.zeros(SPEC.num_actions, np.float32)
    action[motor.action] = 1
    ours, chipmunk = both(scene, action)
    for body in (arm, ball):
        spin = chipmunk.bodies[body.index].angular_velocity
        assert np.sign(spin) == np.sign(ours.angular_velocity[body.index]) != 0
    pivot = next(iter(chipmunk.space.constraints))
    ends = (pivot.a.local_to_world(pivot.anchor_a), pivot.b.local_to_world(pivot.anchor_b))
    assert ends[0].get_distance(ends[1]) < 0.01


def test_random_scenes_stay_in_their_room():
    """Nearly all bodies, that is: a thruster may shoot a small one through a wall."""
    for spec in SIZES.values():
        states, actions = random_scenes(0, 3, spec), random_actions(0, 60, 3, spec)
        inside: list[bool] = []
        for i in range(3):
            state = jax.tree.map(lambda value, i=i: value[i], states)
            scene = to_chipmunk(state, spec, np.asarray(jax2d.connected(state)).argmax(-1))
            for action in actions[:, i].tolist():
                scene.step(action)
            places = np.array([body.position for body in scene.bodies if body.shapes][spec.num_walls :])
            inside += (np.abs(places - 2.5) < 3).all(-1).tolist()
        assert np.mean(inside) > 0.85
        report = time_chipmunk(states, actions[:4], spec, rounds=1)
        assert report["engine"].startswith("pymunk ") and report["steps_per_second"] > 0


def test_without_pymunk_there_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymunk", None)
    with pytest.raises(ImportError, match="pip install pymunk"):
        import_pymunk()
