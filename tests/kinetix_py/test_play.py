"""Playing live: keys, levels, what pages may say, the game, and a real browser with real keys."""

from __future__ import annotations

import dataclasses
import http.client
import json
import threading

import jax
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from kinetix_py.play import levels as levels_module
from kinetix_py.play.game import Game
from kinetix_py.play.game_loop import GameLoop
from kinetix_py.play.keys import key_action, key_hints
from kinetix_py.play.levels import NamedLevel, in_turn, random_levels, read_levels
from kinetix_py.play.server import PlayServer
from kinetix_py.play.session import PendingInput, Session, read_input
from tests import webdriver
from tests.kinetix_py.playing import Firing
from tests.kinetix_py.small_levels import TINY, batch, rocket

LIMIT = 1200  # frames


def arm():
    """A green arm on a motor, in no gravity: blue is above its end of rest, the red floor below."""
    scene = jax2d.Scene(TINY.sim_spec())
    scene.add_walls()
    scene.set_gravity((0.0, 0.0))
    bar = scene.add_box((3.1, 1.2), 1.2, 0.2)
    base = scene.add_circle((2.5, 1.2), 0.15, static=True)
    scene.add_circle((2.5, 2.3), 0.2, static=True)
    scene.add_revolute_joint(base, bar, (2.5, 1.2), motor=True)
    role = [0] * TINY.num_bodies
    role[0], role[4], role[6] = kx.RED, kx.GREEN, kx.BLUE
    return kx.from_scene(scene.build(), TINY, role=role)


def start_game(*levels, player=None, **options):
    named = [NamedLevel(level.__name__, level()) for level in levels]
    return Game(TINY, in_turn(named), kx.EnvParams(max_timesteps=LIMIT), player, **options)


@pytest.fixture(scope="module")
def address():
    """A game of two levels, played live."""
    session = Session()
    server = PlayServer(session, 0)
    loop = GameLoop(start_game(arm, rocket, player=Firing(TINY)), session)
    threads = [threading.Thread(target=run) for run in (loop.run, server.serve_forever)]
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


@webdriver.needs_browser
def test_real_keys_solve_levels(address, tmp_path):
    with webdriver.browser() as page:
        page.open(address)
        page.wait(f"{PHASE} === 'ready'")
        assert page.text("#name") == "arm (1 of 2)"
        used = page.evaluate("[...document.querySelectorAll('.hint:not(.unused)')].map((e) => e.innerText)")
        assert [" ".join(text.split()) for text in used] == ["motor 0 ← ⟲ → ⟳"]

        with page.holding(webdriver.RIGHT):  # clockwise, down to the red floor
            page.wait(f"{PHASE} === 'failed'")
        assert "Failed" in page.text("#banner")
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
        before = page.evaluate("now.time")
        page.tap(".")
        after = page.wait(f"now.time > {before} && now.time")
        assert after == pytest.approx(before + 1 / 60, abs=0.002)
        assert float(page.text("#time").split()[0]) == pytest.approx(after, abs=0.006)

        page.tap("p")
        page.wait("document.querySelector('#who').innerText === \"a test's player plays\"")
        page.tap(" ")
        page.wait(f"{PHASE} === 'solved'")


def test_keys_ask_for_what_the_hints_say():
    size = kx.SIZES["s"]
    none = np.zeros(6)
    for held, expected in (
        ((), none),
        (["ArrowLeft", "KeyS", "Digit2"], [1, 0, 0, -1, 0, 1]),
        (["ArrowUp", "KeyA"], [0, 1, 1, 0, 0, 0]),
        (["ArrowRight", "ArrowDown", "KeyD", "KeyW", "Numpad1"], [-1, -1, -1, 1, 1, 0]),
        (["KeyA", "KeyD", "KeyQ", "Digit1", "Numpad1"], [0, 0, 0, 0, 1, 0]),
    ):
        np.testing.assert_array_equal(key_action(held, size), expected)
    hints = key_hints(size, used=[1, 5])
    assert [hint["name"] for hint in hints if hint["used"]] == ["motor 1", "thruster 1"]
    assert len({hint["color"] for hint in hints}) == 6
    assert [hint["sign"] for hint in key_hints(size, (), signs=[-1, 0, 1, 1])] == [-1, 0, 1, 1, 1, 1]
    for binding, hint in enumerate(hints):
        for key in hint["keys"]:
            assert key_action([key["code"]], size)[binding] == key["value"]
    many = dataclasses.replace(size, num_motor_bindings=5, num_thruster_bindings=0)
    assert key_action(["Digit1"], many).shape == (5,) and key_hints(many, ())[4]["keys"] == []


