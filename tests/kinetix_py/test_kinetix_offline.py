"""Kinetix's offline data: folders of Zarr written here in their layout, read and converted."""

from __future__ import annotations

import dataclasses
import json
import sys
import zlib

import jax
import numpy as np
import pytest

import kinetix_py as kx
from jax2d.pairs import contact_layout
from kinetix_py.chunks import suited_chunks, use_chunks
from kinetix_py.experience import Experience
from kinetix_py.experience.kinetix_offline import (
    BODY_FIELDS,
    JOINT_FIELDS,
    THRUSTER_FIELDS,
    Converted,
    OfflineError,
    convert_offline,
    goal_distances,
    touching_slots,
)
from kinetix_py.experience.recorder import shard_paths
from kinetix_py.experience.shard import read_shard
from kinetix_py.experience.zarr_arrays import ZarrError, open_arrays
from kinetix_py.levels.level_file import from_level
from tests.kinetix_py.small_levels import TINY, car, falling, rocket

T = 24  # steps of a trajectory
ENV = kx.Environment(TINY, observation_type="entity", contact_order="kinetix")
LEVELS = [falling(height=0.3), rocket(), car()]

pytestmark = pytest.mark.usefixtures("compiled_fast")


@pytest.fixture(scope="module", autouse=True)
def few_at_once():
    """Programs for a few segments."""
    with use_chunks(dataclasses.replace(suited_chunks(), replayed=4)):
        yield


def in_kinetix_fields(state):
    """State of an environment as columns of one step of a trajectory, by Kinetix's names."""
    arrays, bodies = from_level(kx.Level(state.sim, state.labels, state.size)), TINY.num_polygons
    row = {"env_state/timestep": np.int32(state.step_count), "env_state/gravity": arrays.gravity}
    for kind, part in (("polygon", slice(0, bodies)), ("circle", slice(bodies, None))):
        table = {name: arrays.bodies[field][part] for name, field in BODY_FIELDS.items()}
        row |= {f"env_state/{kind}/{name}": value for name, value in table.items()}
        row[f"env_state/{kind}_shape_roles"] = arrays.bodies["role"][part].astype(np.int8)
        row[f"env_state/{kind}_densities"] = arrays.bodies["density"][part]
    row["env_state/polygon/vertices"] = arrays.vertices
    row["env_state/polygon/n_vertices"] = arrays.num_vertices
    row["env_state/circle/radius"] = arrays.radius
    row |= {f"env_state/joint/{name}": arrays.joints[field] for name, field in JOINT_FIELDS.items()}
    row |= {f"env_state/thruster/{name}": arrays.thrusters[field] for name, field in THRUSTER_FIELDS.items()}
    row["env_state/motor_bindings"] = arrays.joints["motor_binding"]
    row["env_state/motor_auto"] = arrays.joints["motor_auto"]
    row["env_state/thruster_bindings"] = arrays.thrusters["thruster_binding"]
    for kind, shape in (("rr", (4, 2)), ("cr", (10,)), ("cc", (1,))):
        row[f"env_state/acc_{kind}_manifolds/active"] = np.zeros(shape, bool)
    slot = iter(np.asarray(state.touching_slots))
    for kind in contact_layout(TINY.sim_spec()):
        for block in kind.blocks:
            for point in range(kind.points_per_pair):
                for rank in block.kinetix_rank.reshape(-1):
                    two, walls = kind.points_per_pair == 2, (block.bodies < bodies).any()
                    name = f"env_state/acc_{'rr' if two else 'cr' if walls else 'cc'}_manifolds/active"
                    row[name][(rank, point) if two else rank] = next(slot)
    return row


@pytest.fixture(scope="module")
def played():
    """A trajectory of each level, whose episodes begin again when they end; and the states seen, `[3, T]`."""
    rng, params = np.random.default_rng(0), kx.EnvParams()
    step = jax.jit(lambda state, action: ENV.step(jax.random.key(0), state, action, params))
    reset = jax.jit(lambda level: ENV.reset_to_level(level, params))
    rows, seen = [], []
    for level in LEVELS:
        _, state = reset(level)
        for _ in range(T):
            action = rng.integers(0, 2, TINY.num_bindings).astype(np.int32)
            state = jax.device_get(state)
            seen.append(state)
            row = in_kinetix_fields(state) | {"action": action, "action_mask": np.ones(6, bool)}
            _, state, _, done, _ = step(state, action)
            rows.append(row | {"done": np.bool_(done)})
            if done:
                _, state = reset(level)
    return rows, seen


def written(path, rows, *, codec=None, format=2, first=0):
    """Writes rows `[3 T]` as a group of one array of trajectories, in two chunks of two records each."""
    kind = [(name, np.asarray(value).dtype.str, (T, 1, *np.shape(value))) for name, value in rows[0].items()]
    records = np.zeros(4, np.dtype(kind))
    for name in rows[0]:
        records[name][:3] = np.stack([row[name] for row in rows]).reshape(records[name][:3].shape)
    folder = path / "shard_0"
    folder.mkdir(parents=True)
    (path / ".zgroup").write_text(json.dumps({"zarr_format": format}))
    told = {"zarr_format": format, "shape": [3], "chunks": [2], "dtype": kind, "order": "C", "filters": None}
    (folder / ".zarray").write_text(json.dumps(told | {"compressor": codec, "fill_value": None}))
    for i in range(2):
        data = records[2 * i : 2 * i + 2].tobytes()
        (folder / str(i)).write_bytes(zlib.compress(data) if codec else data)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory, played):
    path = tmp_path_factory.mktemp("offline") / "1M" / "s"
    return written(path, played[0], codec={"id": "zlib", "level": 1})


