"""Films of episodes, and what the page that plays them holds."""

from __future__ import annotations

import dataclasses
import json
import re
import sys

import imageio.v3 as imageio
import jax
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from kinetix_py.rendering.contacts import contact_points
from kinetix_py.rendering.host import to_host
from kinetix_py.rendering.player import pack, read_player, unpack
from tests.kinetix_py import drawn_scenes as scenes

FRAMES = 6
HTML_LIMIT = 300_000  # bytes, of one episode of 256 steps of size L


@pytest.fixture(scope="module")
def states():
    """States `[6, 3]` of three episodes."""
    start = scenes.start()
    each = [scenes.along_time(start, FRAMES, seed) for seed in range(3)]
    return jax.tree.map(lambda *values: np.stack(values, axis=1), *each)


@pytest.fixture(scope="module")
def one(states):
    return jax.tree.map(lambda value: value[:, 0], states)


def rollout(rng, steps, *episodes):
    """Actions, rewards and values of that many steps."""
    shape = (steps, *episodes)
    actions = np.stack([rng.integers(0, choices, shape) for choices in (3, 3, 3, 3, 2, 2)], axis=-1)
    return {"actions": actions, "rewards": rng.normal(size=shape), "values": rng.normal(size=shape)}


def test_a_film_shows_every_step_side_by_side_and_stays_at_the_end(states, tmp_path):
    path = kx.save_video(
        states,
        tmp_path / "film.gif",
        size=40,
        columns=2,
        fps=20,
        hold=0.5,
        solved=[1, 0, 0],
        length=[2, 5, 3],
    )
    film = imageio.imread(path)
    # Up to the longest episode's end; 2 x 2 pictures with 4 pixels between.
    assert film.shape == (5 + 1, 84, 84, 3)
    # The last frame half a second longer than the others.
    assert [imageio.immeta(path, index=i)["duration"] for i in range(6)] == [50] * 5 + [550]
    green = lambda picture: (picture[1, 3:37].astype(int) @ [-1, 2, -1] > 100).all()
    assert [bool(green(frame)) for frame in film[:4]] == [False, False, True, True]  # solved at step 2
    assert not any(green(frame[:, 44:]) for frame in film)


def test_a_film_takes_as_long_as_the_episode(one, tmp_path):
    """A GIF counts hundredths of a second: at 30 frames a second they last 3, 4 and 3 of them."""
    path = kx.save_video(one, tmp_path / "film.gif", size=40, fps=30, hold=0)
    lasts = [imageio.immeta(path, index=i)["duration"] for i in range(FRAMES)]
    assert lasts[:3] == [30, 40, 30] and abs(sum(lasts) - 1000 * FRAMES / 30) <= 5


def test_an_episode_that_ended_goes_on_no_more(states, tmp_path):
    """Its picture is that of its last state, while the others go on."""
    path = kx.save_video(states, tmp_path / "film.gif", size=40, columns=3, hold=0, length=[2, 5, 5])
    film = imageio.imread(path).astype(int)
    inside = lambda frame, i: frame[2:38, 44 * i + 2 : 44 * i + 38]
    assert all(np.abs(inside(frame, 0) - inside(film[2], 0)).mean() < 1 for frame in film[3:])
    assert any(np.abs(inside(frame, 1) - inside(film[2], 1)).mean() > 1 for frame in film[3:])


def test_a_films_pictures_are_the_pixels(one, tmp_path):
    film = imageio.imread(kx.save_video(one, tmp_path / "film.gif", size=40, hold=0))
    state = jax.tree.map(lambda value: value[3], one)
    pixels = 255 * np.asarray(jax.jit(lambda state: kx.render_pixels(state, 40))(state))
    difference = np.abs(film[3].astype(float) - pixels)[2:-2, 2:-2]
    assert film.shape == (FRAMES, 40, 40, 3) and difference.mean() < 3  # of 255: a GIF has 256 colors