def test_level_files_get_the_smallest_size_that_fits_them_all(tmp_path):
    kx.save_level(rocket(), tmp_path / "a.json", name="a rocket")
    kx.save_level(kx.empty_level(kx.SIZES["m"]), tmp_path / "b.json")
    assert read_levels([tmp_path / "a.json"])[1] == kx.SIZES["s"]
    levels, size = read_levels([tmp_path])
    assert size == kx.SIZES["m"]
    turn = in_turn(levels)
    names = [next(turn).name for _ in range(3)]
    assert names == ["a rocket (1 of 2)", "b (2 of 2)", "a rocket (1 of 2)"]
    wide = dataclasses.replace(kx.SIZES["l"], num_joints=9)
    kx.save_level(kx.empty_level(wide), tmp_path / "c.json")
    assert read_levels([tmp_path])[1] == wide
    with pytest.raises(kx.LevelError, match=r"b\.json: level: num_polygons is 6, but at most 5 fit"):
        read_levels([tmp_path], kx.SIZES["s"])
    bare = dataclasses.replace(TINY, num_walls=0)
    kx.save_level(kx.empty_level(bare), tmp_path / "d.json")
    with pytest.raises(kx.LevelError, match=r"levels with \[0, 4\] walls cannot be played together"):
        read_levels([tmp_path])
    with pytest.raises(kx.LevelError, match="a folder without level files"):
        (tmp_path / "empty").mkdir()
        read_levels([tmp_path / "empty"])


def test_random_levels_are_those_that_pass_the_filter(monkeypatch):
    """The filter itself is tested with the generator: here it lets every other level pass."""
    keys = []

    def sample(key, count, size):
        keys.append(jax.random.key_data(key).tolist())
        return batch(rocket(), count), np.arange(count) % 2 == 0

    monkeypatch.setattr(levels_module, "sample_filtered_levels", sample)
    drawn = random_levels(7, TINY)
    names = [next(drawn).name for _ in range(9)]
    assert names[:2] == ["random level 1 of seed 7", "random level 3 of seed 7"]
    assert names[8] == "random level 17 of seed 7"
    assert len(keys) == 2 and keys[0] != keys[1]
    assert next(drawn).level.labels.role.shape == (TINY.num_bodies,)


def said(number, *held, command=None, page="one"):
    return read_input(json.dumps({"page": page, "number": number, "held": held, "command": command}).encode())


def test_a_session_keeps_keys_of_open_pages():
    session = Session()
    session.submit(said(1, "KeyA"))
    assert session.take_input() == PendingInput(frozenset(), (), {}, False)  # the page is not open
    stream = session.join("one")
    session.submit(said(2, "KeyA", "KeyD"))
    session.submit(said(1, "KeyA", command="restart"))  # was overtaken
    session.submit(said(3))
    # Both were down for less than a frame, and count for one.
    assert session.take_input() == PendingInput(frozenset({"KeyA", "KeyD"}), ("restart",), {"one": 3}, True)
    assert session.take_input() == PendingInput(frozenset(), (), {"one": 3}, False)
    session.submit(said(4, "KeyW"))
    again = session.join("one")  # the same page, before its old stream was found to be gone
    session.leave("one", stream)
    session.submit(said(1, "KeyS"))
    assert session.take_input().held == {"KeyW", "KeyS"}
    assert session.take_input().held == {"KeyS"}
    session.leave("one", again)
    assert session.take_input().held == frozenset()
    assert all(session.join(str(i)) for i in range(8)) and session.join("ninth") is None


