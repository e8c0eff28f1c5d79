"""The editor's page under load, in a real browser: a full level that is dragged, and long random walks."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import kinetix_py as kx
from tests import webdriver
from tests.kinetix_py.editor_page import CHANGES, ONE_BODY

pytestmark = webdriver.needs_browser

FULL = """edit((d) => {
  const roles = ["none", "green", "blue", "red"];
  const body = (i, more) => d.bodies.push({id: `body ${d.bodies.length}`, role: roles[i % 4], ...more});
  for (let i = 0; i < 8; i++) {
    body(i, {shape: "box", size: [0.5, 0.3], position: [0.6 + 0.55 * i, 1 + 0.2 * (i % 2)]});
  }
  for (let i = 0; i < 4; i++) body(i, {shape: "circle", radius: 0.2, position: [0.6 + i, 3]});
  for (let i = 0; i < 6; i++) {
    const [a, b] = d.bodies.slice(i, i + 2);
    d.joints.push({a: a.id, b: b.id, anchor_a: toLocal(a, b.position), motor_on: true});
  }
  d.thrusters = [{body: "body 0"}, {body: "body 1"}];
})"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["move", "resize"])
def test_a_full_level_is_dragged_at_60_frames(page, what, record_property):
    page.begin("l")
    page.evaluate(FULL)
    assert not any(page.evaluate("Object.values(free(doc))"))
    page.evaluate("choose_({bodies: ['body 3']})")
    page.settle()
    start = (
        [2.25, 1.2]
        if what == "move"
        else page.evaluate("handles().find((h) => h.sx === 1 && h.sy === 1).point")
    )
    page.evaluate(
        "(window.ticks = [], window.ticking = true, (function tick(t) "
        "{ ticks.push(t); if (ticking) requestAnimationFrame(tick); })(performance.now()))"
    )
    page.sweep(*[(start[0] + 0.01 * i, start[1] + 0.006 * i) for i in range(120)])
    page.evaluate("(ticking = false, 0)")
    times = np.diff(page.evaluate("ticks"))[1:]
    assert page.source != "" and page.evaluate("versions.past.length") == 2
    record_property("frames_per_second", float(1000 / times.mean()))  # plain, for parallel workers
    print(f"{what}: {1000 / times.mean():.1f} frames/s, 95 % within {np.quantile(times, 0.95):.1f} ms")
    assert len(times) > 60 and np.median(times) < 18


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
