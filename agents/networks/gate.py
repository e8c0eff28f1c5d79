"""Gates in place of residual sums, of few passes over the table of tokens.

Parisotto et al., "Stabilizing transformers for reinforcement learning" (2020), section 3.2. A gradient moves
far more bytes than it multiplies numbers: the gates of one input are one product, and what the backward pass
can compute again from the products is not stored.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

# Initial bias of the update gate (Parisotto et al., section 3.2): a layer starts near the identity.
GATE_BIAS = 2.0

Residuals = tuple[jax.Array, ...]


def _parts(gates: jax.Array, hidden: jax.Array, bias: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Reset gate, share of the update and candidate, float32 `[R, W]` each, before any product with them."""
    reset, update, candidate = jnp.split(gates.astype(jnp.float32), 3, axis=-1)
    return nn.sigmoid(reset), nn.sigmoid(update - bias[None]), jnp.tanh(candidate + hidden)


def _stored(value: Any) -> Any:
    """Values, computed once and rounded to their type: a compiler might compute them for each reader."""
    return jax.lax.optimization_barrier(value)


def _forward(
    stream: jax.Array, layer: jax.Array, joint: jax.Array, candidate: jax.Array, bias: jax.Array
) -> tuple[jax.Array, Residuals]:
    dtype = stream.dtype
    both = jnp.concatenate([nn.relu(layer), stream], axis=-1)
    gates = both @ joint.astype(dtype)
    kept = _stored((nn.sigmoid(gates[:, : bias.size].astype(jnp.float32)) * stream).astype(dtype))
    hidden = kept @ candidate.astype(dtype)
    _, share, new = _parts(gates, hidden, bias)
    old = stream.astype(jnp.float32)
    updated = _stored((old + share * (new - old)).astype(dtype))
    return updated, (both, gates, kept, hidden, joint, candidate, bias)


@jax.custom_vjp
def gated_update(
    stream: jax.Array, layer: jax.Array, joint: jax.Array, candidate: jax.Array, bias: jax.Array
) -> jax.Array:
    """Updates a stream `x` by a layer's output `y = relu(layer)`: `(1 - z) x + z h`.

    Here `z = sigmoid(y U_z + x V_z - bias)`, `r = sigmoid(y U_r + x V_r)` and `h = tanh(y U_h + (r x) V_h)`.

    Args:
      stream, layer: `[R, W]`; products have their type, gates are computed in float32.
      joint: float32 `[2 W, 3 W]`, weights of y above those of x, for r, z and h side by side, 0 for x in h.
      candidate: float32 `[W, W]`, `V_h`.
      bias: float32 `[W]`.

    Returns:
      `[R, W]`.
    """
    return _forward(stream, layer, joint, candidate, bias)[0]


def _product(rows: jax.Array, other: jax.Array) -> jax.Array:
    """Gradient of weights, `rows^T other`, summed and returned in float32."""
    return jax.lax.dot_general(rows, other, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)


def _backward(saved: Residuals, cotangent: jax.Array) -> Residuals:
    both, gates, kept, hidden, joint, candidate, bias = saved
    # Otherwise a compiler may store the gates in float32 rather than compute them again.
    gates, hidden = _stored((gates, hidden))
    dtype, width = cotangent.dtype, bias.size
    old, change = both[:, width:].astype(jnp.float32), cotangent.astype(jnp.float32)
    reset, share, new = _parts(gates, hidden, bias)
    by_new = _stored((change * share * (1 - new**2)).astype(dtype))
    by_kept = by_new @ candidate.astype(dtype).T
    wide = by_kept.astype(jnp.float32)
    by_share = (change * (new - old) * share * (1 - share)).astype(dtype)
    by_reset = (wide * old * reset * (1 - reset)).astype(dtype)
    by_gates = _stored(jnp.concatenate([by_reset, by_share, by_new], axis=-1))
    by_both = by_gates @ joint.astype(dtype).T
    by_layer = jnp.where(both[:, :width] > 0, by_both[:, :width], 0)
    by_stream = by_both[:, width:].astype(jnp.float32) + change * (1 - share) + wide * reset
    by_bias = -by_gates[:, width : 2 * width].astype(jnp.float32).sum(axis=0)
    return (
        _stored(by_stream.astype(dtype)),
        by_layer,
        _product(both, by_gates),
        _product(kept, by_new),
        by_bias,
    )


gated_update.defvjp(_forward, _backward)


class _Kernel(nn.Module):
    """Weights of a dense layer, to be multiplied elsewhere."""

    shape: tuple[int, int]
    kernel_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self) -> jax.Array:
        return self.param("kernel", self.kernel_init, self.shape)


class Gate(nn.Module):
    """A gate like that of a GRU in place of a residual sum: Parisotto et al. (2020), section 3.2."""

    width: int
    dtype: Any
    initial_bias: float = GATE_BIAS
    kernel_init: nn.initializers.Initializer = nn.initializers.orthogonal(1.0)

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Updates the stream `x` by `relu(y)`, both `[B, M, W]`."""
        kernel = lambda count, name: _Kernel((self.width, count * self.width), self.kernel_init, name=name)()
        bias = self.param("bias", nn.initializers.constant(self.initial_bias), (self.width,))
        by_layer, by_stream = kernel(3, "update"), kernel(2, "stream")
        joint = jnp.concatenate([by_layer, jnp.pad(by_stream, ((0, 0), (0, self.width)))], axis=0)
        rows = lambda value: value.reshape(-1, self.width).astype(self.dtype)
        return gated_update(rows(x), rows(y), joint, kernel(1, "candidate"), bias).reshape(x.shape)
