"""The training loop as one compiled program: propose levels, play them, learn, observe."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

import kinetix_py as kx
from agents.curricula.protocol import Curriculum, Metrics
from agents.policy import Params, Policy
from agents.ppo.config import PPOConfig
from agents.ppo.ppo import ppo_update
from agents.ppo.rollout import rollout, start_runner


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a run carries from one update to the next, and that a checkpoint holds."""

    params: Params
    opt_state: optax.OptState
    curriculum: Any  # state of the curriculum
    key: jax.Array  # random key of the next update
    num_updates: jax.Array  # int32 [], updates so far


@dataclasses.dataclass(frozen=True)
class Trainer:
    """The static part of a run.

    Attributes:
      env: environment with auto-reset.
      policy: policy that learns.
      curriculum: curriculum that chooses the levels.
      optimizer: optimizer, from `agents.ppo.ppo.make_optimizer`.
      ppo: hyperparameters of PPO.
      num_envs, rollout_length: environments, and steps of each in an update. Every update starts its
        environments anew at their levels, so that a rollout of the time limit plays whole episodes; a longer
        one would bootstrap wrongly (see `agents.ppo.rollout.rollout`).

    Raises:
      ValueError: the environment does not reset itself, or a rollout cannot be cut into the minibatches.
    """

    env: kx.Environment
    policy: Policy
    curriculum: Curriculum
    optimizer: optax.GradientTransformation
    ppo: PPOConfig
    num_envs: int
    rollout_length: int

    def __post_init__(self) -> None:
        if not self.env.auto_reset:
            raise ValueError("a trainer needs an environment with auto_reset=True")
        self.ppo.check_rollout(self.num_envs, self.rollout_length, self.policy.recurrent)

    def init(self, key: jax.Array, params: Params | None = None) -> TrainState:
        """Makes the state of a run before the first update.

        Args:
          key: random key of the run.
          params: initial parameters of the policy; new ones if None.
        """
        curriculum_key, training_key, policy_key = jax.random.split(key, 3)
        if params is None:
            params = self.policy.init(policy_key)
        params = jax.tree.map(jnp.copy, params)  # `train_steps` reuses the memory of its state
        return TrainState(
            params=params,
            opt_state=self.optimizer.init(params),
            curriculum=self.curriculum.init(curriculum_key),
            key=training_key,
            num_updates=jnp.int32(0),
        )

    def train_step(self, state: TrainState, env_params: kx.EnvParams) -> tuple[TrainState, Metrics]:
        """Runs one update; pure.

        Args:
          state: state of the run.
          env_params: numbers of the game.

        Returns:
          the state after the update, and metrics by name: scalars.
        """
        key, propose_key, play_key, learn_key = jax.random.split(state.key, 4)
        curriculum, batch = self.curriculum.propose(propose_key, self.policy, state.params, state.curriculum)
        runner = start_runner(self.env, batch.start, env_params, self.policy)
        _, transitions = rollout(
            play_key, self.policy, state.params, runner, self.env, env_params, self.rollout_length
        )
        params, opt_state, terms = ppo_update(
            learn_key,
            self.policy,
            state.params,
            state.opt_state,
            self.optimizer,
            transitions,
            runner.carry,
            self.ppo,
        )
        # After learning, so that the probability ratios of the loss begin at 1.
        params = self.policy.update_statistics(params, transitions.obs)
        curriculum, metrics = self.curriculum.observe(curriculum, batch, transitions)
        metrics = metrics | {f"loss/{name}": value for name, value in terms._asdict().items()}
        metrics["diverged"] = transitions.info["diverged"].sum()
        return TrainState(params, opt_state, curriculum, key, state.num_updates + 1), metrics

    @functools.partial(jax.jit, static_argnums=(0, 3), donate_argnums=1)
    def train_steps(
        self, state: TrainState, env_params: kx.EnvParams, count: int
    ) -> tuple[TrainState, Metrics]:
        """Runs several updates in one call; the memory of `state` is reused.

        Args:
          state: state of the run, not to be used afterwards.
          env_params: numbers of the game.
          count: number of updates; static.

        Returns:
          the state after the updates, and metrics by name: `[count]`.
        """
        return jax.lax.scan(lambda state, _: self.train_step(state, env_params), state, length=count)
