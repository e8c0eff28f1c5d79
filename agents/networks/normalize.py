"""A policy that normalizes observations by their running mean and standard deviation."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from agents.networks.factory import Network
from agents.policy import Carry, Params, Policy, PolicyOutput
from agents.ppo.devices import Axis, sum_over_devices
from kinetix_py.observations.entity import SHAPE_FEATURES, EntityObservation

BOUND = 10.0  # largest absolute value of a normalized feature: rare features have tiny deviations
EPSILON = 1e-4


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moments:
    """Running moments of each feature (last axis) of one table."""

    count: jax.Array  # float [], rows so far
    mean: jax.Array  # float [F]
    square: jax.Array  # float [F], sum of squared deviations


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NormalizedParams:
    """Parameters of a network, and moments of its observations. Gradients of the moments are zero."""

    network: Params
    moments: tuple[Moments, ...]  # one for each table of `_tables`


def _tables(obs: Any) -> list[tuple[jax.Array, jax.Array]]:
    """Tables of features of an observation: each `[..., F]` with bool `[...]`, the rows in use."""
    if isinstance(obs, EntityObservation):
        return [
            (obs.shapes, obs.shape_mask),
            (obs.joints, obs.joint_mask),
            (obs.thrusters, obs.thruster_mask),
        ]
    return [(leaf, jnp.ones(leaf.shape[:-1], bool)) for leaf in jax.tree.leaves(obs)]


def _with_tables(obs: Any, tables: list[jax.Array]) -> Any:
    """The observation with other tables; one-hot kinds of shapes stay as they are."""
    if isinstance(obs, EntityObservation):
        kinds = SHAPE_FEATURES["kind"]  # networks tell polygons from circles by these
        shapes = tables[0].at[..., kinds].set(obs.shapes[..., kinds])
        return dataclasses.replace(obs, shapes=shapes, joints=tables[1], thrusters=tables[2])
    return jax.tree.unflatten(jax.tree.structure(obs), tables)


def initial_moments(features: int) -> Moments:
    """Zero-count moments; normalizing with them only clips."""
    return Moments(jnp.float32(0), jnp.zeros(features), jnp.zeros(features))


def add_rows(moments: Moments, table: jax.Array, used: jax.Array, axis: Axis = None) -> Moments:
    """Adds the rows in use of a table to the moments.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
    (1979), equation 2.1.

    Args:
      moments: moments of the rows so far.
      table: float `[..., F]`.
      used: bool `[...]`, rows in use.
      axis: axis of devices, the rows of all of which are added; each has as large a table.
    """
    rows = table.reshape(-1, table.shape[-1])
    weight = used.reshape(-1, 1).astype(jnp.float32)
    count = sum_over_devices(weight.sum(), axis)
    mean = sum_over_devices((rows * weight).sum(0), axis) / jnp.maximum(count, 1)
    square = sum_over_devices(((rows - mean[None]) ** 2 * weight).sum(0), axis)
    total = moments.count + count
    offset, share = mean - moments.mean, count / jnp.maximum(total, 1)
    return Moments(
        total,
        moments.mean + offset * share,
        moments.square + square + offset**2 * moments.count * share,
    )


def normalize(moments: Moments, table: jax.Array, used: jax.Array) -> jax.Array:
    """Subtracts the mean of a table and divides by its deviation; rows that are not in use become zero."""
    variance = moments.square / jnp.maximum(moments.count, 1)
    deviation = jnp.where(moments.count > 0, jnp.sqrt(variance + EPSILON), 1.0)
    lead = (1,) * (table.ndim - 1)
    value = (table - moments.mean.reshape(*lead, -1)) / deviation.reshape(*lead, -1)
    return jnp.where(used[..., None], jnp.clip(value, -BOUND, BOUND), 0)


@dataclasses.dataclass(frozen=True)
class NormalizedPolicy(Policy):
    """A network whose dense layers and convolutions read normalized observations.

    References, masks, roles, bindings and geometry are read from the observations as they are.
    """

    network: Network

    @property
    def recurrent(self) -> bool:
        """Tells whether the network has a memory."""
        return self.network.recurrent

    def initial_carry(self, batch: int) -> Carry:
        """Empty memory of the network."""
        return self.network.initial_carry(batch)

    def init(self, key: jax.Array) -> NormalizedParams:
        """Initial parameters of the network, and zero-count moments."""
        example = self.network.env.observation_space.example
        tables = _tables(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), example))
        moments = tuple(initial_moments(table.shape[-1]) for table, _ in tables)
        return NormalizedParams(self.network.init(key), moments)

    def unroll(
        self,
        params: NormalizedParams,
        carry: Carry,
        obs: Any,
        reset: jax.Array,
        action_mask: jax.Array | None = None,
    ) -> PolicyOutput:
        """Applies the network to normalized observations."""
        features = self._features(params, obs)
        return self.network.unroll(params.network, carry, obs, reset, action_mask, features)

    def attention(
        self, params: NormalizedParams, carry: Carry, obs: Any, reset: jax.Array
    ) -> jax.Array | None:
        """Attention of the network, which reads normalized observations."""
        return self.network.attention(params.network, carry, obs, reset, self._features(params, obs))

    def _features(self, params: NormalizedParams, obs: Any) -> Any:
        """Normalizes observations."""
        moments = jax.lax.stop_gradient(params.moments)
        tables = [
            normalize(moment, table, used)
            for moment, (table, used) in zip(moments, _tables(obs), strict=True)
        ]
        return _with_tables(obs, tables)

    def update_statistics(self, params: NormalizedParams, obs: Any, axis: Axis = None) -> NormalizedParams:
        """Adds the observations of a rollout, of all devices, to the moments."""
        added = [
            add_rows(moment, table, used, axis)
            for moment, (table, used) in zip(params.moments, _tables(obs), strict=True)
        ]
        return dataclasses.replace(params, moments=tuple(added))
