"""Rules of levels beyond the plain game, worked by hand, and that plain levels do not notice them."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from kinetix_py.edit.problems import find_problems
from kinetix_py.env.progress import NO_GOAL, Progress, advance, goals_before
from kinetix_py.levels.files import LIBRARY
from kinetix_py.levels.python_code import level_to_python
from kinetix_py.levels.rules import NUM_SWITCHES, plain_rules
from kinetix_py.observations.entity import SHAPE_RULES
from kinetix_py.rendering.host import to_host
from kinetix_py.rendering.pixels import shape_colors
from kinetix_py.rendering.style import ROLE_COLORS
from tests.kinetix_py.small_levels import TINY, batch, falling, play

pytestmark = pytest.mark.usefixtures("compiled_fast")

SIZE = kx.LevelSize(num_polygons=5, num_circles=3, num_joints=1, num_thrusters=1)
GREEN, BALL, LATE = 5, 6, 7  # circles of `course`
WALL = 2
HOLD = 20
PUSH = np.array([0, 0, 0, 0, 1, 0])


def course(size=SIZE, hold=HOLD):
    """A green ball is pushed right in no gravity: past blue ball 1 to the blue wall, goal 3, to be held.

    Another shape of goal 3 is out of its way.
    """
    builder = kx.LevelBuilder(size, gravity=0.0, right="blue", friction=0.0)
    ball = builder.circle((1.0, 2.5), 0.2, "green", friction=0.0)
    builder.thruster(ball, 0, 0.2)
    builder.goal(builder.circle((2.0, 2.8), 0.2, "blue", friction=0.0), 1)
    builder.goal(builder.static_circle((0.5, 4.0), 0.2, "blue"), 3, hold=7)
    builder.goal(jax2d.Body(WALL), 3, hold=hold)
    return builder.level()


@pytest.fixture(scope="module")
def env():
    return kx.make(SIZE, rules=True, auto_reset=True)


@pytest.fixture(scope="module")
def episode(env):
    """Observations, states, rewards, ends and info of 96 steps of `course` under the thruster, `[96, 1]`."""
    params = kx.EnvParams(dense_reward_scale=1.0)
    level = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], course())
    return play(env, level, 96, params, action=PUSH)


def same(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        jax.tree.leaves(jax.tree.map(lambda x, y: np.array_equal(x, y), a, b))
    )


def start(goal, bodies):
    """Progress before the first touch."""
    return Progress(jnp.int32(goal), jnp.zeros(bodies, jnp.int32), jnp.zeros(NUM_SWITCHES, bool))


def steps(rules, roles, touched):
    """Plays sets of bodies that green, body 0, touches: the goal after each, and whether it was the last."""
    role, active = jnp.array(roles), jnp.ones(len(roles), bool)
    progress = start(1, len(roles))
    found = []
    for bodies in touched:
        touches = np.zeros((len(roles), len(roles)), bool)
        touches[0, bodies] = touches[bodies, 0] = True
        progress, solved = advance(progress, rules, role, jnp.asarray(touches), active)
        found.append((int(progress.goal), bool(solved)))
    return found


def rules_of(goal, hold=None):
    hold = [1] * len(goal) if hold is None else hold
    plain = plain_rules(kx.LevelSize(num_polygons=len(goal), num_circles=0, num_joints=0, num_thrusters=0))
    return dataclasses.replace(plain, goal=jnp.array(goal), hold=jnp.array(hold))


def test_goals_come_in_the_order_of_their_numbers():
    rules, roles = rules_of([1, 1, 2, 5, 1]), [1, 2, 2, 2, 0]
    played = steps(rules, roles, [[2], [4], [1], [], [3], [2], [1], [3]])
    assert [goal for goal, _ in played] == [1, 1, 2, 2, 2, 5, 5, 5]
    assert [solved for _, solved in played] == [False] * 7 + [True]


def test_of_goals_with_one_number_any_will_do():
    rules, roles = rules_of([1, 1, 1, 2]), [1, 2, 2, 2]
    assert steps(rules, roles, [[2], [3]]) == [(2, False), (2, True)]
    assert steps(rules, roles, [[1, 2], [3]]) == [(2, False), (2, True)]


def test_a_touch_must_last_without_a_break_on_one_shape():
    rules, roles = rules_of([1, 1, 1], hold=[1, 3, 3]), [1, 2, 2]
    solved = lambda touched: [end for _, end in steps(rules, roles, touched)]
    assert solved([[1], [1], [1]]) == [False, False, True]
    assert solved([[1], [1], [], [1], [1], [1]]) == [False] * 5 + [True]
    assert not any(solved([[1], [2], [1], [2]]))
    assert solved([[1, 2], [1, 2], [2]]) == [False, False, True]


def test_an_episode_reaches_goal_after_goal(episode):
    _, state, reward, done, info = jax.tree.map(lambda value: np.asarray(value)[:, 0], episode)
    end = int(np.argmax(done))
    assert info["solved"][end] and not info["solved"][:end].any() and reward[end] > 0.9
    reached = int(np.argmax(state.progress.goal == 3))
    assert 0 < reached < end and (state.progress.goal[:reached] == 1).all()
    assert (state.progress.goal[reached:end] == 3).all()
    # Two physics steps of holding in a step; its end is not seen, as the episode begins anew.
    held = state.progress.held[:end, WALL]
    assert held[held > 0].tolist() in (list(range(1, HOLD, 2)), list(range(2, HOLD, 2)))
    assert state.progress.goal[end] == 1 and (state.progress.held[end] == 0).all()
    # The way to go does not jump by more than the ball moves, and the dense reward is what it falls by.
    way = info["distance"][: end + 1]
    center = state.sim.position[0, [GREEN, BALL, LATE, WALL]]
    before = np.linalg.norm(center[0] - center[1])
    later = np.linalg.norm(center[1] - center[2:], axis=1).sum()
    assert way[0] == pytest.approx(before + later, rel=1e-5)
    np.testing.assert_allclose(reward[1:end], -np.diff(way)[: end - 1], atol=1e-5)


def test_what_an_agent_sees_of_goals(env, episode):
    obs, state, _, done, _ = jax.tree.map(lambda value: np.asarray(value)[:, 0], episode)
    table = lambda step, name: obs.shape_rules[step, :, SHAPE_RULES[name]][:, 0]
    others = [i for i in range(SIZE.num_bodies) if i not in (BALL, LATE, WALL)]
    assert (obs.shape_rules[:, others] == 0).all()
    assert table(0, "turn")[[BALL, LATE, WALL]].tolist() == [1, 0, 0]
    assert table(0, "before")[[BALL, LATE, WALL]].tolist() == [0, 0.25, 0.25]
    last = int(np.argmax(done)) - 1
    assert table(last, "turn")[[BALL, LATE, WALL]].tolist() == [0, 1, 1] and table(last, "before").max() == 0
    assert table(last, "held")[WALL] == pytest.approx(state.progress.held[last, WALL] / HOLD)
    assert table(last, "hold")[WALL] == pytest.approx(np.log(HOLD) / np.log(60))
    one = jax.tree.map(lambda value: value[0], obs)
    assert env.observation_space.contains(jax.tree.map(jnp.asarray, one))


def test_environments_without_rules_see_plain_levels(episode):
    plain, told = (kx.make(SIZE, rules=rules) for rules in (False, True))
    level = course()
    state = jax.tree.map(lambda value: jnp.asarray(value[5, 0]), episode[1])
    obs, full = plain.observe(state), told.observe(state)
    tables = dict.fromkeys(("shape_rules", "joint_rules", "thruster_rules"))
    assert obs.shape_rules is None and same(obs, dataclasses.replace(full, **tables))
    flat = {rules: kx.make(SIZE, observation_type="flat", rules=rules).observe(state) for rules in (0, 1)}
    assert plain.observation_space.structure == jax.tree.structure(obs)
    np.testing.assert_array_equal(flat[1][: flat[0].size], flat[0])
    more = [getattr(full, name).size for name in tables]
    assert flat[1].size - flat[0].size == more[0] + more[1] // 2 + more[2]
    assert kx.make(SIZE, levels=[level, falling(SIZE)]).rules
    assert not kx.make(SIZE, levels=[falling(SIZE)]).rules


def test_plain_levels_have_nothing_of_it_and_play_alike(env):
    level = falling()
    assert level.rules is None and kx.stack_levels([level, level]).rules is None
    _, states, _, _, plain = play(kx.make(TINY, observation_type="blind"), batch(level), 20)
    assert states.rules is None and states.progress is None
    one = kx.with_rules(jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], falling(SIZE)))
    _, lifted_states, _, _, lifted = play(env, one, 20)
    more = jax.tree.leaves((lifted_states.rules, lifted_states.progress))
    assert len(jax.tree.leaves(states)) == len(jax.tree.leaves(lifted_states)) - len(more)
    assert plain["solved"].any()
    end = int(np.argmax(plain["solved"][:, 0])) + 1
    for name in ("solved", "terminated", "failed"):
        np.testing.assert_array_equal(plain[name][:end, 0], lifted[name][:end, 0])
    np.testing.assert_allclose(plain["distance"][:end, 0], lifted["distance"][:end, 0], atol=1e-5)


def test_levels_with_and_without_rules_make_one_batch():
    levels = kx.stack_levels([course(), falling(SIZE)])
    np.testing.assert_array_equal(levels.rules.goal[0], course().rules.goal)
    assert (levels.rules.goal[1] == 1).all() and (levels.rules.hold[1] == 1).all()
    resetting = kx.make(SIZE, observation_type="blind", auto_reset=True)
    _, state = resetting.reset_to_level(falling(SIZE))
    with pytest.raises(ValueError, match="make the environment with rules=True"):
        resetting.step(jax.random.key(0), state, resetting.noop_action, None, levels)


def test_padding_and_mirroring_keep_the_rules():
    larger = dataclasses.replace(SIZE, num_polygons=8, num_circles=5)
    padded = kx.pad_level(course(), larger)
    kx.validate_level(padded)
    assert np.flatnonzero(padded.rules.goal == 3).tolist() == [WALL, LATE + 3]
    assert padded.rules.hold[WALL] == HOLD and padded.rules.goal[-1] == 1
    mirrored = kx.mirror_level(course())
    assert mirrored.rules.hold[1] == HOLD and mirrored.rules.hold[WALL] == 1
    assert same(kx.mirror_level(mirrored).rules, course().rules)


def test_edits_leave_no_rules_behind():
    level, key = course(), jax.random.key(3)
    edited = kx.mutate_level(key, level, num_edits=8, edits=("remove_shape",))
    gone = ~np.asarray(edited.sim.active)
    assert gone.sum() > 2 and (edited.rules.goal[gone] == 1).all() and (edited.rules.hold[gone] == 1).all()


def test_files_of_version_3_hold_rules(tmp_path):
    level = course()
    text = kx.level_to_json(level)
    assert json.loads(text)["version"] == 3
    assert same(kx.level_from_json(text).level, level)
    old = json.loads(text) | {"version": 2}
    with pytest.raises(kx.LevelError, match=r"bodies\[2\] has an unknown field 'goal'|unknown field 'hold'"):
        kx.level_from_json(old)
    wrong = json.loads(text)
    wrong["bodies"][-1]["hold"] = 0
    with pytest.raises(kx.LevelError, match=r"bodies\[\d\]\.hold must be in 1 \.\. 10000, got 0"):
        kx.level_from_json(wrong)
    with pytest.raises(kx.LevelError, match="Kinetix's files have no fields"):
        kx.save_level(level, tmp_path / "level.json", format="kinetix")
    program: dict = {}
    exec(level_to_python(level), program)
    assert same(program["level"].rules, level.rules)


def test_files_of_plain_levels_are_written_as_before():
    for path in (LIBRARY / "s" / "swing_up.json", LIBRARY / "l" / "walker.json"):
        file = kx.load_level_file(path)
        notes = {name: getattr(file, name) for name in ("name", "author", "description", "solution")}
        written = kx.level_to_json(kx.with_rules(file.level), **notes, difficulty=file.difficulty)
        assert written == path.read_text(encoding="utf-8") and file.level.rules is None


def test_wrong_rules_are_named():
    level = course()
    for name, where, value in (
        ("goal", "body", 0),
        ("hold", "body", 10_001),
        ("sensor", "body", 5),
        ("joint_waits_for", "joint", -1),
    ):
        wrong = getattr(level.rules, name).at[0].set(value)
        changed = dataclasses.replace(level.rules, **{name: wrong})
        with pytest.raises(jax2d.SceneError, match=rf"{where} 0: {name} must be in \d \.\. \d+, got {value}"):
            kx.validate_level(dataclasses.replace(level, rules=changed))
    builder = kx.LevelBuilder("s")
    with pytest.raises(ValueError, match=r"goal must be an integer in 1 \.\. 99, got 100"):
        builder.goal(builder.circle((1, 1), 0.2, "blue"), 100)


def test_drawings_number_the_goals_and_dash_those_to_come(episode):
    level = course()
    drawn = kx.render_svg(level, legend=True)
    assert ">B1</text>" in drawn and ">B3 0.12 s</text>" not in drawn and ">B3</text>" in drawn
    assert 'data-goal="1"/>' in drawn and drawn.count('data-goal="3" stroke-dasharray') == 2
    assert "whose turn has not come" in drawn and "touch for 1 s" in drawn
    _, states, _, done, _ = episode
    late = jax.tree.map(lambda value: value[int(np.argmax(done)) - 1, 0], states)
    drawn = kx.render_svg(late)
    assert 'data-goal="1" opacity' in drawn and "stroke-dasharray" not in drawn
    plain = dataclasses.replace(level, rules=None)
    assert "data-goal" not in kx.render_svg(plain)
    assert kx.render_svg(kx.with_rules(plain)).count("<") == kx.render_svg(plain).count("<")


def test_pixels_show_waiting_goals_pale(episode):
    _, states, *_ = episode
    state = jax.tree.map(lambda value: jnp.asarray(value[0, 0]), states)
    colors, blue = shape_colors(state), np.array(ROLE_COLORS[kx.BLUE])
    np.testing.assert_allclose(colors[BALL], blue, atol=1e-6)
    np.testing.assert_allclose(colors[np.array([LATE, WALL])], [blue + 0.6 * (1 - blue)] * 2, atol=1e-6)
    np.testing.assert_allclose(colors[GREEN], ROLE_COLORS[kx.GREEN], atol=1e-6)


def test_the_editor_knows_that_more_goals_follow():
    builder = kx.LevelBuilder(SIZE)
    green, blue = builder.circle((2, 1), 0.3, "green"), builder.circle((2.4, 1), 0.3, "blue")
    builder.thruster(green, 90, 1.0)
    kinds = lambda: {problem.kind for problem in find_problems(to_host(builder.level()))}
    assert "solved at the start" in kinds()
    builder.goal(blue, hold=5)
    assert "solved at the start" not in kinds()


def test_goals_before_counts_numbers_that_exist():
    rules, blue = rules_of([1, 4, 7, 9, 2]), jnp.array([True, True, True, True, False])
    progress = start(4, 5)
    assert goals_before(rules, progress, blue).tolist() == [0, 0, 1, 2, 0]
    assert NO_GOAL > 99
