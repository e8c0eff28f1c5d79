"""Small policies whose behavior a reader can foresee, for environments with discrete actions."""

from __future__ import annotations

import dataclasses

import distrax
import jax
import jax.numpy as jnp
import numpy as np

from agents.networks.value_histogram import ValueHistogram
from agents.policy import Policy, PolicyOutput
from agents.ppo.devices import sum_over_devices

THRUST = 9  # action that turns the first thruster on


@dataclasses.dataclass(frozen=True)
class Thrust(Policy):
    """Turns the thruster on with a probability that grows with its parameter."""

    initial: float = 0.0

    def init(self, key):
        return jnp.float32(self.initial)

    def unroll(self, params, carry, obs, reset, action_mask=None):
        logits = jnp.where(jnp.arange(action_mask.shape[-1]) == THRUST, 1.0, 0.0)[None, None] * params
        logits = jnp.where(action_mask, logits, -1e9)
        return PolicyOutput(carry, distrax.Categorical(logits=logits), obs[..., 0] * params)


@dataclasses.dataclass(frozen=True)
class CountingThrust(Thrust):
    """The same, with the number of steps that it has seen as its statistics."""

    def init(self, key):
        return {"thrust": super().init(key), "steps": jnp.float32(0)}

    def unroll(self, params, *arguments, **options):
        return super().unroll(params["thrust"], *arguments, **options)

    def update_statistics(self, params, obs, axis=None):
        count = sum_over_devices(jnp.float32(obs[..., 0].size), axis)
        return params | {"steps": params["steps"] + count}


@dataclasses.dataclass(frozen=True)
class Coin(Policy):
    """Turns the thruster on in half of the steps."""

    num_actions: int = 11

    def init(self, key):
        return jnp.float32(0)

    def unroll(self, params, carry, obs, reset, action_mask=None):
        logits = jnp.where(jnp.isin(jnp.arange(self.num_actions), jnp.array([THRUST - 1, THRUST])), 0.0, -1e9)
        logits = jnp.broadcast_to(logits, (*reset.shape, self.num_actions)) + 0 * params
        return PolicyOutput(carry, distrax.Categorical(logits=logits), obs[..., 0] * params)


@dataclasses.dataclass(frozen=True)
class Clock(Policy):
    """Does nothing; its value is the time that it observes, its memory the steps of the episode."""

    num_actions: int = 9

    @property
    def recurrent(self):
        return True

    def init(self, key):
        return ()

    def initial_carry(self, batch):
        return jnp.zeros(batch, int)

    def unroll(self, params, carry, obs, reset, action_mask=None):
        assert reset.shape[0] == 1
        carry = jnp.where(reset[0], 0, carry) + 1
        noop = jnp.where(jnp.arange(self.num_actions) == 8, 9.0, 0.0)[None, None]
        logits = noop * jnp.ones((*reset.shape, 1))
        return PolicyOutput(carry, distrax.Categorical(logits=logits), obs[..., 0])


@dataclasses.dataclass(frozen=True)
class Linear(Policy):
    """A linear actor-critic; actions without effect are never taken."""

    features: int
    num_actions: int
    as_recurrent: bool = False

    @property
    def recurrent(self):
        return self.as_recurrent

    def init(self, key):
        return {
            "actor": jnp.zeros((self.features, self.num_actions)),
            "critic": jnp.zeros((self.features, 1)),
        }

    def unroll(self, params, carry, obs, reset, action_mask=None):
        logits = jnp.where(action_mask, obs @ params["actor"], -1e9)
        return PolicyOutput(carry, distrax.Categorical(logits=logits), (obs @ params["critic"])[..., 0])


@dataclasses.dataclass(frozen=True)
class Histogram(Linear):
    """The same with a histogram of the value, in -2 .. 2."""

    num_bins: int = 5

    def init(self, key):
        return super().init(key) | {"critic": jnp.zeros((self.features, self.num_bins))}

    def unroll(self, params, carry, obs, reset, action_mask=None):
        histogram = ValueHistogram(obs @ params["critic"], 2.0)
        output = super().unroll(params, carry, obs, reset, action_mask)
        return output._replace(value=histogram.mean(), value_histogram=histogram)


def same_trees(a, b):
    """Tells whether two pytrees have equal leaves, random keys included."""
    plain = lambda leaf: np.asarray(
        jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    )
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(bool((plain(x) == plain(y)).all()) for x, y in pairs)  # in numpy, which compiles nothing
