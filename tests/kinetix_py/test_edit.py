"""The editor beside its page and server: files and drafts, problems, Python, judgements."""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from kinetix_py.chunks import CHUNKS, suited_chunks
from kinetix_py.edit.folder import DRAFTS, Folder, check_name
from kinetix_py.edit.judge import Judging
from kinetix_py.edit.problems import Outline, find_problems, overlap
from kinetix_py.edit.trial import SolutionPlayer
from kinetix_py.levels.python_code import level_to_python
from kinetix_py.rendering.host import to_host
from tests.kinetix_py.small_levels import TINY, car, falling, rocket


def kinds(level):
    return sorted(problem.kind for problem in find_problems(to_host(level)))


def test_overlaps_are_those_of_hand_arithmetic():
    square = lambda x, y, half: Outline(
        np.array([[x + half, y + half], [x + half, y - half], [x - half, y - half], [x - half, y + half]]),
        0.0,
    )
    disc = lambda x, y, radius: Outline(np.array([[x, y]], float), radius)
    assert overlap(square(0, 0, 1), square(1.5, 0.2, 1)) == pytest.approx(0.5)
    assert overlap(square(0, 0, 1), square(2.5, 0, 1)) == pytest.approx(-0.5)
    assert overlap(disc(0, 0, 1), disc(3, 4, 4.5)) == pytest.approx(0.5)
    assert overlap(disc(0, 0, 1), disc(0, 0, 2)) == 3
    assert overlap(square(0, 0, 1), disc(1.3, 0, 0.5)) == pytest.approx(0.2)
    # Past a corner, the distance to the corner counts, not that to the lines through the sides.
    assert overlap(square(0, 0, 1), disc(1.3, 1.4, 0.4)) == pytest.approx(0.4 - 0.5)
    quarter = math.pi / 4
    diamond = Outline(
        np.array([[math.cos(k * 2 * quarter), -math.sin(k * 2 * quarter)] for k in range(4)]), 0.0
    )
    assert overlap(diamond, square(1.2, 0, 0.4)) == pytest.approx(0.2)


def test_problems_have_names():
    assert kinds(rocket()) == []
    assert kinds(falling()) == ["nothing to control"]
    assert kinds(kx.empty_level("s")) == ["no blue", "no green", "nothing to control"]
    assert "solved at the start" in kinds(falling(height=-0.05))
    assert "lost at the start" in kinds(falling(height=-0.05, red=True))
    builder = kx.LevelBuilder("m")
    base = builder.static_box((2, 2), 1, 1, "green")
    goal = builder.static_circle((3, 3), 0.2, "blue")
    builder.box((2.2, 2.2), 0.4, 0.4)
    builder.motor(base, goal, (2.4, 2.4))
    builder.motor(base, builder.circle((9, 9), 0.2), (2, 2), power=0)
    builder.thruster(base, 0, 1)
    level = builder.level()
    assert kinds(level) == [
        "goal cannot be reached",
        "motor without effect",
        "motor without effect",
        "outside",
        "overlap at the start",
        "thruster without effect",
    ]
    moved = level.sim.vertices.at[4].add(0.02)
    assert "off center" in kinds(
        dataclasses.replace(level, sim=dataclasses.replace(level.sim, vertices=moved))
    )
    joints = dataclasses.replace(level.sim.joints, anchor_b=level.sim.joints.anchor_b + 0.1)
    assert "joint apart" in kinds(
        dataclasses.replace(level, sim=dataclasses.replace(level.sim, joints=joints))
    )


def built(level):
    names: dict = {}
    exec(level_to_python(level), names)
    return names["level"]


def assert_close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5), a, b)


@pytest.mark.parametrize("name", ["car_ramp", "swing_up", "crab", "thrust_aim", "bridge", "pinball", "lock"])
def test_python_builds_the_same_level(name):
    level = kx.load_level(name)
    assert "Not built" not in level_to_python(level)
    assert_close(built(level), level)


def test_python_tells_what_it_does_not_build():
    level = car()
    heavy = dataclasses.replace(level.sim, inverse_mass=level.sim.inverse_mass * 2)
    text = level_to_python(dataclasses.replace(level, sim=heavy))
    assert "# Not built: the mass and inertia of body 4." in text
    assert_close(built(level), level)
    builder = kx.LevelBuilder("s")
    builder.sensor(jax2d.Body(0), 1)
    assert "Not built" not in level_to_python(builder.level())  # the room is the usual one
    bare = dataclasses.replace(TINY, num_walls=0)
    with pytest.raises(ValueError, match="size has none"):
        level_to_python(kx.empty_level(bare))


def file_of(level):
    return kx.level_from_json(kx.level_to_json(level))


