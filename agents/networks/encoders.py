"""From an entity observation to one embedding per entity, and messages along joints and thrusters."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from kinetix_py.observations.entity import EntityObservation

# Columns of `kinetix_py.observations.entity.shape_features`.
MASS_COLUMNS = (4, 5)  # inverse mass and inverse inertia: 0, or anything from 0.1 to 1e5
CIRCLE_COLUMN = 20
MASS_SCALE = 0.25  # brings the logarithms of masses to the size of the other features


def symlog(value: jax.Array) -> jax.Array:
    """`sign(x) log(1 + |x|)`: Hafner et al., "Mastering diverse domains through world models" (2023)."""
    return jnp.sign(value) * jnp.log1p(jnp.abs(value))


def dense(features: int, dtype: Any, scale: float = np.sqrt(2), bias: bool = True, name: str | None = None):
    """A layer with orthogonal weights (Saxe et al., 2014), computed in `dtype`."""
    init = nn.initializers.orthogonal(scale)
    return nn.Dense(features, use_bias=bias, dtype=dtype, kernel_init=init, name=name)


def masked_mean(table: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over the rows in use: `[B, N, W]` and bool `[B, N]` to float32 `[B, W]`; 0 if none is."""
    total = jnp.where(mask[..., None], table, 0).astype(jnp.float32).sum(axis=1)
    return total / jnp.maximum(mask.sum(axis=1), 1)[:, None]


def masked_max(table: jax.Array, mask: jax.Array) -> jax.Array:
    """Maximum over the rows in use of a table without negative numbers: float32 `[B, W]`; 0 if none is."""
    return jnp.where(mask[..., None], table, 0).astype(jnp.float32).max(axis=1, initial=0)


class Entities(NamedTuple):
    """Embeddings and references of a batch of scenes."""

    bodies: jax.Array  # [B, N, W]
    joints: jax.Array  # [B, 2 J, W]
    thrusters: jax.Array  # [B, T, W]
    mask: jax.Array  # bool [B, N], bodies in use
    here: jax.Array  # [B, 2 J, N] one-hot, the body a joint's row starts from; 0 in unused rows
    there: jax.Array  # [B, 2 J, N] one-hot, the other body
    at: jax.Array  # [B, T, N] one-hot, a thruster's body


class EntityEncoder(nn.Module):
    """One dense layer for each kind of entity: polygons, circles, joints, thrusters."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, obs: EntityObservation) -> Entities:
        """Entities of observations with one leading axis `[B]`."""
        layer = lambda name, table: nn.relu(dense(self.width, self.dtype, name=name)(table))
        is_mass = np.isin(np.arange(obs.shapes.shape[-1]), MASS_COLUMNS)[None, None]
        shapes = jnp.where(is_mass, MASS_SCALE * symlog(obs.shapes), obs.shapes)
        circle = obs.shapes[..., CIRCLE_COLUMN, None] > 0
        count = obs.shapes.shape[1]

        def reference(index, mask):
            named = index[..., None] == jnp.arange(count)[None, None]
            return (named & mask[..., None]).astype(self.dtype)

        return Entities(
            bodies=jnp.where(circle, layer("circle", shapes), layer("polygon", shapes)),
            joints=layer("joint", obs.joints),
            thrusters=layer("thruster", obs.thrusters),
            mask=obs.shape_mask,
            here=reference(obs.joint_bodies[..., 0], obs.joint_mask),
            there=reference(obs.joint_bodies[..., 1], obs.joint_mask),
            at=reference(obs.thruster_body, obs.thruster_mask),
        )


class Messages(nn.Module):
    """What every body hears from its joints, the bodies beyond them, and its thrusters.

    A joint tells each of its bodies a function of that body, the other one and itself; a thruster tells its
    body a function of both. A body adds up what it hears, so that the order has no meaning.
    """

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, bodies: jax.Array, entities: Entities) -> jax.Array:
        """Messages `[B, N, W]` from the bodies as they are now, `[B, N, W]`."""
        read = lambda reference: jnp.einsum("brn,bnw->brw", reference, bodies)
        send = lambda reference, message: jnp.einsum("brn,brw->bnw", reference, message)
        here, there, at = read(entities.here), read(entities.there), read(entities.at)
        joint = self._message("joint", here, there, entities.joints)
        thruster = self._message("thruster", at, entities.thrusters)
        return send(entities.here, joint) + send(entities.at, thruster)

    def _message(self, name: str, *inputs: jax.Array) -> jax.Array:
        hidden = nn.relu(dense(self.width, self.dtype, name=f"{name}_in")(jnp.concatenate(inputs, -1)))
        return dense(self.width, self.dtype, 1.0, name=f"{name}_out")(hidden)
