"""A learner: plays rollouts of a batch of levels, and learns from each."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

import kinetix_py as kx
from agents.policy import Params, Policy
from agents.ppo.config import PPOConfig
from agents.ppo.devices import Axis, mean_over_devices
from agents.ppo.gae import negative_advantages
from agents.ppo.ppo import ppo_update
from agents.ppo.rollout import PlayedSteps, RunnerState, Transitions, rollout


class LearnerState(NamedTuple):
    """All of a learner that learning changes."""

    params: Params
    opt_state: optax.OptState
    average: Params | None = None  # moving average of the parameters, with `PPOConfig.ema_decay`


def moving_average(average: Params, params: Params, decay: float) -> Params:
    """Moves an exponential average of parameters towards them; leaves that are equal stay the same bits."""
    return jax.tree.map(lambda old, new: old + (1 - decay) * (new - old), average, params)


def share_of_run(num_updates: jax.Array | int, total_updates: int | None) -> jax.Array | float:
    """Share of a run that is over, in 0 .. 1: 0 in the first update, 1 in the last; 0 without a total."""
    if total_updates is None:
        return 0.0
    return jnp.minimum(num_updates / max(total_updates - 1, 1), 1.0)


def explained_variance(value: jax.Array, target: jax.Array, axis: Axis = None) -> jax.Array:
    """Share of the targets' variance that values explain, float []: 1 if perfect, 0 if useless."""

    def variance(x):
        centered = x - mean_over_devices(x.mean(), axis)
        return mean_over_devices((centered**2).mean(), axis)

    return 1 - variance(target - value) / jnp.maximum(variance(target), 1e-8)


@dataclasses.dataclass(frozen=True)
class Learner:
    """The static part of a learner.

    Attributes:
      env: environment with auto-reset.
      policy: policy that learns.
      optimizer: optimizer, from `agents.ppo.ppo.make_optimizer`.
      ppo: hyperparameters of PPO.
      rollout_length: steps that are played in each environment before the policy learns.
      num_rollouts: rollouts of one update.
      maximized_negative: whether steps have `agents.ppo.gae.negative_advantages`.
    """

    env: kx.Environment
    policy: Policy
    optimizer: optax.GradientTransformation
    ppo: PPOConfig
    rollout_length: int
    num_rollouts: int = 1
    maximized_negative: bool = False

    def init(self, params: Params) -> LearnerState:
        """Makes the state before the first update, from initial parameters."""
        average = None if self.ppo.ema_decay is None else jax.tree.map(jnp.copy, params)
        return LearnerState(params, self.optimizer.init(params), average)

    def update(
        self,
        key: jax.Array,
        state: LearnerState,
        runner: RunnerState,
        env_params: kx.EnvParams,
        axis: Axis = None,
        progress: jax.Array | float = 0.0,
        learn: jax.Array | None = None,
    ) -> tuple[LearnerState, PlayedSteps, dict[str, jax.Array]]:
        """Plays all rollouts of an update, whose episodes go on from one to the next, and learns from each.

        Args:
          key: random key.
          state: state of the learner.
          runner: environments at their start, `[B]`.
          env_params: numbers of the game.
          axis: axis of devices in `jax.shard_map`, over which gradients are averaged.
          progress: share of the run that is over, in 0 .. 1.
          learn: bool `[B]`, environments to learn from; all if None.

        Returns:
          the state, all steps `[num_rollouts * rollout_length, B]`, and terms of the loss by name.
        """
        (state, _), (steps, losses) = jax.lax.scan(
            lambda carried, key: self._play_and_learn(carried, key, env_params, axis, progress, learn),
            (state, runner),
            jax.random.split(key, self.num_rollouts),
        )
        steps = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), steps)
        return state, steps, {name: value.mean() for name, value in losses.items()}

    def _maximized_negative(self, steps: Transitions) -> jax.Array | None:
        """Negative advantages of a rollout, if they are needed."""
        if not self.maximized_negative:
            return None
        return negative_advantages(
            steps.reward,
            steps.value,
            steps.next_value,
            steps.terminated,
            steps.done,
            self.ppo.gamma,
            self.ppo.gae_lambda,
        )

    def _play_and_learn(self, carried, key: jax.Array, env_params: kx.EnvParams, axis: Axis, progress, learn):
        """Runs one rollout and the learning from it."""
        (params, opt_state, average), runner = carried
        play_key, learn_key = jax.random.split(key)
        with jax.named_scope("play"):
            later, transitions = rollout(
                play_key, self.policy, params, runner, self.env, env_params, self.rollout_length
            )
        with jax.named_scope("learn"):
            result = ppo_update(
                learn_key,
                self.policy,
                params,
                opt_state,
                self.optimizer,
                transitions,
                runner.carry,
                self.ppo,
                axis,
                progress,
                self.env.action_adapter,
                learn,
            )
            # After learning, so that the probability ratios of the loss begin at 1.
            params = self.policy.update_statistics(result.params, transitions.obs, axis)
            if self.ppo.ema_decay is not None:  # statistics are not averaged: the same ones are added to both
                average = moving_average(average, result.params, self.ppo.ema_decay)
                average = self.policy.update_statistics(average, transitions.obs, axis)
        metrics = {f"loss/{name}": value for name, value in result.terms._asdict().items()}
        metrics |= {
            "loss/grad_norm": result.grad_norm,
            "loss/explained_variance": explained_variance(transitions.value, result.target, axis),
        }
        steps = PlayedSteps.of(transitions, result.advantage, self._maximized_negative(transitions))
        return (LearnerState(params, result.opt_state, average), later), (steps, metrics)
