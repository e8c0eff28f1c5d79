"""The transformer that Kinetix's published agents are: same layers, sizes and features, 786 k parameters.

Matthews et al., "Kinetix: investigating the training of general agents through open-ended physics-based
control tasks" (2025), as released in kinetix-env 2.0.4 (`ActorCriticTransformer` with the options of its
`model-transformer.yaml`). It differs from `kind="transformer"`: 2 features in each attention head, gates that
start half open, one dense layer after attention, linear messages, a summary token of ones that all masks let
through in both directions, a scene that is the mean over bodies and summary, no last norm, no action mask.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from agents.networks.config import DTYPES, NUM_MASKS, NetworkConfig
from agents.networks.entity_layers import (
    Dense,
    Entities,
    EntityEmbedding,
    dense,
    entity_tables,
    gather,
    masked_mean,
    scatter,
)
from agents.networks.gate import Gate
from kinetix_py.observations.entity import (
    JOINT_FEATURES,
    SHAPE_FEATURES,
    THRUSTER_FEATURES,
    EntityObservation,
)

GRAVITY_SCALE = 10.0  # m/s^2
# Columns that both kinds of shapes begin with, in Kinetix's order, which is that of our table.
BASE = slice(SHAPE_FEATURES["position"].start, SHAPE_FEATURES["restitution"].stop)


class KinetixTables(NamedTuple):
    """Kinetix's features, in its order of columns; `V` vertices, `M` motor and `K` thruster bindings."""

    polygons: jax.Array  # [B, N, 19 + 2 V], meaningless in rows of circles
    circles: jax.Array  # [B, N, 19], meaningless in rows of polygons
    joints: jax.Array  # [B, 2 J, 18 + M]
    thrusters: jax.Array  # [B, T, 6 + K]


def _shape_tables(obs: EntityObservation, features: EntityObservation) -> tuple[jax.Array, jax.Array]:
    read = lambda name, table=features.shapes: table[..., SHAPE_FEATURES[name]]
    base, gravity = features.shapes[..., BASE], read("gravity")[..., 1:] / GRAVITY_SCALE
    vertices = read("outline").shape[-1] // 3
    used = read("outline", obs.shapes)[..., 2 * vertices :] > 0
    outline = jnp.where(jnp.repeat(used, 2, axis=-1), read("outline")[..., : 2 * vertices], -1.0)
    triangle = (used.sum(axis=-1, keepdims=True) <= 3).astype(base.dtype)
    one = jnp.ones_like(gravity)
    polygons = jnp.concatenate([base, 0 * one, outline, triangle, gravity], axis=-1)
    return polygons, jnp.concatenate([base, read("radius"), one, gravity], axis=-1)


def _joint_table(obs: EntityObservation, features: EntityObservation) -> jax.Array:
    read = lambda name, table=features.joints: table[..., JOINT_FEATURES[name]]
    raw = lambda name: read(name, obs.joints)
    # Kinetix tells speeds and rotations of body b against body a in both rows of a joint.
    sign = 1 - 2 * raw("backwards")
    limits = jnp.where(sign > 0, raw("limits"), -raw("limits")[..., ::-1])
    sine, cosine = sign[..., 0] * raw("reference_rotation")[..., 0], raw("reference_rotation")[..., 1]
    rotation = jnp.arctan2(sine, cosine)[..., None]
    reference = read("reference_rotation")
    low, high = limits[..., :1], limits[..., 1:]
    angles = [jnp.sin(low), jnp.cos(low), jnp.sin(high), jnp.cos(high), low - rotation, high - rotation]
    motor = [sign * read("motor_speed"), read("motor_power"), read("motor_on"), read("limits_on")]
    revolute = [*motor, read("binding"), *(raw("limits_on") * angle for angle in angles)]
    return jnp.concatenate(
        [
            obs.joint_mask[..., None].astype(sine.dtype),
            *(read(name) for name in ("weld", "anchor", "other_anchor")),
            sign * reference[..., :1],
            reference[..., 1:],
            (1 - raw("weld")) * jnp.concatenate(revolute, axis=-1),
        ],
        axis=-1,
    )


