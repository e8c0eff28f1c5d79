"""Sensors, and what waits for their switches, worked by hand."""

from __future__ import annotations

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from kinetix_py.edit.problems import find_problems
from kinetix_py.env.progress import is_waiting
from kinetix_py.levels.python_code import level_to_python
from kinetix_py.observations.entity import ACTUATOR_RULES, SHAPE_RULES
from kinetix_py.rendering.host import to_host
from kinetix_py.rendering.pixels import shape_colors
from tests.kinetix_py.small_levels import play
from tests.kinetix_py.test_rules import PUSH, SIZE, same, start

pytestmark = pytest.mark.usefixtures("compiled_fast")

BOX, GREEN, LOAD, WHEEL = 4, 5, 6, 7
SWITCH = 3


def machine():
    """A green ball falls 0.5 m on a sensor; then a load falls, a wheel turns, and the ball's engine works."""
    builder = kx.LevelBuilder(SIZE)
    builder.sensor(builder.static_box((2.0, 0.6), 2.0, 0.4, friction=0.0), SWITCH)
    ball = builder.circle((1.5, 1.5), 0.2, "green", friction=0.0)
    load = builder.circle((4.0, 3.0), 0.3, "blue")
    wheel = builder.circle((0.8, 3.0), 0.3)
    builder.wait(load, SWITCH)
    builder.wait(builder.motor(jax2d.Body(0), wheel, (0.8, 3.0), auto=True), SWITCH)
    builder.wait(builder.thruster(ball, 0, 0.2), SWITCH)
    return builder.level()


@pytest.fixture(scope="module")
def states():
    """States of the machine while the engine's key is down, `[40]`."""
    env = kx.make(SIZE, rules=True, auto_reset=True)
    level = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], machine())
    played = play(env, level, 40, kx.EnvParams(dense_reward_scale=1.0), action=PUSH)
    return jax.tree.map(lambda value: np.asarray(value)[:, 0], played[:2])


def test_what_waits_does_nothing_until_green_touches_the_sensor(states):
    _, state = states
    on = state.progress.on[:, SWITCH - 1]
    first = int(np.argmax(on))
    # 0.5 m take sqrt(2 * 0.5 / 9.81) = 0.319 s, 20 physics steps.
    assert (
        first in (9, 10) and on[first:].all() and not np.delete(state.progress.on, SWITCH - 1, axis=1).any()
    )
    sim, before = state.sim, slice(0, first)
    np.testing.assert_array_equal(sim.position[before, LOAD], [[4.0, 3.0]] * first)
    assert (sim.velocity[before, LOAD] == 0).all() and (sim.angular_velocity[before, WHEEL] == 0).all()
    assert (sim.position[before, GREEN, 0] == 1.5).all()
    after = first + 10
    assert sim.angular_velocity[after, WHEEL] > 0.5 and sim.position[after, GREEN, 0] > 1.52
    # The load falls freely: after n physics steps by g dt^2 n (n + 1) / 2, from the step after the touch.
    fallen = [9.81 / 3600 * n * (n + 1) / 2 for n in (20, 21, 22)]
    assert min(abs(3.0 - sim.position[after, LOAD, 1] - way) for way in fallen) < 1e-3
    masses = np.asarray(machine().sim.inverse_mass)
    np.testing.assert_array_equal(sim.inverse_mass, np.broadcast_to(masses, sim.inverse_mass.shape))


def test_switches_are_seen_until_they_are_on(states):
    obs, state = states
    last = len(obs.shape_rules) - 1
    one_hot = np.eye(4)[SWITCH - 1]
    read = lambda step, body, name: obs.shape_rules[step, body, SHAPE_RULES[name]]
    np.testing.assert_array_equal(read(0, BOX, "sensor"), one_hot)
    np.testing.assert_array_equal(read(0, LOAD, "waits_for"), one_hot)
    assert (read(0, GREEN, "waits_for") == 0).all() and (read(0, LOAD, "sensor") == 0).all()
    waits_for = ACTUATOR_RULES["waits_for"]
    np.testing.assert_array_equal(obs.joint_rules[0][:, waits_for], [one_hot, one_hot])
    np.testing.assert_array_equal(obs.thruster_rules[0][:, waits_for], [one_hot])
    assert (obs.joint_rules[last][:, waits_for] == 0).all() and (obs.shape_rules[last, :, 4:] == 0).all()
    assert state.progress.on[last, SWITCH - 1]


def test_waiting_ends_with_ones_own_switch():
    progress = start(1, 3)
    waits_for = jnp.array([0, 1, 2, 4])
    assert is_waiting(waits_for, progress).tolist() == [False, True, True, True]
    progress = dataclasses.replace(progress, on=jnp.array([False, True, False, False]))
    assert is_waiting(waits_for, progress).tolist() == [False, True, False, True]


def test_files_and_programs_keep_switches():
    level = machine()
    content = json.loads(kx.level_to_json(level))
    assert content["version"] == 3 and content["joints"][0]["waits_for"] == SWITCH
    assert [body.get("sensor") for body in content["bodies"]] == [SWITCH, None, None, None]
    assert same(kx.level_from_json(content).level, level)
    program: dict = {}
    exec(level_to_python(level), program)
    assert same(program["level"].rules, level.rules)
    content["thrusters"][0]["waits_for"] = 5
    with pytest.raises(kx.LevelError, match=r"thrusters\[0\]\.waits_for must be in 0 \.\. 4, got 5"):
        kx.level_from_json(content)
    larger = dataclasses.replace(SIZE, num_joints=3, num_circles=5)
    padded = kx.pad_level(level, larger)
    kx.validate_level(padded)
    assert padded.rules.joint_waits_for.tolist() == [SWITCH, 0, 0] and padded.rules.sensor[BOX] == SWITCH


def test_drawings_have_locks_that_go(states):
    level = machine()
    drawn = kx.render_svg(level, legend=True)
    assert ">S3</text>" in drawn and drawn.count('data-lock="3"') == 3 and 'data-sensor="3"/>' in drawn
    assert "waits for switch 1" in drawn
    late = jax.tree.map(lambda value: value[-1], states[1])
    drawn = kx.render_svg(late)
    assert drawn.count('visibility="hidden"') == 3 and 'data-sensor="3" opacity' in drawn
    action = np.ones(6, int) + (np.arange(6) < 4)  # all motors forwards, all thrusters on
    for scene, working in ((level, False), (late, True)):  # what waits shows no flame and no arrow
        rows = re.findall(r'class="(?:turn|flame)"[^>]*', kx.render_svg(scene, action=action))
        assert len(rows) == 2 and all(("hidden" in row) != working for row in rows)
    begun = jax.tree.map(lambda value: jnp.asarray(value[0]), states[1])
    colors, later = shape_colors(begun), shape_colors(jax.tree.map(jnp.asarray, late))
    assert not np.allclose(colors[BOX], later[BOX]) and (colors[LOAD] < later[LOAD]).all()
    np.testing.assert_array_equal(colors[WHEEL], later[WHEEL])


def test_the_editor_finds_switches_without_a_sensor():
    level = machine()
    kinds = lambda level: [problem.kind for problem in find_problems(to_host(level))]
    assert "switch without sensor" not in kinds(level)
    without = dataclasses.replace(level.rules, sensor=jnp.zeros_like(level.rules.sensor))
    found = kinds(dataclasses.replace(level, rules=without))
    assert found.count("switch without sensor") == 3
