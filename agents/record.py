"""Recording of what a trained policy does, as files of episodes."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.config import ConfigError
from agents.levels import LevelSet
from agents.loading import LoadedPolicy
from agents.policy import Params, Policy
from kinetix_py.experience.recorder import KEY_EVERY, make_shard, shard_path
from kinetix_py.experience.shard import Shard, ShardError, make_header, read_shard, write_shard

EPISODES_AT_ONCE = 1024
EPISODES_PER_SHARD = 4096


@functools.partial(jax.jit, static_argnames=("policy", "env", "max_steps", "mode"))
def play_for_actions(
    key: jax.Array,
    policy: Policy,
    params: Params,
    env: kx.Environment,
    levels: kx.Level,
    env_params: kx.EnvParams,
    *,
    max_steps: int,
    mode: bool = False,
) -> tuple[kx.EpisodeResults, jax.Array]:
    """Plays one episode of every level and keeps its actions; arguments as of `play_levels`.

    Returns:
      results `[B]`, and actions `[B, max_steps, ...]`, of which those of an episode's length count.
    """
    action_mask, batch = jax.vmap(env.action_mask), levels.batch_shape[0]

    def act(key, carry, obs, state, first):
        memory, kept, step = carry
        output = policy.step(params, memory, obs, first, action_mask(state))
        action = output.distribution.mode() if mode else output.distribution.sample(seed=key)
        kept = jax.lax.dynamic_update_index_in_dim(kept, action.astype(kept.dtype), step, 1)
        return (output.carry, kept, step + 1), action

    noop = env.noop_action
    kept = jnp.broadcast_to(noop[None, None], (batch, max_steps, *noop.shape))
    carry = (policy.initial_carry(batch), kept, jnp.int32(0))
    results = kx.play_episodes(key, env, levels, act, carry, env_params, max_steps=max_steps)
    return results._replace(carry=()), results.carry[1]


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
        """Plays the episodes of a file: the same ones whenever it is asked for.

        Raises:
          RuntimeError: an episode that is played again by its actions ends otherwise.
        """
        first = number * self.levels_per_shard
        rows = np.arange(first, min(first + self.levels_per_shard, len(self.levels)))
        levels = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], self.levels.levels)
        index = np.repeat(np.arange(len(rows)), self.attempts)
        loaded, key = self.loaded, jax.random.fold_in(jax.random.key(self.seed), number)
        found = []
        for part, start in enumerate(range(0, len(index), EPISODES_AT_ONCE)):
            chosen = np.resize(index[start : start + EPISODES_AT_ONCE], EPISODES_AT_ONCE)  # one shape
            results, actions = jax.device_get(
                play_for_actions(
                    jax.random.fold_in(key, part),
                    loaded.policy,
                    loaded.params,
                    loaded.env,
                    jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], levels),
                    loaded.env_params,
                    max_steps=int(loaded.env_params.max_timesteps),
                    mode=self.mode,
                )
            )
            count = len(index[start : start + EPISODES_AT_ONCE])
            found.append((actions[:count], results.length[:count], results.outcome[:count]))
        actions, length, outcome = (np.concatenate(parts) for parts in zip(*found, strict=True))
        shard = make_shard(self.header, levels, index, actions, length)
        differ = int((shard.outcome != outcome).sum())
        if differ:
            raise RuntimeError(
                f"{differ} of {len(outcome)} episodes end otherwise when they are played again"
            )
        return shard


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