def test_pages_see_every_level_and_the_newest_frame():
    session = Session()
    session.publish({"f": 1}, {"l": 1})
    level, frame, seen = session.wait_for_update((0, 0), 0)
    assert (level, frame) == ('{"l":1}', '{"f":1}')
    assert session.wait_for_update(seen, 0) == (None, None, seen)
    session.publish({"f": 2}, {"l": 2})
    session.publish({"f": 3})
    assert session.wait_for_update(seen, 0)[:2] == ('{"l":2}', '{"f":3}')
    session.close()
    assert session.closed and session.wait_for_input(10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting"),
        (b"\xff", "JSON in UTF-8"),
        (b"[]", "must be an object, got list"),
        (b'{"page": "", "number": 0, "held": []}', "page must be a text of 1 .. 64 letters, got ''"),
        (b'{"page": "p", "number": true, "held": []}', "number must be an integer of at least 0, got True"),
        (b'{"page": "p", "number": 0, "held": [1]}', "held must be a list of at most 32 codes of keys"),
        (b'{"page": "p", "number": 0, "held": [], "command": "exit"}', "command must be one of restart, "),
    ],
)
def test_messages_are_checked(content, message):
    with pytest.raises(ValueError, match=message):
        read_input(content)


def test_only_the_own_page_is_answered():
    session = Session()
    server = PlayServer(session, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    own = f"127.0.0.1:{server.server_port}"

    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(own, timeout=10)
        names = {name.replace("_", "-"): value for name, value in {"Host": own, **headers}.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    try:
        with pytest.raises(OSError, match="in use"):
            PlayServer(Session(), server.server_port)
        message = json.dumps({"page": "p", "number": 1, "held": ["KeyA"]})
        session.join("p")
        status, page = ask("GET", "/")
        assert status == 200 and "EventSource" in page and "movingParts" in page and "<!--" not in page
        assert ask("GET", "/", Host=f"localhost:{server.server_port}")[0] == 200
        assert ask("GET", "/", Host=f"other.example:{server.server_port}")[0] == 403
        assert ask("GET", "/", Origin="http://other.example")[0] == 403
        assert ask("GET", "/events?page=x", Sec_Fetch_Site="cross-site")[0] == 403
        assert ask("GET", "/events")[0] == 400
        assert ask("GET", "/etc/passwd")[0] == 404
        assert ask("POST", "/input", message, Origin="http://other.example")[0] == 403
        assert ask("POST", "/input", "x" * 5000)[0] == 413
        assert ask("POST", "/input", "{}") == (400, "page must be a text of 1 .. 64 letters, got None\n")
        assert session.take_input().held == frozenset()
        assert ask("POST", "/input", message, Origin=f"http://{own}") == (204, "")
        assert session.take_input().held == {"KeyA"}
    finally:
        session.close()
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_a_pilot_acts_in_its_own_steps_and_hands_over():
    player = Firing(TINY)
    game = start_game(rocket, player=player, watching=True)
    assert game.used == [TINY.num_motor_bindings] and game.frame_seconds == pytest.approx(1 / 60)
    player.told.clear()
    fired = []
    for _ in range(6):
        game.tick(["ArrowLeft"])  # a key does nothing now
        fired.append(float(game.view.controls[TINY.num_joints]))
    assert fired == [1, 1, 0, 0, 1, 1]
    assert player.told == [(0, 0, True), (1, 1, False), (2, 2, False)]
    game.set_watching(False)
    game.tick(["Digit1"])
    game.tick([])
    assert len(player.told) == 3 and int(game.view.time) == 8
    game.set_watching(True)
    game.tick([])
    assert player.told[3] == (0, 4, True)


def test_an_episode_ends_once_and_begins_again():
    game = start_game(rocket, arm)
    start = game.view.position.copy()
    frames = 0
    while not game.outcome:
        game.tick(["Digit1"])
        frames += 1
    assert game.outcome == "solved" and frames == int(game.view.time) < LIMIT
    assert len(game.contacts()) == 1
    # Where the balls' outlines meet, on the line between them.
    balls = game.view.position[TINY.num_polygons :]
    np.testing.assert_allclose(game.contacts()[0], balls.mean(0), atol=0.02)
    game.tick(["Digit1"])
    assert int(game.view.time) == frames  # nothing happens after the end
    game.restart()
    assert game.outcome == "" and int(game.view.time) == 0
    np.testing.assert_array_equal(game.view.position, start)
    for _ in range(LIMIT):
        game.tick([])
    assert game.outcome == "time"
    game.next_level()
    assert (game.name, game.outcome) == ("arm (2 of 2)", "")