def test_what_is_missing_for_a_film_is_named(one, tmp_path, monkeypatch):
    for module in ("imageio_ffmpeg", "av"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"film\.mp4 needs imageio, .*pip install imageio imageio-ffmpeg"):
        kx.save_video(one, tmp_path / "film.mp4", size=40)
    monkeypatch.setitem(sys.modules, "imageio.v2", None)
    with pytest.raises(ImportError, match=r"film\.gif needs imageio: pip install imageio"):
        kx.save_video(one, tmp_path / "film.gif", size=40)


def test_mp4_has_every_frame(one, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    film = imageio.imread(kx.save_video(one, tmp_path / "film.mp4", size=75, hold=0), plugin="FFMPEG")
    assert film.shape == (FRAMES, 76, 76, 3)  # sides of even length


def test_progress_is_shown_if_asked_for(one, tmp_path, capsys):
    kx.save_video(one, tmp_path / "film.gif", size=40, hold=0)
    assert capsys.readouterr().err == ""
    kx.save_video(one, tmp_path / "film.gif", size=40, hold=0, progress=True)
    assert f"{FRAMES}/{FRAMES}" in capsys.readouterr().err


def test_the_page_holds_positions_to_the_millimetre(states, tmp_path):
    data = rollout(np.random.default_rng(0), FRAMES - 1, 3)
    path = kx.save_video(states, tmp_path / "page.html", solved=[True, False, True], length=[5, 5, 2], **data)
    found = read_player(path.read_text())
    assert [(e["title"], e["length"], e["solved"]) for e in found] == [
        ("episode 0", 5, True), ("episode 1", 5, False), ("episode 2", 2, True)
    ]  # fmt: skip
    movable = np.flatnonzero(np.asarray(states.sim.inverse_mass[0, 0] > 0))
    for i, episode in enumerate(found):
        frames = episode["length"] + 1
        np.testing.assert_array_equal(episode["bodies"], movable)
        position = states.sim.position[:frames, i, movable]
        np.testing.assert_allclose(episode["position"], position, atol=5.1e-4)
        turn = episode["rotation"] - states.sim.rotation[:frames, i, movable]
        np.testing.assert_allclose(np.cos(turn), 1, atol=1e-7)  # the same up to whole turns
        np.testing.assert_allclose(episode["reward"][1:], data["rewards"][: frames - 1, i], rtol=1e-6)
        assert episode["reward"][0] == 0
        np.testing.assert_allclose(episode["value"][: FRAMES - 1], data["values"][:frames, i], rtol=1e-6)
        last = to_host(jax.tree.map(lambda value, f=frames - 1, i=i: value[f, i], states))
        spots = contact_points(last)
        np.testing.assert_allclose(episode["contacts"][-1], np.clip(spots, -32.768, 32.767), atol=5.1e-4)


def test_entries_along_time_may_lead_to_states_or_from_them(one, tmp_path):
    """With as many entries as states, entry t led to state t; with one less, to state t + 1."""
    data = rollout(np.random.default_rng(1), FRAMES)
    whole = read_player(kx.save_video(one, tmp_path / "page.html", **data).read_text())[0]
    later = {name: values[1:] for name, values in data.items() if name != "values"}
    (less,) = read_player(kx.save_video(one, tmp_path / "page.html", **later).read_text())
    np.testing.assert_array_equal(whole["controls"][1:], less["controls"][1:])
    np.testing.assert_array_equal(whole["reward"][1:], less["reward"][1:])
    assert less["value"] is None and (less["controls"][0] == 0).all() and (whole["controls"][:, 3] == 1).all()


def largest_episode():
    """The worst an L-size episode may do: all slots in use, all bodies astir, one pair in ten touching."""
    size, rng = kx.SIZES["l"], np.random.default_rng(2)
    scene = jax2d.Scene(size.sim_spec())
    scene.add_walls()
    spots = iter(np.stack(np.meshgrid([0.8, 2.0, 3.2, 4.4], [1.0, 2.4, 3.8]), -1).reshape(-1, 2))
    bodies = [scene.add_box(next(spots), 0.4, 0.6, rotation=1) for _ in range(8)]
    bodies += [scene.add_circle(next(spots), 0.3) for _ in range(4)]
    for a in range(6):
        scene.add_revolute_joint(bodies[a], bodies[a + 1], motor=True, limits=(-1, 1))
    for body in bodies[:2]:
        scene.add_thruster(body)
    level = kx.from_scene(scene.build(), size, role=[0] * 4 + [1, 2, 3, 1] * 3)
    state = kx.make(size, observation_type="blind").reset_to_level(level)[1]
    states = scenes.along_time(state, 257)
    states = dataclasses.replace(states, touching_slots=rng.random(states.touching_slots.shape) < 0.1)
    return states, rollout(rng, 256)


def test_a_long_episode_is_a_small_page_without_network(tmp_path):
    states, data = largest_episode()
    path = kx.save_video(states, tmp_path / "page.html", solved=False, titles=["</script><b>&"], **data)
    page = path.read_text()
    assert path.stat().st_size < HTML_LIMIT
    assert not re.findall(r"https?://(?!www\.w3\.org)|@import|\bsrc=|<link", page)
    (episode,) = read_player(page)
    assert episode["position"].shape == (257, 12, 2) and episode["controls"].shape == (257, 8)
    assert episode["title"] == "</script><b>&" and page.count("</script>") == 2


def test_packed_numbers_are_the_nearest_steps():
    values = np.array([[-1.0, 0.0004], [0.0006, 99]])
    np.testing.assert_allclose(unpack(pack(values, "int16", 1e-3)), [[-1, 0], [0.001, 32.767]])
    np.testing.assert_array_equal(unpack(pack(values, "float32")), values.astype(np.float32))
    assert json.loads(json.dumps(pack(values, "int8")))["shape"] == [2, 2]
    with pytest.raises(ValueError, match=r"was not written by kinetix_py\.save_video"):
        read_player("<html></html>")


def save(states, path, name="x.html", **options):
    kx.save_video(states, path / name, **options)


def broken(states, **changes):
    return dataclasses.replace(states, sim=dataclasses.replace(states.sim, **changes))


def bad_position(states):
    position = np.array(states.sim.position)
    position[2, 1, 0] = np.nan
    return broken(states, position=position)


def two_levels(states):
    radius = np.array(states.sim.radius)
    radius[4:] += 0.1
    return broken(states, radius=radius)


BAD = {
    "path must end in one of ('.gif', '.mp4', '.html'), got 'x.avi'": lambda s, p: save(s, p, "x.avi"),
    "fps must be in 0.1 .. 50, got 60": lambda s, p: save(s, p, "x.gif", fps=60),
    "size must be in 16 .. 2000, got 8": lambda s, p: save(s, p, "x.gif", size=8),
    "fps must be in 0.1 .. 1000, got 0": lambda s, p: save(s, p, fps=0),
    "hold must be in 0 .. 60, got -1": lambda s, p: save(s, p, hold=-1),
    "states must be an EnvState": lambda s, p: save(s.level, p),
    "axes [T] or [T, L], each at least 1, got ()": lambda s, p: save(
        jax.tree.map(lambda value: value[0], s), p
    ),
    "titles must have one entry for each of 1 episodes, got 2": lambda s, p: save(s, p, titles=["a", "b"]),
    "solved must have one entry for each of 1 episodes, got 2": lambda s, p: save(s, p, solved=[True, False]),
    "length must be in 0 .. 5 with 6 states, got 6": lambda s, p: save(s, p, "x.gif", length=6),
    "rewards must have as many entries as there are states, 6, or one less, got 4": lambda s, p: save(
        s, p, rewards=np.zeros(4)
    ),
    "must have shape (6,), got (7,)": lambda s, p: save(s, p, actions=np.zeros((6, 7))),
    "episode 0: position at frame 2 is not finite": lambda s, p: save(bad_position(s), p),
    "episode 0: radius changes at frame 4: it is of two levels": lambda s, p: save(two_levels(s), p),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message, one, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        BAD[message](one, tmp_path)