def kinetix_tables(obs: EntityObservation, features: EntityObservation) -> KinetixTables:
    """Computes the features that Kinetix's networks read.

    Args:
      obs: observations with one leading axis `[B]`, from which angles and flags are computed.
      features: the same observations, from which columns are copied; may be normalized.
    """
    read = lambda name: features.thrusters[..., THRUSTER_FEATURES[name]]
    active = obs.thruster_mask[..., None].astype(features.thrusters.dtype)
    thrusters = [active, read("anchor"), read("binding"), read("direction"), read("power")]
    return KinetixTables(
        *_shape_tables(obs, features), _joint_table(obs, features), jnp.concatenate(thrusters, axis=-1)
    )


def open_attention(attention: jax.Array, mask: jax.Array) -> jax.Array:
    """Extends the masks by a first token that every body in use hears, and that hears every one, under each.

    Args:
      attention: bool `[B, 4, N, N]`.
      mask: bool `[B, N]`, bodies in use.

    Returns:
      bool `[B, 4, N + 1, N + 1]`.
    """
    used = jnp.pad(mask, ((0, 0), (1, 0)), constant_values=True)
    wide = jnp.pad(attention, ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=True)
    return wide & used[:, None, :, None] & used[:, None, None]


class KinetixLayer(nn.Module):
    """Gated attention, a gated dense layer for each token, then linear messages of joints and thrusters."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array, entities: Entities) -> jax.Array:
        """Updates tokens `[B, N + 1, W]` (summary, then bodies), with one mask for each head."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        init = nn.initializers.lecun_normal()
        gate = lambda name: Gate(config.width, dtype, 0.0, init, name=name)
        layer = lambda name: Dense(config.width, dtype=dtype, kernel_init=init, name=name)
        norm = lambda name: nn.LayerNorm(dtype=dtype, name=name)
        attention = nn.MultiHeadDotProductAttention(
            config.attention_heads,
            qkv_features=config.attention_heads * config.attention_features,
            out_features=config.width,
            dtype=dtype,
            name="attention",
        )
        seen = self.is_mutable_collection("intermediates")  # somebody looks at the weights
        attended = attention(norm("attention_norm")(tokens), mask=mask, sow_weights=seen)
        tokens = gate("attention_gate")(tokens, attended)
        tokens = gate("dense_gate")(tokens, layer("dense")(norm("dense_norm")(tokens)))
        bodies = tokens[:, 1:]
        ends = [gather(reference, bodies) for reference in (entities.source, entities.target)]
        joints = layer("joints")(jnp.concatenate([*ends, entities.joints], axis=-1))
        body = gather(entities.body, bodies)
        thrusters = layer("thrusters")(jnp.concatenate([body, entities.thrusters], axis=-1))
        received = scatter(entities.source, joints) + scatter(entities.body, thrusters)
        return tokens + jnp.pad(received, ((0, 0), (1, 0), (0, 0)))


class KinetixTransformer(nn.Module):
    """Attention layers over bodies and a summary token of ones; a scene is the mean of them all."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: EntityObservation, features: EntityObservation) -> EntityEmbedding:
        """Embeds observations, read as by `kinetix_tables`: scenes `[B, W]` and bodies."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        tables = kinetix_tables(obs, features)
        embed = lambda name, table, width: jnp.tanh(dense(width, dtype, name=name)(table))
        kinds = obs.shapes[..., SHAPE_FEATURES["kind"]]  # polygon?, circle?
        polygons = embed("polygon", tables.polygons, config.width - 1)
        circles = embed("circle", tables.circles, config.width - 1)
        bodies = jnp.where(kinds[..., 1:] > 0, circles, polygons)
        entities = entity_tables(config, obs, features)._replace(
            bodies=jnp.concatenate([bodies, kinds[..., :1].astype(dtype)], axis=-1),
            joints=embed("joint", tables.joints, config.width),
            thrusters=embed("thruster", tables.thrusters, config.width),
        )
        tokens = jnp.pad(entities.bodies, ((0, 0), (1, 0), (0, 0)), constant_values=1)
        mask = open_attention(obs.attention, entities.mask)
        heads = jnp.repeat(mask, config.attention_heads // NUM_MASKS, axis=1)
        for i in range(config.layers):
            tokens = KinetixLayer(config, name=f"layer_{i}")(tokens, heads, entities)
        scene = masked_mean(tokens, jnp.pad(entities.mask, ((0, 0), (1, 0)), constant_values=True))
        return EntityEmbedding(scene.astype(dtype), tokens[:, 1:], entities)
