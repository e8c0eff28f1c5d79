"""Policies in one file: parameters, and the config of the run that trained them."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from omegaconf import OmegaConf

from agents.config import OutputConfig, TrainConfig, as_yaml, read_config
from agents.io.checkpoint import CheckpointError
from agents.policy import Params
from kinetix_py.atomic import atomic_path

SUFFIX = ".npz"
# Entry beside the parameters, which are named by their paths in the tree.
HEADER = "header"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class PolicyFile:
    """Content of a policy file.

    Attributes:
      config: config of the run, without its output, its backend and the run that it started from.
      run: name of the run.
      step: number of updates after which the parameters were taken.
      inherited_levels: paths of the levels that runs before this one were trained on.
      arrays: parameters by their paths in the tree.
    """

    config: TrainConfig
    run: str
    step: int
    inherited_levels: tuple[str, ...]
    arrays: dict[str, np.ndarray]

    def params(self, like: Params, where: pathlib.Path) -> Params:
        """Arranges the parameters as a tree.

        Args:
          like: tree of arrays or shapes.
          where: the file, for errors.

        Raises:
          CheckpointError: a parameter is missing, left over, or of another shape.
        """
        wanted = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(like)}
        if set(wanted) != set(self.arrays):
            name = sorted(set(wanted) ^ set(self.arrays))[0]
            raise CheckpointError(f"{where}: {'lacks' if name in wanted else 'has an unknown'} {name}")
        for name, leaf in wanted.items():
            if self.arrays[name].shape != leaf.shape:
                raise CheckpointError(
                    f"{where}: {name} has shape {self.arrays[name].shape}, the network needs {leaf.shape}"
                )
        leaves = [self.arrays[name].astype(leaf.dtype) for name, leaf in wanted.items()]
        return jax.tree.unflatten(jax.tree.structure(like), leaves)


def write_policy_file(
    path: pathlib.Path,
    params: Params,
    config: TrainConfig,
    run: str,
    step: int,
    inherited_levels: Sequence[str] = (),
) -> None:
    """Writes a policy file, whole or not at all.

    Args:
      path: file to write, which ends in `.npz`.
      params, config, run, step, inherited_levels: as in `PolicyFile`; `params` as a tree.

    Raises:
      ValueError: another suffix.
    """
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: the name of a policy file must end in {SUFFIX}")
    # Folders of the machine that trained it mean nothing elsewhere, and its GPU may be missing.
    env = dataclasses.replace(config.env, backend="xla")
    config = dataclasses.replace(config, env=env, output=OutputConfig(), init_from=None, init_actor_scale=1.0)
    header = {
        "format": FORMAT,
        "run": run,
        "step": step,
        "inherited_levels": list(inherited_levels),
        "config": as_yaml(config),
    }
    arrays: dict[str, Any] = {HEADER: np.array(json.dumps(header))}
    arrays |= {jax.tree_util.keystr(at): np.asarray(leaf) for at, leaf in jax.tree.leaves_with_path(params)}
    with atomic_path(path, SUFFIX) as part:
        np.savez_compressed(part, **arrays)


def read_policy_file(path: pathlib.Path) -> PolicyFile:
    """Reads a policy file.

    Raises:
      CheckpointError: it is damaged, no policy file, or of a later version.
      ConfigError: its config is of a version that had other fields.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays: dict[str, Any] = {name: content[name] for name in content.files}
        header = json.loads(str(arrays.pop(HEADER)))
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: not a policy file, or a damaged one ({error})") from None
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {header.get('format')!r}, this version reads {FORMAT}")
    config = read_config(OmegaConf.create(header["config"]))
    return PolicyFile(config, header["run"], int(header["step"]), tuple(header["inherited_levels"]), arrays)
