"""Actor-critic networks for environments: `make_network(config, env)`."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from agents.networks.binding_actor import BindingActor
from agents.networks.config import ATTENTION_KINDS, DTYPES, ENTITY_KINDS, NetworkConfig
from agents.networks.distributions import make_distribution, num_outputs
from agents.networks.entity_layers import EntityEmbedding
from agents.networks.graph import BindingActorCritic, GraphNet
from agents.networks.heads import ACTOR_SCALE, Head
from agents.networks.kinetix import KinetixTransformer
from agents.networks.mlp_cnn import MIN_PICTURE, Cnn, FlatMlp, SetMlp
from agents.networks.recurrent import ScannedGRU
from agents.networks.transformer import EntityTransformer
from agents.networks.value_histogram import ValueHistogram
from agents.policy import Carry, Params, Policy, PolicyOutput
from kinetix_py.actions import ActionAdapter
from kinetix_py.env.environment import Environment
from kinetix_py.observations.entity import EntityObservation

ENCODERS = {
    "transformer": EntityTransformer,
    "kinetix": KinetixTransformer,
    "set_mlp": SetMlp,
    "graph": GraphNet,
    "mlp": FlatMlp,
    "cnn": Cnn,
}
# Observations that each kind of network reads, in words.
READS = {
    "transformer": "an entity observation",
    "kinetix": "an entity observation",
    "set_mlp": "an entity observation",
    "graph": "an entity observation",
    "mlp": "a vector (flat, flat_padded or blind)",
    "cnn": f"a picture [H, W, C] of at least {MIN_PICTURE} x {MIN_PICTURE} (pixels)",
}


class ActorCritic(nn.Module):
    """An encoder of observations, memory if asked for, an actor and a critic."""

    config: NetworkConfig
    actions: ActionAdapter

    @nn.compact
    def __call__(
        self,
        carry: Carry,
        obs: Any,
        reset: jax.Array,
        action_mask: jax.Array | None = None,
        features: Any = None,
    ) -> PolicyOutput:
        """Applies the network as `Network.unroll` does."""
        config, dtype = self.config, DTYPES[self.config.dtype]
        as_rows = lambda tree: jax.tree.map(lambda leaf: leaf.reshape(reset.size, *leaf.shape[2:]), tree)
        read = as_rows(obs if features is None else features)
        encoder = ENCODERS[config.kind](config, name="encoder")
        embedding = encoder(as_rows(obs), read) if config.kind in ENTITY_KINDS else encoder(read)
        x = embedding.scene if isinstance(embedding, EntityEmbedding) else embedding
        x = x.reshape(*reset.shape, x.shape[-1])
        if config.recurrent:
            carry, x = ScannedGRU(config.carry_width, dtype, name="memory")(carry, (x, reset))
        head = lambda outputs, scale, name: Head(
            outputs, scale, config.head_width, config.head_layers, dtype, name=name
        )(x)
        num_values = 1 if config.critic == "scalar" else config.value_bins
        scene = x.reshape(reset.size, x.shape[-1])
        if config.kind == "graph" and config.actor == "per_binding":
            outputs, value = BindingActorCritic(config, self.actions, num_values, name="heads")(
                scene, embedding
            )
        elif config.actor == "per_binding":
            outputs = BindingActor(config, self.actions, name="actor")(scene, embedding)
            value = head(num_values, 1.0, "critic")
        else:
            outputs = head(num_outputs(self.actions), ACTOR_SCALE, "actor")
            value = head(num_values, 1.0, "critic")
        outputs, value = (out.reshape(*reset.shape, out.shape[-1]) for out in (outputs, value))
        mask = None if config.kind == "kinetix" else action_mask
        distribution = make_distribution(outputs, self._log_std(), self.actions, mask)
        if config.critic == "scalar":
            return PolicyOutput(carry, distribution, value[..., 0])
        histogram = ValueHistogram(value, config.value_limit)
        return PolicyOutput(carry, distribution, histogram.mean(), histogram)

    def _log_std(self) -> jax.Array | None:
        """Logarithm of the standard deviation of each binding's value; None unless actions are continuous."""
        if self.actions.type != "continuous":
            return None
        return self.param("log_std", nn.initializers.zeros_init(), (self.actions.size.num_bindings,))


