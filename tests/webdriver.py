"""A browser driven as a person would: Chromium through its WebDriver, with the standard library alone."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs Chromium and chromedriver"
)
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,760",
]
LEFT, RIGHT = "\ue012", "\ue014"  # as WebDriver calls the arrow keys
KEYS = {
    "Ctrl": "\ue009",
    "Shift": "\ue008",
    "Alt": "\ue00a",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Space": " ",
    "PageUp": "\ue00e",
    "PageDown": "\ue00f",
    "ArrowLeft": LEFT,
    "ArrowUp": "\ue013",
    "ArrowRight": RIGHT,
    "ArrowDown": "\ue015",
    "Insert": "\ue016",
    "Delete": "\ue017",
    "Tab": "\ue004",
}


class Browser:
    """One window; keys are real: they go through the browser's own input."""

    def __init__(self, root):
        """Opens it.

        Args:
          root: address of the driver.
        """
        self._root = root
        options = {"binary": CHROMIUM, "args": FLAGS}
        asked = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._root = f"{root}/session/{self._call('POST', '/session', asked)['sessionId']}"

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, address):
        """Goes to an address."""
        self._call("POST", "/url", {"url": address})

    def evaluate(self, expression):
        """The value of a JavaScript expression."""
        return self._call("POST", "/execute/sync", {"script": f"return {expression}", "args": []})

    def wait(self, expression, seconds=20.0):
        """Waits until an expression is true, and returns it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.evaluate(expression):
                return value
            time.sleep(0.03)
        raise AssertionError(f"never true: {expression}; the page says {self.text('body')!r}")

    def text(self, selector):
        """Text of an element as a person reads it."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def _keys(self, *kinds, key):
        actions = [{"type": kind, "value": key} for kind in kinds]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    @contextlib.contextmanager
    def holding(self, key):
        """A key is down."""
        self._keys("keyDown", key=key)
        try:
            yield
        finally:
            self._keys("keyUp", key=key)

    def tap(self, key):
        """A key goes down and up."""
        self._keys("keyDown", "keyUp", key=key)

    def chord(self, keys):
        """Several keys at once, such as `Ctrl+Shift+Z`."""
        codes = [KEYS.get(key, key.lower()) for key in keys.split("+")] if keys != "+" else ["+"]
        downs, ups = [[{"type": kind, "value": code} for code in codes] for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": downs + ups[::-1]}
        self._call("POST", "/actions", {"actions": [source]})

    def drag(self, *places, kind="mouse"):
        """Presses a pointer at a place of the window [pixels], moves it along others, and lets go."""
        move = lambda place, ms: {
            "type": "pointerMove",
            "x": round(place[0]),
            "y": round(place[1]),
            "duration": ms,
        }
        press = lambda type: {"type": type, "button": 0}
        steps = [
            move(places[0], 0),
            press("pointerDown"),
            *(move(place, 20) for place in places[1:]),
            press("pointerUp"),
        ]
        source = {"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": steps}
        self._call("POST", "/actions", {"actions": [source]})

    def resize(self, width, height):
        """Makes the window as large as this [pixels]."""
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def screenshot(self, path):
        """Writes what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def close(self):
        """Closes it."""
        self._call("DELETE", "")


@contextlib.contextmanager
def browser(kind=Browser):
    """A browser of some class while it is needed."""
    driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        for line in driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                break
        else:
            raise AssertionError("chromedriver did not start")
        window = kind(f"http://127.0.0.1:{found.group(1)}")
        try:
            yield window
        finally:
            window.close()
    finally:
        driver.terminate()
        driver.wait(10)
        driver.stdout.close()
