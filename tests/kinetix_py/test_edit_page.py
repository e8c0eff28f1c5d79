"""The editor's page in a real browser, with a real pointer and keys; skipped without Chromium."""

from __future__ import annotations

import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.edit.folder import DRAFTS
from tests import webdriver
from tests.kinetix_py.editor_page import Page, fill, start_server

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    webdriver.CHROMIUM is None or webdriver.DRIVER is None, reason="needs Chromium and chromedriver"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("levels")


@pytest.fixture(scope="module")
def page(folder):
    server = start_server(folder)
    with webdriver.browser(Page) as window:
        window.resize(1300, 900)
        window.open(server.address)
        window.wait("doc && start_")
        yield window
    server.stop()


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


CHANGES = [
    "cut",
    "delete",
    "duplicate",
    "left",
    "right",
    "grow",
    "shrink",
    "role-none",
    "role-blue",
    "role-red",
    "static",
    "motor",
    "mirror",
    "flip",
    "front",
    "back",
    "align-left",
    "align-right",
    "align-top",
    "align-bottom",
    "align-middle",
    "align-center",
]
ONE_BODY = {"topolygon": "a", "removecorner": "a", "addcorner": "b"}


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
    for tool in ("select", "box", "circle", "polygon", "revolute", "weld", "thruster"):
        page.chord(keys[tool])
        assert page.evaluate("tool") == tool
    page.tap("v")
    for name, state in (("snap", "settings.snap"), ("together", "settings.together")):
        page.chord(keys[name])
        assert page.evaluate(state) is False
        page.chord(keys[name])
    for tool, count in (("b", 5), ("c", 6), ("p", 7)):  # by the keyboard alone
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
    tools = {"select", "box", "circle", "polygon", "revolute", "weld", "thruster"}
    assert names == {*CHANGES, *ONE_BODY, *dialogs, *others, *later, *tools, "snap", "together"}


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


def test_what_is_saved_is_what_is_drawn(page, folder):
    fill(page)
    page.settle()
    name = page.evaluate("file.name")
    assert (folder / DRAFTS / f"{name}.json").is_file() and "not saved" in page.text("#name")
    drawn = kx.level_from_json(page.source).level
    page.chord("Ctrl+S")
    page.wait("!file.isNew && !document.querySelector('#name').innerText.includes('not saved')")
    assert not (folder / DRAFTS / f"{name}.json").exists()
    saved = kx.load_level(folder / f"{name}.json")
    jax.tree.map(np.testing.assert_array_equal, saved, drawn)
    page.evaluate("choose_({bodies: ['a']})")
    page.chord("ArrowRight")
    page.settle()
    page.evaluate(f"openLevel({name!r})")
    page.wait("file.changed")
    assert "not saved" in page.text("#said") and page.level["bodies"][0]["position"][0] == pytest.approx(1.6)
    page.chord("Alt+R")
    page.wait("Math.abs(doc.bodies[0].position[0] - 1.5) < 1e-6")
    again = kx.level_from_json(page.source).level
    jax.tree.map(np.testing.assert_array_equal, again, drawn)
    for format in ("native", "kinetix"):
        text = page.evaluate(
            f"ask('write', {{level: doc, format: {format!r}}}).then((answer) => answer.text)"
        )
        jax.tree.map(np.testing.assert_array_equal, kx.level_from_json(text).level, drawn)
    page.chord("Ctrl+O")
    page.wait("dialog.open && [...dialog.querySelectorAll('img')].some((image) => image.naturalWidth > 0)")
    page.evaluate("dialog.close()")


def test_a_link_holds_the_level(page):
    fill(page)
    source = page.source
    page.chord("Shift+L")
    link = page.wait("dialog.open && dialog.querySelector('textarea').value")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#level=[\w-]+", link)
    page.evaluate("dialog.close()")
    page.open("about:blank")
    page.open(link)
    page.wait("doc && doc.bodies.length === 3 && location.hash === ''")
    drawn, linked = (kx.level_from_json(text).level for text in (source, page.source))
    jax.tree.map(np.testing.assert_array_equal, linked, drawn)
    page.open(link.replace("level=", "level=AAAA"))
    page.open(link.split("#")[0])
    page.wait("doc && start_")


def test_trying_moves_a_copy(page):
    page.begin()
    page.evaluate(
        """edit((d) => { d.gravity = [0, 0];
        d.bodies = [{id: "ball", shape: "circle", radius: 0.3, position: [2.5, 2], role: "green"}];
        d.thrusters = [{body: "ball", direction: 1.5707, power: 0.1}]; })"""
    )
    page.settle()
    source, picture = page.source, page.evaluate("document.querySelector('#room').innerHTML")
    place = lambda axis: page.evaluate(f"now.bodies[level.bodies.indexOf(5)][{axis}]")
    page.tap(" ")
    page.wait("mode === 'trial' && level && level.trial === trial && now && now.time > 0.1", 60)
    assert (place(0), place(1)) == (2.5, 2)
    page.sweep((2.5, 2), (2.8, 2.2), (3.2, 2.4), (3.4, 2.5), (3.5, 2.5), (3.5, 2.5))
    page.wait("now.bodies[level.bodies.indexOf(5)][0] > 2.6")
    page.tap("r")
    with page.holding("1"):
        page.wait("now.bodies[level.bodies.indexOf(5)][1] > 2.1")
    page.tap("k")
    page.wait("now.phase === 'paused'")
    page.tap(" ")
    page.wait("mode === 'edit'")
    page.settle()
    assert page.source == source
    assert page.evaluate("document.querySelector('#room').innerHTML") == picture


