"""A checkpoint that plays one live game, as `kinetix_py.play` asks for it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx
from agents.build import initial_params, make_policy
from agents.config import TrainConfig
from agents.io.run_folder import find_checkpoint, open_checkpoints
from agents.ppo.rollout import Policy


@functools.partial(jax.jit, static_argnames=("policy", "env"))
def choose(
    key: jax.Array,
    policy: Policy,
    params: Any,
    carry: Any,
    env: kx.Environment,
    env_params: kx.EnvParams,
    state: kx.EnvState,
    first: jax.Array | bool,
) -> tuple[Any, jax.Array]:
    """An action for one state, drawn as in training.

    Args:
      carry: of a batch of one.
      first: nothing is to be remembered of before.

    Returns:
      the carry, and float `[num_bindings]`, what the action asks of every binding.
    """
    seen = env.observe(state, env_params), jnp.asarray(first), env.action_mask(state)
    one = jax.tree.map(lambda value: value[None, None], seen)
    carry, distribution, _ = policy(params, carry, *one)
    return carry, env.action_adapter.binding_values(distribution.sample(seed=key)[0, 0])


@dataclasses.dataclass
class CheckpointPilot:
    """Plays with a policy; a `kinetix_py.play.game.Pilot`.

    Attributes:
      name: of the run and checkpoint.
      env, env_params: the run's environment, without auto-reset, and the numbers of its game.
      initial_carry: its memory of nothing, for a number of episodes.
    """

    name: str
    policy: Policy
    params: Any
    env: kx.Environment
    env_params: kx.EnvParams
    initial_carry: Callable[[int], Any]
    seed: int = 0
    episodes: int = 0

    @property
    def frame_skip(self) -> int:
        """Physics frames that each of its actions lasts."""
        return self.env.frame_skip

    def begin(self) -> tuple[jax.Array, Any]:
        """Random numbers of its own for every episode, and the memory of nothing."""
        self.episodes += 1
        key = jax.random.fold_in(jax.random.key(self.seed), self.episodes)
        return key, self.initial_carry(1)

    def act(self, memory: Any, state: kx.EnvState, first: bool) -> tuple[Any, np.ndarray]:
        """Chooses an action; as `Pilot.act`."""
        key, carry = memory
        key, now = jax.random.split(key)
        known = (self.policy, self.params, carry, self.env, self.env_params)
        carry, values = choose(now, *known, state, first)
        return (key, carry), np.asarray(values)


def _of_size(config: TrainConfig, size: str | None) -> TrainConfig:
    if size is None:
        return config
    return dataclasses.replace(config, env=dataclasses.replace(config.env, size=size))


def load_pilot(path: str, size: str | None = None, seed: int = 0) -> CheckpointPilot:
    """The pilot of a checkpoint.

    Args:
      path: a run folder (its newest checkpoint) or one checkpoint in it.
      size: of the levels it is to play; the run's if None.

    Raises:
      ConfigError, CheckpointError: the path names no checkpoint, or one that cannot play this size.
    """
    run, step = find_checkpoint(path)
    config = _of_size(run.config(), size)
    checkpoints = open_checkpoints(run)
    try:
        step = checkpoints.latest if step is None else step
        like = jax.eval_shape(lambda key: initial_params(config, key), jax.random.key(0))
        params = checkpoints.restore_params(like, step)
    finally:
        checkpoints.close()
    network, normalized = make_policy(config)
    return CheckpointPilot(
        name=f"{run.path.resolve().name}, update {step}",
        policy=network.apply if normalized is None else normalized,
        params=params,
        env=config.env.make(),
        env_params=config.env.params,
        initial_carry=network.initial_carry,
        seed=seed,
    )
