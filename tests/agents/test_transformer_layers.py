"""Attention and gates that are written out, against the formulas that define them and their derivatives."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agents.networks.attention import attend
from agents.networks.gate import gated_update

BATCH, TOKENS, HEADS, FEATURES, WIDTH = 2, 5, 4, 3, 6


def draw(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), jnp.float32)


def assert_same(ours, theirs, arguments, weight):
    """Compares values and gradients of a weighted sum of squares, to 1e-5 of the largest number."""
    results = []
    for function in (ours, theirs):
        loss = lambda *given, f=function: (f(*given) ** 2 * weight).sum()
        results.append(jax.jit(jax.value_and_grad(loss, tuple(range(len(arguments)))))(*arguments))
    for one, other in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def plain_attention(qkv, mask):
    q, k, v = (part.reshape(BATCH, TOKENS, HEADS, FEATURES) for part in jnp.split(qkv, 3, axis=-1))
    scores = jnp.einsum("bnhd,bmhd->bnmh", q, k) / np.sqrt(FEATURES)
    weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=2)
    weights = jnp.where(mask.any(axis=2, keepdims=True), weights, 0)
    return jnp.einsum("bnmh,bmhd->bnhd", weights, v).reshape(BATCH, TOKENS, -1)


def test_attention_and_its_gradients_are_those_of_products_of_matrices():
    rng = np.random.default_rng(0)
    qkv = 3 * draw(rng, BATCH, TOKENS, 3 * HEADS * FEATURES)
    mask = jnp.asarray(rng.random((BATCH, TOKENS, TOKENS, HEADS)) < 0.6).at[..., 0, :].set(True)
    weight = draw(rng, BATCH, TOKENS, HEADS * FEATURES)
    assert_same(lambda x: attend(x, mask), lambda x: plain_attention(x, mask), (qkv,), weight)


def test_a_token_that_may_attend_to_none_receives_nothing_and_stays_finite():
    qkv = 100 * draw(np.random.default_rng(1), 1, 2, 3 * FEATURES)
    mask = jnp.array([[True, True], [False, False]])[None, :, :, None]
    value, gradient = jax.jit(jax.value_and_grad(lambda x: attend(x, mask)[0, 1].sum()))(qkv)
    assert value == 0 and (gradient == 0).all()


def test_attention_by_hand():
    """Two tokens, one head of one feature: products log 1 and log 3 of the query 1 and the keys."""
    qkv = jnp.array([[[1.0, 0.0, 8.0], [1.0, np.log(3.0), 4.0]]])
    every = jnp.ones((1, 2, 2, 1), bool)
    compiled = jax.jit(attend)
    np.testing.assert_allclose(compiled(qkv, every)[0, :, 0], [5.0, 5.0], rtol=1e-6)
    np.testing.assert_allclose(compiled(qkv, every.at[0, 1, 1].set(False))[0, :, 0], [5.0, 8.0], rtol=1e-6)


def plain_gate(x, layer, update, stream, candidate, bias):
    """Parisotto et al. (2020), equations 11 to 14, with one kernel after another."""
    y, (for_reset, for_share, for_new) = nn.relu(layer), jnp.split(update, 3, axis=1)
    own_reset, own_share = jnp.split(stream, 2, axis=1)
    r = nn.sigmoid(y @ for_reset + x @ own_reset)
    z = nn.sigmoid(y @ for_share + x @ own_share - bias[None])
    h = jnp.tanh(y @ for_new + (r * x) @ candidate)
    return (1 - z) * x + z * h


def joined_gate(x, layer, update, stream, candidate, bias):
    joint = jnp.concatenate([update, jnp.pad(stream, ((0, 0), (0, WIDTH)))])
    return gated_update(x, layer, joint, candidate, bias)


def test_a_gate_and_its_gradients_are_those_of_its_formula():
    rng = np.random.default_rng(2)
    shapes = (7, WIDTH), (7, WIDTH), (WIDTH, 3 * WIDTH), (WIDTH, 2 * WIDTH), (WIDTH, WIDTH), (WIDTH,)
    assert_same(joined_gate, plain_gate, [draw(rng, *shape) for shape in shapes], draw(rng, 7, WIDTH))


@pytest.mark.parametrize("which", ["attention", "gate"])
def test_products_in_bfloat16_keep_float32_weights_and_are_close(which):
    rng, half = np.random.default_rng(3), jnp.bfloat16
    if which == "attention":
        qkv, mask = draw(rng, BATCH, TOKENS, 3 * HEADS * FEATURES), jnp.ones((1, TOKENS, TOKENS, HEADS), bool)
        near, exact = jax.jit(attend)(qkv.astype(half), mask), jax.jit(plain_attention)(qkv, mask)
    else:
        shapes = (7, WIDTH), (7, WIDTH), (2 * WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH,)
        x, y, *weights = (draw(rng, *shape) for shape in shapes)
        update = jax.jit(gated_update)
        near, exact = update(x.astype(half), y.astype(half), *weights), update(x, y, *weights)
        loss = lambda kernel: gated_update(x.astype(half), y.astype(half), kernel, *weights[1:]).sum()
        assert jax.eval_shape(jax.grad(loss), weights[0]).dtype == jnp.float32
    assert near.dtype == half
    np.testing.assert_allclose(near.astype(jnp.float32), exact, atol=0.05)
