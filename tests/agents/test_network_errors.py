"""Networks, configs of them and calls that are refused, with the value and the bound."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import pytest

import kinetix_py as kx
from agents.networks.config import KINDS, NetworkConfig
from agents.networks.factory import make_network
from kinetix_py.observations.registry import OBSERVATIONS
from tests.agents.small_networks import READS, generic, small
from tests.kinetix_py.small_levels import TINY


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_networks_that_cannot_read_an_observation_are_refused(observation):
    for kind in set(KINDS) - set(READS[observation]):
        with pytest.raises(ValueError, match=f"a {kind} network reads .*{observation}"):
            make_network(small(kind), kx.make(TINY, observation_type=observation))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"kind": "lstm"}, "kind must be one of .* got 'lstm'"),
        ({"dtype": "float16"}, "dtype must be one of .* got 'float16'"),
        ({"width": 0}, "width must be an integer of at least 1, got 0"),
        ({"layers": 1.5}, "layers must be an integer of at least 1, got 1.5"),
        ({"head_layers": True}, "head_layers must be an integer of at least 1, got True"),
        ({"attention_heads": 6}, "attention_heads must be a multiple of 4, .* got 6"),
        ({"recurrent": "yes"}, "recurrent must be True or False, got 'yes'"),
        ({"memory_width": 0}, "memory_width must be an integer of at least 1, got 0"),
        ({"kind": "kinetix", "actor": "per_binding"}, "need one of the kinds .* got 'kinetix'"),
    ],
)
def test_impossible_configs_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**changes)


def test_wrong_calls_are_refused():
    nothing = dataclasses.replace(TINY, num_motor_bindings=0, num_thruster_bindings=0)
    with pytest.raises(ValueError, match="nothing to act on"):
        make_network(small("mlp"), kx.make(nothing, observation_type="blind"))
    tiny_picture = lambda state, params: jnp.zeros((20, 20, 3))
    with pytest.raises(ValueError, match="at least 36 x 36"):
        make_network(small("cnn"), kx.make(TINY, observation_type=tiny_picture))
    network = make_network(small("mlp"), kx.make(TINY, observation_type="blind"))
    with pytest.raises(ValueError, match=r"\[time, batch\].*\(3,\)"):
        network.unroll(generic(network), (), jnp.zeros((3, 1)), jnp.zeros(3, bool))
