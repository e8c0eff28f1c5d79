"""The permutation-invariant transformer: gated attention under four masks, messages along joints.

Matthews et al., "Kinetix: investigating the training of general agents through open-ended physics-based
control tasks" (2025); gates and the place of the norms as in Parisotto et al.,
"Stabilizing transformers for reinforcement learning" (2020), section 3.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from agents.networks.attention import attend, attention_weights
from agents.networks.config import DTYPES, NUM_MASKS, NetworkConfig
from agents.networks.entity_layers import (
    Entities,
    EntityEmbedding,
    EntityEncoder,
    MessagePassing,
    dense,
    masked_mean,
)
from agents.networks.gate import Gate
from kinetix_py.observations.entity import EntityObservation


def attention_with_summary(attention: jax.Array, mask: jax.Array) -> jax.Array:
    """Extends the masks by the summary token as last row and column.

    The token attends to every body in use and to itself under each mask; bodies attend to it under the
    first mask only, `all`.

    Args:
      attention: bool `[B, 4, N, N]`.
      mask: bool `[B, N]`, bodies in use.

    Returns:
      bool `[B, 4, N + 1, N + 1]`.
    """
    column = jnp.stack([mask, *[jnp.zeros_like(mask)] * (NUM_MASKS - 1)], axis=1)
    row = jnp.pad(mask, ((0, 0), (0, 1)), constant_values=True)
    wide = jnp.concatenate([attention, column[..., None]], axis=-1)
    shape = (*wide.shape[:2], 1, wide.shape[-1])
    return jnp.concatenate([wide, jnp.broadcast_to(row[:, None, None], shape)], axis=-2)


class MaskedAttention(nn.Module):
    """Multi-head attention, each quarter of the heads under a mask of its own."""

    width: int
    heads: int
    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps tokens `[B, M, W]`, under masks bool `[B, 4, M, M]` (query, key), to `[B, M, W]`."""
        size = self.heads * self.features
        # No biases: one on the keys would add the same to all scores of a row.
        qkv = dense(3 * size, self.dtype, 1.0, bias=False, name="qkv")(x)
        wide = jnp.repeat(jnp.moveaxis(mask, 1, -1), self.heads // NUM_MASKS, axis=-1)
        if self.is_mutable_collection("intermediates"):  # somebody looks at them
            self.sow("intermediates", "attention_weights", attention_weights(qkv, wide))
        attended = attend(qkv, wide)
        return dense(self.width, self.dtype, name="out")(attended)


class TransformerLayer(nn.Module):
    """Gated attention, a gated dense layer for each token, then messages along joints and thrusters."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array, entities: Entities) -> jax.Array:
        """Updates tokens `[B, N + 1, W]` (bodies, then summary) under masks bool `[B, 4, N + 1, N + 1]`."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        norm = lambda value: nn.LayerNorm(dtype=dtype)(value)
        attention = MaskedAttention(config.width, config.attention_heads, config.attention_features, dtype)
        tokens = Gate(config.width, dtype)(tokens, attention(norm(tokens), mask))
        hidden = nn.relu(dense(config.width, dtype)(norm(tokens)))
        tokens = Gate(config.width, dtype)(tokens, dense(config.width, dtype)(hidden))
        messages = MessagePassing(config.width, dtype)(norm(tokens[:, :-1]), entities)
        return tokens + jnp.pad(messages, ((0, 0), (0, 1), (0, 0)))


class EntityTransformer(nn.Module):
    """Attention layers over bodies and a summary token; a scene is the mean body and the summary."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: EntityObservation, features: EntityObservation) -> EntityEmbedding:
        """Embeds observations, as `EntityEncoder` reads them: scenes `[B, 2 W]` and bodies."""
        width, dtype = self.config.width, DTYPES[self.config.dtype]
        entities = EntityEncoder(self.config)(obs, features)
        summary = self.param("summary", nn.initializers.normal(1.0), (width,)).astype(dtype)
        batch = obs.shape_mask.shape[0]
        tokens = jnp.concatenate(
            [entities.bodies, jnp.broadcast_to(summary[None, None], (batch, 1, width))], axis=1
        )
        mask = attention_with_summary(obs.attention, entities.mask)
        for _ in range(self.config.layers):
            tokens = TransformerLayer(self.config)(tokens, mask, entities)
        tokens = nn.LayerNorm(dtype=dtype)(tokens)
        mean = masked_mean(tokens[:, :-1], entities.mask).astype(dtype)
        return EntityEmbedding(jnp.concatenate([mean, tokens[:, -1]], axis=-1), tokens[:, :-1], entities)
