"""The curriculum of a run, in a file for later runs."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.curricula.protocol import Curriculum
from agents.curricula.teacher import TeacherCurriculum
from agents.teachers.again import AGAIN, Record
from kinetix_py.atomic import atomic_path


class CurriculumFileError(ValueError):
    """A file of what was taught that cannot be read, or that does not fit."""


def _fields(record: Record) -> dict[str, Any]:
    """Arrays of a record by name."""
    paths = jax.tree.leaves_with_path(record)
    return {jax.tree_util.keystr(path).removeprefix("."): leaf for path, leaf in paths}


def _space(box: kx.GeneratorBox) -> dict[str, np.ndarray]:
    """A space of tasks, as arrays."""
    return {"names": np.array(box.names), "low": np.array(box.low), "high": np.array(box.high)}


def save_curriculum(path: pathlib.Path, curriculum: Curriculum, state: Any, num_seeds: int = 1) -> bool:
    """Writes what was taught to the learner of each seed, if its curriculum keeps a record.

    Of several devices, each with a teacher of its own, the record of the first is written.

    Args:
      path: file to write, `.npz`.
      curriculum: curriculum of the run.
      state: states of the curricula, leading axes `[num_seeds]` (if there are several) and `[num_devices]`.
      num_seeds: number of seeds.

    Returns:
      whether there is a record, and the file.
    """
    if not (isinstance(curriculum, TeacherCurriculum) and isinstance(curriculum.teacher, AGAIN)):
        return False

    def of_seeds(leaf: jax.Array) -> np.ndarray:
        part = np.asarray(leaf.addressable_shards[0].data)
        return part[:1] if num_seeds == 1 else part[:, 0]

    arrays = jax.tree.map(of_seeds, _fields(state.teacher.record))
    with atomic_path(path, ".npz") as part:
        everything: dict[str, Any] = arrays | _space(curriculum.box)
        np.savez_compressed(part, **everything)
    return True


def read_curricula(paths: Sequence[pathlib.Path], box: kx.GeneratorBox, teacher: AGAIN) -> Record:
    """Reads records of earlier learners.

    Args:
      paths: at least one file that `save_curriculum` has written.
      box: the space of tasks, which must be the same.
      teacher: teacher that is to use them, whose tests must be the same.

    Returns:
      records, with a leading axis of all learners that were tested.

    Raises:
      CurriculumFileError: a file that is missing or is none of these, is of other tasks or tests, or no
        learner was tested.
    """
    components, fitted = teacher.own.max_components, teacher.own.num_fitted
    like = Record.empty(teacher.max_fits, components, fitted, teacher.num_tests)
    found: dict[str, list[np.ndarray]] = {name: [] for name in _fields(like)}
    for path in paths:
        try:
            with np.load(path) as file:
                arrays = dict(file)
        except (OSError, ValueError) as error:
            raise CurriculumFileError(f"{path}: not a file of what was taught: {error}") from None
        for name, expected in _space(box).items():
            if name not in arrays or not np.array_equal(arrays[name], expected):
                raise CurriculumFileError(
                    f"{path}: {name} of the tasks must be {expected.tolist()}, got "
                    f"{arrays[name].tolist() if name in arrays else None}"
                )
        for name, leaf in _fields(like).items():
            shape = arrays[name].shape[1:] if name in arrays else None
            if shape != leaf.shape:
                raise CurriculumFileError(
                    f"{path}: {name} must be of shape {leaf.shape} for each, got {shape}"
                )
            found[name].append(arrays[name][arrays["tested"]])
    whole = {name: jnp.asarray(np.concatenate(parts)) for name, parts in found.items()}
    if not whole["tested"].size:
        raise CurriculumFileError(f"{', '.join(map(str, paths))}: no learner was tested in its training")
    records: Record = jax.tree.unflatten(jax.tree.structure(like), list(whole.values()))
    # As many mixtures as the longest curriculum has.
    length = int(jnp.clip(records.count.max(), 1, teacher.max_fits))
    cut = lambda leaf: leaf[:, :length]
    return dataclasses.replace(
        records, mixtures=jax.tree.map(cut, records.mixtures), returns=cut(records.returns)
    )
