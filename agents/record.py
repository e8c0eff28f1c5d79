"""Recording of what a trained policy does, as files of episodes."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.config import ConfigError
from agents.levels import LevelSet
from agents.loading import LoadedPolicy
from agents.policy import Params, Policy
from kinetix_py.chunks import suited_chunks
from kinetix_py.experience.recorder import KEY_EVERY, Told, make_shard, shard_path
from kinetix_py.experience.replay import Frame, frame_of
from kinetix_py.experience.shard import Shard, ShardError, make_header, read_shard, write_shard

EPISODES_PER_SHARD = 4096
_STREAM = 0x7265636F  # of random numbers, far from those of training and evaluation


class PlayedEpisodes(NamedTuple):
    """Episodes of a batch of levels, with all that a file of them needs."""

    results: kx.EpisodeResults  # [B]
    actions: jax.Array  # [B, max_steps, ...], of which those of an episode's length count
    frames: Frame  # key frames [slots, B, ...]


@functools.partial(jax.jit, static_argnames=("policy", "env", "max_steps", "mode", "key_every"))
def play_for_record(
    key: jax.Array,
    policy: Policy,
    params: Params,
    env: kx.Environment,
    levels: kx.Level,
    env_params: kx.EnvParams,
    *,
    max_steps: int,
    key_every: int,
    mode: bool = False,
) -> PlayedEpisodes:
    """Plays one episode of every level; keeps actions, and the state after every `key_every` steps.

    Other arguments are those of `agents.evaluation.episodes.play_levels`.
    """
    action_mask, batch = jax.vmap(env.action_mask), levels.batch_shape[0]

    def act(key, carry, obs, state, first):
        memory, kept, frames, step = carry
        output = policy.step(params, memory, obs, first, action_mask(state))
        action = output.distribution.mode() if mode else output.distribution.sample(seed=key)
        kept = jax.lax.dynamic_update_index_in_dim(kept, action.astype(kept.dtype), step, 1)
        # Until the next multiple, each of these states is overwritten by a later one.
        slot = jnp.maximum(-(-step // key_every) - 1, 0)
        put = lambda table, now: jax.lax.dynamic_update_index_in_dim(table, now, slot, 0)
        frames = jax.tree.map(put, frames, frame_of(state))
        return (output.carry, kept, frames, step + 1), action

    noop = env.noop_action
    kept = jnp.broadcast_to(noop[None, None], (batch, max_steps, *noop.shape))
    start = jax.eval_shape(lambda: frame_of(jax.vmap(env.reset_to_level, (0, None))(levels, env_params)[1]))
    slots = -(-max_steps // key_every)
    frames = jax.tree.map(lambda leaf: jnp.zeros((slots, *leaf.shape), leaf.dtype), start)
    carry = (policy.initial_carry(batch), kept, frames, jnp.int32(0))
    results = kx.play_episodes(key, env, levels, act, carry, env_params, max_steps=max_steps)
    _, actions, frames, _ = results.carry
    return PlayedEpisodes(results._replace(carry=()), actions, frames)


def recording_keys(seed: int) -> tuple[jax.Array, jax.Array]:
    """Makes the random keys of a recording's levels and actions; none is that of a run or an evaluation."""
    levels, actions = jax.random.split(jax.random.fold_in(jax.random.key(seed), _STREAM))
    return levels, actions