def test_a_folder_keeps_drafts_beside_files(tmp_path):
    folder = Folder(tmp_path / "new")
    assert folder.names() == [] and not folder.path.exists()
    folder.keep("one", file_of(rocket()))
    assert folder.names() == ["one"] and folder.has_draft("one") and not folder.file("one").exists()
    folder.save("one", file_of(rocket()), "native")
    assert not folder.has_draft("one") and not (folder.path / DRAFTS).exists()
    folder.keep("one", file_of(car()))
    assert bool(folder.load("one").level.sim.joints.active[0])
    assert not folder.load("one", saved=True).level.sim.joints.active[0]
    folder.discard("one")
    assert not folder.load("one").level.sim.joints.active[0]
    assert folder.free_name("one") == "one 2"
    assert [folder.reserve("one") for _ in range(2)] == ["one 2", "one 3"]
    with pytest.raises(kx.LevelError, match="there is no level 'two'"):
        folder.load("two")
    # A crash while a draft is written leaves the old one: there is no other file under its name.
    (folder.path / DRAFTS).mkdir()
    (folder.path / DRAFTS / ".x.part").write_text("{")
    assert folder.names() == ["one"]


def test_levels_from_elsewhere_keep_their_place(tmp_path):
    kx.save_level(rocket(), tmp_path / "far.json")
    folder = Folder(tmp_path / "here", [tmp_path / "far.json", "swing_up"])
    assert folder.opened == ["far", "swing_up"] and folder.names() == ["far", "swing_up"]
    assert folder.file("far") == tmp_path / "far.json"
    folder.keep("far", file_of(car()))
    assert not kx.load_level(tmp_path / "far.json").sim.joints.active[0]
    folder.save("far", folder.load("far"), "native")
    assert kx.load_level(tmp_path / "far.json").sim.joints.active[0]
    folder.save("swing_up", folder.load("swing_up"), "native")  # a copy: the library stays as it is
    assert (tmp_path / "here" / "swing_up.json").is_file()


def test_files_of_kinetix_stay_so(tmp_path):
    kx.save_level(rocket(), tmp_path / "theirs.json", format="kinetix")
    folder = Folder(tmp_path)
    assert folder.format("theirs") == "kinetix" and folder.format("new") == "native"
    folder.keep("theirs", file_of(car()))
    folder.save("theirs", folder.load("theirs"), "kinetix")
    assert folder.format("theirs") == "kinetix" and not folder.has_draft("theirs")
    assert folder.load("theirs").level.sim.joints.active[0]
    named = dataclasses.replace(file_of(car()), name="a car")
    folder.keep("theirs", named)
    with pytest.raises(kx.LevelError, match="name must be None, as Kinetix's files have no such field"):
        folder.save("theirs", named, "kinetix")
    assert folder.has_draft("theirs")  # nothing is lost


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "a/b",
        "a\\b",
        ".hidden",
        "x.",
        " x",
        "x ",
        "con",
        "LPT1.txt",
        "é",
        "x" * 81,
        "a\0b",
        None,
        3,
    ],
)
def test_names_lead_nowhere_else(name):
    with pytest.raises(kx.LevelError, match=r"a name must be 1 \.\. 80 letters"):
        check_name(name)


class Sure:
    """An agent that always solves a level, or refuses it."""

    def __init__(self, refuses=False):
        self.refuses = refuses

    def solve_rate(self, level, episodes):
        if self.refuses:
            raise ValueError("it plays another size")
        return 1.0


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of the size that the tests of the search compile, too."""
    few = dataclasses.replace(suited_chunks(), searched=(64, 64, 64))
    monkeypatch.setitem(CHUNKS, "cpu", few)  # also in the thread that judges


def test_judging_measures_and_finds_a_solution(small_batches):
    judging = Judging({"sure": Sure(), "choosy": Sure(refuses=True)}, rounds=4)
    assert judging.status()["state"] == "idle"
    number = judging.start(rocket())
    judging.wait(300)
    status = judging.status()
    assert (status["number"], status["state"], status["progress"]) == (number, "done", 1.0)
    texts = {verdict["name"]: verdict["text"] for verdict in status["verdicts"]}
    assert texts["doing nothing"] == "does not solve it"
    assert texts["sure"] == "solves 100% of 64 episodes" and texts["choosy"] == "it plays another size"
    assert texts["search"].startswith("solution of ")
    # The solution is one: it goes into a file, and its player does what it says.
    text = kx.level_to_json(rocket(), solution=status["solution"])
    assert kx.level_from_json(text).solution == status["solution"]
    player = SolutionPlayer(status["solution"], TINY)
    assert player.act(len(status["solution"]), None, False)[1].tolist() == [0] * TINY.num_bindings
    assert any(player.act(step, None, False)[1][4] == 1 for step in range(len(status["solution"])))
    again = judging.start(rocket())
    judging.cancel()
    judging.wait(300)
    assert judging.status()["state"] == "cancelled" and judging.status()["number"] == again
