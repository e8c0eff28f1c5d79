"""Checkpoints of a run: all that the next update needs, each written whole or not at all."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from agents.training.trainer import TrainState


class CheckpointError(ValueError):
    """A checkpoint that is missing or does not fit."""


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(tree: Any) -> Any:
    """Converts random keys in a tree to plain numbers."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)


def _typed(tree: Any, like: Any) -> Any:
    """Reverses `_plain`."""
    return jax.tree.map(
        lambda leaf, model: jax.random.wrap_key_data(leaf) if _is_key(model) else leaf, tree, like
    )


def _named(tree: Any) -> dict[str, Any]:
    """Leaves by their path, so that files do not depend on classes."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def _one_copy(leaf: jax.Array) -> jax.Array | np.ndarray:
    """Takes one copy of an array that all devices hold.

    Orbax would let each device write a part, which needs jax 0.7.1. Of several processes, the first one
    writes what is no array of devices.
    """
    if not (isinstance(leaf, jax.Array) and leaf.is_fully_replicated):
        return leaf
    copy = leaf.addressable_data(0)
    return copy if jax.process_count() == 1 else np.asarray(copy)


def _evaluated(state: TrainState) -> str:
    """Name of the field of a state that evaluation plays with."""
    return "params" if state.average is None else "average"


def _rest(state: TrainState) -> dict[str, Any]:
    """All fields of a state but the one that evaluation plays with."""
    return {name: value for name, value in vars(state).items() if name != _evaluated(state)}


class Checkpoints:
    """The checkpoints in a folder, by the number of updates after which they were taken.

    The parameters that evaluation plays with (the average, in a run that keeps one) are an item of their own,
    so that it can read them without knowing the rest.
    """

    def __init__(self, folder: pathlib.Path, keep: int | None = None, create: bool = False):
        """Opens a folder.

        Args:
          folder: folder of checkpoints.
          keep: number of newest checkpoints to keep; all if None.
          create: make the folder if there is none.

        Raises:
          CheckpointError: there is none, and `create` is False.
        """
        if not create and not folder.is_dir():
            raise CheckpointError(f"{folder}: no such folder of checkpoints")
        self.folder = folder.resolve()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=create, enable_async_checkpointing=False
        )
        handlers = {name: ocp.StandardCheckpointHandler() for name in ("params", "rest")}
        handlers["shapes"] = ocp.JsonCheckpointHandler()
        self._manager = ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)

    @property
    def steps(self) -> list[int]:
        """Numbers of updates of all checkpoints, in order."""
        return sorted(int(step) for step in self._manager.all_steps())

    @property
    def latest(self) -> int:
        """Number of updates of the newest checkpoint.

        Raises:
          CheckpointError: there is none.
        """
        step = self._manager.latest_step()
        if step is None:
            raise CheckpointError(f"{self.folder}: holds no finished checkpoint")
        return int(step)

    def save(self, state: TrainState) -> None:
        """Writes the state of a run; a kill in between leaves the older checkpoints as they were."""
        step = int(state.num_updates)
        if step in self.steps:
            return
        items = {"params": state.evaluated_params, "rest": _rest(state)}
        items = {name: _named(jax.tree.map(_one_copy, _plain(item))) for name, item in items.items()}
        shapes = {name: {k: list(v.shape) for k, v in item.items()} for name, item in items.items()}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(items["params"]),
                rest=ocp.args.StandardSave(items["rest"]),
                shapes=ocp.args.JsonSave(shapes),
            ),
            force=True,  # also where a later one exists
        )
        self._manager.wait_until_finished()

    def delete(self, step: int) -> None:
        """Deletes the checkpoint after a number of updates."""
        self._manager.delete(step)

    def _restore(self, step: int, item: str, like: Any) -> Any:
        """Reads one item of a checkpoint, in the structure of `like` (arrays or their shapes)."""
        plain = jax.eval_shape(_plain, like)
        wanted = _named(plain)
        self._check_same(wanted, self._shapes(step, item), f"{self.folder / str(step)}: {item}")
        place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = {k: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=place) for k, v in wanted.items()}
        found = self._manager.restore(
            step, args=ocp.args.Composite(**{item: ocp.args.StandardRestore(shapes)})
        )[item]
        tree = jax.tree.unflatten(jax.tree.structure(plain), [found[name] for name in wanted])
        return _typed(tree, like)

    def _check_same(self, wanted: dict[str, Any], saved: dict[str, list[int]], where: str) -> None:
        if set(wanted) != set(saved):
            name = sorted(set(wanted) ^ set(saved))[0]
            which = "lacks" if name in wanted else "has, unlike this run,"
            raise CheckpointError(f"{where} {which} {name}: it is of a run with another config")
        for name, leaf in wanted.items():
            if tuple(saved[name]) != leaf.shape:
                raise CheckpointError(
                    f"{where}{name} has shape {tuple(saved[name])}, this run needs {leaf.shape}"
                )

    def restore_params(self, like: Any, step: int | None = None) -> Any:
        """Reads the parameters that evaluation plays with, alone.

        Args:
          like: parameters of the same structure, or their shapes.
          step: number of updates of the checkpoint; the newest if None.

        Raises:
          CheckpointError: there is no such checkpoint, or it does not fit.
        """
        return self._restore(self._existing(step), "params", like)

    def restore(self, like: TrainState, step: int | None = None) -> TrainState:
        """Reads the whole state; arguments and errors as for `restore_params`.

        The curricula may be of another number of devices than those of `like`: they come as they were split
        (`agents.Trainer.place` splits them anew).
        """
        step = self._existing(step)
        like = self._split_as_saved(step, like)
        evaluated = {_evaluated(like): self._restore(step, "params", like.evaluated_params)}
        return TrainState(**evaluated, **self._restore(step, "rest", _rest(like)))

    def _split_as_saved(self, step: int, like: TrainState) -> TrainState:
        """Shapes of a state whose curricula are split among as many devices as those of a checkpoint are.

        Of a curriculum's arrays, the first axis (after that of seeds, if there are several) is that of
        devices, and the number of levels of each, the next axis, follows from it. Where another axis
        differs, nothing is changed, and `_check_same` tells of it.
        """
        saved, axis = self._shapes(step, "rest"), len(like.key.shape)
        rest = lambda shape: (len(shape), shape[:axis], shape[axis + 2 :])

        def as_saved(path, leaf):
            shape = tuple(saved.get(f"['curriculum']{jax.tree_util.keystr(path)}", leaf.shape))
            if rest(shape) != rest(leaf.shape) or shape[axis] == leaf.shape[axis]:
                return leaf
            return jax.ShapeDtypeStruct(shape, leaf.dtype)

        curriculum = jax.tree.map_with_path(as_saved, like.curriculum)
        return dataclasses.replace(like, curriculum=curriculum)

    def _shapes(self, step: int, item: str) -> dict[str, list[int]]:
        """Shapes of the arrays of an item, by name."""
        shapes = self._manager.restore(step, args=ocp.args.Composite(shapes=ocp.args.JsonRestore()))["shapes"]
        found: dict[str, list[int]] = shapes[item]
        return found

    def _existing(self, step: int | None) -> int:
        chosen = self.latest if step is None else step
        if chosen not in self.steps:
            raise CheckpointError(f"{self.folder}: has no checkpoint {chosen}, there are {self.steps}")
        return chosen

    def close(self) -> None:
        """Closes the checkpoint manager."""
        self._manager.close()
