"""Kinetix's offline data as recorded episodes of this package.

Kinetix's data, of its version 3, are folders of format 2 of Zarr (`kinetix/data/data_utils.py` there): each
array is a file of trajectories, each record 256 steps of one level with the state before each step
(`env_state/polygon/position`, ...), the action, and `done` where an episode ended. They hold solved episodes
alone. https://huggingface.co/datasets/mbeukman/Kinetix-Offline
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

import jax2d
from jax2d.pairs import contact_layout
from jax2d.params import ContactOrder
from kinetix_py.env.environment import Environment
from kinetix_py.env.types import EnvParams
from kinetix_py.experience.recorder import Recorder, Told
from kinetix_py.experience.zarr_arrays import ZarrArray, open_arrays
from kinetix_py.levels.json_node import LevelError
from kinetix_py.levels.kinetix_format import (
    BODY_NUMBERS,
    BODY_POSITIVE,
    BODY_VECTORS,
    JOINT_FLAGS,
    JOINT_NUMBERS,
    JOINT_VECTORS,
    THRUSTER_NUMBERS,
    THRUSTER_VECTORS,
    empty_unused,
)
from kinetix_py.levels.level import Level, stack_levels
from kinetix_py.levels.level_file import LevelArrays, empty_arrays, to_level
from kinetix_py.roles import BLUE, GREEN
from kinetix_py.sizes import LevelSize

FRAME_SKIP, TIME_LIMIT = 2, 256  # of Kinetix: physics steps of a step, steps of an episode
CHUNK = 64  # trajectories read at once: states of all their steps are large
DISTANCE, TOUCHING = "distance of green and blue", "touching slots"  # columns that are computed
Columns = dict[str, np.ndarray]  # of a trajectory, by Kinetix's names without "env_state/": [T, ...]

BODY_FIELDS = {name: name for name in ("restitution", "collision_mode", "active")}
BODY_FIELDS |= BODY_VECTORS | BODY_NUMBERS | BODY_POSITIVE
JOINT_FIELDS = {"a_index": "body_a", "b_index": "body_b", "active": "active"}
JOINT_FIELDS |= JOINT_VECTORS | JOINT_NUMBERS | JOINT_FLAGS
THRUSTER_FIELDS = {"object_index": "body", "active": "active"} | THRUSTER_VECTORS | THRUSTER_NUMBERS


class OfflineError(ValueError):
    """Records that are no trajectories of Kinetix, or of another size than asked for."""


@dataclasses.dataclass(frozen=True)
class Converted:
    """Counts of a conversion.

    Attributes:
      episodes, steps, levels: what was written.
      left_out: parts of trajectories that do not begin at the start of an episode.
      refused: episodes of levels that this package refuses, such as shapes with a corner inwards.
    """

    episodes: int = 0
    steps: int = 0
    levels: int = 0
    left_out: int = 0
    refused: int = 0

    def __add__(self, other: Converted) -> Converted:
        return Converted(*(a + b for a, b in zip(_counts(self), _counts(other), strict=True)))


def _counts(one: Converted) -> tuple[int, ...]:
    return tuple(vars(one).values())


def read_trajectories(array: ZarrArray, start: int, stop: int) -> list[Columns]:
    """Reads trajectories `start` to `stop` of an array.

    Raises:
      OfflineError: the records are no trajectories.
      ZarrError, IndexError, ImportError: as of `ZarrArray.rows`.
    """
    names = array.dtype.names or ()
    for needed in ("action", "done", "env_state/timestep", "env_state/polygon/position"):
        if needed not in names:
            raise OfflineError(f"{array.folder}: its records have no field {needed!r}, as trajectories do")
    raw = array.rows(start, stop)
    # A step has one environment, in an axis of its own: [B, T, 1, ...].
    single = raw["env_state/timestep"].ndim == 3
    fields = {
        name.removeprefix("env_state/"): raw[name].squeeze(2) if single else raw[name]
        for name in names
        if name.startswith("env_state/") or name in ("action", "done")
    }
    return [{name: value[i] for name, value in fields.items()} for i in range(stop - start)]


def size_of(columns: Columns) -> LevelSize:
    """Returns the size of a trajectory's level, with Kinetix's four walls and its bindings.

    Raises:
      OfflineError: actions of another number of bindings.
    """
    size = LevelSize(
        num_polygons=columns["polygon/active"].shape[1],
        num_circles=columns["circle/active"].shape[1],
        num_joints=columns["joint/active"].shape[1],
        num_thrusters=columns["thruster/active"].shape[1],
        max_vertices=columns["polygon/vertices"].shape[2],
    )
    _check_bindings(columns, size)
    return size


def _check_bindings(columns: Columns, size: LevelSize) -> None:
    if columns["action"].shape[1:] != (size.num_bindings,):
        raise OfflineError(
            f"actions must have {size.num_bindings} bindings, got {columns['action'].shape[1:]}"
        )


def _bodies(columns: Columns, name: str) -> np.ndarray:
    """A property of all bodies, polygons first: `[T, N, ...]`."""
    return np.concatenate([columns[f"polygon/{name}"], columns[f"circle/{name}"]], axis=1)


def level_arrays(columns: Columns, step: int, size: LevelSize) -> LevelArrays:
    """Returns the level that a step of a trajectory is at, as arrays; those of a start are the level's."""
    at = lambda name: columns[name][step]
    bodies = {field: _bodies(columns, name)[step] for name, field in BODY_FIELDS.items()}
    for field, name in (("role", "shape_roles"), ("density", "densities")):
        bodies[field] = np.concatenate([at(f"polygon_{name}"), at(f"circle_{name}")])
    joints = {field: at(f"joint/{name}") for name, field in JOINT_FIELDS.items()}
    joints |= {"motor_binding": at("motor_bindings"), "motor_auto": at("motor_auto")}
    thrusters = {field: at(f"thruster/{name}") for name, field in THRUSTER_FIELDS.items()}
    thrusters["thruster_binding"] = at("thruster_bindings")
    plain = lambda table: {name: _plain(value) for name, value in table.items()}
    return empty_unused(
        LevelArrays(
            bodies=plain(bodies),
            joints=plain(joints),
            thrusters=plain(thrusters),
            vertices=at("polygon/vertices").astype(np.float32),
            num_vertices=at("polygon/n_vertices").astype(np.int32),
            radius=at("circle/radius").astype(np.float32),
            gravity=at("gravity").astype(np.float32),
            rules=empty_arrays(size).rules,
        )
    )