@dataclasses.dataclass(frozen=True)
class Network(Policy):
    """An actor-critic network for the observations and actions of an environment; holds no arrays.

    The carry of a recurrent network is float32 `[B, carry_width]`; that of any other is `()`.
    """

    config: NetworkConfig
    env: Environment

    @property
    def module(self) -> ActorCritic:
        """The flax module."""
        return ActorCritic(self.config, self.env.action_adapter)

    @property
    def recurrent(self) -> bool:
        """Tells whether the network has a memory."""
        return self.config.recurrent

    def initial_carry(self, batch: int) -> Carry:
        """Empty memory of `batch` environments."""
        return jnp.zeros((batch, self.config.carry_width), jnp.float32) if self.config.recurrent else ()

    def init(self, key: jax.Array) -> Params:
        """Initial parameters: a pytree of float32 arrays."""
        example = self.env.observation_space.example
        obs = jax.tree.map(lambda leaf: jnp.zeros((1, 1, *leaf.shape), leaf.dtype), example)
        return jax.jit(self.module.init)(key, self.initial_carry(1), obs, jnp.ones((1, 1), bool))

    def unroll(
        self,
        params: Params,
        carry: Carry,
        obs: Any,
        reset: jax.Array,
        action_mask: jax.Array | None = None,
        features: Any = None,
    ) -> PolicyOutput:
        """Applies the network to a sequence, as `Policy.unroll` says.

        Args:
          params, carry, obs, reset, action_mask: as in `Policy.unroll`.
          features: normalized observations of the structure of `obs`, which dense layers and convolutions
            read instead; `obs` then tells what refers to what, and where. None: they read `obs`.

        Raises:
          ValueError: leading axes that do not agree.
        """
        for leaf in jax.tree.leaves((obs, action_mask, features)):
            if reset.ndim != 2 or leaf.shape[:2] != reset.shape:
                raise ValueError(
                    f"observations, resets and masks must share leading axes [time, batch]: "
                    f"reset has shape {reset.shape}, another has {leaf.shape}"
                )
        output: Any = self.module.apply(params, carry, obs, reset, action_mask, features)
        return output

    def attention(
        self, params: Params, carry: Carry, obs: Any, reset: jax.Array, features: Any = None
    ) -> jax.Array | None:
        """Attention among bodies, as `Policy.attention` says; `features` as of `unroll`, here `[B]`."""
        if self.config.kind not in ATTENTION_KINDS:
            return None
        obs, reset, features = jax.tree.map(lambda leaf: leaf[None], (obs, reset, features))
        _, seen = self.module.apply(params, carry, obs, reset, None, features, mutable=["intermediates"])
        layers = jnp.stack(jax.tree.leaves(seen["intermediates"]))  # [layers, B, heads, tokens, tokens]
        bodies = slice(None, -1) if self.config.kind == "transformer" else slice(1, None)
        return layers.mean(axis=(0, 2))[:, bodies, bodies]  # without the summary token


def _fits(kind: str, example: Any) -> bool:
    """Tells whether a kind of network reads an observation, given as a pytree of shapes."""
    if kind in ENTITY_KINDS:
        return isinstance(example, EntityObservation)
    if not isinstance(example, jax.ShapeDtypeStruct):
        return False
    if kind == "mlp":
        return len(example.shape) == 1
    return len(example.shape) == 3 and min(example.shape[:2]) >= MIN_PICTURE


def make_network(config: NetworkConfig, env: Environment) -> Network:
    """Makes the network that a config describes, for the observations and actions of an environment.

    Raises:
      ValueError: this kind of network cannot read the environment's observations, or there is no action.
    """
    if not _fits(config.kind, env.observation_space.example):
        raise ValueError(
            f"a {config.kind} network reads {READS[config.kind]}, but the environment's observation is "
            f"{env.observation_type!r}"
        )
    if num_outputs(env.action_adapter) == 0:
        raise ValueError("there is nothing to act on: the environment has 0 motor and thruster bindings")
    return Network(config, env)
