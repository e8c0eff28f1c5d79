"""Learning from a rollout: epochs of minibatches of the clipped loss."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from agents.ppo.gae import advantages
from agents.ppo.loss import LossTerms, Sample, ppo_loss, standardize
from agents.ppo.rollout import Policy, Transitions


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """Numbers of the learner; static.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    learning_rate: float = 3e-4
    anneal: bool = False  # linearly to 0 over `num_updates`
    discount: float = 0.995
    trace: float = 0.9
    clip: float = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    max_gradient_norm: float = 0.5
    num_epochs: int = 4
    num_minibatches: int = 8
    recurrent: bool = False  # minibatches are whole sequences of some environments; else any steps

    def __post_init__(self) -> None:
        for name in ("discount", "trace"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"PPOConfig.{name} must be in 0 .. 1, got {getattr(self, name)!r}")
        for name in ("learning_rate", "clip", "max_gradient_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"PPOConfig.{name} must be above 0, got {getattr(self, name)!r}")
        for name in ("num_epochs", "num_minibatches"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"PPOConfig.{name} must be an integer of at least 1, got {value!r}")

    def check_rollout(self, length: int, num_envs: int) -> None:
        """Checks that a rollout can be cut into the minibatches.

        Raises:
          ValueError: it cannot.
        """
        samples, what = (num_envs, "environments") if self.recurrent else (length * num_envs, "steps")
        if samples % self.num_minibatches:
            raise ValueError(f"{samples} {what} cannot be cut into {self.num_minibatches} equal minibatches")


def make_optimizer(config: PPOConfig, num_updates: int | None = None) -> optax.GradientTransformation:
    """Adam with clipped gradients, its rate constant or falling to 0.

    Args:
      num_updates: rollouts of the whole run; needed for a falling rate.

    Raises:
      ValueError: a falling rate without `num_updates`.
    """
    rate: Any = config.learning_rate
    if config.anneal:
        if num_updates is None:
            raise ValueError("PPOConfig.anneal needs the number of updates of the run, got None")
        steps = num_updates * config.num_epochs * config.num_minibatches
        rate = optax.linear_schedule(config.learning_rate, 0.0, steps)
    return optax.chain(optax.clip_by_global_norm(config.max_gradient_norm), optax.adam(rate, eps=1e-5))


def _loss(params, policy: Policy, carry, batch: Transitions, sample: Sample, config: PPOConfig):
    """The loss of a minibatch whose leaves have leading axes `[T, B]`."""
    _, distribution, value = policy(params, carry, batch.obs, batch.reset, batch.action_mask)
    terms = ppo_loss(
        distribution.log_prob(batch.action),
        distribution.entropy(),
        value,
        sample._replace(advantage=standardize(sample.advantage)),
        clip=config.clip,
        value_weight=config.value_weight,
        entropy_weight=config.entropy_weight,
    )
    return terms.total, terms


def _shuffled(key: jax.Array, data, carry, config: PPOConfig):
    """Minibatches on a new leading axis: of environments, or of steps as sequences of length 1."""
    length, batch = data[1].value.shape
    count = config.num_minibatches
    if config.recurrent:
        order = jax.random.permutation(key, batch).reshape(count, -1)
        rows = lambda value: jnp.moveaxis(value[:, order], 1, 0)
        return jax.tree.map(rows, data), jax.tree.map(lambda value: value[order], carry)
    order = jax.random.permutation(key, length * batch).reshape(count, 1, -1)
    rows = lambda value: value.reshape(length * batch, *value.shape[2:])[order]
    return jax.tree.map(rows, data), ()


def learn(
    key: jax.Array,
    policy: Policy,
    params: Any,
    opt_state: Any,
    optimizer: optax.GradientTransformation,
    batch: Transitions,
    carry: Any,
    config: PPOConfig,
) -> tuple[Any, Any, LossTerms]:
    """Several epochs of minibatches over one rollout.

    Args:
      carry: the policy's memory as the rollout began, leading axis `[B]`; unused unless `config.recurrent`.

    Returns:
      parameters, the optimizer's state, and the mean of each term of the loss over all minibatches.
    """
    advantage, target = advantages(
        batch.reward,
        batch.value,
        batch.next_value,
        batch.terminated,
        batch.done,
        config.discount,
        config.trace,
    )
    sample = Sample(batch.log_prob, batch.value, advantage, target)
    gradient = jax.value_and_grad(_loss, has_aux=True)

    def minibatch(state, part):
        params, opt_state = state
        (data, sample), carry = part
        (_, terms), grads = gradient(params, policy, carry, data, sample, config)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), terms

    def epoch(state, key):
        return jax.lax.scan(minibatch, state, _shuffled(key, (batch, sample), carry, config))

    keys = jax.random.split(key, config.num_epochs)
    (params, opt_state), terms = jax.lax.scan(epoch, (params, opt_state), keys)
    return params, opt_state, jax.tree.map(jnp.mean, terms)
