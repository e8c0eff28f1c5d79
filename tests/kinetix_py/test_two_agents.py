"""Levels for two agents: whose action counts, what each earns and sees, and PettingZoo's interface."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.actions import agent_bindings, bindings_in_use, single_player_bindings
from kinetix_py.env.agents import agent_rewards, as_agent, joint_action
from kinetix_py.levels.python_code import level_to_python
from kinetix_py.observations.entity import ACTUATOR_RULES
from kinetix_py.play.game_loop import agents_of_bindings
from kinetix_py.play.keys import key_hints
from kinetix_py.rendering.host import to_host
from tests.kinetix_py.test_rules import same

pytestmark = pytest.mark.usefixtures("compiled_fast")

SIZE = kx.LevelSize(num_polygons=4, num_circles=1, num_joints=1, num_thrusters=2)
GREEN = 4
RIGHT, LEFT, BOTH = np.array([[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1]])


def duel(opposed=True):
    """A green ball in no gravity: agent 0 pushes it right, to blue, agent 1 left, to red."""
    builder = kx.LevelBuilder(SIZE, gravity=0.0, right="blue", left="red")
    ball = builder.circle((4.3, 2.5), 0.25, "green")
    builder.thruster(ball, 0, 1.0, 0)
    builder.thruster(ball, 180, 1.0, 1)
    builder.agents(thrusters=(0, 1), opposed=opposed)
    return builder.level()


@pytest.fixture(scope="module")
def state():
    """The first state of the duel."""
    with jax.disable_jit():
        return kx.make(SIZE, observation_type="blind").reset_to_level(duel())[1]


@pytest.fixture(scope="module")
def env():
    """PettingZoo's environment of both kinds of the duel."""
    pettingzoo = pytest.importorskip("kinetix_py.wrappers.pettingzoo")
    levels = kx.stack_levels([duel(False), duel(True)])
    return pettingzoo.PettingZooEnv(kx.make(SIZE, rules=True), levels)


def begin(env, index):
    """Starts an episode of a level of the batch; returns what `reset` does."""
    for seed in range(40):
        out = env.reset(seed=seed)
        if out[1]["agent_0"]["level_index"] == index:
            return out
    raise AssertionError("40 seeds never drew the level")


@pytest.mark.parametrize("opposed", [False, True])
def test_each_agent_moves_its_own_bindings_and_earns_its_reward(env, opposed):
    _, infos = begin(env, int(opposed))
    assert infos["agent_0"]["action_mask"][4:, 1].tolist() == [1, 0]
    assert infos["agent_1"]["action_mask"][4:, 1].tolist() == [0, 1]
    # What one does with the other's engine does not count.
    for _ in range(3):
        observations, *_ = env.step({"agent_0": LEFT, "agent_1": RIGHT})
    assert (observations["agent_0"]["shapes"][GREEN, :4] == [np.float32(4.3), 2.5, 0, 0]).all()
    for _ in range(3):  # against each other
        observations, rewards, *_ = env.step({"agent_0": RIGHT, "agent_1": LEFT})
    np.testing.assert_allclose(observations["agent_1"]["shapes"][GREEN, 0], 4.3, atol=1e-4)
    for _ in range(60):
        out = env.step({"agent_0": RIGHT, "agent_1": RIGHT})
        if not env.agents:
            break
    observations, rewards, terminated, truncated, infos = out
    assert infos["agent_0"]["solved"] and terminated == {"agent_0": True, "agent_1": True}
    assert not any(truncated.values()) and rewards["agent_0"] > 0.9
    assert rewards["agent_1"] == (-1 if opposed else 1) * rewards["agent_0"]
    with pytest.raises(ValueError, match="call reset first"):
        env.step({"agent_0": RIGHT, "agent_1": LEFT})


def test_pettingzoos_own_test_of_the_interface(env):
    test = pytest.importorskip("pettingzoo.test")
    test.parallel_api_test(env, num_cycles=30)
    env.reset(seed=3)
    assert env.state().ndim == 1 and np.isfinite(env.state()).all()
    begun, again = (env.reset(seed=5)[0]["agent_0"] for _ in range(2))
    assert all(np.array_equal(begun[name], again[name]) for name in begun)


def test_pettingzoo_refuses_what_two_agents_cannot_do(env):
    pettingzoo = pytest.importorskip("kinetix_py.wrappers.pettingzoo")
    levels = kx.stack_levels([duel()])
    for wrong in ({"auto_reset": True}, {"action_type": "discrete"}):
        with pytest.raises(ValueError, match="needs no auto_reset, and multi_discrete or continuous"):
            pettingzoo.PettingZooEnv(kx.make(SIZE, **wrong), levels)
    env.reset()
    with pytest.raises(ValueError, match="got none of agent_1"):
        env.step({"agent_0": RIGHT})


