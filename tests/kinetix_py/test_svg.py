"""Drawings: what is in them, where it is, and that it can be told apart without color."""

from __future__ import annotations

import dataclasses
import math
import re
import xml.etree.ElementTree as ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from kinetix_py.rendering.contacts import contact_points, touching_point
from kinetix_py.rendering.host import controls, to_host
from kinetix_py.rendering.parts import role_letter
from tests.kinetix_py import drawn_scenes as scenes
from tests.kinetix_py.small_levels import TINY, batch, car, falling

# Motors of bindings 0 .. 3 forward, backward, backward, off; thruster 0 on.
ACTION = np.array([1, 2, 2, 0, 1, 0])


@pytest.fixture(scope="module")
def state():
    return scenes.start()


def numbers(text):
    return [float(value) for value in re.findall(r"-?\d+\.?\d*", text)]


def test_bodies_are_where_the_state_says(state):
    room = scenes.rooms(kx.render_svg(state))[0]
    found = scenes.bodies(room)
    assert set(found) == set(np.flatnonzero(state.sim.active))
    for body, transform in found.items():
        x, y, degrees = scenes.placed(transform)
        place = np.asarray(state.sim.position[body])
        assert (x / 100, 5 - y / 100) == pytest.approx(tuple(place), abs=1e-4)
        assert -np.radians(degrees) == pytest.approx(float(state.sim.rotation[body]), abs=1e-4)


def test_roles_and_kinds_differ_without_color():
    """Each tile has its own figure, and what cannot move a second outline."""
    drawing = kx.render_svg(scenes.level())
    tree = ElementTree.fromstring(drawing)
    tiles = [e for e in tree.iter() if e.tag.endswith("pattern")]
    figures = {e.get("id").split("-")[1]: [(f.tag.split("}")[1], f.get("d")) for f in e][1:] for e in tiles}
    assert figures["none"] == figures["static"] == []
    assert len({str(figures[role]) for role in ("green", "blue", "red")}) == 3 and all(
        figures[role] for role in ("green", "blue", "red")
    )
    outlines = {
        int(g.get("data-body")): sum(1 for e in g if e.get("fill") == "none")
        for g in scenes.rooms(drawing)[0]
        if g.get("data-body") and (next(iter(g)).get("fill") or "").startswith("url")
    }
    static = {0, 1, 2, 3, scenes.STATIC, scenes.ROCK}
    assert {body for body, count in outlines.items() if count} == static
    texts = [e.text for e in scenes.rooms(drawing)[0].iter() if e.tag.endswith("text")]
    assert sorted(texts) == sorted(["G", "B", "R", "B", "R", "2", "A", "0", "1"])


def test_letters_are_in_their_shapes_and_off_the_marks(state):
    host = to_host(state)
    for body in (scenes.BOX, scenes.TRIANGLE, scenes.LONG, scenes.BALL, scenes.ROCK):
        letter = role_letter(host, body)
        half = letter.size / 2
        for joint, anchor in zip(host.sim.joints.body_a, host.sim.joints.anchor_a, strict=True):
            if joint == body:
                assert math.dist((letter.x, letter.y), (100 * anchor[0], -100 * anchor[1])) > 7 + half / 2
    assert role_letter(host, scenes.STATIC) is None  # no role
    tiny = dataclasses.replace(host.sim, radius=np.full_like(host.sim.radius, 0.02))
    assert role_letter(dataclasses.replace(host, sim=tiny), scenes.BALL) is None  # no room


