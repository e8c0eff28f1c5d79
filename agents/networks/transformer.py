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

from agents.networks.config import DTYPES, NUM_MASKS, NetworkConfig
from agents.networks.entity_layers import (
    Dense,
    Entities,
    EntityEmbedding,
    EntityEncoder,
    MessagePassing,
    dense,
    masked_mean,
)
from kinetix_py.observations.entity import EntityObservation

# Initial bias of the update gate (Parisotto et al., section 3.2): a layer starts near the identity.
GATE_BIAS = 2.0


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


def masked_softmax(scores: jax.Array, mask: jax.Array) -> jax.Array:
    """Softmax over the last axis among the entries that the mask allows, in float32; 0 if it allows none."""
    scores = jnp.where(mask, scores.astype(jnp.float32), -jnp.inf)
    highest = scores.max(axis=-1, keepdims=True)
    weights = jnp.exp(scores - jax.lax.stop_gradient(jnp.where(jnp.isfinite(highest), highest, 0)))
    total = weights.sum(axis=-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)


class MaskedAttention(nn.Module):
    """Multi-head attention, each quarter of the heads under a mask of its own."""

    width: int
    heads: int
    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps tokens `[B, M, W]`, under masks bool `[B, 4, M, M]` (query, key), to `[B, M, W]`."""
        batch, tokens = x.shape[:2]
        each = self.heads // NUM_MASKS
        size = self.heads * self.features
        # No biases: one on the keys would add the same to all scores of a row.
        qkv = dense(3 * size, self.dtype, 1.0, bias=False, name="qkv")(x)
        q, k, v = jnp.moveaxis(qkv.reshape(batch, tokens, 3, NUM_MASKS, each, self.features), 2, 0)
        scores = jnp.einsum("bnmhd,bkmhd->bmhnk", q * self.features**-0.5, k)
        wide = jnp.broadcast_to(mask[:, :, None], scores.shape)
        weights = masked_softmax(scores, wide).astype(self.dtype)
        attended = jnp.einsum("bmhnk,bkmhd->bnmhd", weights, v).reshape(batch, tokens, size)
        return dense(self.width, self.dtype, name="out")(attended)


class Gate(nn.Module):
    """A gate like that of a GRU in place of a residual sum: Parisotto et al. (2020), section 3.2."""

    width: int
    dtype: Any
    initial_bias: float = GATE_BIAS
    kernel_init: nn.initializers.Initializer = nn.initializers.orthogonal(1.0)

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Updates the stream `x` by a layer's output `y`, both `[B, M, W]`."""
        layer = lambda count, name: Dense(
            count * self.width, use_bias=False, dtype=self.dtype, kernel_init=self.kernel_init, name=name
        )
        init = nn.initializers.constant(self.initial_bias)
        bias = self.param("bias", init, (self.width,)).astype(self.dtype)
        reset, update, candidate = jnp.split(layer(3, "update")(y), 3, axis=-1)
        own_reset, own_update = jnp.split(layer(2, "stream")(x), 2, axis=-1)
        open_share = nn.sigmoid(update + own_update - bias[None, None])
        candidate = jnp.tanh(candidate + layer(1, "candidate")(nn.sigmoid(reset + own_reset) * x))
        return (1 - open_share) * x + open_share * candidate


class TransformerLayer(nn.Module):
    """Gated attention, a gated dense layer for each token, then messages along joints and thrusters."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array, entities: Entities) -> jax.Array:
        """Updates tokens `[B, N + 1, W]` (bodies, then summary) under masks bool `[B, 4, N + 1, N + 1]`."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        norm = lambda value: nn.LayerNorm(dtype=dtype)(value)
        attend = MaskedAttention(config.width, config.attention_heads, config.attention_features, dtype)
        tokens = Gate(config.width, dtype)(tokens, nn.relu(attend(norm(tokens), mask)))
        hidden = nn.relu(dense(config.width, dtype)(norm(tokens)))
        tokens = Gate(config.width, dtype)(tokens, nn.relu(dense(config.width, dtype)(hidden)))
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