def test_rows_are_read_across_chunks(source, played):
    array = open_arrays(source)["shard_0"]
    assert len(array) == 3 and array.chunks == (2,)
    found = array.rows(1, 3)
    assert found["action"].shape == (2, T, 1, 6)
    expected = np.stack([row["action"] for row in played[0]]).reshape(3, T, 6)
    np.testing.assert_array_equal(found["action"][:, :, 0], expected[1:])
    with pytest.raises(IndexError, match=r"0 .. 3, got 2 .. 4"):
        array.rows(2, 4)


@pytest.mark.slow
def test_episodes_are_those_that_were_played(source, played, tmp_path):
    """Each observation of a replay from Kinetix's states is that of the state; ends and levels are kept."""
    rows, seen = played
    found = convert_offline(source, tmp_path, key_every=1)
    starts = [i for i, row in enumerate(rows) if row["env_state/timestep"] == 0]
    assert found == Converted(episodes=len(starts), steps=3 * T, levels=3) and len(starts) > 3
    data = Experience(tmp_path)
    assert data.env.size == TINY and data.env.contact_order == "kinetix" and len(data) == 3 * T
    shard = read_shard(shard_paths(tmp_path)[0])
    for row, level in enumerate(LEVELS):
        mine = from_level(jax.tree.map(lambda leaf, row=row: leaf[row], shard.levels))
        given = from_level(level)
        np.testing.assert_array_equal(mine.bodies["position"], given.bodies["position"])
        np.testing.assert_array_equal(mine.vertices, given.vertices)
        np.testing.assert_array_equal(mine.joints["motor_speed"], given.joints["motor_speed"])
    batch = jax.device_get(data.batch(np.arange(3 * T)))
    observe = jax.jit(lambda state: ENV.observe(state, kx.EnvParams()))
    for i, state in enumerate(seen):
        close = lambda a, b, i=i: np.testing.assert_allclose(a[i, 0], b, atol=1e-5)
        jax.tree.map(close, batch["observation"], jax.device_get(observe(state)))
    np.testing.assert_array_equal(batch["action"][:, 0], np.stack([row["action"] for row in rows]))
    np.testing.assert_array_equal(batch["first_step"], [row["env_state/timestep"] for row in rows])
    ended = np.array([row["done"] for row in rows])
    np.testing.assert_array_equal(batch["solved"][:, 0], ended)
    assert ended.any() and data.drift.wrong_ends == 0


def test_distances_and_touches_are_those_of_the_states(played):
    rows, seen = played
    columns = {name.removeprefix("env_state/"): np.stack([row[name] for row in rows]) for name in rows[0]}
    np.testing.assert_allclose(goal_distances(columns), [state.distance for state in seen], rtol=1e-5)
    expected = np.stack([state.touching_slots for state in seen])
    assert expected.any()
    np.testing.assert_array_equal(touching_slots(columns, TINY), expected)


def test_a_trajectory_that_begins_within_an_episode_is_left_out_to_its_end(played, tmp_path):
    """All steps of the second trajectory are counted from 5: its first part has no start."""
    rows = [dict(row) for row in played[0]]
    second = rows[T : 2 * T]
    begin = [i for i, row in enumerate(second) if row["env_state/timestep"] == 0]
    for row in second[: (begin + [T])[1]]:
        row["env_state/timestep"] = row["env_state/timestep"] + 5
    whole = convert_offline(written(tmp_path / "a", rows), tmp_path / "b", key_every=8)
    assert whole.left_out == 1 and whole.steps == 3 * T - (begin + [T])[1]
    assert convert_offline(tmp_path / "a", tmp_path / "c", limit=1).steps == T


def test_what_cannot_be_read_is_told(source, played, tmp_path):
    with pytest.raises(ZarrError, match="no group of arrays in format 2"):
        open_arrays(tmp_path)
    with pytest.raises(ZarrError, match="is of format 3, not 2"):
        open_arrays(written(tmp_path / "new", played[0], format=3))
    with pytest.raises(OfflineError, match=r"actions must have 7 bindings, got \(6,\)"):
        convert_offline(source, tmp_path / "x", size=dataclasses.replace(TINY, num_motor_bindings=5))
    flat = [{name: value for name, value in row.items() if name != "done"} for row in played[0]]
    with pytest.raises(OfflineError, match="have no field 'done'"):
        convert_offline(written(tmp_path / "flat", flat), tmp_path / "x")
    damaged = written(tmp_path / "damaged", played[0], codec={"id": "zlib"})
    (damaged / "shard_0" / "1").write_bytes(b"nothing")
    with pytest.raises(ZarrError, match="shard_0/1: is damaged"):
        open_arrays(damaged)["shard_0"].rows(0, 3)


def test_a_compression_of_numcodecs_is_asked_for(played, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    array = open_arrays(written(tmp_path / "blosc", played[0], codec={"id": "blosc"}))["shard_0"]
    with pytest.raises(ImportError, match=r"needs numcodecs: pip install 'kinetix-py\[offline\]'"):
        array.rows(0, 1)
