"""Export of recorded episodes to formats of others."""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np

from kinetix_py.atomic import atomic_path
from kinetix_py.chunks import suited_chunks
from kinetix_py.experience.dataset import Experience


def transitions(experience: Experience) -> dict[str, np.ndarray]:
    """Computes all transitions of a folder, episode after episode.

    Args:
      experience: recorded episodes, `S` steps together.

    Returns:
      arrays `[S, ...]` by name: `observations` and `next_observations`, of an observation that is a pytree
      one array for each leaf, such as `observations.shapes`; `actions`, `rewards`, `terminals` and `timeouts`
      (bool, the ends of episodes), `episode` (number of the episode) and `solved`.
    """
    parts, at_once = [], suited_chunks().replayed
    for start in range(0, len(experience), at_once):
        index = np.arange(start, min(start + at_once, len(experience)))
        # A batch of one size compiles once.
        found, count = jax.device_get(experience.batch(np.resize(index, at_once))), len(index)
        parts.append(_flat(jax.tree.map(lambda leaf, count=count: leaf[:count], found)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _flat(found: dict[str, Any]) -> dict[str, np.ndarray]:
    valid = found["valid"]
    rows: dict[str, np.ndarray] = {}
    before = jax.tree_util.tree_leaves_with_path(found["observation"])
    last = jax.tree.leaves(found["last_observation"])
    for (path, leaf), final in zip(before, last, strict=True):
        after = np.concatenate([leaf[:, 1:], final[:, None]], axis=1)
        name = jax.tree_util.keystr(path)
        rows[f"observations{name}"], rows[f"next_observations{name}"] = leaf[valid], after[valid]
    episode = np.broadcast_to(found["episode"][:, None], valid.shape)
    return rows | {
        "actions": found["action"][valid],
        "rewards": found["reward"][valid],
        "terminals": found["terminated"][valid],
        "timeouts": found["truncated"][valid],
        "episode": episode[valid],
        "solved": found["solved"][valid],
    }


def export_npz(experience: Experience, path: str | os.PathLike) -> None:
    """Writes all transitions to one `.npz`, in the names of D4RL (Fu et al., 2020); see `transitions`.

    Raises:
      OSError: it cannot be written.
    """
    with atomic_path(path, ".npz") as part:
        arrays: dict[str, Any] = {**transitions(experience)}
        np.savez_compressed(part, **arrays)
