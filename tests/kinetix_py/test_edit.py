"""The editor beside its page: files and drafts, problems, Python, judgements, and messages of any kind."""

from __future__ import annotations

import dataclasses
import http.client
import json
import math
import random

import jax
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.edit.folder import DRAFTS, Folder, check_name
from kinetix_py.edit.judge import Judging
from kinetix_py.edit.problems import Outline, find_problems, overlap
from kinetix_py.edit.server import EditServer
from kinetix_py.edit.trial import SolutionPlayer, Trials
from kinetix_py.edit.workshop import Workshop
from kinetix_py.levels.python_code import level_to_python
from kinetix_py.play.session import Session
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
    from kinetix_py.levels import search

    monkeypatch.setattr(search, "BATCHES", {"s": 64, "l": 64})


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


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server, and its folder."""
    folder = tmp_path_factory.mktemp("served") / "levels"
    session = Session()
    workshop = Workshop(Folder(folder), Trials(session), Judging())
    server = EditServer(session, workshop, 0)
    server.run_in_background()
    yield server, folder
    server.stop()


def ask(server, path, body, **headers):
    own = f"127.0.0.1:{server.server_port}"
    connection = http.client.HTTPConnection(own, timeout=60)
    names = {name.replace("_", "-"): value for name, value in {"Host": own, **headers}.items()}
    connection.request("POST" if body is not None else "GET", path, body, names)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_requests_are_answered_or_refused(served):
    server, folder = served
    level = json.loads(kx.level_to_json(rocket()))
    post = lambda request, **message: ask(server, f"/edit/{request}", json.dumps(message))
    status, page = ask(server, "/", None)
    assert status == 200 and "/*INSERT" not in page and "<!--DEF" not in page
    status, text = post("draw", level=level)
    assert status == 200 and json.loads(text)["problems"] == []
    assert 'class="picture"' in json.loads(text)["picture"]
    assert post("keep", level=level, name="a")[0] == 200 and server.workshop.folder.has_draft("a")
    assert ask(server, "/thumbnail?name=a", None)[1].startswith("<svg")
    assert post("save", level=level, name="a", format="native")[0] == 200
    assert (folder / "a.json").is_file()
    refused = {
        "name must be a text": post("keep", level=level),
        "a name must be 1 .. 80": post("keep", level=level, name="../a"),
        "has no field 'size'": post("draw", level={"format": "kinetix-py level", "version": 1}),
        "level must be an object": post("draw", level=[1]),
        "no solution to play": post("attempt", level=level, trial="x", solution=True),
        "agent must be one of none, got 'x'": post("attempt", level=level, trial="x", agent="x"),
        "seed must be an integer": post("mutate", level=level, seed=1.5),
        "size must be one of s, m, l": post("random", seed=1, size="xl"),
        "format must be one of": post("write", level=level, format="toml"),
        "nested": ask(server, "/edit/draw", "[" * 100_000),
        "there is no level 'b'": post("load", name="b"),
    }
    for words, (status, text) in refused.items():
        assert status == 400 and words in text, (words, status, text)
    assert ask(server, "/edit/draw", "{}", Origin="http://other.example")[0] == 403
    assert ask(server, "/edit/draw", "{}", Host="other.example")[0] == 403
    assert ask(server, "/edit/start", "{}", Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(server, "/thumbnail?name=a", None, Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(server, "/thumbnail?name=../a", None)[0] == 404
    assert ask(server, "/edit/answer", "{}")[0] == 404
    assert ask(server, "//[", None)[0] == 404
    assert sorted(path.name for path in folder.parent.rglob("*")) == ["a.json", "levels"]


@pytest.mark.slow
def test_random_edits_and_levels_are_levels(served):
    server, _ = served
    level = json.loads(kx.level_to_json(rocket()))
    for request, message in (("mutate", {"level": level}), ("random", {"size": "s"})):
        texts = [ask(server, f"/edit/{request}", json.dumps({**message, "seed": seed})) for seed in (1, 1, 2)]
        assert [status for status, _ in texts] == [200] * 3
        found = [json.loads(text)["level"] for _, text in texts]
        assert found[0] == found[1] != found[2]
        assert all(kx.level_from_json(one).level.size == TINY for one in found)


def broken(rng, value):
    """A value with something of it changed, at random."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        changed = dict(value)
        if rng.random() < 0.1:
            del changed[key]
        elif rng.random() < 0.1:
            changed[rng.choice(["x", "slot", "id", "..", "\0"])] = changed[key]
        else:
            changed[key] = broken(rng, value[key])
        return changed
    if isinstance(value, list) and value and rng.random() < 0.9:
        index = rng.randrange(len(value))
        return [*value[:index], broken(rng, value[index]), *value[index + 1 :]]
    odd = [
        None,
        True,
        -1,
        0,
        1e308,
        -1e-320,
        2**70,
        "",
        "x" * 300,
        "../../x",
        "\0",
        [],
        {},
        [[]],
        {"a": {}},
        1.5,
        "l",
    ]
    return rng.choice(odd)


