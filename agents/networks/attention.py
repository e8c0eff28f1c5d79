"""Attention among few tokens under masks, as sums that are written out.

With a dozen tokens and as many features in a head, products of matrices are so small that a GPU spends its
time on copies which arrange their factors. Written out, each product is one pass over its factors, scores
are stored once, and the weights not at all in the forward pass.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def _dots(queries: jax.Array, keys: jax.Array) -> jax.Array:
    """Products of all pairs, `[B, N, H, D]` and `[B, M, H, D]` to float32 `[B, N, M, H]`."""
    return (queries[:, :, None].astype(jnp.float32) * keys[:, None].astype(jnp.float32)).sum(axis=-1)


def _weights(scores: jax.Array) -> list[jax.Array]:
    """Softmax over the third axis of float32 `[B, N, M, H]`, as M arrays; 0 where all scores are infinite."""
    each = [scores[:, :, m] for m in range(scores.shape[2])]
    highest = each[0]
    for score in each[1:]:
        highest = jnp.maximum(highest, score)
    highest = jnp.where(jnp.isfinite(highest), highest, 0)
    each = [jnp.exp(score - highest) for score in each]
    total = sum(each[1:], start=each[0])
    inverse = 1 / jnp.where(total > 0, total, 1)
    return [weight * inverse for weight in each]


def _weighted_sum(weights: list[jax.Array], rows: list[jax.Array]) -> jax.Array:
    """Adds up `[B, N or 1, H, D]` rows by weights `[B, N, H]`, in float32."""
    terms = [
        w[..., None].astype(jnp.float32) * r.astype(jnp.float32) for w, r in zip(weights, rows, strict=True)
    ]
    return sum(terms[1:], start=terms[0])


def _split(qkv: jax.Array, heads: int) -> list[jax.Array]:
    """Queries, keys and values, `[B, N, H, D]` each."""
    return [part.reshape(*part.shape[:2], heads, -1) for part in jnp.split(qkv, 3, axis=-1)]


def _slices(table: jax.Array, axis: int) -> list[jax.Array]:
    """Parts of length 1 along an axis."""
    return [jax.lax.slice_in_dim(table, i, i + 1, axis=axis) for i in range(table.shape[axis])]


def _forward(qkv: jax.Array, mask: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    queries, keys, values = _split(qkv, mask.shape[-1])
    scores = jnp.where(mask, _dots(queries, keys) * queries.shape[-1] ** -0.5, -jnp.inf)
    attended = _weighted_sum(_weights(scores), _slices(values, 1))
    return attended.astype(qkv.dtype).reshape(*qkv.shape[:2], -1), (qkv, scores)


def attention_weights(qkv: jax.Array, mask: jax.Array) -> jax.Array:
    """Weights by which `attend` adds up values: float32 `[B, H, N, N]` (query, key); arguments as there."""
    return jnp.moveaxis(jnp.stack(_weights(_forward(qkv, mask)[1][1]), axis=2), 3, 1)


@jax.custom_vjp
def attend(qkv: jax.Array, mask: jax.Array) -> jax.Array:
    """Multi-head attention by scaled products (Vaswani et al., "Attention is all you need", 2017).

    Args:
      qkv: queries, keys and values side by side, `[B, N, 3 H D]`.
      mask: bool `[B, N, N, H]` (query, key), True where a head may attend; a query without any key gets 0.

    Returns:
      `[B, N, H D]` of the type of `qkv`; scores and weights are computed in float32.
    """
    return _forward(qkv, mask)[0]


def _backward(saved: tuple[jax.Array, ...], cotangent: jax.Array) -> tuple[jax.Array, None]:
    qkv, scores = saved
    heads, tokens = scores.shape[-1], scores.shape[1]
    queries, keys, values = _split(qkv, heads)
    change = cotangent.reshape(queries.shape)
    by_weights = _dots(change, values)
    weights = _weights(scores)
    each = [by_weights[:, :, m] for m in range(tokens)]
    mean = sum((w * d for w, d in zip(weights, each, strict=True)), start=jnp.zeros_like(each[0]))
    scale = queries.shape[-1] ** -0.5
    by_scores = jnp.stack([w * (d - mean) * scale for w, d in zip(weights, each, strict=True)], axis=2)
    # Stored, so that the sums below do not compute the softmax again in each of their terms.
    stored = (by_scores.astype(qkv.dtype), jnp.stack(weights, axis=2).astype(qkv.dtype))
    by_scores, kept = jax.lax.optimization_barrier(stored)
    by_queries = _weighted_sum([by_scores[:, :, m] for m in range(tokens)], _slices(keys, 1))
    by_keys = _weighted_sum([by_scores[:, n] for n in range(tokens)], _slices(queries, 1))
    by_values = _weighted_sum([kept[:, n] for n in range(tokens)], _slices(change, 1))
    parts = [part.astype(qkv.dtype).reshape(*qkv.shape[:2], -1) for part in (by_queries, by_keys, by_values)]
    return jnp.concatenate(parts, axis=-1), None


attend.defvjp(_forward, _backward)
