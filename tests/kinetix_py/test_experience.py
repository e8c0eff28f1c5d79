"""Episodes as data: files, replay from key frames, damage, export."""

from __future__ import annotations

import dataclasses
import itertools
import shutil

import jax
import numpy as np
import pytest

import kinetix_py as kx
from kinetix_py.actions import ActionAdapter
from kinetix_py.chunks import suited_chunks, use_chunks
from kinetix_py.experience import Experience, Recorder, ShardError, export_npz
from kinetix_py.experience.recorder import joined, make_shard, shard_path, shard_paths
from kinetix_py.experience.shard import _choices, _codes, make_header, read_shard, write_shard
from tests.kinetix_py.small_levels import TINY, car, falling, rocket

ENV = kx.Environment(TINY, observation_type="entity")
LIMIT, EVERY = 20, 8
PARAMS = kx.EnvParams(max_timesteps=LIMIT)
LEVELS = kx.stack_levels([falling(), rocket(), car()])

pytestmark = pytest.mark.usefixtures("compiled_fast", "few_at_once")


@pytest.fixture(scope="module")
def few_at_once():
    """Programs for 4 segments, written and read."""
    with use_chunks(dataclasses.replace(suited_chunks(), replayed=4)):
        yield


@jax.jit
def step_once(state, action):
    return ENV.step(jax.random.key(0), state, action, PARAMS)


def step_by_step(level, actions):
    """One episode, step by step: observations before each step and after the last, rewards, outcome."""
    obs, state = ENV.reset_to_level(level, PARAMS)
    seen, rewards = [obs], []
    for action in actions:
        obs, state, reward, done, info = step_once(state, action)
        seen.append(obs)
        rewards.append(float(reward))
        if done:
            break
    outcome = int(info["solved"]) - int(info["failed"])
    return jax.tree.map(lambda *leaves: np.stack(leaves), *seen), np.array(rewards), state, outcome


@pytest.fixture(scope="module")
def episodes():
    """Six episodes, two of each level, until their ends: levels, actions, lengths, observations, rewards."""
    rng = np.random.default_rng(0)
    actions = np.stack([rng.integers(0, 2, (LIMIT, TINY.num_bindings)) for _ in range(6)]).astype(np.int32)
    index = np.array([0, 1, 2, 0, 1, 2])
    played = [
        step_by_step(jax.tree.map(lambda x, i=i: x[i], LEVELS), a)
        for i, a in zip(index, actions, strict=True)
    ]
    length = np.array([len(rewards) for _, rewards, *_ in played])
    assert set(length) > {LIMIT} and length.min() > EVERY
    return index, actions, length, played


@pytest.fixture(scope="module")
def folder(tmp_path_factory, episodes, few_at_once):
    """Two files, of four and two episodes."""
    index, actions, length, played = episodes
    path = tmp_path_factory.mktemp("experience")
    with Recorder(
        path, ENV, PARAMS, key_every=EVERY, shard_steps=int(length[:4].sum()), policy="a test"
    ) as out:
        first = out.add(LEVELS, actions[:4], length[:4], index[:4])
        second = out.add(LEVELS, actions[4:], length[4:], index[4:])
    outcomes = [outcome for *_, outcome in played]
    assert [*first, *second] == outcomes and {0, 1} <= set(outcomes)
    assert [file.name for file in shard_paths(path)] == ["shard_00000.npz", "shard_00001.npz"]
    return path


