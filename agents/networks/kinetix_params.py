"""Parameters of Kinetix's own transformer, turned into those of `kind="kinetix"`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.policy import Params

# Encoders of entities, in the order in which flax numbered them.
ENCODERS = ("circle", "polygon", "joint", "thruster")


def from_kinetix(params: Mapping[str, Any]) -> Params:
    """Converts parameters of kinetix-env 2.0.4's `ActorCriticTransformer` without memory.

    Args:
      params: as its `init` returns and its checkpoints hold, `{"params": {...}}` with nested names.

    Returns:
      Parameters of the network that `configs/network/kinetix.yaml` describes, or of one of other sizes.

    Raises:
      KeyError: a layer is missing.
      ValueError: there is a memory, which this conversion does not know.
    """
    tree = params["params"]
    blocks, heads = tree["Transformer_0"], tree["GeneralActorCriticRNN_0"]
    if "ScannedRNN_0" in heads:
        raise ValueError("from_kinetix converts networks without memory, got one with ScannedRNN_0")
    encoder = {name: dict(tree[f"Dense_{i}"]) for i, name in enumerate(ENCODERS)}
    for i in range(sum(name.startswith("tf_layers_") for name in blocks)):
        encoder[f"layer_{i}"] = _layer(blocks, i)
    # Layers of actor and critic were made in turn.
    depth = len(heads) // 2 - 1
    actor, critic = (
        {f"Dense_{i}": dict(heads[f"Dense_{2 * i + which}"]) for i in range(depth)}
        | {"out": dict(heads[f"Dense_{2 * depth + which}"])}
        for which in (0, 1)
    )
    return {"params": {"encoder": encoder, "actor": actor, "critic": critic}}


def _layer(blocks: Mapping[str, Any], i: int) -> dict[str, Any]:
    layer = blocks[f"tf_layers_{i}"]
    return {
        "attention_norm": dict(layer["ln1"]),
        "attention": {name: dict(value) for name, value in layer["attention1"].items()},
        "attention_gate": _gate(layer["gate1"]),
        "dense_norm": dict(layer["ln2"]),
        "dense": dict(layer["dense1"]),
        "dense_gate": _gate(layer["gate2"]),
        "joints": dict(blocks[f"joint_layers_{i}"]),
        "thrusters": dict(blocks[f"thruster_layers_{i}"]),
    }


def _gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    """Joins the kernels that read the same input: of reset, update and candidate gate in turn."""
    side_by_side = lambda *layers: {
        "kernel": np.concatenate([gate[f"Dense_{i}"]["kernel"] for i in layers], axis=1)
    }
    return {
        "update": side_by_side(0, 2, 4),
        "stream": side_by_side(1, 3),
        "candidate": side_by_side(5),
        "bias": gate["gating_bias"],
    }
