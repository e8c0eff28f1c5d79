"""The editor's page as tests use it."""

from __future__ import annotations

import json

from kinetix_py.edit.folder import Folder
from kinetix_py.edit.judge import Judging
from kinetix_py.edit.server import EditServer
from kinetix_py.edit.trial import Trials
from kinetix_py.edit.workshop import Workshop
from kinetix_py.play.session import Session
from tests import webdriver


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

    def begin(self, size="s"):
        """Begins a new level."""
        self.evaluate(f"newLevel({{...start_.new, size: {json.dumps(size)}}})")
        self.wait("doc && doc.bodies.length === 0 && versions.past.length === 0")
        self.evaluate("setTool('select')")


def start_server(folder, levels=(), port=0):
    session = Session()
    workshop = Workshop(Folder(folder, levels), Trials(session), Judging(rounds=3))
    server = EditServer(session, workshop, port)
    server.run_in_background()
    return server


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
