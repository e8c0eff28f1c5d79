"""Solutions of level files as recorded episodes, which behavior cloning learns from."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

import kinetix_py as kx
from agents.config import ConfigError
from agents.levels import read_levels
from kinetix_py.chunks import suited_chunks
from kinetix_py.experience.recorder import KEY_EVERY, Recorder
from kinetix_py.levels.open_loop import padded_actions, play_sequences
from kinetix_py.levels.search import STEPS, search_environment


class Demonstrations(NamedTuple):
    """Files by what became of them."""

    recorded: tuple[str, ...]  # their solutions solve them
    without: tuple[str, ...]  # they have no solution
    failing: tuple[str, ...]  # their solutions do not solve them here


def record_solutions(
    files: Sequence[str],
    size: kx.LevelSize,
    folder: pathlib.Path,
    key_every: int = KEY_EVERY,
) -> Demonstrations:
    """Plays the solutions of level files, in the environment that they were searched in, and records them.

    Evaluations of what learns from them mark the levels that were recorded as trained on.

    Args:
      files: level files, or names of the library's levels.
      size: size to which levels are padded.
      folder: folder of the recording, which has none yet.
      key_every: environment steps from one key frame to the next.

    Raises:
      ConfigError: a file that cannot be read or does not fit the size, a folder that holds a recording, or no
        file with a solution that solves it.
    """
    if any(pathlib.Path(folder).glob("shard_*.npz")):
        raise ConfigError(f"{folder}: holds recorded episodes already")
    levels, env = read_levels(files, size), search_environment(size)
    given = {i: kx.load_level_file(file).solution for i, file in enumerate(files)}
    solutions = {i: solution for i, solution in given.items() if solution}
    for i, solution in solutions.items():
        if len(solution[0]) != size.num_bindings:
            raise ConfigError(
                f"{files[i]}: its solution is of {len(solution[0])} bindings, not of {size.num_bindings}"
            )
    actions, rows = [padded_actions(one[:STEPS], STEPS) for one in solutions.values()], list(solutions)
    length, solved = _play(env, jax.tree.map(lambda leaf: np.asarray(leaf)[rows], levels), actions)
    kept = [(i, k) for k, i in enumerate(rows) if solved[k]]
    if not kept:
        raise ConfigError(f"none of {len(files)} level files has a solution that solves it")
    index, which = map(list, zip(*kept, strict=True))
    recorded = [files[i] for i in index]
    with Recorder(
        folder, env, key_every=key_every, policy="solutions", levels="given", paths=recorded
    ) as out:
        chosen = jax.tree.map(lambda leaf: np.asarray(leaf)[index], levels)
        out.add(chosen, np.stack(actions)[which].astype(np.int32), length[which])
    name = lambda numbers: tuple(files[i] for i in numbers)
    without = [i for i in range(len(files)) if i not in solutions]
    return Demonstrations(tuple(recorded), name(without), name(i for i in rows if i not in index))


def _play(env: kx.Environment, levels: kx.Level, actions: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Plays a sequence on each level, some at once: steps until it is solved, and whether it is, `[B]`."""
    count, at_once, parts = len(actions), suited_chunks().replayed, []
    for start in range(0, count, at_once):
        index = np.minimum(np.arange(start, start + at_once), count - 1)
        part = play_sequences(env, jax.tree.map(lambda v, i=index: v[i], levels), np.stack(actions)[index])
        parts.append([np.asarray(v)[: count - start] for v in (part.length, part.solved)])
    length, solved = (np.concatenate(values) for values in zip(*parts, strict=True)) if parts else ([], [])
    return np.asarray(length, np.int32), np.asarray(solved, bool)
