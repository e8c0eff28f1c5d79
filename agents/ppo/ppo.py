"""Learning from a rollout: epochs of minibatches of the clipped loss."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from agents.policy import Carry, Params, Policy
from agents.ppo.config import PPOConfig
from agents.ppo.gae import advantages
from agents.ppo.loss import LossTerms, OldPolicyTerms, ppo_loss, standardize
from agents.ppo.rollout import Transitions


class Minibatch(NamedTuple):
    """Part of a rollout, leading axes `[T, B]`, with the memory before it, `[B]`."""

    transitions: Transitions
    old: OldPolicyTerms
    carry: Carry


def make_optimizer(config: PPOConfig, num_updates: int | None = None) -> optax.GradientTransformation:
    """Makes Adam with clipped gradients, its learning rate constant or falling to 0.

    Args:
      config: hyperparameters.
      num_updates: number of rollouts of the whole run; needed for a falling learning rate.

    Raises:
      ValueError: a falling learning rate without `num_updates`.
    """
    rate: Any = config.learning_rate
    if config.anneal_lr:
        if num_updates is None:
            raise ValueError("PPOConfig.anneal_lr needs the number of updates of the run, got None")
        steps = num_updates * config.num_epochs * config.num_minibatches
        rate = optax.linear_schedule(config.learning_rate, 0.0, steps)
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.adam(rate, eps=1e-5))


def minibatch_loss(
    params: Params, policy: Policy, part: Minibatch, config: PPOConfig
) -> tuple[jax.Array, LossTerms]:
    """Computes the loss of a minibatch, and its terms."""
    steps = part.transitions
    _, distribution, value = policy.unroll(params, part.carry, steps.obs, steps.reset, steps.action_mask)
    terms = ppo_loss(
        distribution.log_prob(steps.action),
        distribution.entropy(),
        value,
        part.old._replace(advantage=standardize(part.old.advantage)),
        clip_eps=config.clip_eps,
        value_coef=config.value_coef,
        entropy_coef=config.entropy_coef,
    )
    return terms.total, terms


def shuffled_minibatches(
    key: jax.Array, transitions: Transitions, old: OldPolicyTerms, carry: Carry, count: int, recurrent: bool
) -> Minibatch:
    """Cuts a rollout into random minibatches, on a new leading axis `[count]`.

    Args:
      key: random key of the order.
      transitions, old: rollout, leading axes `[T, B]`.
      carry: memory before the rollout, leading axis `[B]`.
      count: number of minibatches.
      recurrent: minibatches of whole environments; else of single steps, as sequences of length 1 without
        memory.
    """
    length, batch = old.value.shape
    if recurrent:
        order = jax.random.permutation(key, batch).reshape(count, -1)
        rows = lambda value: jnp.moveaxis(value[:, order], 1, 0)
        carry = jax.tree.map(lambda value: value[order], carry)
        return Minibatch(jax.tree.map(rows, transitions), jax.tree.map(rows, old), carry)
    order = jax.random.permutation(key, length * batch).reshape(count, 1, -1)
    rows = lambda value: value.reshape(length * batch, *value.shape[2:])[order]
    return Minibatch(jax.tree.map(rows, transitions), jax.tree.map(rows, old), ())


def ppo_update(
    key: jax.Array,
    policy: Policy,
    params: Params,
    opt_state: optax.OptState,
    optimizer: optax.GradientTransformation,
    transitions: Transitions,
    carry: Carry,
    config: PPOConfig,
) -> tuple[Params, optax.OptState, LossTerms]:
    """Improves a policy by several epochs of minibatches over one rollout.

    Args:
      key: random key of the minibatches.
      policy, params: policy that played the rollout.
      opt_state, optimizer: optimizer, from `make_optimizer`, and its state.
      transitions: rollout, leading axes `[T, B]`.
      carry: memory of the policy before the rollout, leading axis `[B]`.
      config: hyperparameters.

    Returns:
      parameters, the optimizer's state, and the mean of each term of the loss over all minibatches.
    """
    advantage, target = advantages(
        transitions.reward,
        transitions.value,
        transitions.next_value,
        transitions.terminated,
        transitions.done,
        config.gamma,
        config.gae_lambda,
    )
    old = OldPolicyTerms(transitions.log_prob, transitions.value, advantage, target)
    gradient = jax.value_and_grad(minibatch_loss, has_aux=True)

    def learn_minibatch(learner, part: Minibatch):
        params, opt_state = learner
        (_, terms), grads = gradient(params, policy, part, config)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), terms

    def learn_epoch(learner, key):
        parts = shuffled_minibatches(key, transitions, old, carry, config.num_minibatches, policy.recurrent)
        return jax.lax.scan(learn_minibatch, learner, parts)

    keys = jax.random.split(key, config.num_epochs)
    (params, opt_state), terms = jax.lax.scan(learn_epoch, (params, opt_state), keys)
    return params, opt_state, jax.tree.map(jnp.mean, terms)
