"""The training loop as one compiled program: propose levels, play them, learn, observe."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import kinetix_py as kx
from agents.curricula.protocol import Curriculum
from agents.ppo.normalize import NormalizedPolicy
from agents.ppo.rollout import Policy, rollout, start
from agents.ppo.update import PPOConfig, learn


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that a run carries from one update to the next: what a checkpoint must hold."""

    params: Any  # of the policy
    opt_state: Any
    curriculum: Any
    key: jax.Array  # of the next update
    update: jax.Array  # int32 [], updates so far


@dataclasses.dataclass(frozen=True)
class Trainer:
    """How a run learns; what is static about it.

    Attributes:
      env: with auto-reset.
      policy: see `agents.ppo.rollout.Policy`.
      initial_carry: `batch size -> carry` of a policy that remembers nothing.
      num_envs, rollout_length: every update plays so many environments for so many steps, each from the
        start of its level; with a length of the time limit (or more) whole episodes.

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
    initial_carry: Callable[[int], Any] = lambda batch: ()

    def __post_init__(self) -> None:
        if not self.env.auto_reset:
            raise ValueError("a trainer needs an environment with auto_reset=True")
        self.ppo.check_rollout(self.rollout_length, self.num_envs)

    def init(self, key: jax.Array, params: Any) -> TrainState:
        """The state of a run before the first update."""
        curriculum_key, key = jax.random.split(key)
        curriculum = self.curriculum.init(curriculum_key)
        params = jax.tree.map(jnp.copy, params)  # `updates` reuses the memory of its state
        return TrainState(params, self.optimizer.init(params), curriculum, key, jnp.int32(0))

    def update(self, state: TrainState, env_params: kx.EnvParams) -> tuple[TrainState, dict[str, jax.Array]]:
        """One update; pure.

        Returns:
          the state after it, and metrics by name: scalars.
        """
        key, propose_key, play_key, learn_key = jax.random.split(state.key, 4)
        curriculum, batch = self.curriculum.propose(propose_key, self.policy, state.params, state.curriculum)
        carry = self.initial_carry(self.num_envs)
        actors = start(self.env, batch.start, env_params, carry)
        _, seen = rollout(
            play_key, self.policy, state.params, actors, self.env, env_params, self.rollout_length
        )
        params, opt_state, terms = learn(
            learn_key, self.policy, state.params, state.opt_state, self.optimizer, seen, carry, self.ppo
        )
        if isinstance(self.policy, NormalizedPolicy):  # last: ratios of the loss begin at 1
            params = self.policy.observe(params, seen.obs)
        curriculum, metrics = self.curriculum.observe(curriculum, batch, seen)
        metrics = metrics | {f"loss/{name}": value for name, value in terms._asdict().items()}
        metrics["diverged"] = seen.info["diverged"].sum()
        return TrainState(params, opt_state, curriculum, key, state.update + 1), metrics

    @functools.partial(jax.jit, static_argnums=(0, 3), donate_argnums=1)
    def updates(
        self, state: TrainState, env_params: kx.EnvParams, count: int
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Several updates in one call; the memory of the state that is passed in is reused.

        Args:
          count: static.

        Returns:
          the state after them, and metrics by name: `[count]`.
        """
        return jax.lax.scan(lambda state, _: self.update(state, env_params), state, length=count)