def _plain(value: np.ndarray) -> np.ndarray:
    """Converts an array, which may be stored in a smaller type, to bool, int32 or float32."""
    if value.dtype == bool:
        return value
    return value.astype(np.int32 if np.issubdtype(value.dtype, np.integer) else np.float32)


def episodes_of(columns: Columns) -> tuple[list[tuple[int, int, bool]], int]:
    """Cuts a trajectory into episodes.

    Returns:
      first step, step after the last, and whether it ended there, of each; and the number of parts that do
      not begin at the start of an episode.
    """
    time, done = columns["timestep"], columns["done"].astype(bool)
    starts = [0, *(np.flatnonzero(time[1:] <= time[:-1]) + 1).tolist()]
    parts = list(zip(starts, [*starts[1:], len(time)], strict=True))
    found = [(a, b, b < len(time) or bool(done[-1])) for a, b in parts if time[a] == 0]
    return found, len(parts) - len(found)


def touching_slots(columns: Columns, size: LevelSize) -> np.ndarray:
    """Returns the contact slots that overlapped in the physics step before each step: bool `[T, K]`."""
    spec = size.sim_spec()
    slots = []
    for kind in contact_layout(spec):
        for block in kind.blocks:
            rank = block.kinetix_rank.reshape(-1)
            for point in range(kind.points_per_pair):
                if kind.points_per_pair == 2:
                    slots.append(columns["acc_rr_manifolds/active"][:, rank, point])
                else:
                    mixed = bool((block.bodies < size.num_polygons).any())
                    slots.append(columns[f"acc_{'cr' if mixed else 'cc'}_manifolds/active"][:, rank])
    none = np.zeros((len(columns["timestep"]), 0), bool)
    return np.concatenate([none, *slots], axis=1).astype(bool)


def goal_distances(columns: Columns) -> np.ndarray:
    """Returns the distance of green and blue before each step, as `kinetix_py.goal_distance`: `[T]` [m]."""
    role = np.concatenate([columns["polygon_shape_roles"], columns["circle_shape_roles"]], axis=1)
    active, position = _bodies(columns, "active").astype(bool), _bodies(columns, "position")
    apart = np.linalg.norm(position[:, :, None] - position[:, None], axis=-1)
    green, blue = (active & (role == which) for which in (GREEN, BLUE))
    return np.where(green[:, :, None] & blue[:, None], apart, 0).sum((1, 2)).astype(np.float32)


def _frames(columns: Columns, size: LevelSize, first: int, steps: np.ndarray, scale: float) -> Columns:
    """Key frames of an episode before some of its steps, without impulses, which Kinetix counts otherwise."""
    rows, distance = first + steps, columns[DISTANCE]
    spec, count = size.sim_spec(), len(steps)
    names = ("position", "rotation", "velocity", "angular_velocity")
    return {name: _bodies(columns, name)[rows].astype(np.float32) for name in names} | {
        "contact_impulse": np.zeros((count, jax2d.num_contacts(spec), 2), np.float32),
        "joint_impulse": np.zeros((count, size.num_joints, 3), np.float32),
        "touching_slots": columns[TOUCHING][rows],
        "distance": distance[rows],
        # The first step earns nothing for distance.
        "episode_return": scale * (distance[min(first + 1, rows.max())] - distance[rows]),
    }


