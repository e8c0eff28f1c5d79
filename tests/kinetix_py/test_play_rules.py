"""A level with rules played live in a browser: the page tells the goal, and the picture follows."""

from __future__ import annotations

import threading

import pytest

import kinetix_py as kx
from kinetix_py.play.game import Game
from kinetix_py.play.game_loop import GameLoop
from kinetix_py.play.levels import NamedLevel, in_turn
from kinetix_py.play.server import PlayServer
from kinetix_py.play.session import Session
from tests import webdriver
from tests.kinetix_py.test_rules import SIZE, course
from tests.kinetix_py.test_switches import machine

PHASE = "document.body.dataset.phase"


@pytest.fixture(scope="module")
def address():
    """A game of a level with goals and of one with a switch."""
    session = Session()
    server = PlayServer(session, 0)
    levels = [NamedLevel(build.__name__, build()) for build in (course, machine)]
    loop = GameLoop(Game(SIZE, in_turn(levels), kx.EnvParams(max_timesteps=2000)), session)
    threads = [threading.Thread(target=run) for run in (loop.run, server.serve_forever)]
    for thread in threads:
        thread.start()
    yield server.address
    session.close()
    server.shutdown()
    server.server_close()
    for thread in threads:
        thread.join(10)


@pytest.mark.slow
@webdriver.needs_browser
def test_the_page_follows_goals_and_switches(address, tmp_path):
    marks = "[...document.querySelectorAll('[data-goal]')].map((e) => [e.dataset.goal, "
    with webdriver.browser() as page:
        page.open(address)
        page.wait(f"{PHASE} === 'ready'")
        assert page.text("#goal") == "B1, 1 of 2"
        dashes = lambda: page.evaluate(marks + "e.getAttribute('stroke-dasharray') !== 'none'])")
        assert dashes() == [["3", True], ["1", False], ["3", True]]
        with page.holding("1"):
            page.wait("document.querySelector('#goal').innerText.startsWith('B3, 2 of 2')")
            page.wait("document.querySelector('#goal').innerText.includes('held')")
            assert dashes() == [["3", False], ["1", False], ["3", False]]
            page.screenshot(tmp_path / "second_goal.png")
            page.wait(f"{PHASE} === 'solved'")
        page.tap("n")
        page.wait(f"{PHASE} === 'ready'")
        locks = "[...document.querySelectorAll('[data-lock]')].map((e) => e.getAttribute('visibility'))"
        assert page.evaluate(locks) == ["visible"] * 3 and page.text("#goal") == "blue"
        page.tap("1")
        page.wait(f"{locks}.every((value) => value === 'hidden')")
        page.screenshot(tmp_path / "switched.png")
