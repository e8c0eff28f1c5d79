"""Policies that learned nothing, which say what a solve rate is worth."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import distrax
import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents.networks.distributions import MASKED_LOGIT, MultiCategorical
from agents.policy import Params, Policy, PolicyOutput, UniformPolicy

# Environment steps for which the held random actions last.
HOLD = 8
# Names of baselines in evaluations.
NOOP, RANDOM, HELD = "no-op", "random", f"random, held {HOLD}"


class HeldParams(NamedTuple):
    """Numbers of a `HeldActionPolicy`."""

    key: jax.Array  # random key of the actions
    hold: jax.Array  # int32 [], steps that an action lasts; 0 draws none, so that the no-op goes on


class HeldCarry(NamedTuple):
    """Memory of a `HeldActionPolicy`; leading axis `[B]`."""

    steps: jax.Array  # int32 [B], steps so far, of all episodes
    age: jax.Array  # int32 [B], steps of this episode
    action: jax.Array  # [B, ...], action of the last step


@dataclasses.dataclass(frozen=True)
class HeldActionPolicy(Policy):
    """Draws a uniformly random action among those with an effect, and holds it for some steps.

    Holding for one step is `UniformPolicy`, for no step at all the no-op policy. Held actions reach more of a
    level, because motors and thrusters that change direction in every step hardly move anything. As the
    number of steps is a parameter, all of these are one compiled program. The actions follow from the key in
    the parameters; distributions are certain of them.

    Attributes:
      env: environment that it acts in.
    """

    env: kx.Environment

    @property
    def recurrent(self) -> bool:
        """Returns True: the action is remembered."""
        return True

    def init(self, key: jax.Array) -> HeldParams:
        """Returns parameters that hold an action for eight steps."""
        return HeldParams(key, jnp.int32(HOLD))

    def params_of_call(self, params: HeldParams, call: int) -> HeldParams:
        """Parameters with a key of the call's own."""
        return params._replace(key=jax.random.fold_in(params.key, call))

    def initial_carry(self, batch: int) -> HeldCarry:
        """Returns the no-op, at the beginning of an episode."""
        noop, zeros = self.env.noop_action, jnp.zeros(batch, jnp.int32)
        return HeldCarry(zeros, zeros, jnp.broadcast_to(noop, (batch, *noop.shape)))

    def unroll(
        self,
        params: Params,
        carry: HeldCarry,
        obs: Any,
        reset: jax.Array,
        action_mask: jax.Array | None = None,
    ) -> PolicyOutput:
        """Returns distributions that are certain of the drawn or held action, and zero values.

        Raises:
          ValueError: there is no action mask.
        """
        if action_mask is None:
            raise ValueError("HeldActionPolicy needs an action mask")
        uniform, noop = UniformPolicy(self.env), self.env.noop_action

        def advance(carry: HeldCarry, inputs: tuple[jax.Array, jax.Array]) -> tuple[HeldCarry, jax.Array]:
            reset, mask = inputs
            age = jnp.where(reset, 0, carry.age)
            # All environments of a batch count alike.
            key = jax.random.fold_in(params.key, carry.steps[0])
            drawn = uniform.step((), (), (), reset, mask).distribution.sample(seed=key)
            wide = lambda flags: flags.reshape(flags.shape + (1,) * noop.ndim)
            held = jnp.where(wide(reset), noop[None], carry.action)
            due = (params.hold > 0) & (age % jnp.maximum(params.hold, 1) == 0)
            action = jnp.where(wide(due), drawn.astype(noop.dtype), held)
            return HeldCarry(carry.steps + 1, age + 1, action), action

        carry, actions = jax.lax.scan(advance, carry, (reset, action_mask))
        return PolicyOutput(carry, self._certain(actions, action_mask), jnp.zeros(reset.shape))

    def _certain(self, actions: jax.Array, mask: jax.Array) -> distrax.Distribution:
        """Distribution that always gives these actions."""
        if self.env.action_type == "continuous":
            return distrax.Deterministic(actions)
        chosen = actions[..., None] == jnp.arange(mask.shape[-1]).reshape((1,) * actions.ndim + (-1,))
        return MultiCategorical(
            jnp.where(chosen, 0.0, MASKED_LOGIT), self.env.action_type == "multi_discrete"
        )


class Baseline(NamedTuple):
    """A baseline with its parameters."""

    name: str
    policy: Policy
    params: Params
    deterministic: bool


def baseline_policies(key: jax.Array, env: kx.Environment) -> list[Baseline]:
    """Makes the baselines of every evaluation: no-op, random actions, random actions held for eight steps.

    Args:
      key: random key of the actions.
      env: environment that they act in; its observations are not used.
    """
    policy = HeldActionPolicy(env)
    holds = {NOOP: 0, RANDOM: 1, HELD: HOLD}
    return [
        Baseline(name, policy, HeldParams(key, jnp.int32(hold)), hold == 0) for name, hold in holds.items()
    ]