def convert_offline(
    source: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    size: LevelSize | None = None,
    key_every: int = 4,
    limit: int | None = None,
    contact_order: ContactOrder = "kinetix",
    params: EnvParams | None = None,
) -> Converted:
    """Writes the episodes of Kinetix's offline data as files of recorded episodes.

    An episode is written as its level, its actions and key frames, which are Kinetix's own states: between
    two of them a replay is this engine's, which begins each without the impulses of the step before. An
    episode that ended before the time limit counts as solved, since the data hold no others; its final
    distance is that before its last step.

    Args:
      source: a group of Kinetix's data, such as `1M/s`.
      folder: folder of the files, to which they are added.
      size: size of the levels; that of the data with Kinetix's walls and bindings if None.
      key_every: steps between key frames; 1 makes every observation Kinetix's own state.
      limit: trajectories to convert, at most; all if None.
      contact_order: of the environment that replays; `env.contact_order` of a run that learns from them.
      params: numbers of the game; the defaults, under Kinetix's time limit, if None.

    Returns:
      counts of what was written and what was not.

    Raises:
      OfflineError, ZarrError, ImportError: naming what cannot be read.
    """
    arrays = [array for array in open_arrays(source).values() if len(array)]
    params = EnvParams(max_timesteps=TIME_LIMIT) if params is None else params
    total, left = Converted(), sum(map(len, arrays)) if limit is None else limit
    recorder = None
    for array in arrays:
        stop = min(len(array), left)
        left -= stop
        for start in range(0, stop, CHUNK):
            trajectories = read_trajectories(array, start, min(start + CHUNK, stop))
            if size is None:
                size = size_of(trajectories[0])
            if recorder is None:
                floats = np.issubdtype(trajectories[0]["action"].dtype, np.floating)
                env = Environment(
                    size,
                    observation_type="blind",
                    action_type="continuous" if floats else "multi_discrete",
                    frame_skip=FRAME_SKIP,
                    contact_order=contact_order,
                )
                recorder = Recorder(
                    folder, env, params, key_every=key_every, policy="Kinetix's specialists", paths=[]
                )
            total += _add(recorder, trajectories, size, key_every, params, str(array.folder))
    if recorder is not None:
        recorder.close()
    return total


def _add(
    recorder: Recorder,
    trajectories: list[Columns],
    size: LevelSize,
    every: int,
    params: EnvParams,
    where: str,
) -> Converted:
    """Adds the episodes of some trajectories to a recorder."""
    levels: list[Level] = []
    episodes: list[tuple[int, Columns, int, int, bool]] = []
    left_out = refused = 0
    for columns in trajectories:
        _check_bindings(columns, size)
        columns |= {DISTANCE: goal_distances(columns), TOUCHING: touching_slots(columns, size)}
        found, skipped = episodes_of(columns)
        left_out += skipped
        known: dict[bytes, int] = {}
        for first, after, ended in found:
            arrays = level_arrays(columns, first, size)
            content = b"".join(
                np.ascontiguousarray(v).tobytes()
                for table in (arrays.bodies, arrays.joints, arrays.thrusters)
                for v in table.values()
            )
            if content not in known:
                try:
                    levels.append(to_level(arrays, size, where))
                except LevelError:
                    refused += 1
                    continue
                known[content] = len(levels) - 1
            episodes.append((known[content], columns, first, after, ended))
    if not episodes:
        return Converted(left_out=left_out, refused=refused)
    length = np.array([after - first for _, _, first, after, _ in episodes])
    most, slots = int(length.max()), max(-(-int(length.max()) // every), 1)
    actions = np.zeros((len(episodes), most, size.num_bindings), episodes[0][1]["action"].dtype)
    kept, scale = [], float(params.dense_reward_scale)
    for i, (_, columns, first, after, _) in enumerate(episodes):
        actions[i, : length[i]] = columns["action"][first:after]
        steps = np.minimum((np.arange(slots) + 1) * every, length[i] - 1)
        kept.append(_frames(columns, size, first, steps, scale))
    over = np.array([end for *_, end in episodes])
    told = Told(
        outcome=(over & (length < int(params.max_timesteps))).astype(np.int8),
        distance=np.array([columns[DISTANCE][after - 1] for _, columns, _, after, _ in episodes]),
        frames={name: np.stack([one[name] for one in kept], axis=1) for name in kept[0]},
    )
    index = np.array([row for row, *_ in episodes])
    recorder.add(stack_levels(levels, size), actions, length, index, told)
    return Converted(len(episodes), int(length.sum()), len(levels), left_out, refused)
