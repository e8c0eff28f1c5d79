"""The editor's server: requests, messages of any kind, and the notebook that asks for a level."""

from __future__ import annotations

import http.client
import json
import random

import pytest

import kinetix_py as kx
from kinetix_py.edit.folder import Folder
from kinetix_py.edit.judge import Judging
from kinetix_py.edit.server import EditServer
from kinetix_py.edit.trial import Trials
from kinetix_py.edit.workshop import Workshop
from kinetix_py.play.session import Session
from tests.kinetix_py.small_levels import TINY, car, rocket


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
    connection = http.client.HTTPConnection(own, timeout=300)  # a busy machine compiles for long
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
