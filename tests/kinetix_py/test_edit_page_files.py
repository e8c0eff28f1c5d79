"""Files, links, trials, problems and crashes in the editor's page; skipped without Chromium."""

from __future__ import annotations

import http.server
import json
import re
import signal
import threading
import time

import jax
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.edit.folder import DRAFTS
from tests import webdriver
from tests.kinetix_py.editor_page import fill, serve
from tests.kinetix_py.small_levels import rocket

pytestmark = webdriver.needs_browser


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


def test_a_notebook_shows_the_page_in_a_frame(page, tmp_path):
    back = page.evaluate("location.origin + '/'")
    editor = rocket().edit(height=500, folder=tmp_path)
    cell = f"<!doctype html><p>a cell</p>{editor._repr_html_()}".encode()

    class Notebook(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(cell)))
            self.end_headers()
            self.wfile.write(cell)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Notebook) as notebook:
        threading.Thread(target=notebook.serve_forever, daemon=True).start()
        try:
            page.open(f"http://localhost:{notebook.server_port}/")
            assert page.evaluate("document.querySelector('iframe').clientHeight") == 500
            page.enter_frame(0)
            page.wait("doc && start_ && doc.bodies.length === 2")
            page.evaluate("choose_({bodies: ['circle 0']})")
            # The driver's pointer and keys do not reach a frame of another origin.
            event = "new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true})"
            page.evaluate(f"document.body.dispatchEvent({event})")
            page.settle()
            moved = np.asarray(editor.level.sim.position - rocket().sim.position)
            assert moved.max() == pytest.approx(0.1, abs=1e-6) and (moved != 0).sum() == 1
        finally:
            page.enter_frame(None)
            page.open(back)
            notebook.shutdown()
            editor.close()
            page.wait("doc && start_")


@pytest.mark.slow
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
        page.crash()  # and now the page is gone, too
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
        process.wait(60)
        process.stdout.close()
        page.open(back)
        page.wait("doc && start_")
