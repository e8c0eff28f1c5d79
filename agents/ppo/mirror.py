"""Mirrored experience: learning also from the mirror images of steps.

Mittal et al., "Symmetry considerations for learning task symmetric robot policies" (2024), section III-B.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.policy import Policy
from agents.ppo.rollout import Transitions
from kinetix_py.observations.entity import EntityObservation


def check_mirror(share: float, env: kx.Environment, policy: Policy) -> None:
    """Checks that steps of an environment can be mirrored for a policy.

    Args:
      share: `PPOConfig.mirror`.
      env, policy: environment, and policy that learns in it.

    Raises:
      ValueError: the observations are not those of entities, or the policy has a memory, which would have to
        be that of a mirrored past.
    """
    if share == 0:
        return
    if not isinstance(env.observation_space.example, EntityObservation):
        raise ValueError(f"PPOConfig.mirror={share} needs entity observations, got {env.observation_type!r}")
    if policy.recurrent:
        raise ValueError(f"PPOConfig.mirror={share} needs a policy without memory")


def mirror_first(steps: Transitions, share: float, actions: kx.ActionAdapter) -> Transitions:
    """Puts mirror images in the place of the first steps of a minibatch, which is in random order.

    Observations and actions are mirrored, and nothing else. Mirrored levels play as mirror images, so these
    are steps of the mirror image of the policy that acted: in them it has the log-probability, the value and
    the advantage that the policy had in the steps, which are therefore kept, and the ratio of the loss is
    that of the policy which took them. It begins at 1 only where the policy is its own mirror image. Else
    `LossTerms.kl` and `clipped` tell how far it is from that, and good actions are learnt on both sides.

    Args:
      steps: single steps, leading axes `[1, size]`.
      share: share of the steps, in 0 .. 1, rounded to whole steps.
      actions: action type.
    """
    count = round(share * steps.done.shape[1])
    part = jax.tree.map(lambda leaf: leaf[:, :count], (steps.obs, steps.action))
    mirrored = kx.mirror_observation(part[0]), actions.mirror(part[1])
    rest = jax.tree.map(lambda leaf: leaf[:, count:], (steps.obs, steps.action))
    obs, action = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), mirrored, rest)
    return dataclasses.replace(steps, obs=obs, action=action)
