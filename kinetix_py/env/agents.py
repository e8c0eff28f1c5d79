"""Levels for two agents, each with bindings of its own; pure functions, for `vmap` over a batch."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from kinetix_py.actions import ActionAdapter, agent_bindings
from kinetix_py.env.types import EnvState
from kinetix_py.levels.rules import NUM_AGENTS


def as_agent(state: EnvState, agent: int) -> EnvState:
    """Returns the state as an agent sees it: its own bindings are those of agent 0.

    Args:
      state: state of one environment.
      agent: 0 or 1.
    """
    if agent == 0 or state.rules is None:
        return state
    rules = state.rules
    rules = dataclasses.replace(
        rules, motor_agent=1 - rules.motor_agent, thruster_agent=1 - rules.thruster_agent
    )
    return dataclasses.replace(state, rules=rules)


def joint_action(adapter: ActionAdapter, state: EnvState, actions: list[jax.Array]) -> jax.Array:
    """Puts the actions of all agents together: each binding has the value that its agent chose.

    Args:
      adapter: action type, not `"discrete"`, in which one action is about a single binding.
      state: state of one environment.
      actions: action of each agent, of the whole space.

    Raises:
      ValueError: discrete actions, or not one action for each agent.
    """
    if adapter.type == "discrete":
        raise ValueError("two agents need 'multi_discrete' or 'continuous' actions, got 'discrete'")
    if len(actions) != NUM_AGENTS:
        raise ValueError(f"a joint action needs {NUM_AGENTS} actions, got {len(actions)}")
    if state.rules is None:
        return actions[0]
    owner = jnp.concatenate([state.rules.motor_agent, state.rules.thruster_agent])
    first, second = (adapter.check(action) for action in actions)
    return jnp.where(owner == 0, first, second)


def agent_rewards(state: EnvState, reward: jax.Array) -> list[jax.Array]:
    """Returns the reward of each agent: the same, or if they are opposed what the other one loses."""
    if state.rules is None:
        return [reward, reward]
    return [reward, jnp.where(state.rules.opposed, -reward, reward)]


def agent_action_mask(adapter: ActionAdapter, state: EnvState, agent: int) -> jax.Array:
    """Returns the choices of an agent that can change anything, shaped as `ActionAdapter.mask` says."""
    return adapter.mask(*agent_bindings(state, agent))
