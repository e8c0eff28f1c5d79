"""The editor's page in a real browser, with a real pointer and keys; skipped without Chromium."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kinetix_py as kx
from tests import webdriver
from tests.kinetix_py.editor_page import CHANGES, ONE_BODY, fill

pytestmark = webdriver.needs_browser


def undo_all(page):
    """Undoes everything and returns the texts on the way."""
    texts = [page.source]
    while page.evaluate("versions.past.length"):
        page.chord("Ctrl+Z")
        texts.append(page.source)
    return texts


def test_every_kind_is_drawn_by_the_pointer_and_undone(page):
    page.begin("m")
    empty = page.source
    page.tap("b")
    page.sweep((1, 1), (1.4, 1.3), (1.8, 1.4))
    box = page.level["bodies"][0]
    assert box == {"id": "box 1", "shape": "box", "size": [0.8, 0.4], "position": [1.4, 1.2]}
    page.tap("c")
    page.sweep((1.2, 1.1), (1.3, 1.1), (1.4, 1.1))
    assert page.level["bodies"][1] == {
        "id": "circle 1",
        "shape": "circle",
        "radius": 0.2,
        "position": [1.2, 1.1],
    }
    page.tap("p")
    for corner in ((3, 1), (3.6, 1), (3.3, 1.6)):
        page.sweep(corner)
    page.sweep((3, 1))  # closes it
    shape = page.level["bodies"][2]
    assert shape["shape"] == "polygon" and len(shape["vertices"]) == 3
    np.testing.assert_allclose(shape["position"], (3.3, 1.2), atol=1e-6)
    page.tap("j")
    page.sweep((1.2, 1.1))  # the box under the circle
    assert page.level["joints"] == [{"a": "box 1", "b": "circle 1", "anchor_a": [-0.2, -0.1]}]
    page.tap("w")
    page.sweep((3.3, 1.2), (2.5, 1.2), (1.7, 1.3))  # from the polygon to the box
    assert page.level["joints"][1]["weld"] and {page.level["joints"][1][end] for end in "ab"} == {
        "box 1",
        "polygon 1",
    }
    page.tap("t")
    page.sweep((1.4, 1.2), (1.8, 1.2), (2.2, 1.2))
    assert page.level["thrusters"] == [{"body": "box 1"}]  # at the center, along the first axis
    full = page.source
    kx.level_from_json(full)
    page.settle()
    drawn = page.evaluate("[...document.querySelectorAll('#room [data-body]')].map((e) => e.dataset.body)")
    assert {"4", "5", "6"} <= set(drawn)
    texts = undo_all(page)
    assert texts[-1] == empty and len(texts) == 7
    assert page.evaluate("document.querySelector('[data-command=undo]').disabled")
    for expected in texts[-2::-1]:
        page.chord("Ctrl+Shift+Z")
        assert page.source == expected
    assert page.evaluate("document.querySelector('[data-command=redo]').disabled")


def test_handles_move_turn_and_resize_and_snap(page):
    page.begin()
    page.tap("b")
    page.sweep((1, 1), (1.4, 1.2), (2, 1.4))  # 1 m x 0.4 m about (1.5, 1.2)
    page.sweep((1.5, 1.2), (1.9, 1.9), (2.13, 2.22))
    assert page.level["bodies"][0]["position"] == [2.1, 2.2]  # the grid
    with page.holding(webdriver.KEYS["Alt"]):
        page.sweep((2.1, 2.2), (2.3, 2.3), (2.33, 2.37))
    np.testing.assert_allclose(page.level["bodies"][0]["position"], (2.33, 2.37), atol=0.01)
    handle = lambda kind: page.evaluate(
        f"handles().find((h) => h.kind === '{kind}' && (h.sx ?? 1) === 1 && (h.sy ?? 1) === 1).point"
    )
    x, y = page.level["bodies"][0]["position"]
    page.sweep(handle("turn"), (x + 0.3, y + 0.5), (x + 0.6, y + 0.58))
    assert page.level["bodies"][0]["rotation"] == pytest.approx(-math.pi / 4, abs=1e-5)
    page.chord("Ctrl+Z")
    corner = handle("size")
    np.testing.assert_allclose(corner, (x + 0.5, y + 0.2), atol=1e-4)
    page.sweep(corner, (corner[0] + 0.1, corner[1]), (corner[0] + 0.2, corner[1] + 0.3))
    body = page.level["bodies"][0]
    assert body["size"] == [1.2, 0.7]
    np.testing.assert_allclose(body["position"], (x + 0.1, y + 0.15), atol=1e-4)  # the other corner stays
    # A number field takes what is typed, and refuses what no level can have.
    type_in = lambda name, value: page.evaluate(
        f"""(() => {{
      const fields = [...document.querySelectorAll(".field")], label = {name!r};
      const input = fields.find((one) => one.firstChild.textContent === label).querySelector("input");
      input.value = {value!r};
      input.dispatchEvent(new Event("change"));
    }})()"""
    )
    # A narrow shape has no handles that cover one another.
    kinds = "handles().filter((h) => h.kind === 'size').map((h) => [h.sx, h.sy])"
    assert len(page.evaluate(kinds)) == 8
    type_in("width", "0.05")
    assert sorted(page.evaluate(kinds)) == [[-1, -1], [-1, 0], [-1, 1], [1, -1], [1, 0], [1, 1]]
    page.chord("Ctrl+Z")
    type_in("restitution", "0.5")
    assert page.level["bodies"][0]["restitution"] == 0.5
    before = page.source
    type_in("restitution", "1.5")
    assert page.source == before and "at most 1" in page.text("#said")


def test_concave_polygons_are_shown_and_refused(page):
    page.begin()
    page.evaluate("setSize({polygons: 9, circles: 2, joints: 2, thrusters: 1, max_vertices: 8})")
    page.tap("p")
    for corner in ((1, 1), (2, 1), (2.5, 1.5), (2.5, 2), (2, 2.5), (1, 2.5), (0.5, 2), (0.5, 1.5)):
        page.sweep(corner)
    shape = page.level["bodies"][0]
    assert len(shape["vertices"]) == 8
    kx.level_from_json(page.source)
    before = page.source
    place = page.evaluate("handles().filter((h) => h.kind === 'corner')[0].point")
    page.sweep(place, (1.5, 1.8))
    assert page.source == before
    page.tap("p")
    for corner in ((3, 1), (4, 1), (3.5, 1.2), (3.5, 0.6)):
        page.sweep(corner)
    assert "not convex" in page.text("#said")
    page.chord("Escape")
    assert page.source == before


def test_every_command_works_by_its_key_and_is_undone(page):
    fill(page)
    names = set(page.evaluate("Object.keys(COMMANDS)"))
    keys = page.evaluate("Object.fromEntries(Object.values(COMMANDS).map((c) => [c.name, c.key]))")
    assert len(set(keys.values())) == len(keys)
    before = page.source
    for name in CHANGES:
        if name in ("front", "back"):
            page.evaluate(f"choose_({{bodies: [{'a' if name == 'front' else 'c'!r}]}})")
        page.chord(keys[name])
        changed = page.source
        assert changed != before, name
        kx.level_from_json(changed)
        page.chord("Ctrl+Z")
        assert page.source == before, name
        page.chord("Ctrl+Y")
        assert page.source == changed, name
        page.chord("Ctrl+Z")
        page.chord("Ctrl+A")
    page.evaluate("choose_({bodies: ['a']})")
    page.chord(keys["topolygon"])
    assert page.level["bodies"][0]["shape"] == "polygon"
    page.chord(keys["removecorner"])
    assert len(page.level["bodies"][0]["vertices"]) == 3
    page.chord(keys["addcorner"])
    assert len(page.level["bodies"][0]["vertices"]) == 4
    kx.level_from_json(page.source)
    for key in ("ArrowLeft", "Shift+ArrowUp", "Alt+ArrowRight"):
        state = page.source
        page.chord(key)
        assert page.source != state, key
        page.chord("Ctrl+Z")
        assert page.source == state
    page.chord("Ctrl+C")
    page.chord("Ctrl+V")
    assert len(page.level["bodies"]) == 4
    page.chord("]")
    page.chord("[")
    assert page.evaluate("chosen.bodies.length") == 1
    for tool in ("select", "box", "wall", "circle", "polygon", "revolute", "weld", "thruster"):
        page.chord(keys[tool])
        assert page.evaluate("tool") == tool
    page.tap("v")
    for name, usual in (("snap", True), ("together", True), ("several", False)):
        page.chord(keys[name])
        assert page.evaluate(f"settings.{name}") is not usual
        page.chord(keys[name])
    for tool, count in (("b", 5), ("c", 6), ("p", 7), ("n", 8)):  # by the keyboard alone
        page.tap(tool)
        page.chord("Enter")
        assert len(page.level["bodies"]) == count
    dialogs = {
        "folder": "Levels in",
        "saveas": "Save as",
        "share": "A link",
        "python": "Python",
        "json": "JSON",
        "kinetix": "Kinetix",
        "help": "Keys",
    }
    for name, title in dialogs.items():
        if name == "help":
            page.evaluate("run('help')")
        else:
            page.chord(keys[name])
        right = f"dialog.innerText.includes({title!r})"
        found = page.wait(f"dialog.open ? {right} : said.className === 'error' && said.innerText")
        assert found is True, (name, found)
        page.evaluate("dialog.close()")
    others = {
        "new",
        "save",
        "revert",
        "undo",
        "redo",
        "copy",
        "paste",
        "all",
        "next",
        "previous",
        "here",
        "role-green",
    }
    later = {"try", "agent", "watch", "mutate", "random", "judge"}
    tools = {"select", "box", "wall", "circle", "polygon", "revolute", "weld", "thruster"}
    assert names == {*CHANGES, *ONE_BODY, *dialogs, *others, *later, *tools, "snap", "together", "several"}


def test_moves_snap_to_centers_and_edges(page):
    page.begin()
    page.evaluate(
        """edit((d) => { d.bodies = [{id: "a", shape: "box", size: [0.41, 0.3], position: [1.234, 1.03]},
          {id: "b", shape: "circle", radius: 0.15, position: [3, 2]}]; })"""
    )
    page.sweep((3, 2), (2, 2.2), (1.25, 1.76))
    assert page.level["bodies"][1]["position"] == [1.234, 1.8]  # its center; the grid up and down
    page.sweep((1.234, 1.8), (2, 2.2), (1.6, 2.1), (1.234 + 0.205 + 0.15 + 0.02, 1.04))
    # Its left edge at the right edge of the other, the two centers at one height.
    np.testing.assert_allclose(page.level["bodies"][1]["position"], (1.234 + 0.205 + 0.15, 1.03), atol=1e-5)


def test_several_are_chosen_copied_and_deleted_with_their_joints(page):
    fill(page)
    page.evaluate("choose_({})")
    page.sweep((1.7, 1.05))
    assert page.evaluate("chosen.bodies") == ["a"]
    with page.holding(webdriver.KEYS["Shift"]):
        page.sweep((3, 2.05))
    assert page.evaluate("chosen.bodies") == ["a", "b"]
    page.sweep((2.4, 0.5), (2.6, 1), (3.6, 2.6))  # a frame around b and its thruster
    assert page.evaluate("[chosen.bodies, chosen.thrusters]") == [["b"], [0]]
    page.chord("Ctrl+A")
    page.chord("Ctrl+D")
    level = page.level
    assert len(level["bodies"]) == 6 and len(level["joints"]) == 2 and len(level["thrusters"]) == 2
    ids = [body["id"] for body in level["bodies"]]
    assert {level["joints"][1][end] for end in "ab"} <= set(ids[3:]) and level["thrusters"][1]["body"] in ids[
        3:
    ]
    kx.level_from_json(page.source)
    page.evaluate("choose_({bodies: ['c']})")
    page.chord("Delete")
    assert [joint["a"] for joint in page.level["joints"]] == [level["joints"][1]["a"]]


def test_fingers_draw_choose_and_move(page):
    page.begin()
    page.press("[data-tool=circle]")
    page.wait("tool === 'circle'")
    page.sweep((1, 1), (1.2, 1), (1.3, 1), kind="touch")
    page.press("[data-tool=wall]")
    page.wait("tool === 'wall'")
    page.sweep((2, 1), (2.5, 1.1), (3, 1.2), kind="touch")
    circle, wall = page.level["bodies"]
    assert circle["radius"] == 0.3 and wall["static"] and wall["size"] == [1, 0.2]
    page.sweep((1, 1), (1.3, 1.5), (1.5, 2), kind="touch")
    assert page.level["bodies"][0]["position"] == [1.5, 2]
    beside = 0.05  # a finger need not hit a handle exactly
    page.sweep((1.8 + beside, 2), (1.9, 2), (2, 2), kind="touch")
    assert page.level["bodies"][0]["radius"] == 0.5
    page.press("#under [data-command=several]")
    page.wait("settings.several")
    page.sweep((2.5, 1.1), kind="touch")
    assert page.evaluate("chosen.bodies") == ["circle 1", "box 1"]
    page.sweep((1.5, 2), kind="touch")
    assert page.evaluate("chosen.bodies") == ["box 1"]
    page.press("#under [data-command=several]")
    page.wait("!settings.several")
    page.press("#top > [data-command=undo]")
    page.wait("doc.bodies[0].radius === 0.3")


def test_joints_hold_where_they_are(page):
    """Whatever is done to one of two bodies, the two ends of their joint stay together."""
    fill(page)
    page.evaluate("settings.together = false")
    end = lambda body, side: f"toWorld(bodyOf(doc, '{body}'), doc.joints[0].anchor_{side} || [0, 0])"
    apart = lambda: page.evaluate(f"distance({end('a', 'a')}, {end('c', 'b')})")
    for body in "ac":
        for change in (
            "moveBodies(d, ['{}'], [0.3, 0.1])",
            "rotateBodies(d, ['{}'], 0.7, [2, 2])",
            "scaleBody(d, '{}', [1.3, 1.3], [0, 0])",
            "mirrorBodies(d, ['{}'], 0)",
        ):
            page.evaluate(f"edit((d) => {change.format(body)})")
            assert apart() < 1e-4, change
    page.evaluate("settings.together = true")
    page.evaluate("choose_({bodies: ['c']})")
    before = page.level["bodies"][0]["position"]
    page.chord("ArrowUp")
    assert page.level["bodies"][0]["position"][1] == pytest.approx(before[1] + 0.1)  # goes along


def test_a_mirrored_level_is_what_the_package_mirrors(page):
    fill(page)
    level = kx.level_from_json(page.source).level
    page.evaluate("edit((d) => mirrorBodies(d, ['a', 'b', 'c'], 0))")
    ours = kx.level_from_json(page.source).level
    theirs = kx.mirror_level(level)
    shift = np.asarray(ours.sim.position - theirs.sim.position)[np.r_[4:6, 12]]
    np.testing.assert_allclose(shift, shift[:1].repeat(3, 0), atol=1e-4)  # about another axis
    for name in ("anchor_a", "anchor_b", "min_rotation", "max_rotation"):
        np.testing.assert_allclose(
            getattr(ours.sim.joints, name), getattr(theirs.sim.joints, name), atol=1e-4
        )
    np.testing.assert_allclose(ours.sim.thrusters.anchor, theirs.sim.thrusters.anchor, atol=1e-4)
    turn = np.asarray(ours.sim.thrusters.direction - theirs.sim.thrusters.direction)[0]
    assert math.cos(turn) == pytest.approx(1, abs=1e-5)