def test_limits_are_an_arc_about_the_joint():
    """The arm hangs 0.35 m below its joint: the hand points down, the arc from -1 to 0.5 rad of that."""
    room = scenes.rooms(kx.render_svg(scenes.level()))[0]
    (arc,) = [e for e in room.iter() if e.get("class") == "limits"]
    path = next(iter(arc)).get("d")
    start, end = re.match(r"M(\S+?)A15,15 0 (0) 0 (\S+?)M", path).group(1, 3)
    for point, angle in ((start, -np.pi / 2 - 1.0), (end, -np.pi / 2 + 0.5)):
        assert numbers(point) == pytest.approx([15 * math.cos(angle), -15 * math.sin(angle)], abs=0.02)
    (hand,) = [e for e in room.iter() if e.get("stroke-dasharray") == "2 1.5"]
    x0, y0, x1, y1 = numbers(hand.get("d"))
    assert (x0, x1) == pytest.approx((0, 0), abs=0.01) and 0 < y0 < y1  # down, on paper


def test_flames_and_arrows_show_what_is_on(state):
    def shown(drawing, kind):
        found = {}
        for element in scenes.rooms(drawing)[0].iter():
            if element.get(f"data-{kind}"):
                found[int(element.get(f"data-{kind}"))] = element
        return found

    drawing = kx.render_svg(state, action=ACTION)
    flames = {i: e.get("visibility") for i, e in shown(drawing, "flame").items()}
    assert flames == {0: None, 1: "hidden"}
    arrows = shown(drawing, "turn")
    # Joint 0 listens to binding 2, backward: clockwise. Joint 3 runs by itself: counter-clockwise.
    assert set(arrows) == {0, 3}
    assert arrows[0].get("transform") == "scale(-1 1)" and arrows[3].get("transform") is None
    joints = dataclasses.replace(state.sim.joints, motor_speed=-state.sim.joints.motor_speed)
    backwards = dataclasses.replace(state, sim=dataclasses.replace(state.sim, joints=joints))
    arrows = shown(kx.render_svg(backwards, action=ACTION), "turn")  # each turns the other way
    assert arrows[0].get("transform") is None and arrows[3].get("transform") == "scale(-1 1)"
    assert arrows[0].get("data-sign") == "-1"
    assert not shown(kx.render_svg(state), "flame")
    half = shown(
        kx.render_svg(state, action=np.array([0, 0, 0, 0, 0.5, 0]), action_type="continuous"), "flame"
    )[0]
    assert half.get("transform").endswith("scale(0.5 1)")


