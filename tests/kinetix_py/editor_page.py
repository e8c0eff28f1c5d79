"""The editor's page as tests use it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.error

import numpy as np

from kinetix_py.edit.folder import Folder
from kinetix_py.edit.judge import Judging
from kinetix_py.edit.server import EditServer
from kinetix_py.edit.trial import Trials
from kinetix_py.edit.workshop import Workshop
from kinetix_py.play.game import Relevance
from kinetix_py.play.session import Session
from kinetix_py.sizes import SIZES
from tests import webdriver
from tests.kinetix_py.playing import Firing

ROOT = pathlib.Path(__file__).parents[2]
# Commands that change what is chosen, or one body of `fill`.
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


class Page(webdriver.Browser):
    """The editor's page, with places in meters."""

    def at(self, *point):
        """Pixels of a place in the room [m]."""
        box = self.evaluate(
            "(({x, y, width}) => [x, y, width])(document.querySelector('#overlay').getBoundingClientRect())"
        )
        return box[0] + box[2] * point[0] / 5, box[1] + box[2] * (1 - point[1] / 5)

    def sweep(self, *points, **options):
        """Drags through places in the room, on the way through one between the first two."""
        self.drag(*(self.at(*point) for point in points), **options)

    def press(self, selector, kind="touch", moves=0):
        """Puts a finger on the middle of an element, for about 20 ms a move."""
        box = self.evaluate(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        self.drag(box, *[box] * moves, kind=kind)

    def wait(self, expression, seconds=90.0):
        return super().wait(expression, seconds)

    @property
    def level(self):
        return self.evaluate("doc")

    @property
    def source(self):
        return self.evaluate("text")

    def settle(self):
        """Waits until the server has what is drawn."""
        self.wait("!wanted.busy && !wanted.keep && !wanted.draw")

    def emulate(self, width, height):
        """Makes the page as large as this [pixels], which may be less than a window can be; None ends it."""
        name = "setDeviceMetricsOverride" if width else "clearDeviceMetricsOverride"
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False} if width else {}
        self._call("POST", "/goog/cdp/execute", {"cmd": f"Emulation.{name}", "params": metrics})

    def crash(self):
        """Kills the process that shows the page, and goes on in a new tab."""
        tab = self._call("POST", "/window/new", {"type": "tab"})
        try:
            self.open("chrome://crash")
        except urllib.error.HTTPError as error:
            assert b"tab crashed" in error.read()
        else:
            raise AssertionError("the page lives")
        self._call("POST", "/window", {"handle": tab["handle"]})

    def enter_frame(self, index):
        """Goes on in a frame of the page; None leaves it."""
        self._call("POST", "/frame", {"id": index})

    def begin(self, size="s"):
        """Begins a new level."""
        self.evaluate(f"newLevel({{...start_.new, size: {json.dumps(size)}}})")
        self.wait("doc && doc.bodies.length === 0 && versions.past.length === 0")
        self.evaluate("setTool('select')")


def start_server(folder, levels=(), port=0):
    """A server with one agent, which fires and pretends to look at some bodies more than at others."""
    session = Session()
    weights = np.linspace(0, 0.9, SIZES["s"].num_bodies)
    trials = Trials(session, {"firing": lambda size: Firing(size, Relevance("leave-one-out", weights))})
    workshop = Workshop(Folder(folder, levels), trials, Judging(rounds=3), ("firing",))
    server = EditServer(session, workshop, port)
    server.run_in_background()
    return server


def serve(folder, port, *arguments):
    """The command itself, as a process that can be killed, and its address."""
    command = [sys.executable, "-m", "agents.cli.main", "edit", *arguments]
    command += ["--folder", str(folder), "--port", str(port)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=folder)
    address = re.search(r"http://\S+", process.stdout.readline()).group()
    return process, address


def fill(page):
    """A level with one of everything, chosen as a whole."""
    page.begin("l")
    page.evaluate(
        """edit((d) => {
      d.bodies = [{id: "a", shape: "box", size: [0.8, 0.4], position: [1.5, 1], rotation: 0.1, role: "green"},
        {id: "b", shape: "polygon", vertices: [[0.2, -0.1], [-0.2, -0.1], [0, 0.2]], position: [3, 2]},
        {id: "c", shape: "circle", radius: 0.2, position: [1.4, 0.9]}];
      d.joints = [{a: "a", b: "c", anchor_a: [-0.1, -0.1], motor_on: true, limits: [-1, 2]}];
      setPoint(d.joints[0], "anchor_a", toLocal(d.bodies[0], [1.4, 0.9]));
      d.thrusters = [{body: "b", anchor: [0.1, 0], direction: 0.5}];
    })"""
    )
    page.evaluate("choose_(everything())")
