"""Learning from a rollout: epochs of minibatches of the clipped loss."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import kinetix_py as kx
from agents.policy import Carry, Params, Policy
from agents.ppo.config import PPOConfig
from agents.ppo.devices import Axis, mean_over_devices
from agents.ppo.gae import advantages
from agents.ppo.loss import LossTerms, OldPolicyTerms, ppo_loss, squared_error, standardize
from agents.ppo.mirror import mirror_first
from agents.ppo.rollout import Transitions


class Minibatch(NamedTuple):
    """Part of a rollout, leading axes `[T, B]`, with the memory before it, `[B]`."""

    transitions: Transitions
    old: OldPolicyTerms
    carry: Carry
    weight: jax.Array | None = None  # float [T, B], mean 1 over all devices; None: all steps count alike


class PPOUpdate(NamedTuple):
    """Result of learning from one rollout."""

    params: Params
    opt_state: optax.OptState
    terms: LossTerms  # means over all minibatches; 0 if nothing was learnt from
    grad_norm: jax.Array  # float [], mean global norm of the gradients, before they are clipped
    advantage: jax.Array  # float [T, B]
    target: jax.Array  # float [T, B], of the values


def make_optimizer(config: PPOConfig, num_gradients: int | None = None) -> optax.GradientTransformation:
    """Makes Adam with clipped gradients and the learning rate of `learning_rate_schedule`.

    Args:
      config: hyperparameters.
      num_gradients: gradient steps of the whole run; needed for a learning rate that changes.

    Raises:
      ValueError: a learning rate that changes, without `num_gradients`.
    """
    rate: Any = config.learning_rate
    if config.anneal_lr or config.lr_warmup > 0:
        if num_gradients is None:
            raise ValueError(
                f"PPOConfig.anneal_lr={config.anneal_lr} with lr_warmup={config.lr_warmup} needs the number "
                f"of gradients of the run, got None"
            )
        rate = learning_rate_schedule(config, num_gradients)
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.adam(rate, eps=1e-5))


def learning_rate_schedule(config: PPOConfig, num_gradients: int) -> optax.Schedule:
    """Makes the learning rate by the number of gradients so far.

    It rises linearly from 0 during `lr_warmup` of the run, then is constant, or falls linearly to 0 if
    `anneal_lr` is set.

    Args:
      config: hyperparameters.
      num_gradients: gradient steps of the whole run.
    """
    warmup = round(config.lr_warmup * num_gradients)
    end = 0.0 if config.anneal_lr else config.learning_rate
    later = optax.linear_schedule(config.learning_rate, end, max(num_gradients - warmup, 1))
    if warmup == 0:
        return later
    return optax.join_schedules([optax.linear_schedule(0.0, config.learning_rate, warmup), later], [warmup])


def minibatch_loss(
    params: Params,
    policy: Policy,
    part: Minibatch,
    config: PPOConfig,
    progress: jax.Array | float = 0.0,
) -> tuple[jax.Array, LossTerms]:
    """Computes the loss of a minibatch or part of it, and its terms; advantages are used as they are.

    Arguments are those of `ppo_update`.
    """
    steps = part.transitions
    output = policy.unroll(params, part.carry, steps.obs, steps.reset, steps.action_mask)
    if output.value_histogram is None:
        clip_eps = config.clip_eps if config.value_clip else None
        value_error = squared_error(output.value, part.old, clip_eps)
    else:
        value_error = output.value_histogram.cross_entropy(part.old.target)
    terms = ppo_loss(
        output.distribution.log_prob(steps.action),
        output.distribution.entropy(),
        value_error,
        part.old,
        clip_eps=config.clip_eps,
        value_coef=config.value_coef,
        entropy_coef=config.entropy_coef_at(progress),
        weight=part.weight,
    )
    return terms.total, terms


def shuffled_indices(
    key: jax.Array,
    length: int,
    num_envs: int,
    num_minibatches: int,
    recurrent: bool,
    learn: jax.Array | None = None,
) -> jax.Array:
    """Cuts a rollout into random minibatches.

    Args:
      key: random key of the order.
      length, num_envs: size of the rollout, `[T, B]`.
      num_minibatches: number of minibatches.
      recurrent: minibatches of whole environments; else of single steps.
      learn: bool `[num_envs]`, environments to learn from, in the first minibatches; all if None.

    Returns:
      int32 `[num_minibatches, size]`: environments, or steps counted along `[T * B]`.
    """
    count = num_envs if recurrent else length * num_envs
    if learn is None:
        return jax.random.permutation(key, count).reshape(num_minibatches, -1)
    order_key, rows_key = jax.random.split(key)
    order = jax.random.permutation(order_key, count)
    rows = order[jnp.argsort(~learn[order % num_envs], stable=True)].reshape(num_minibatches, -1)
    # Any part of a minibatch, such as the one that is mirrored, then has its share of both kinds.
    return jax.random.permutation(rows_key, rows, axis=1, independent=True)


def take_minibatch(
    index: jax.Array, transitions: Transitions, old: OldPolicyTerms, carry: Carry, recurrent: bool
) -> Minibatch:
    """Gathers one minibatch, so that no shuffled copy of a whole rollout is ever made.

    Args:
      index: int32 `[size]`, a row of `shuffled_indices`.
      transitions, old: rollout, leading axes `[T, B]`.
      carry: memory before the rollout, leading axis `[B]`.
      recurrent: the index is of environments; else of single steps, which become sequences of length 1
        without memory.
    """
    if recurrent:
        rows = lambda value: value[:, index]
        carry = jax.tree.map(lambda value: value[index], carry)
        return Minibatch(jax.tree.map(rows, transitions), jax.tree.map(rows, old), carry)
    rows = lambda value: value.reshape(-1, *value.shape[2:])[index][None]
    return Minibatch(jax.tree.map(rows, transitions), jax.tree.map(rows, old), ())


def minibatch_gradient(
    params: Params, policy: Policy, part: Minibatch, config: PPOConfig, progress: jax.Array | float
) -> tuple[Params, LossTerms]:
    """Computes the gradient of the loss of a minibatch and the loss's terms, in `accumulation_steps` parts.

    The loss is a mean over steps, so that the mean over parts of equal size is that of the whole.
    """
    gradient = lambda part: jax.grad(minibatch_loss, has_aux=True)(params, policy, part, config, progress)
    count = config.accumulation_steps
    if count == 1:
        return gradient(part)
    cut = lambda leaf, axis: jnp.moveaxis(
        leaf.reshape(*leaf.shape[:axis], count, -1, *leaf.shape[axis + 1 :]), axis, 0
    )
    split = lambda tree, axis: jax.tree.map(lambda leaf: cut(leaf, axis), tree)
    parts = Minibatch(
        transitions=split(part.transitions, 1),
        old=split(part.old, 1),
        carry=split(part.carry, 0),
        weight=split(part.weight, 1),
    )

    def add(total, part):
        return jax.tree.map(jnp.add, total, gradient(part)), None

    shapes = jax.eval_shape(gradient, jax.tree.map(lambda leaf: leaf[0], parts))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    total, _ = jax.lax.scan(add, zeros, parts)
    mean: tuple[Params, LossTerms] = jax.tree.map(lambda leaf: leaf / count, total)
    return mean


def ppo_update(
    key: jax.Array,
    policy: Policy,
    params: Params,
    opt_state: optax.OptState,
    optimizer: optax.GradientTransformation,
    transitions: Transitions,
    carry: Carry,
    config: PPOConfig,
    axis: Axis = None,
    progress: jax.Array | float = 0.0,
    actions: kx.ActionAdapter | None = None,
    learn: jax.Array | None = None,
) -> PPOUpdate:
    """Improves a policy by several epochs of minibatches over one rollout.

    Args:
      key: random key of the minibatches.
      policy, params: policy that played the rollout.
      opt_state, optimizer: optimizer, from `make_optimizer`, and its state.
      transitions: rollout, leading axes `[T, B]`.
      carry: memory of the policy before the rollout, leading axis `[B]`.
      config: hyperparameters; on several devices, each takes its share of a minibatch.
      axis: axis of devices in `jax.shard_map`, over which gradients are averaged.
      progress: share of the run that is over, in 0 .. 1, for hyperparameters that change over it.
      actions: action type; needed for `PPOConfig.mirror`.
      learn: bool `[B]`, environments to learn from; all if None. The steps of the others are in no gradient,
        and minibatches in which there would be no others are left out, the optimizer's step included.

    Raises:
      ValueError: mirrored experience without `actions`.
    """
    if config.mirror > 0 and actions is None:
        raise ValueError(f"PPOConfig.mirror={config.mirror} needs the action type, got None")
    length, num_envs = transitions.done.shape
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
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    count = config.num_minibatches(num_envs * devices, length, policy.recurrent)

    def learn_minibatch(learner, index, weight=None):
        params, opt_state = learner
        part = take_minibatch(index, transitions, old, carry, policy.recurrent)._replace(weight=weight)
        if actions is not None and config.mirror > 0:
            part = part._replace(transitions=mirror_first(part.transitions, config.mirror, actions))
        standardized = standardize(part.old.advantage, axis, weight)
        part = part._replace(old=part.old._replace(advantage=standardized))
        grads, terms = minibatch_gradient(params, policy, part, config, progress)
        grads = mean_over_devices(grads, axis)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), (terms, optax.tree.norm(grads))

    def learn_chosen(learner, index):
        """Learns from the chosen steps of a minibatch, if there are any on any device."""
        assert learn is not None
        chosen = learn[index % num_envs].astype(jnp.float32)
        share = mean_over_devices(chosen.mean(), axis)
        weight = chosen[None] / jnp.maximum(share, 1e-8)
        if policy.recurrent:
            weight = jnp.broadcast_to(weight, (length, index.size))
        zero = jnp.zeros(())
        nothing = LossTerms(*[zero] * len(LossTerms._fields)), zero
        # All devices take the same branch, in which they exchange gradients.
        learner, measured = jax.lax.cond(
            share > 0, lambda: learn_minibatch(learner, index, weight), lambda: (learner, nothing)
        )
        return learner, (*measured, (share > 0).astype(jnp.float32))

    def learn_epoch(learner, key):
        index = shuffled_indices(key, length, num_envs, count, policy.recurrent, learn)
        return jax.lax.scan(learn_minibatch if learn is None else learn_chosen, learner, index)

    keys = jax.random.split(key, config.num_epochs)
    (params, opt_state), measured = jax.lax.scan(learn_epoch, (params, opt_state), keys)
    terms, grad_norm, *used = jax.tree.map(jnp.mean, measured)
    if used:
        terms, grad_norm = jax.tree.map(lambda x: x / jnp.maximum(used[0], 1e-8), (terms, grad_norm))
    terms, grad_norm = mean_over_devices((terms, grad_norm), axis)
    return PPOUpdate(params, opt_state, terms, grad_norm, advantage, target)