def test_actions_of_all_types_mean_the_same():
    host = to_host(scenes.level())
    expected = [-1, 0, 0, 1, 1, 0]  # joints 0 .. 3, thrusters 0, 1
    np.testing.assert_array_equal(controls(host, ACTION, "multi_discrete"), expected)
    floats = np.array([1, -1, -1, 0, 1, 0.0])
    np.testing.assert_array_equal(controls(host, floats, "continuous"), expected)
    np.testing.assert_array_equal(controls(host, np.int32(4), "discrete"), [-1, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(controls(host, np.int32([4, 9]), "discrete", axes=1)[1], [0, 0, 0, 1, 1, 0])


def test_a_batch_is_a_grid_with_one_legend_and_scale_bar():
    levels = batch(car(), 5)
    drawing = kx.render_svg(levels, limit=3, columns=2, legend=True, scale_bar=True, width=250)
    assert len(scenes.rooms(drawing)) == 3
    width, height = (float(ElementTree.fromstring(drawing).get(side)) for side in ("width", "height"))
    assert width == pytest.approx((2 * 500 + 2 * 12 + 240 + 2) / 2)
    assert height == pytest.approx((2 * 500 + 12 + 30 + 2) / 2)
    legend = [e for e in ElementTree.fromstring(drawing) if e.get("class") == "legend"]
    words = [e.text for e in legend[0].iter() if e.tag.endswith("text")]
    assert "motor of binding 0" in words and "weld joint" not in words
    (scale,) = [e for e in ElementTree.fromstring(drawing) if e.get("class") == "scale"]
    assert "h100" in next(iter(scale)).get("d")  # 1 m is 100 units


def test_a_notebook_shows_levels(tmp_path):
    level = falling()
    assert level._repr_html_() == level.show() == kx.render_svg(level)
    assert batch(level)._repr_html_().count('class="room"') == 3
    drawing = level.show(legend=True)
    assert drawing._repr_html_() == drawing and isinstance(drawing, str)
    drawing.save(tmp_path / "level.svg")
    assert (tmp_path / "level.svg").read_text() == drawing
    assert jax.eval_shape(falling)._repr_html_() is None  # shapes without values
    assert kx.render_svg(level) != kx.render_svg(car())


def reset(level):
    """The state at the start of an episode of a level."""
    return kx.make(TINY, observation_type="blind").reset_to_level(level)[1]


def test_contacts_are_marked_where_shapes_touch():
    state = reset(falling(height=0.0))  # a ball of radius 0.2 m on a box whose top is at 0.8 m
    host, ball = to_host(state), TINY.num_polygons
    position, rotation = host.sim.position[None], host.sim.rotation[None]
    assert touching_point(host, ball, 4, position, rotation)[0] == pytest.approx((2.5, 0.8))
    assert touching_point(host, 0, 4, position, rotation)[0] == pytest.approx((2.5, 0.4))
    pairs = np.sort(jax2d.contact_pairs(TINY.sim_spec()), axis=1)
    resting = dataclasses.replace(state, touching_slots=jnp.asarray((pairs == [4, ball]).all(1)))
    np.testing.assert_allclose(contact_points(to_host(resting)), [[2.5, 0.8]], atol=1e-6)
    drawing = kx.render_svg(resting, contacts=True)
    (marks,) = [e for e in scenes.rooms(drawing)[0] if e.get("class") == "contacts"]
    assert [numbers(e.get("transform")) for e in marks] == [[250, 420]]


def test_two_circles_touch_between_their_centers():
    host, ball = to_host(reset(falling())), TINY.num_polygons
    position = host.sim.position.copy()
    position[ball], position[ball + 1] = (1, 1), (1.3, 1.4)
    sim = dataclasses.replace(host.sim, radius=np.array([0.2, 0.3], np.float32))
    point = touching_point(
        dataclasses.replace(host, sim=sim), ball, ball + 1, position[None], host.sim.rotation[None]
    )
    np.testing.assert_allclose(
        point, [[1.12, 1.16]], atol=1e-6
    )  # 0.2 m from one center, 0.3 m from the other


def test_linked_bodies_have_no_contact_marks():
    state = reset(car())
    touching = dataclasses.replace(state, touching_slots=jnp.ones_like(state.touching_slots))
    # Three bodies with four walls and with each other, less the box with the wheel it is joined to.
    assert len(contact_points(to_host(touching))) == 3 * 4 + 3 - 1


BAD = {
    "a drawing needs a Level or an EnvState, got dict": lambda level: kx.render_svg({}),
    "width must be an integer in 1 .. 10000, got 0": lambda level: kx.render_svg(level, width=0),
    "columns must be an integer in 1 .. 100, got 0.5": lambda level: kx.render_svg(level, columns=0.5),
    "limit must be an integer in 1 .. 1000, got True": lambda level: kx.render_svg(level, limit=True),
    "or a batch with one axis; got a batch (3, 3)": lambda level: kx.render_svg(batch(batch(level))),
    "at least one level, got a batch of 0": lambda level: (
        kx.render_svg(batch(level, 1), action=None)
        and kx.render_svg(jax.tree.map(lambda value: value[:0], batch(level)))
    ),
    "contacts are known of an EnvState, got a Level": lambda level: kx.render_svg(level, contacts=True),
    "action of this size must have shape (6,), got (5,)": lambda level: level.show(action=np.zeros(5)),
    "a multi_discrete action must be integers, got float": lambda level: level.show(action=np.zeros(6)),
    "action_type must be one of": lambda level: level.show(action=np.zeros(6), action_type="float"),
    "a batch of 3 needs as many actions, got 2": lambda level: batch(level).show(action=np.zeros((2, 6))),
    "draw outside of jit and vmap": lambda level: jax.jit(lambda level: level.show() and 0)(level),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BAD[message](falling())
