"""Kinds and sizes of networks, checked before anything is built."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp

KINDS = ("transformer", "kinetix", "set_mlp", "graph", "mlp", "cnn")
ACTORS = ("global", "per_binding")
CRITICS = ("scalar", "hl_gauss")
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
# Kinds that read entity observations.
ENTITY_KINDS = ("transformer", "kinetix", "set_mlp", "graph")
# Kinds of them that may have heads shared by bindings, and relative features.
FLEXIBLE_KINDS = ("transformer", "set_mlp", "graph")
ATTENTION_KINDS = ("transformer", "kinetix")
# Attention masks of an entity observation: all, same component, joined, in contact.
NUM_MASKS = 4
COUNTS = (
    "width",
    "layers",
    "attention_heads",
    "attention_features",
    "head_width",
    "head_layers",
    "value_bins",
)


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Kind and sizes of an actor-critic; hashable.

    The defaults are a transformer after Kinetix's, with more attention. Kinetix's own is `kind="kinetix"`
    with `attention_features=2` and `memory_width=256` (`configs/network/kinetix.yaml`).

    Attributes:
      kind: `"transformer"`, `"kinetix"`, `"set_mlp"` or `"graph"` for entity observations, in which the order
        of entities has no meaning; `"mlp"` for vectors (flat, flat_padded, blind); `"cnn"` for pictures.
      width: features of an entity and of a hidden layer.
      layers: number of attention layers, of rounds of messages of a graph network, or of hidden layers.
      attention_heads: heads of each attention layer, a quarter of them for each of the four masks.
      attention_features: features of each attention head.
      head_width, head_layers: size and number of hidden layers of the actor and of the critic.
      actor: `"global"`: one head decides about all bindings from the embedding of the scene, as in Kinetix;
        `"per_binding"`: one head shared by all motor bindings and one shared by all thruster bindings, which
        read the scene and the bodies of the binding's joints or thrusters; in a graph network of those joints
        whose motor listens to the binding, and its critic reads them too. Entity observations only.
      critic: `"scalar"`: one number, learnt by squared error, as in Kinetix; `"hl_gauss"`: a histogram of the
        value, learnt by cross-entropy (`agents.networks.value_histogram`).
      value_bins, value_limit: number of bins of that histogram, which covers values in
        `-value_limit .. value_limit`; returns beyond it count as the limit.
      relative_features: adds positions relative to green, blue and red to bodies, and positions and
        directions in the world to joints and thrusters. Entity observations only.
      recurrent: adds a gated recurrent unit between the embedding and the heads.
      memory_width: features of that unit; `width` if None.
      dtype: type that layers compute in, `"float32"` or `"bfloat16"`; parameters, logits and values are
        float32.

    Raises:
      ValueError: an unknown name, a number out of its bounds, or heads that do not divide among the masks.
    """

    kind: str = "transformer"
    width: int = 128
    layers: int = 2
    attention_heads: int = 8
    attention_features: int = 16
    head_width: int = 128
    head_layers: int = 5
    actor: str = "global"
    critic: str = "scalar"
    value_bins: int = 51
    value_limit: float = 2.0
    relative_features: bool = False
    recurrent: bool = False
    memory_width: int | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        choices = {"kind": KINDS, "actor": ACTORS, "critic": CRITICS, "dtype": tuple(DTYPES)}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"NetworkConfig.{name} must be one of {known}, got {getattr(self, name)!r}")
        for name in COUNTS if self.memory_width is None else (*COUNTS, "memory_width"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"NetworkConfig.{name} must be an integer of at least 1, got {value!r}")
        if not self.value_limit > 0:
            raise ValueError(f"NetworkConfig.value_limit must be above 0, got {self.value_limit!r}")
        for name in ("recurrent", "relative_features"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"NetworkConfig.{name} must be True or False, got {getattr(self, name)!r}")
        if self.kind not in FLEXIBLE_KINDS and (self.actor == "per_binding" or self.relative_features):
            raise ValueError(
                f"NetworkConfig.actor 'per_binding' and relative_features need one of the kinds "
                f"{FLEXIBLE_KINDS}, got {self.kind!r}"
            )
        if self.kind in ATTENTION_KINDS and self.attention_heads % NUM_MASKS:
            raise ValueError(
                f"NetworkConfig.attention_heads must be a multiple of {NUM_MASKS}, one set for each mask, "
                f"got {self.attention_heads}"
            )

    @property
    def carry_width(self) -> int:
        """Features of the memory."""
        return self.width if self.memory_width is None else self.memory_width
