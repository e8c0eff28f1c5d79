"""Observations with their running mean taken away, over their running standard deviation."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from agents.networks.factory import Network, Output
from kinetix_py.observations.entity import KIND_COLUMNS, EntityObservation

BOUND = 10.0  # of a normalized feature: rare ones have tiny deviations
EPSILON = 1e-4


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moments:
    """Running moments of each feature (last axis) of one array."""

    count: jax.Array  # float [], rows seen
    mean: jax.Array  # float [F]
    square: jax.Array  # float [F], sum of squared deviations


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NormalizedParams:
    """Parameters of a network, and the moments of what it reads. Gradients of the moments are zero."""

    network: Any
    moments: tuple[Moments, ...]  # one for each table of `_tables`


def _tables(obs: Any) -> list[tuple[jax.Array, jax.Array]]:
    """The tables of features of an observation, each `[..., F]` with bool `[...]`: the rows in use."""
    if isinstance(obs, EntityObservation):
        return [
            (obs.shapes, obs.shape_mask),
            (obs.joints, obs.joint_mask),
            (obs.thrusters, obs.thruster_mask),
        ]
    return [(leaf, jnp.ones(leaf.shape[:-1], bool)) for leaf in jax.tree.leaves(obs)]


def _put_back(obs: Any, tables: list[jax.Array]) -> Any:
    """An observation with other tables."""
    if isinstance(obs, EntityObservation):
        kinds = slice(*KIND_COLUMNS)  # networks tell polygons from circles by these
        shapes = tables[0].at[..., kinds].set(obs.shapes[..., kinds])
        return dataclasses.replace(obs, shapes=shapes, joints=tables[1], thrusters=tables[2])
    return jax.tree.unflatten(jax.tree.structure(obs), tables)


def start_moments(features: int) -> Moments:
    """Of nothing: normalizing with them changes nothing but outliers."""
    return Moments(jnp.float32(0), jnp.zeros(features), jnp.zeros(features))


def add_rows(moments: Moments, table: jax.Array, used: jax.Array) -> Moments:
    """Moments of the rows so far and of those of a table that are in use.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
    (1979), equation 2.1.
    """
    rows = table.reshape(-1, table.shape[-1])
    weight = used.reshape(-1, 1).astype(jnp.float32)
    count = weight.sum()
    mean = (rows * weight).sum(0) / jnp.maximum(count, 1)
    square = ((rows - mean[None]) ** 2 * weight).sum(0)
    total = moments.count + count
    away, share = mean - moments.mean, count / jnp.maximum(total, 1)
    return Moments(
        total,
        moments.mean + away * share,
        moments.square + square + away**2 * moments.count * share,
    )


def normalize(moments: Moments, table: jax.Array, used: jax.Array) -> jax.Array:
    """A table in units of its deviations; rows that are not in use stay zero."""
    variance = moments.square / jnp.maximum(moments.count, 1)
    deviation = jnp.where(moments.count > 0, jnp.sqrt(variance + EPSILON), 1.0)
    lead = (1,) * (table.ndim - 1)
    value = (table - moments.mean.reshape(*lead, -1)) / deviation.reshape(*lead, -1)
    return jnp.where(used[..., None], jnp.clip(value, -BOUND, BOUND), 0)


@dataclasses.dataclass(frozen=True)
class NormalizedPolicy:
    """A network that reads normalized observations; hashable, a `Policy`."""

    network: Network

    def init(self, key: jax.Array) -> NormalizedParams:
        """Parameters, and moments of nothing."""
        example = self.network.env.observation_space.example
        tables = _tables(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), example))
        return NormalizedParams(
            self.network.init(key), tuple(start_moments(table.shape[-1]) for table, _ in tables)
        )

    def __call__(self, params: NormalizedParams, carry, obs, reset, action_mask=None) -> Output:
        """As `Network.apply`."""
        moments = jax.lax.stop_gradient(params.moments)
        tables = [normalize(m, *table) for m, table in zip(moments, _tables(obs), strict=True)]
        return self.network.apply(params.network, carry, _put_back(obs, tables), reset, action_mask)

    def observe(self, params: NormalizedParams, obs: Any) -> NormalizedParams:
        """Adds the observations of a rollout to the moments."""
        tables = _tables(obs)
        added = [add_rows(m, *table) for m, table in zip(params.moments, tables, strict=True)]
        return dataclasses.replace(params, moments=tuple(added))
