"""Rules of levels in the editor's page: set as properties, drawn, and kept in files that can hold them."""

from __future__ import annotations

import kinetix_py as kx
from tests import webdriver

pytestmark = webdriver.needs_browser


def enter(page, label, value):
    """Enters a value into the field of a label."""
    page.evaluate(
        f"""(() => {{
          const rows = [...document.querySelectorAll("#fields .field")];
          const row = rows.find((one) => one.firstChild.textContent === {label!r});
          const input = row.querySelector("input, select");
          input.value = {str(value)!r};
          input.dispatchEvent(new Event("change"));
        }})()"""
    )


def test_goals_are_properties_of_blue_shapes(page):
    page.begin("m")
    for left in (1.0, 3.0):
        page.tap("b")
        page.sweep((left, 1), (left + 0.4, 1.2), (left + 0.8, 1.4))
        page.tap("2")
    assert page.level["version"] == 1
    enter(page, "goal", 2)
    enter(page, "touch for", 90)
    second = page.level["bodies"][1]
    assert page.level["version"] == 3 and (second["goal"], second["hold"]) == (2, 90)
    page.settle()
    drawn = page.evaluate("[...document.querySelectorAll('#room [data-goal]')].map((e) => e.dataset.goal)")
    assert drawn == ["1", "2"] and "B2" in page.evaluate("document.querySelector('#room').textContent")
    rules = kx.level_from_json(page.source).level.rules
    assert rules.goal[5] == 2 and rules.hold[5] == 90 and rules.goal[4] == 1
    page.chord("Ctrl+Z")
    page.chord("Ctrl+Z")
    assert page.level["version"] == 1 and "goal" not in page.level["bodies"][1]


def test_sensors_and_what_waits_for_them_are_properties(page):
    page.begin("m")
    for left in (1.0, 3.0):
        page.tap("b")
        page.sweep((left, 1), (left + 0.4, 1.2), (left + 0.8, 1.4))
    enter(page, "sensor", 2)
    page.tap("t")
    page.sweep((1.4, 1.2), (1.8, 1.2), (2.2, 1.2))
    enter(page, "off", 2)
    page.settle()
    level = page.level
    assert (
        level["version"] == 3
        and level["bodies"][1]["sensor"] == 2
        and level["thrusters"][0]["waits_for"] == 2
    )
    assert page.evaluate("document.querySelectorAll('#room [data-lock]').length") == 1
    kinds = page.evaluate("problems.map((problem) => problem.kind)")
    assert "switch without sensor" not in kinds
    enter(page, "off", 3)
    page.settle()
    assert "switch without sensor" in page.evaluate("problems.map((problem) => problem.kind)")


def test_bindings_are_given_to_agents(page):
    page.begin("m")
    page.tap("b")
    page.sweep((1.0, 1), (1.4, 1.2), (1.8, 1.4))
    page.tap("t")
    page.sweep((1.4, 1.2), (1.8, 1.2), (2.2, 1.2))
    page.evaluate("(setTool('select'), choose_(none()))")
    enter(page, "thruster 0", 1)
    assert page.level["agents"] == {"thrusters": [1, 0]} and page.level["version"] == 3
    page.settle()
    assert "0b" in page.evaluate("document.querySelector('#room').textContent")
    enter(page, "thruster 0", 0)
    assert "agents" not in page.level