def throw(served, count):
    """Sends messages of any kind; the server answers every one, and writes nothing out of its folder."""
    server, folder = served
    rng = random.Random(1)
    good = json.loads(kx.level_to_json(kx.load_level("car_ramp"), solution=[[0] * 6]))
    names = ["x", "../x", "/etc/x", "a" * 90, ".", "..", "x\0", "con", None, 5, "y.json/../../z"]
    quick = [name for name in Workshop.REQUESTS if name not in ("judge", "random", "mutate", "attempt")]
    connection, statuses = None, set()
    for _ in range(count):
        message = {
            "level": broken(rng, good),
            "name": rng.choice(names),
            "format": rng.choice(["native", "kinetix", "python", 1]),
        }
        message |= {
            "text": rng.choice(["{", json.dumps(good)[: rng.randrange(900)]]),
            "trial": "t",
            "saved": rng.random() < 0.5,
        }
        content = json.dumps(broken(rng, message) if rng.random() < 0.3 else message).encode()
        if rng.random() < 0.2:
            cut = rng.randrange(len(content))
            content = (
                content[:cut]
                + bytes(rng.randrange(256) for _ in range(3))
                + content[cut + rng.randrange(4) :]
            )
        if connection is None:
            connection = http.client.HTTPConnection(f"127.0.0.1:{server.server_port}", timeout=60)
        path = (
            f"/edit/{rng.choice(quick)}"
            if rng.random() < 0.97
            else rng.choice(["/input", "/edit/", "/%00", "/edit/draw/.."])
        )
        connection.request("POST", path, content)
        answer = connection.getresponse()
        answer.read()
        statuses.add(answer.status)
        if answer.getheader("Connection") == "close":
            connection.close()
            connection = None
    assert statuses <= {200, 204, 400, 403, 404, 413}
    outside = [path for path in folder.parent.rglob("*") if folder not in (path, *path.parents)]
    assert outside == []
    for path in folder.rglob("*.json"):  # what was written can be read
        kx.load_level(path)
    assert ask(server, "/edit/levels", "{}")[0] == 200


def test_malformed_messages_do_no_harm(served):
    throw(served, 150)


@pytest.mark.slow
def test_many_malformed_messages_do_no_harm(served):
    throw(served, 20_000)


def test_a_notebook_shows_the_editor_and_gets_the_level(tmp_path):
    level = rocket()
    editor = level.edit(height=300, folder=tmp_path)
    try:
        assert f'<iframe src="{editor.address}"' in editor._repr_html_()
        assert editor.level is level
        port = int(editor.address.rstrip("/").rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        message = json.dumps({"level": json.loads(kx.level_to_json(car())), "name": "level"})
        connection.request("POST", "/edit/keep", message)
        answer = connection.getresponse()
        answer.read()
        # Pages of notebooks on this machine may show it, others may not.
        assert "frame-ancestors 'self' http://localhost:*" in answer.getheader("Content-Security-Policy")
        connection.close()
        assert editor.level.sim.joints.active[0]
    finally:
        editor.close()
    with pytest.raises(ConnectionError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
    with pytest.raises(ValueError, match=r"height must be an integer in 200 \.\. 10000, got 5"):
        level.edit(height=5)