def test_bindings_are_shared(state):
    adapter = kx.ActionAdapter("multi_discrete", SIZE)
    assert joint_action(adapter, state, [BOTH, 0 * BOTH]).tolist() == RIGHT.tolist()
    assert joint_action(adapter, state, [0 * BOTH, BOTH]).tolist() == LEFT.tolist()
    assert [agent_bindings(state, agent)[1].tolist() for agent in (0, 1)] == [[True, False], [False, True]]
    with pytest.raises(ValueError, match="'multi_discrete' or 'continuous'"):
        joint_action(kx.ActionAdapter("discrete", SIZE), state, [jnp.int32(0)] * 2)
    both = dataclasses.replace(state, rules=dataclasses.replace(state.rules, opposed=jnp.asarray(False)))
    assert [float(reward) for reward in agent_rewards(both, jnp.float32(0.5))] == [0.5, 0.5]
    assert [float(reward) for reward in agent_rewards(state, jnp.float32(0.5))] == [0.5, -0.5]


def test_who_plays_alone_has_both_or_agent_0_if_they_are_opposed(state):
    in_use = bindings_in_use(state)[1].tolist()
    assert in_use == [True, True] and single_player_bindings(state)[1].tolist() == [True, False]
    assert single_player_bindings(duel(False))[1].tolist() == in_use
    alone = single_player_bindings(state)
    only = lambda kind, action: kx.ActionAdapter(kind, SIZE).only(jnp.asarray(action), *alone).tolist()
    assert only("multi_discrete", BOTH) == RIGHT.tolist()
    assert only("continuous", [0.0, 0, 0, 0, 0.5, 0.5]) == [0, 0, 0, 0, 0.5, 0]
    # Discrete: thruster 0 is choice 9, thruster 1 choice 10, nothing 8; no motor is there.
    assert [only("discrete", choice) for choice in (8, 9, 10, 3)] == [8, 9, 8, 8]
    mask = kx.make(SIZE, action_type="discrete").action_mask(state)
    assert np.flatnonzero(mask).tolist() == [8, 9]


def test_agents_see_whose_bindings_are_theirs(state):
    env = kx.make(SIZE, rules=True)
    own, opposed = (ACTUATOR_RULES[name] for name in ("own", "opposed"))
    seen = [env.observe(as_agent(state, agent)) for agent in (0, 1)]
    assert [obs.thruster_rules[:, own].ravel().tolist() for obs in seen] == [[1, 0], [0, 1]]
    assert (seen[0].thruster_rules[:, opposed] == 1).all() and (seen[0].joint_rules == 0).all()
    for obs in seen:
        assert same(dataclasses.replace(obs, thruster_rules=seen[0].thruster_rules), seen[0])


def test_files_programs_and_pictures_tell_the_agents():
    level = duel()
    content = json.loads(kx.level_to_json(level))
    assert content["agents"] == {"thrusters": [0, 1], "opposed": True} and content["version"] == 3
    assert same(kx.level_from_json(content).level, level)
    program: dict = {}
    exec(level_to_python(level), program)
    assert same(program["level"].rules, level.rules)
    for field, value, message in (
        ("thrusters", [0, 2], r"agents\.thrusters\[1\] must be in 0 \.\. 1, got 2"),
        ("motors", [0], r"agents\.motors must have 4 entries, got 1"),
    ):
        with pytest.raises(kx.LevelError, match=message):
            kx.level_from_json(content | {"agents": {field: value}})
    with pytest.raises(ValueError, match="thruster_agent must have at most 2 entries, got 3"):
        kx.LevelBuilder(SIZE).agents(thrusters=(0, 0, 1))
    larger = dataclasses.replace(SIZE, num_thruster_bindings=4, num_circles=3)
    padded = kx.pad_level(level, larger)
    kx.validate_level(padded)
    assert padded.rules.thruster_agent.tolist() == [0, 1, 0, 0] and bool(padded.rules.opposed)
    drawn = kx.render_svg(level, legend=True)
    assert ">0a</text>" in drawn and ">1b</text>" in drawn and "agent b (1)" in drawn
    hints = key_hints(SIZE, [4, 5], agents_of_bindings(to_host(level)))
    assert [hint["name"] for hint in hints if hint["used"]] == ["thruster 0 (a)", "thruster 1 (b)"]
    assert agents_of_bindings(to_host(dataclasses.replace(level, rules=None))) is None
