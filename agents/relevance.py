"""Relevance of each body to a policy's choice: its attention, or the effect of leaving the body out."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

import jax2d
import kinetix_py as kx
from agents.networks.distributions import MaskedNormal, MultiCategorical
from agents.policy import Carry, Params, Policy, PolicyOutput
from kinetix_py.roles import BLUE, GREEN


def total_variation(a: Any, b: Any) -> jax.Array:
    """Measures how far two distributions of actions are apart, in the binding where it is farthest.

    The total variation distance is half the sum of the absolute differences of probabilities; of two normal
    distributions of one deviation `s` whose means are `d` apart it is `erf(d / (2 sqrt(2) s))` (Devroye,
    Mehrabian and Reddad, "The total variation distance between high-dimensional Gaussians", 2018).

    Args:
      a, b: distributions of `agents.networks.distributions` of one batch shape `[...]`.

    Returns:
      float `[...]` in 0 .. 1.
    """
    if isinstance(a, MultiCategorical):
        distance = 0.5 * jnp.abs(a.probs - b.probs).sum(axis=-1)
        return distance.max(axis=-1) if a.event_shape else distance
    assert isinstance(a, MaskedNormal)
    gap = jnp.abs(a.mean() - b.mean()) / a.stddev()
    return jax.lax.erf(gap / (2 * math.sqrt(2))).max(axis=-1)


def without_body(state: kx.EnvState, body: jax.Array | int) -> kx.EnvState:
    """Removes a body with its joints and thrusters from the state of one environment."""
    sim = jax2d.edit.remove_body(state.sim, body)
    component = jnp.argmax(jax2d.connected(sim), axis=1).astype(jnp.int32)
    return dataclasses.replace(state, sim=sim, component=component)


def goal_attention(attention: jax.Array, state: kx.EnvState) -> jax.Array:
    """Averages the attention that green and blue bodies pay.

    Args:
      attention: float `[N, N]`, from each body (first axis) to each, as of `Policy.attention`.
      state: state of one environment.

    Returns:
      float `[N]`, shares of the attention to all bodies; of every body in use if none is green or blue.
    """
    active = state.sim.active
    goals = active & ((state.labels.role == GREEN) | (state.labels.role == BLUE))
    rows = jnp.where(goals.any(), goals, active)
    paid = jnp.where(rows[:, None], attention, 0).sum(axis=0)
    return paid / jnp.maximum(paid.sum(), 1e-9)


@functools.partial(jax.jit, static_argnames=("policy", "env"))
def body_relevance(
    policy: Policy,
    params: Params,
    carry: Carry,
    env: kx.Environment,
    env_params: kx.EnvParams,
    state: kx.EnvState,
    first: jax.Array | bool,
) -> jax.Array:
    """Computes how much each body matters to what the policy does now.

    A policy with attention tells what its green and blue bodies attend to (`goal_attention`). Of any other
    this is the effect of leaving a body out: `total_variation` between its actions with and without the body
    in view, under the same action mask (occlusion; Zeiler and Fergus, "Visualizing and understanding
    convolutional networks", 2014, section 4.2).

    Args:
      policy, params: policy.
      carry: its memory before this step, for a batch of one.
      env, env_params: environment and numbers of the game.
      state: state of one environment.
      first: the state begins an episode.

    Returns:
      float `[N]` in 0 .. 1; 0 in unused slots.
    """
    count = state.size.num_bodies

    def act(states: kx.EnvState, batch: int) -> PolicyOutput:
        obs = jax.vmap(env.observe, in_axes=(0, None))(states, env_params)
        mask = jnp.broadcast_to(env.action_mask(state)[None], (batch, *env.action_mask(state).shape))
        memory = jax.tree.map(lambda leaf: jnp.repeat(leaf, batch, axis=0), carry)
        return policy.step(params, memory, obs, jnp.full(batch, first), mask)

    alone = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], state)
    obs = jax.vmap(env.observe, in_axes=(0, None))(alone, env_params)
    if (attention := policy.attention(params, carry, obs, jnp.full(1, first))) is not None:
        return goal_attention(attention[0], state)
    states = jax.vmap(without_body, in_axes=(None, 0))(state, jnp.arange(count))
    whole, parts = act(alone, 1).distribution, act(states, count).distribution
    # Every body's view beside the whole one: the distributions have one batch shape.
    distance = total_variation(whole[jnp.zeros(count, jnp.int32)], parts)
    return jnp.where(state.sim.active, distance, 0)
