"""The agents that come with the package."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import agents
import kinetix_py as kx
from agents.evaluation.evaluate import evaluate, evaluate_baselines
from agents.levels import random_level_set
from agents.loading import TRAINED


def test_there_is_one_for_each_size():
    assert agents.shipped_agents() == sorted(kx.SIZES)
    for name in kx.SIZES:
        agent = agents.load_policy(name)
        assert agent.env.size == kx.SIZES[name] and agent.levels == ()  # random levels alone
        assert agent.path.parent == TRAINED.resolve() and agent.path.stat().st_size < 5e6
        assert agent.trained_config.init_from is None and agent.trained_config.output.folder == "runs"


@pytest.mark.parametrize("size", ["m", *(pytest.param(size, marks=pytest.mark.slow) for size in "sl")])
def test_any_of_them_plays_every_size(size):
    agent = agents.load_policy("s", size)

    @jax.jit
    def value(params, level):
        """Of the level's start."""
        obs, state = agent.env.reset_to_level(level, agent.env_params)
        obs, mask = jax.tree.map(lambda leaf: leaf[None], (obs, agent.env.action_mask(state)))
        carry = agent.policy.initial_carry(1)
        return agent.policy.step(params, carry, obs, jnp.zeros(1, bool), mask).value

    found = value(agent.params, kx.empty_level(kx.SIZES[size]))
    assert found.shape == (1,) and bool(jnp.isfinite(found).all())


@pytest.mark.slow
def test_the_agent_of_size_s_is_far_ahead_of_chance():
    agent = agents.load_policy("s", contact_order="kinetix")
    levels = random_level_set(jax.random.key(3), 256, "s")
    keys = jax.random.split(jax.random.key(4))
    found = evaluate(keys[0], agent.policy, agent.params, agent.env, levels, agent.env_params, attempts=2)
    baselines = evaluate_baselines(keys[1], levels, agent.env, agent.env_params, attempts=2)
    assert found.solve_rate > max(each.solve_rate for each in baselines) + 0.12
