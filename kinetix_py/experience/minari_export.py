"""Export of recorded episodes as a dataset of Minari (Younis et al., "Minari", 2024).

Needs the packages `minari` and `gymnasium` (`pip install 'kinetix-py[minari]'`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import minari
import numpy as np
from minari.data_collector import EpisodeBuffer

from kinetix_py.experience.dataset import Experience
from kinetix_py.experience.export import transitions
from kinetix_py.wrappers.gymnasium import action_space, observation_space


def export_minari(experience: Experience, dataset_id: str, **notes: Any) -> minari.MinariDataset:
    """Makes a local dataset of Minari, in the folder that its variable `MINARI_DATASETS_PATH` names.

    Observations and actions are those of `kinetix_py.wrappers.gymnasium`. An episode that was recorded
    without its end counts as truncated.

    Args:
      experience: recorded episodes.
      dataset_id: name, such as `"kinetix/s-v0"`.
      notes: further arguments of `minari.create_dataset_from_buffers`, such as `author="me"`.

    Returns:
      the dataset.

    Raises:
      ValueError: Minari has a dataset of this name, or the observation has no space of Gymnasium's.
    """
    spaces = {
        "observation_space": observation_space(experience.env),
        "action_space": action_space(experience.env),
    }
    rows = transitions(experience)
    starts = np.flatnonzero(np.diff(rows["episode"], prepend=-1))
    ends = [*starts[1:], len(rows["episode"])]
    buffers = [
        _buffer(rows, experience, start, end) for start, end in zip(starts.tolist(), ends, strict=True)
    ]
    notes = {"algorithm_name": str(experience.header.get("policy", "")) or None} | notes
    return minari.create_dataset_from_buffers(dataset_id, buffers, **spaces, **notes)


def _buffer(rows: dict[str, np.ndarray], experience: Experience, start: int, end: int) -> EpisodeBuffer:
    """Makes one episode, with one observation more than actions."""
    example = experience.env.observation_space.example
    names = (
        [f".{field.name}" for field in dataclasses.fields(example)]
        if dataclasses.is_dataclass(example)
        else [""]
    )
    seen = {}
    for name in names:
        before, after = rows[f"observations{name}"], rows[f"next_observations{name}"]
        values = np.concatenate([before[start:end], after[end - 1 : end]])
        seen[name] = values.astype(np.int8) if values.dtype == bool else values  # as of Gymnasium's spaces
    terminated, truncated = rows["terminals"][start:end].copy(), rows["timeouts"][start:end].copy()
    truncated[-1] |= not terminated[-1]
    actions = rows["actions"][start:end]
    return EpisodeBuffer(
        id=int(rows["episode"][start]),
        observations=seen[""] if names == [""] else {name[1:]: value for name, value in seen.items()},
        actions=actions.astype(np.int64) if np.issubdtype(actions.dtype, np.integer) else actions,
        rewards=rows["rewards"][start:end].tolist(),
        terminations=terminated.tolist(),
        truncations=truncated.tolist(),
        infos={"solved": rows["solved"][start:end]},
    )