def test_replay_gives_what_was_seen(folder, episodes):
    _, actions, length, played = episodes
    data = Experience(folder)
    assert (data.num_episodes, data.num_steps) == (6, length.sum()) and data.damaged == {}
    assert len(data) == (-(-length // EVERY)).sum() and data.header["policy"] == "a test"
    assert data.outcomes.tolist() == [outcome for *_, outcome in played]
    seen = {number: [] for number in range(6)}
    for start in range(0, len(data), 4):
        batch = jax.device_get(data.batch(np.arange(start, min(start + 4, len(data)))))
        for i, episode in enumerate(batch["episode"]):
            seen[episode].append(jax.tree.map(lambda leaf, i=i: leaf[i], batch))
    for episode, (obs, rewards, state, _) in enumerate(played):
        parts = seen[episode]
        join = lambda name, parts=parts: jax.tree.map(
            lambda *leaves: np.concatenate(
                [leaf[part["valid"]] for leaf, part in zip(leaves, parts, strict=True)]
            ),
            *(part[name] for part in parts),
        )
        np.testing.assert_array_equal(join("action"), actions[episode, : length[episode]])
        np.testing.assert_allclose(join("reward"), rewards, atol=1e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[:-1], atol=1e-4), join("observation"), obs)
        last = jax.tree.map(lambda leaf: leaf[-1], obs)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), parts[-1]["last_observation"], last
        )
        ends = join("terminated") | join("truncated")
        assert (
            ends[-1]
            and not ends[:-1].any()
            and [p["first_step"] for p in parts] == list(range(0, length[episode], EVERY))
        )
        np.testing.assert_array_equal(parts[0]["action_mask"], ENV.action_mask(state))
    # Every replay but an episode's last is compared to the key frame after it: bit by bit by the program that
    # recorded it, up to rounding by one that also computes observations.
    assert data.drift.segments == len(data) - 6 and data.drift.worst < 1e-6
    same = Experience(folder, observation_type="blind")
    for start in range(0, len(same), 4):
        same.batch(np.resize(np.arange(start, min(start + 4, len(same))), 4))
    assert same.drift.exact == same.drift.segments >= len(data) - 6


def test_loaders_get_segments_by_index(folder):
    data = Experience(folder, observation_type="blind")
    several = data.__getitems__([0, 5, len(data) - 1])
    for one, index in zip(several, (0, 5, -1), strict=True):
        alone = data[index]
        assert alone["reward"].shape == (EVERY,) and alone["episode"] == one["episode"]
        np.testing.assert_allclose(alone["reward"], one["reward"], atol=1e-6)
        np.testing.assert_array_equal(alone["action"], one["action"])
    solved = np.flatnonzero(data.outcomes == 1)
    assert set(data.segments_of(1)) == {i for i in range(len(data)) if data[i]["episode"] in solved}
    for index in (len(data), -len(data) - 1):
        with pytest.raises(IndexError, match=rf"index must be in 0 \.\. {len(data) - 1}, got {index}"):
            data[index]


def test_damaged_files_are_left_out_by_name(folder, tmp_path):
    whole = Experience(folder, observation_type="blind")
    path = tmp_path / "copy"
    shutil.copytree(folder, path)
    first, second = shard_paths(path)
    content = second.read_bytes()
    kinds = {
        "truncated": content[: len(content) // 2],
        "empty": b"",
        "a changed byte": content[:900] + bytes([content[900] ^ 255]) + content[901:],
        "other": b"x" * 100,
    }
    for kind, damaged in kinds.items():
        second.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"left out: .*shard_00001\.npz: no whole file of episodes"):
            data = Experience(path, observation_type="blind")
        assert list(data.damaged) == ["shard_00001.npz"] and data.num_episodes == 4, kind
        np.testing.assert_array_equal(data[0]["action"], whole[0]["action"])
        with pytest.raises(ShardError, match=r"shard_00001\.npz"):
            Experience(path, strict=True)
    # Content that a zip file would let pass is found by the digest.
    shard = read_shard(first)
    with np.load(first) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez_compressed(second, **(arrays | {"outcome": arrays["outcome"] * 0}))
    with pytest.raises(ShardError, match="its content is not that of its digest"):
        read_shard(second)
    newer = dataclasses.replace(shard, header=shard.header | {"version": 3})
    write_shard(second, newer)
    with pytest.raises(ShardError, match="of version 3"):
        read_shard(second)
    write_shard(second, dataclasses.replace(shard, header=shard.header | {"key_every": 9}))
    with pytest.raises(ShardError, match="different environments: key_every differs"):
        Experience(path)
    with pytest.raises(ShardError, match="holds no whole file of episodes"):
        Experience(tmp_path)


