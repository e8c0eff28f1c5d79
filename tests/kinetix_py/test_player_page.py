"""The page that plays episodes, in a real browser: skipped where there is no Chromium."""

from __future__ import annotations

import json
import re
import subprocess

import imageio.v3 as imageio
import jax
import numpy as np
import pytest

import kinetix_py as kx
from tests import webdriver
from tests.kinetix_py import drawn_scenes as scenes

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
]
FRAMES = 31
pytestmark = pytest.mark.skipif(webdriver.CHROMIUM is None, reason="needs Chromium")

# Uses the page as a person would, and leaves what it saw in the page's title.
SCRIPT = """<script>
const seen = {}, clock = () => $("clock").textContent.split(" ")[0];
const press = (key, options) => document.dispatchEvent(new KeyboardEvent("keydown", { key, ...options }));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
addEventListener("load", async () => {
  seen.playing = $("play").textContent;
  await wait(400);
  seen.played = clock();
  $("scrub").value = 5;
  $("scrub").dispatchEvent(new Event("input"));
  seen.scrubbed = [clock(), $("play").textContent, $("scrub").getAttribute("aria-valuetext")];
  await wait(200);
  seen.still = clock();
  press("ArrowRight");
  seen.right = clock();
  press("ArrowLeft", { shiftKey: true });
  seen.farLeft = clock();
  press("End");
  seen.end = [clock(), document.querySelector(".status").textContent];
  press("Home");
  press("]");
  seen.speed = $("speed").value;
  press("+");
  seen.zoom = document.querySelector(".room").getAttribute("viewBox");
  press("0");
  seen.whole = document.querySelector(".room").getAttribute("viewBox");
  press("l");
  press("c");
  seen.boxes = [$("loop").checked, document.body.classList.contains("hide-contacts")];
  press("End");
  press(" ");
  await wait(1400);
  seen.once = [clock(), $("play").textContent];
  document.title = JSON.stringify(seen);
});
</script>"""


@pytest.fixture(scope="module")
def states():
    return scenes.along_time(scenes.start(), FRAMES)


@pytest.fixture(scope="module")
def page(states, tmp_path_factory):
    rng = np.random.default_rng(0)
    actions = np.stack([rng.integers(0, n, FRAMES - 1) for n in (3, 3, 3, 3, 2, 2)], axis=-1)
    path = tmp_path_factory.mktemp("page") / "page.html"
    rewards, values = rng.normal(size=(2, FRAMES - 1))
    return kx.save_video(states, path, actions=actions, rewards=rewards, values=values, solved=True), actions


def browse(address, profile, *options):
    """Chromium's standard output for an address."""
    command = [webdriver.CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *options, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def screenshot(address, folder, name):
    path = folder / f"{name}.png"
    browse(address, folder / name, f"--screenshot={path}", "--window-size=500,500")
    return imageio.imread(path)[..., :3].astype(float)


def at(states, frame):
    return jax.tree.map(lambda value: value[frame], states)


def test_a_frame_of_the_page_is_the_drawing_of_its_state(page, states, tmp_path):
    path, actions = page
    dom = browse(f"{path.as_uri()}#frame=10&paused", tmp_path, "--dump-dom")
    assert re.search(r'id="clock"[^>]*>10 / 30 ', dom)
    drawing = scenes.rooms(kx.render_svg(at(states, 10), action=actions[9]))[0]
    played = re.findall(r'<g data-body="(\d+)" transform="([^"]*)"', dom)
    expected = scenes.bodies(drawing)
    assert {int(body) for body, _ in played} == set(expected)
    for body, transform in played:
        x, y, degrees = np.subtract(scenes.placed(transform), scenes.placed(expected[int(body)]))
        assert abs(x) < 0.07 and abs(y) < 0.07  # 0.5 mm, and rounding
        assert abs((degrees + 180) % 360 - 180) < 0.02
    for kind in ("flame", "turn"):
        hidden = lambda tag: "hidden" in tag
        shown = [hidden(tag) for tag in re.findall(rf'<\w+ [^>]*data-{kind}="[^>]*>', dom)]
        marks = [e for e in drawing.iter() if e.get(f"data-{kind}")]
        assert shown == [e.get("visibility") == "hidden" for e in marks]
    assert dom.count('class="chart"') == 2 and dom.count('class="input"') == 3  # motor 2, two thrusters


def test_the_page_plays_steps_scrubs_and_zooms(page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page[0].read_text().replace("</body>", SCRIPT + "</body>"))
    dom = browse(path.as_uri(), tmp_path / "profile", "--dump-dom", "--virtual-time-budget=8000")
    seen = json.loads(re.search(r"<title>(.*?)</title>", dom).group(1))
    assert seen["playing"] == "Pause"
    # 0.4 s at 30 frames a second, give or take how late its timers are.
    assert 3 <= int(seen["played"]) <= 25
    assert seen["scrubbed"] == ["5", "Play", "frame 5 of 30"] and seen["still"] == "5"
    assert (seen["right"], seen["farLeft"]) == ("6", "0")
    assert seen["end"] == ["30", "✓ solved after 30 steps"]
    assert seen["speed"] == "2"
    assert seen["zoom"] == "83.33 83.33 333.33 333.33" and seen["whole"] == "0 0 500 500"
    assert seen["boxes"] == [False, True]
    assert seen["once"] == ["30", "Play"]  # without a loop it ends at the end


def test_a_screenshot_of_a_frame_is_that_of_the_drawing(page, states, tmp_path):
    path, actions = page
    played = screenshot(f"{path.as_uri()}#frame=10&paused&bare", tmp_path, "played")
    svg = kx.render_svg(at(states, 10), action=actions[9], contacts=True, width=500)
    # The page has no margin around the room, the drawing 1 unit.
    drawing = re.sub(
        r'width="\d+" height="\d+" viewBox="[^"]*"',
        'width="500" height="500" viewBox="0 0 500 500"',
        svg,
        count=1,
    )
    (tmp_path / "drawing.html").write_text(
        f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{drawing}"
    )
    drawn = screenshot((tmp_path / "drawing.html").as_uri(), tmp_path, "drawn")
    assert played.shape == drawn.shape == (500, 500, 3)
    # Letters keep the place in their shape that they had at the start, and edges are a millimeter off.
    differs = np.abs(played - drawn).max(axis=2) > 40
    assert (drawn < 200).any(axis=2).mean() > 0.15
    assert differs.mean() < 0.01