def test_problems_are_named_and_marked(page):
    page.begin()
    page.settle()
    page.wait("document.querySelector('#problems').innerText.includes('no green')")
    page.evaluate(
        """edit((d) => { d.bodies = [{id: "a", shape: "box", size: [1, 1], position: [2, 2], role: "green"},
        {id: "b", shape: "circle", radius: 0.3, position: [2.2, 2], role: "blue"}]; })"""
    )
    page.wait("document.querySelector('#problems').innerText.includes('solved at the start')")
    assert page.evaluate("document.querySelectorAll('#overlay .problem').length") == 2
    assert page.evaluate("document.querySelectorAll('#overlay .sign').length") == 2
    page.evaluate(
        "[...document.querySelectorAll('.problem-row')].find((e) => e.innerText.includes('solved')).click()"
    )
    assert page.evaluate("chosen.bodies") == ["a", "b"]


def test_the_page_fits_every_width(page, tmp_path):
    fill(page)
    page.settle()
    page.evaluate("choose_({bodies: ['a']})")
    cut = """[...document.querySelectorAll("button, input, select, #overlay")]
      .filter((one) => one.checkVisibility())
      .map((one) => one.getBoundingClientRect())
      .filter((box) => box.left < 0 || box.right > innerWidth + 1)"""
    try:
        for width in (400, 900, 1600):
            page.emulate(width, 900)
            page.wait(f"innerWidth === {width}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(f"{cut}.length") == 0
            assert page.evaluate("document.querySelector('#overlay').clientWidth") >= 270
            page.screenshot(tmp_path / f"{width}.png")
            if width == 400:
                for menu in range(6):
                    page.evaluate(f"document.querySelectorAll('details.menu')[{menu}].open = true")
                    assert page.evaluate(f"{cut}.length") == 0
                page.screenshot(tmp_path / "menu.png")
                page.evaluate("document.querySelectorAll('details.menu')[5].open = false")
    finally:
        page.emulate(None, None)


def walk(page, steps):
    page.begin("l")
    names = [*CHANGES, *ONE_BODY, "copy", "paste", "all", "next"]
    script = pathlib.Path(__file__).with_name("editor_walk.js").read_text()
    texts = page.evaluate(f"(() => {{ {script}\nreturn walk({json.dumps(names)}, {steps}); }})()")
    assert len(set(texts)) > steps // 6
    for text in texts:
        kx.level_from_json(text)
    for expected in texts[-2::-1]:
        page.evaluate("run('undo')")
        assert page.source == expected
    for expected in texts[1:]:
        page.evaluate("run('redo')")
        assert page.source == expected


def test_a_random_walk_is_undone_byte_by_byte(page):
    walk(page, 60)


@pytest.mark.slow
def test_a_long_random_walk_is_undone_byte_by_byte(page):
    walk(page, 1500)


def serve(folder, port):
    """The command itself, as a process that can be killed."""
    command = [sys.executable, "-m", "agents.cli.main", "edit", "--folder", str(folder), "--port", str(port)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=folder)
    address = re.search(r"http://\S+", process.stdout.readline()).group()
    return process, address


def test_a_crash_loses_nothing(page, tmp_path):
    process, address = serve(tmp_path, 0)
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    back = page.evaluate("location.origin + '/'")
    try:
        page.open(address)
        page.wait("doc && start_")
        page.tap("c")
        page.sweep((1, 1), (1.2, 1), (1.3, 1))
        page.settle()
        name = page.evaluate("file.name")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        draft = tmp_path / DRAFTS / f"{name}.json"
        assert len(json.loads(draft.read_text())["bodies"]) == 1
        page.tap("b")  # the server is gone: the browser keeps this
        page.sweep((2, 1), (2.2, 1.3), (2.5, 1.4))
        assert len(page.level["bodies"]) == 2
        page.open("about:blank")  # and now the page is gone, too
        process, address = serve(tmp_path, port)
        page.open(address)
        page.wait("doc && start_")
        page.evaluate(f"openLevel({name!r})")
        page.wait("doc.bodies.length === 2")
        page.settle()
        deadline = time.time() + 10
        while len(json.loads(draft.read_text())["bodies"]) < 2 and time.time() < deadline:
            time.sleep(0.05)
        assert len(json.loads(draft.read_text())["bodies"]) == 2
        assert not list(tmp_path.glob("**/*.part"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()
        page.open(back)
        page.wait("doc && start_")