def test_replays_go_on_from_key_frames_and_tell_how_far_off_they_were(folder, tmp_path):
    """As if another machine had rounded otherwise: a ball that was recorded 1 cm further to the right."""
    shard = read_shard(shard_paths(folder)[0])
    moved = shard.frames["position"].copy()
    moved[:, TINY.num_polygons, 0] += 0.01  # the ball of all four levels; the car's wheel
    write_shard(
        shard_path(tmp_path, 0), dataclasses.replace(shard, frames=shard.frames | {"position": moved})
    )
    data = Experience(tmp_path)
    before = Experience(folder)
    with pytest.warns(UserWarning, match=r"off by up to 0\.01 m or rad"):
        here, there = data.batch([0, 1, 2, 3]), before.batch([0, 1, 2, 3])
    assert data.drift.worst == pytest.approx(0.01, abs=1e-5)
    # What begins further to the right, and touches nothing, may also end there to the bit.
    assert data.drift.exact < data.drift.segments
    # The segment after it begins where it was recorded.
    segment = int(np.flatnonzero(np.asarray(here["first_step"]) == EVERY)[0])
    start = lambda batch: np.asarray(batch["observation"].shapes)[segment, 0, TINY.num_polygons, :2]
    np.testing.assert_allclose(start(here) - start(there), (0.01, 0), atol=1e-6)
    older = dataclasses.replace(shard, header=shard.header | {"engine": "0.0.1"})
    write_shard(shard_path(tmp_path, 0), older)
    with pytest.warns(UserWarning, match=r"recorded with jax2d 0\.0\.1"):
        Experience(tmp_path)


def test_replays_go_on_with_what_was_reached_of_rules(folder, tmp_path):
    """A ball that falls by 5 cm, in 6 physics steps, and must lie on the blue box for 24."""
    level = kx.with_rules(falling(height=0.05))
    held = dataclasses.replace(level, rules=dataclasses.replace(level.rules, hold=level.rules.hold * 0 + 24))
    levels, actions, length = kx.stack_levels([held]), np.zeros((1, 16, TINY.num_bindings), np.int32), [15]
    with Recorder(tmp_path / "rules", ENV, PARAMS, key_every=EVERY) as out:
        assert out.add(levels, actions, length).tolist() == [1]
        with pytest.raises(ValueError, match="plain ones go to folders of their own"):
            out.add(kx.stack_levels([rocket()]), actions[:, :3], np.array([3]))
    shard = read_shard(shard_paths(tmp_path / "rules")[0])
    assert shard.header["version"] == 2 and shard.levels.rules.hold[0, 4] == 24
    assert shard.frames["held"].shape == (1, TINY.num_bodies) and 0 < shard.frames["held"].max() < 24
    data = Experience(tmp_path / "rules")
    batch = data.batch([1, 0])
    assert data.drift.wrong_ends == 0 and np.asarray(batch["solved"]).sum() == 1
    assert data.env.rules and batch["observation"].shape_rules.shape[:2] == (2, EVERY)
    assert not Experience(tmp_path / "rules", rules=False).env.rules
    shutil.copy(shard_paths(folder)[0], shard_path(tmp_path / "rules", 1))
    with pytest.raises(ShardError, match="some of its files are of levels with rules, others are not"):
        Experience(tmp_path / "rules")
    with pytest.raises(ShardError, match="the levels that were recorded have no rules to be observed"):
        Experience(folder, rules=True)


def test_what_was_cut_short_is_truncated(episodes, tmp_path):
    """A loop that stops before its episodes end, and episodes that diverge."""
    index, actions, length, _ = episodes
    with Recorder(tmp_path, ENV, PARAMS, key_every=EVERY) as out:
        assert out.add(LEVELS, actions[:2], np.array([3, length[1]]), index[:2])[0] == 0
    batch = Experience(tmp_path, observation_type="blind").batch([0, 1])
    assert np.asarray(batch["truncated"])[0].tolist() == [False, False, True] + [False] * (EVERY - 3)
    assert not np.asarray(batch["terminated"])[0].any()


