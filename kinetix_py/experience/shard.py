"""Files of episodes: levels, actions and key frames in one `.npz`, with a header and a digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import zipfile
import zlib
from typing import Any

import jax
import numpy as np

import jax2d
from kinetix_py.actions import ActionAdapter
from kinetix_py.atomic import atomic_path
from kinetix_py.env.environment import Environment
from kinetix_py.env.types import EnvParams
from kinetix_py.experience.replay import frame_fields
from kinetix_py.levels.level import Level, empty_level, with_rules
from kinetix_py.sizes import LevelSize
from kinetix_py.spaces import Discrete

FORMAT, PLAIN_VERSION, RULES_VERSION = "kinetix-py experience", 1, 2  # the second if levels have rules
EPISODE_FIELDS = {"level_index": np.int32, "length": np.int32, "outcome": np.int8, "distance": np.float32}
ENV_FIELDS = ("action_type", "frame_skip", "reward", "solver_iterations", "warm_start", "contact_order")
DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class ShardError(ValueError):
    """A file of episodes that is damaged, or of another kind."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Episodes on the host: `L` levels, `E` episodes of `S` steps together, `F` key frames.

    Attributes:
      header: description of the environment and of the recording, as of `make_header`.
      levels: levels `[L]`.
      level_index: int32 `[E]`, level of each episode.
      length: int32 `[E]`, environment steps of each episode.
      outcome: int8 `[E]`, 1 solved, -1 failed, 0 neither.
      distance: float32 `[E]`, green-blue distance after the last step [m].
      actions: `[S, ...]`, actions of all episodes one after another, as of the action space.
      frames: key frames `[F, ...]` by field: of each episode the states after `key_every`, `2 key_every`, ...
        steps that are not its last.
    """

    header: dict[str, Any]
    levels: Level
    level_index: np.ndarray
    length: np.ndarray
    outcome: np.ndarray
    distance: np.ndarray
    actions: np.ndarray
    frames: dict[str, np.ndarray]

    @property
    def key_every(self) -> int:
        """Environment steps from one key frame to the next."""
        return int(self.header["key_every"])

    @property
    def segments(self) -> np.ndarray:
        """Number of segments of each episode, each of `key_every` steps but the last: int `[E]`."""
        return -(-self.length // self.key_every)


def make_header(env: Environment, params: EnvParams, key_every: int, **notes: Any) -> dict[str, Any]:
    """Describes an environment and a recording.

    Args:
      env: environment that the episodes are of.
      params: numbers of the game.
      key_every: environment steps from one key frame to the next.
      notes: what else is to be kept, such as `policy` and `seed`.

    Raises:
      ValueError: a reward that is a function, which no file can hold.
    """
    if callable(env.reward):
        raise ValueError(f"the reward of recorded episodes must be one of a name, got {env.reward!r}")
    numbers = {name: float(value) for name, value in vars(params.sim).items()}
    game = {
        "dense_reward_scale": float(params.dense_reward_scale),
        "max_timesteps": int(params.max_timesteps),
    }
    return {
        "format": FORMAT,
        "version": PLAIN_VERSION,
        "engine": jax2d.__version__,
        "backend": jax.default_backend(),
        "size": dataclasses.asdict(env.size),
        "env": {name: getattr(env, name) for name in ENV_FIELDS},
        "params": game | {"sim": numbers},
        "key_every": key_every,
        **notes,
    }


def header_env(
    header: dict[str, Any], observation_type: Any = "blind", rules: bool = False
) -> tuple[Environment, EnvParams]:
    """Makes the environment of a header, and its numbers of the game; `rules` as of `Environment`."""
    game = dict(header["params"])
    params = EnvParams(sim=jax2d.SimParams(**game.pop("sim")), **game)
    size = LevelSize(**header["size"])
    return Environment(size, observation_type=observation_type, rules=rules, **header["env"]), params


def _codes(actions: np.ndarray, adapter: ActionAdapter) -> np.ndarray:
    """Packs the choices of each multi-discrete action into one number of the smallest type that holds it."""
    choices = adapter.choices
    most = int(np.prod(choices, dtype=np.int64)) - 1
    radix = np.cumprod([1, *choices[:-1]], dtype=np.int64)
    return (actions.astype(np.int64) @ radix).astype(np.min_scalar_type(most))


def _choices(codes: np.ndarray, adapter: ActionAdapter) -> np.ndarray:
    """Reverses `_codes`."""
    choices = np.asarray(adapter.choices)
    radix = np.cumprod([1, *choices[:-1]], dtype=np.int64)
    return (codes.astype(np.int64)[:, None] // radix[None] % choices[None]).astype(np.int32)


def _names(levels: Any) -> list[str]:
    return [f"level{jax.tree_util.keystr(path)}" for path, _ in jax.tree_util.tree_leaves_with_path(levels)]


def _digest(arrays: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {value.dtype.str} {value.shape}".encode())
        total.update(value.tobytes())
    return total.hexdigest()


def write_shard(path: str | os.PathLike, shard: Shard) -> None:
    """Writes a file in one move: a crash leaves the whole file or none.

    Raises:
      OSError: it cannot be written.
    """
    env, _ = header_env(shard.header)
    adapter = env.action_adapter
    actions = _codes(shard.actions, adapter) if adapter.type == "multi_discrete" else shard.actions
    if isinstance(adapter.space, Discrete):
        actions = actions.astype(np.min_scalar_type(adapter.space.n - 1))
    arrays: dict[str, Any] = {"header": np.array(json.dumps(shard.header)), "actions": actions}
    arrays |= {name: getattr(shard, name).astype(dtype) for name, dtype in EPISODE_FIELDS.items()}
    arrays |= {f"frame.{name}": value for name, value in shard.frames.items()}
    arrays |= dict(zip(_names(shard.levels), map(np.asarray, jax.tree.leaves(shard.levels)), strict=True))
    with atomic_path(path, ".npz") as part:
        np.savez_compressed(part, digest=np.array(_digest(arrays)), **arrays)


def read_shard(path: str | os.PathLike) -> Shard:
    """Reads a file whole.

    Raises:
      ShardError: naming the file; it is missing, damaged, of a newer version, or no file of episodes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        digest = str(arrays.pop("digest"))
        if digest != _digest(arrays):
            raise ValueError("its content is not that of its digest")
        header = json.loads(str(arrays["header"]))
        if header["format"] != FORMAT or header["version"] > RULES_VERSION:
            raise ValueError(f"is {header['format']!r} of version {header['version']}")
        return _shard(header, arrays)
    except DAMAGE as error:
        raise ShardError(f"{pathlib.Path(path)}: no whole file of episodes: {error}") from None


def _shard(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Shard:
    env, _ = header_env(header)
    model = empty_level(env.size)
    model = with_rules(model) if header["version"] == RULES_VERSION else model
    levels = jax.tree.unflatten(jax.tree.structure(model), [arrays[name] for name in _names(model)])
    adapter, actions = env.action_adapter, arrays["actions"]
    actions = _choices(actions, adapter) if adapter.type == "multi_discrete" else actions
    return Shard(
        header=header,
        levels=levels,
        actions=actions.astype(env.action_space.dtype),
        frames={name: arrays[f"frame.{name}"] for name in frame_fields(model)},
        **{name: arrays[name] for name in EPISODE_FIELDS},
    )
