"""Playing live in a real browser, with real keys: skipped where there is no Chromium or no driver for it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from kinetix_py.play.game import Game
from kinetix_py.play.levels import NamedLevel, in_turn
from kinetix_py.play.live import Live
from kinetix_py.play.server import PlayServer
from kinetix_py.play.session import Session
from tests import webdriver
from tests.kinetix_py.small_levels import TINY, rocket

pytestmark = pytest.mark.skipif(
    webdriver.CHROMIUM is None or webdriver.DRIVER is None, reason="needs Chromium and chromedriver"
)


def arm():
    """A green arm on a motor, in no gravity: blue is above its end of rest, the red floor below."""
    scene = jax2d.Scene(TINY.sim)
    scene.add_walls()
    scene.set_gravity((0.0, 0.0))
    bar = scene.add_box((3.1, 1.2), 1.2, 0.2)
    base = scene.add_circle((2.5, 1.2), 0.15, immovable=True)
    scene.add_circle((2.5, 2.3), 0.2, immovable=True)
    scene.add_revolute_joint(base, bar, (2.5, 1.2), motor=True)
    role = [0] * TINY.num_bodies
    role[0], role[4], role[6] = kx.spec.RED, kx.spec.GREEN, kx.spec.BLUE
    return kx.from_scene(scene.build(), TINY, role=role)


class Firing:
    """A pilot that always fires the first thruster."""

    name, frame_skip = "a test's pilot", 2

    def begin(self):
        return 0

    def act(self, memory, state, first):
        values = np.zeros(TINY.num_bindings, np.float32)
        values[TINY.num_motor_bindings] = 1
        return memory + 1, values


@pytest.fixture(scope="module")
def address():
    """A game of two levels, played live."""
    session = Session()
    server = PlayServer(session, 0)
    levels = in_turn([NamedLevel("arm", arm()), NamedLevel("rocket", rocket())])
    live = Live(Game(TINY, levels, kx.EnvParams(max_timesteps=1200), Firing()), session)
    threads = [threading.Thread(target=run) for run in (live.run, server.serve_forever)]
    for thread in threads:
        thread.start()
    yield server.address
    session.close()
    server.shutdown()
    server.server_close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


PHASE = "document.body.dataset.phase"


def test_real_keys_solve_levels(address, tmp_path):
    with webdriver.browser() as page:
        page.open(address)
        page.wait(f"{PHASE} === 'ready'")
        assert page.text("#name") == "arm (1 of 2)"
        used = page.evaluate("[...document.querySelectorAll('.hint:not(.unused)')].map((e) => e.innerText)")
        assert [" ".join(text.split()) for text in used] == ["motor 0 ← ⟲ → ⟳"]

        with page.holding(webdriver.RIGHT):  # clockwise, down to the red floor
            page.wait(f"{PHASE} === 'lost'")
        assert "Lost" in page.text("#banner")
        page.tap("r")
        page.wait(f"{PHASE} === 'running'")
        with page.holding(webdriver.LEFT):
            page.wait("document.querySelector('[data-code=ArrowLeft]').classList.contains('down')")
            page.wait(f"{PHASE} === 'solved'")
        assert page.text("#banner").startswith("✓ Solved in ")
        # An arm of 1.2 m has turned by about a right angle: the picture shows it upright.
        turned = page.evaluate("document.querySelector('[data-body=\"4\"]').getAttribute('transform')")
        assert -95 < float(turned.split("rotate(")[1].rstrip(")")) < -50
        assert 0 < int(page.text("#latency").removesuffix(" ms")) < 500
        assert 15 < float(page.text("#rate").removesuffix(" frames/s")) < 66

        page.tap("n")
        page.wait(f"{PHASE} === 'ready'")
        assert page.text("#name") == "rocket (2 of 2)"
        with page.holding("1"):
            page.wait("document.querySelector('[data-flame]').getAttribute('visibility') === 'visible'")
            page.screenshot(tmp_path / "firing.png")
            page.wait(f"{PHASE} === 'solved'")

        page.tap("r")
        page.wait(f"{PHASE} === 'running'")
        page.tap(" ")
        page.wait(f"{PHASE} === 'paused'")
        seconds = lambda: float(page.text("#time").split()[0])
        before = seconds()
        page.tap(".")
        page.wait(f"document.querySelector('#time').innerText[0] && now.time > {before}")
        assert seconds() == pytest.approx(before + 1 / 60, abs=0.011)

        page.tap("p")
        page.wait("document.querySelector('#who').innerText === \"a test's pilot plays\"")
        page.tap(" ")
        page.wait(f"{PHASE} === 'solved'")