def test_recording_checks_what_it_gets(episodes, tmp_path):
    index, actions, length, _ = episodes
    header = make_header(ENV, PARAMS, EVERY)
    with pytest.raises(ValueError, match=r"length must be in 1 \.\. 20, got 0 \.\. "):
        make_shard(header, LEVELS, index, actions, np.where(np.arange(6) == 1, 0, length))
    with pytest.raises(ValueError, match=rf"episode 0 ends after {length[0]} of its 20 actions"):
        make_shard(header, LEVELS, index, actions, np.full(6, LIMIT))
    with pytest.raises(
        ValueError, match=r"6 episodes need as many levels and actions \[6, steps, \*\(6,\)\]"
    ):
        make_shard(header, LEVELS, index, actions[:, :, :2], length)
    with pytest.raises(ValueError, match="the reward of recorded episodes must be one of a name"):
        Recorder(tmp_path, dataclasses.replace(ENV, reward=lambda *_: 0.0), PARAMS)
    with pytest.raises(ValueError, match="key_every and shard_steps must be at least 1, got 0, 1"):
        Recorder(tmp_path, ENV, PARAMS, key_every=0, shard_steps=1)
    out = Recorder(tmp_path, ENV, PARAMS, key_every=EVERY)
    with pytest.raises(KeyError), out:
        out.add(LEVELS, actions[:4], length[:4], index[:4])
        raise KeyError  # of the caller's loop: nothing half is written
    assert shard_paths(tmp_path) == []


def test_actions_are_packed_into_the_smallest_number():
    adapter = ActionAdapter("multi_discrete", TINY)
    actions = np.array(list(itertools.product(*(range(count) for count in adapter.choices))), np.int32)
    codes = _codes(actions, adapter)
    assert codes.dtype == np.uint16 and len(set(codes.tolist())) == len(actions) == 3**4 * 2**2
    np.testing.assert_array_equal(_choices(codes, adapter), actions)


@pytest.mark.slow
def test_other_actions_are_kept_as_they_are(tmp_path):
    env = dataclasses.replace(ENV, action_type="discrete", observation_type="blind")
    actions = np.full((1, 3), 9)
    shard = make_shard(make_header(env, PARAMS, EVERY), LEVELS, np.array([1]), actions, np.array([3]))
    write_shard(tmp_path / "shard_00000.npz", joined([shard, shard]))
    again = read_shard(tmp_path / "shard_00000.npz")
    assert again.actions.tolist() == [9] * 6 and again.level_index.tolist() == [1, 4]
    assert again.levels.batch_shape == (6,) and len(again.frames["position"]) == 0


def test_transitions_are_exported(folder, episodes, tmp_path):
    _, actions, length, played = episodes
    export_npz(Experience(folder), tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as file:
        found = dict(file)
    assert all(len(values) == length.sum() for values in found.values())
    np.testing.assert_array_equal(found["episode"], np.repeat(np.arange(6), length))
    np.testing.assert_array_equal(
        found["actions"], np.concatenate([a[:n] for a, n in zip(actions, length, strict=True)])
    )
    np.testing.assert_allclose(
        found["rewards"], np.concatenate([rewards for _, rewards, *_ in played]), atol=1e-5
    )
    shapes = [obs.shapes for obs, *_ in played]
    np.testing.assert_allclose(
        found["observations.shapes"], np.concatenate([s[:-1] for s in shapes]), atol=1e-4
    )
    np.testing.assert_allclose(
        found["next_observations.shapes"], np.concatenate([s[1:] for s in shapes]), atol=1e-4
    )
    ends = found["terminals"] | found["timeouts"]
    np.testing.assert_array_equal(np.flatnonzero(ends), np.cumsum(length) - 1)
    assert found["solved"].sum() == sum(outcome == 1 for *_, outcome in played)


@pytest.mark.parametrize("observation_type", ["entity", "blind"])
def test_minari_reads_what_is_exported(folder, episodes, tmp_path, monkeypatch, observation_type):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    from kinetix_py.experience.minari_export import export_minari

    _, actions, length, played = episodes
    export_minari(Experience(folder, observation_type=observation_type), "kinetix/test-v0", author="a test")
    found = minari.load_dataset("kinetix/test-v0")
    assert (found.total_episodes, found.total_steps) == (6, length.sum())
    for number, episode in enumerate(found.iterate_episodes()):
        obs, rewards, _, outcome = played[number]
        np.testing.assert_array_equal(episode.actions, actions[number, : length[number]])
        np.testing.assert_allclose(episode.rewards, rewards, atol=1e-5)
        assert (episode.terminations[-1], episode.truncations[-1]) == (outcome != 0, outcome == 0)
        assert not (episode.terminations | episode.truncations)[:-1].any()
        if observation_type == "entity":
            np.testing.assert_allclose(episode.observations["shapes"], obs.shapes, atol=1e-4)
            np.testing.assert_array_equal(episode.observations["attention"], obs.attention)
        else:
            assert episode.observations.shape[0] == length[number] + 1
