"""Trials, agents and judgements in the editor's page; skipped without Chromium."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.edit.judge import Judging, Verdict
from kinetix_py.env.types import EnvParams
from kinetix_py.play.game import environment, first_frame, next_frame
from tests import webdriver
from tests.kinetix_py.editor_page import serve
from tests.kinetix_py.small_levels import TINY

pytestmark = webdriver.needs_browser
RUNS = "mode === 'trial' && level && level.trial === trial && now && now.time > 0.1"


def floating_ball(page):
    """A green ball without gravity, whose thruster lifts it; blue is far away."""
    page.begin()
    page.evaluate(
        """edit((d) => { d.gravity = [0, 0];
        d.bodies = [{id: "ball", shape: "circle", radius: 0.3, position: [2.5, 2], role: "green"},
          {id: "goal", shape: "circle", radius: 0.1, position: [0.4, 4.6], static: true, role: "blue"}];
        d.thrusters = [{body: "ball", direction: 1.5707, power: 0.1}]; })"""
    )
    page.settle()


def test_trying_moves_a_copy(page):
    floating_ball(page)
    source, picture = page.source, page.evaluate("document.querySelector('#room').innerHTML")
    place = lambda axis: page.evaluate(f"now.bodies[level.bodies.indexOf(5)][{axis}]")
    page.tap(" ")
    page.wait(RUNS)
    assert (place(0), place(1)) == (2.5, 2)
    page.sweep((2.5, 2), (2.8, 2.2), (3.2, 2.4), (3.4, 2.5), (3.5, 2.5), (3.5, 2.5))
    page.wait("now.bodies[level.bodies.indexOf(5)][0] > 2.6")
    page.tap("r")
    with page.holding("1"):
        page.wait("now.bodies[level.bodies.indexOf(5)][1] > 2.1")
    page.press("#hints [data-code=Digit1]", moves=3)  # by touch, and so that one sees it
    page.tap("k")
    page.wait("now.phase === 'paused'")
    page.tap(" ")
    page.wait("mode === 'edit'")
    page.settle()
    assert page.source == source
    assert page.evaluate("document.querySelector('#room').innerHTML") == picture


def test_an_agent_plays_and_shows_what_it_does(page):
    floating_ball(page)
    source = page.source
    page.chord("Shift+A")
    page.wait(f"{RUNS} && now.watching")
    assert page.text("#who") == "a test's player plays" and page.text("#value") == "0.250"
    page.wait("action.innerText === 'thruster 0'")
    page.wait("document.querySelector('#hints .chosen-by-agent')?.dataset.code === 'Digit1'")
    page.wait("action.innerText === 'nothing'")
    # Rings about the bodies, walls at the edge: those of weight 0 have none.
    rings = page.evaluate(
        "[...document.querySelectorAll('.rings text')].map((e) => [e.textContent, e.getAttribute('y')])"
    )
    weights = np.linspace(0, 0.9, TINY.num_bodies)[page.evaluate("level.bodies")]
    assert [int(text) for text, _ in rings] == [round(100 * w) for w in weights if w >= 0.005]
    assert all(0 < float(y) < 500 for _, y in rings)
    assert "does not see a shape" in page.text("#relevance") and "no attention" in page.text("#relevance")
    page.tap("v")
    assert page.evaluate("document.querySelectorAll('.rings circle').length") == 0
    page.tap("v")
    page.wait("document.querySelectorAll('.rings circle').length > 0")
    page.tap("p")  # the keys' turn
    page.wait("!now.watching")
    assert page.text("#who") == "You play" and page.text("#value") == "none"
    assert page.evaluate("document.querySelector('#relevance').hidden")
    assert page.evaluate("document.querySelectorAll('.rings circle').length") == 0
    page.tap("p")
    page.wait("now.watching")
    page.tap(" ")
    page.wait("mode === 'edit'")
    assert page.source == source


def test_the_solution_of_a_level_is_watched(page):
    floating_ball(page)
    assert page.evaluate("COMMANDS.watch.can()") is False
    page.evaluate("edit((d) => { d.solution = Array(20).fill([1, 1, 1, 1, 1, 0]); })")
    page.chord("Shift+W")
    page.wait(f"{RUNS} && now.watching")
    assert page.text("#who") == "the solution plays" and page.evaluate(
        "document.querySelector('#relevance').hidden"
    )
    page.wait("now.bodies[level.bodies.indexOf(5)][1] > 2.02")
    page.tap(" ")
    page.wait("mode === 'edit'")


def test_a_saved_level_plays_as_the_engine_plays_it(page, folder):
    floating_ball(page)
    page.evaluate("edit((d) => { d.gravity = [0, -9.81]; d.bodies[0].restitution = 0.5; })")
    page.chord("Ctrl+S")
    page.wait("!file.isNew && !document.querySelector('#name').innerText.includes('not saved')")
    name = page.evaluate("file.name")
    page.open(page.evaluate("location.origin + '/?'"))
    page.wait("doc && start_")
    page.evaluate(f"openLevel({name!r})")
    page.wait("doc.bodies.length === 2")
    page.tap(" ")
    page.wait(f"{RUNS} && now.time > 0.5")
    page.tap("k")
    page.wait("now.phase === 'paused'")
    shown, frames = page.evaluate("[now.bodies[level.bodies.indexOf(5)], Math.round(now.time * 60)]")
    env, params = environment(TINY), EnvParams(max_timesteps=512)
    state, _ = first_frame(env, kx.load_level(folder / f"{name}.json"), params)
    for _ in range(frames):
        state, view = next_frame(env, state, np.zeros(TINY.num_bindings, np.float32), params, -1, (0.0, 0.0))
    expected = [*view.position[5].tolist(), float(view.rotation[5])]
    np.testing.assert_allclose(shown, expected, atol=1e-4)
    assert shown[1] < 1.9  # it fell
    page.tap(" ")
    page.wait("mode === 'edit'")


class Scripted(Judging):
    """A judgement whose measurements are given, and that waits for a word before the last of them."""

    def __init__(self):
        super().__init__()
        self.go_on = threading.Event()

    def _judge(self, level, status):
        self._tell(status, 0.4, "random actions", Verdict("doing nothing", "does not solve it", True))
        while not self.go_on.wait(0.02):
            self._tell(status, 0.5, "searching a solution")
        status.solution, status.difficulty = [[1, 1, 1, 1, 1, 0]] * 3, {"noop_solves": False}
        self._tell(status, 1.0, "", Verdict("search", "solution of 3 steps", True))


def test_judging_tells_how_far_it_is_and_can_be_cancelled(page, editor_server, monkeypatch):
    judging = Scripted()
    monkeypatch.setattr(editor_server.workshop, "judging", judging)
    floating_ball(page)
    source = page.source
    page.chord("Shift+J")
    page.evaluate("(window.judged = document.querySelector('#judging'), 0)")
    page.wait("!cancel.hidden && judged.innerText.includes('searching') && progress.value === 0.5")
    assert page.text("#verdicts") == "✓ doing nothing: does not solve it"
    page.evaluate("document.querySelector('#cancel').click()")
    page.wait("judged.innerText === 'cancelled' && cancel.hidden && progress.hidden")
    assert page.source == source
    judging.go_on.set()
    page.chord("Shift+J")
    page.wait("judged.innerText === 'the solution is kept in the level'")
    assert page.level["solution"] == [[1, 1, 1, 1, 1, 0]] * 3
    page.evaluate("(label.value = 'easy', label.onchange())")
    assert page.level["difficulty"] == {"label": "easy", "noop_solves": False}
    assert page.level["version"] == 2  # the first that has a difficulty
    page.evaluate("edit((d) => { d.bodies[0].radius = 0.2; })")  # it is another level now
    assert "solution" not in page.level and "difficulty" not in page.level


@pytest.mark.slow
def test_random_edits_and_levels_come_by_their_keys(page):
    floating_ball(page)
    texts = [page.source]
    for key in ("e", "r", "e"):
        page.tap(key)
        page.wait(f"versions.past.length === {len(texts)} + 1", 120)  # one is the ball itself
        texts.append(page.source)
        kx.level_from_json(texts[-1])
    assert len(set(texts)) == 4
    for expected in texts[-2::-1]:
        page.chord("Ctrl+Z")
        assert page.source == expected


@pytest.mark.slow
def test_a_shipped_agent_plays_and_judges(page, tmp_path):
    process, address = serve(tmp_path, 0, "swing_up", "--agent", "s")
    back = page.evaluate("location.origin + '/'")
    try:
        page.open(address)
        page.wait("doc && start_")
        page.settle()
        source, picture = page.source, page.evaluate("document.querySelector('#room').innerHTML")
        page.chord("Shift+A")
        page.wait(f"{RUNS} && now.watching && now.relevance")
        assert re.fullmatch(r"-?\d\.\d{3}", page.text("#value")) and page.text("#action")
        assert "no attention" in page.text("#relevance-kind")
        page.wait("document.querySelectorAll('.rings circle').length > 0")
        page.tap(" ")
        page.wait("mode === 'edit'")
        page.settle()
        assert page.source == source
        assert page.evaluate("document.querySelector('#room').innerHTML") == picture
        page.chord("Shift+J")
        page.wait("verdicts.innerText.includes('of 64 episodes')", 300)
        page.wait("document.querySelector('#cancel').hidden", 300)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
        page.open(back)
        page.wait("doc && start_")
