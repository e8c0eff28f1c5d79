"""Encoders without attention: a permutation-invariant MLP, an MLP for vectors, a CNN for pictures."""

from __future__ import annotations

import flax.linen as nn
import jax

from agents.networks.config import DTYPES, NetworkConfig
from agents.networks.entity_layers import (
    EntityEmbedding,
    EntityEncoder,
    MessagePassing,
    dense,
    pool_scene,
    symlog,
)
from kinetix_py.observations.entity import EntityObservation

# Channels, window and stride of each convolution: Mnih et al., "Human-level control through deep
# reinforcement learning" (2015), narrower, and with a third stride of 2.
CONVOLUTIONS = ((16, 8, 4), (32, 4, 2), (32, 3, 2))
# Smallest side of a picture [pixels] of which the last convolution leaves at least one.
MIN_PICTURE = 36


class SetMlp(nn.Module):
    """Dense layers on each entity, one round of messages along joints and thrusters, pooling over bodies.

    Zaheer et al., "Deep sets" (2017), with message passing. The pool holds the mean and the maximum over all
    bodies, and the sums over green, over blue and over red bodies.
    """

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: EntityObservation, features: EntityObservation) -> EntityEmbedding:
        """Embeds observations, as `EntityEncoder` reads them: scenes `[B, 5 W]` and bodies."""
        width, dtype = self.config.width, DTYPES[self.config.dtype]
        entities = EntityEncoder(self.config)(obs, features)
        bodies = entities.bodies + MessagePassing(width, dtype)(entities.bodies, entities)
        for _ in range(self.config.layers):
            bodies = nn.relu(dense(width, dtype)(bodies))
        return EntityEmbedding(pool_scene(bodies, entities), bodies, entities)


class FlatMlp(nn.Module):
    """Hidden layers on a vector, whose large values (masses) are compressed first."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: jax.Array) -> jax.Array:
        """Maps vectors `[B, D]` to `[B, W]`."""
        x = symlog(obs)
        for _ in range(self.config.layers):
            x = nn.relu(dense(self.config.width, DTYPES[self.config.dtype])(x))
        return x


class Cnn(nn.Module):
    """Three convolutions, then hidden layers."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, obs: jax.Array) -> jax.Array:
        """Maps pictures `[B, H, W, C]` to `[B, width]`."""
        x, dtype = obs, DTYPES[self.config.dtype]
        for channels, window, stride in CONVOLUTIONS:
            layer = nn.Conv(
                channels,
                (window, window),
                (stride, stride),
                padding="VALID",
                dtype=dtype,
                kernel_init=nn.initializers.orthogonal(2**0.5),
            )
            x = nn.relu(layer(x))
        x = x.reshape(x.shape[0], -1)
        for _ in range(self.config.layers):
            x = nn.relu(dense(self.config.width, dtype)(x))
        return x