@dataclasses.dataclass(frozen=True)
class Recording:
    """A policy, levels, and how often it plays each of them.

    Attributes:
      loaded: policy.
      levels: levels.
      attempts: episodes of each level.
      seed: seed of the actions.
      mode: whether the most likely actions are taken rather than sampled.
      key_every: environment steps from one key frame to the next.
      paths: paths of the levels, as of `kinetix train`, so that evaluations mark them; of random ones none.
    """

    loaded: LoadedPolicy
    levels: LevelSet
    attempts: int = 4
    seed: int = 0
    mode: bool = False
    key_every: int = KEY_EVERY
    paths: tuple[str, ...] = ()

    @property
    def header(self) -> dict[str, Any]:
        """Header of every file, which tells this recording from others."""
        return make_header(
            self.loaded.env,
            self.loaded.env_params,
            self.key_every,
            policy=self.loaded.name,
            levels=self.levels.name,
            paths=list(self.paths),
            attempts=self.attempts,
            seed=self.seed,
            mode=self.mode,
        )

    @property
    def levels_per_shard(self) -> int:
        """Levels of one file."""
        return max(EPISODES_PER_SHARD // self.attempts, 1)

    @property
    def num_shards(self) -> int:
        """Number of files."""
        return -(-len(self.levels) // self.levels_per_shard)

    def play(self, number: int) -> Shard:
        """Plays the episodes of a file: the same ones whenever it is asked for, on one kind of device."""
        first = number * self.levels_per_shard
        rows = np.arange(first, min(first + self.levels_per_shard, len(self.levels)))
        levels = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], self.levels.levels)
        index = np.repeat(np.arange(len(rows)), self.attempts)
        key = jax.random.fold_in(recording_keys(self.seed)[1], number)
        at_once = suited_chunks().recorded
        found = [
            self._play(jax.random.fold_in(key, part), levels, index[start : start + at_once])
            for part, start in enumerate(range(0, len(index), at_once))
        ]
        join = lambda values, axis=0: np.concatenate(list(values), axis=axis)
        told = Told(
            outcome=join(one.results.outcome for one in found),
            distance=join(one.results.final for one in found),
            frames={name: join((one.frames[name] for one in found), 1) for name in found[0].frames},
        )
        actions, length = join(one.actions for one in found), join(one.results.length for one in found)
        return make_shard(self.header, levels, index, actions, length, told)

    def _play(self, key: jax.Array, levels: kx.Level, index: np.ndarray) -> PlayedEpisodes:
        """Plays an episode of each of some levels, always as many at once."""
        loaded, chosen = self.loaded, np.resize(index, suited_chunks().recorded)
        played = play_for_record(
            key,
            loaded.policy,
            loaded.params,
            loaded.env,
            jax.tree.map(lambda leaf: leaf[chosen], levels),
            loaded.env_params,
            max_steps=int(loaded.env_params.max_timesteps),
            key_every=self.key_every,
            mode=self.mode,
        )
        results, actions, frames = jax.device_get(played)
        count = len(index)
        results = jax.tree.map(lambda leaf: leaf[:count], results)
        return PlayedEpisodes(results, actions[:count], {k: v[:, :count] for k, v in frames.items()})


def record(
    recording: Recording, folder: pathlib.Path, progress: Callable[[str], None] = lambda line: None
) -> list[Shard]:
    """Writes the files of a recording that are not there yet.

    Args:
      recording: what is recorded.
      folder: folder of the files.
      progress: told a line for each file.

    Returns:
      all of them, as read.

    Raises:
      ConfigError: the folder holds another recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header, shards = recording.header, []
    for number in range(recording.num_shards):
        path = shard_path(folder, number)
        if path.exists():
            try:
                shard = read_shard(path)
            except ShardError as error:
                progress(f"{error}; it is recorded again")
            else:
                if shard.header != header:
                    raise ConfigError(f"{path}: is of another recording: {_difference(shard.header, header)}")
                shards.append(shard)
                progress(f"{path}: is there")
                continue
        shard = recording.play(number)
        write_shard(path, shard)
        shards.append(shard)
        progress(_line(path, shard))
    return shards


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    name = next(name for name in {**found, **wanted} if found.get(name) != wanted.get(name))
    return f"its {name} is {found.get(name)!r}, not {wanted.get(name)!r}"


def _line(path: pathlib.Path, shard: Shard) -> str:
    steps = int(shard.length.sum())
    size = path.stat().st_size
    return (
        f"{path}: {len(shard.length)} episodes, {steps} steps, {(shard.outcome == 1).mean():.1%} solved, "
        f"{size / steps:.1f} bytes a step"
    )
