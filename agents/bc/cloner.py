"""Behavior cloning as one compiled program: replay segments, draw steps, learn their actions and returns.

Pomerleau, "ALVINN: an autonomous land vehicle in a neural network" (1989).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import kinetix_py as kx
from agents.bc.data import Segments, draw_steps, returns_to_go
from agents.policy import Params, Policy
from agents.ppo.config import PPOConfig
from agents.ppo.learner import moving_average
from agents.training.trainer import TrainState
from kinetix_py.experience.replay import play_segments

Metrics = dict[str, jax.Array]


class Examples(NamedTuple):
    """Steps to learn from, leading axis `[S]`."""

    obs: Any
    action_mask: jax.Array
    action: jax.Array
    target: jax.Array  # float, return that is to be expected


class CloningTerms(NamedTuple):
    """The loss of cloning and its terms; scalars."""

    total: jax.Array
    policy: jax.Array  # nats, mean negative log-likelihood of the recorded actions
    value: jax.Array
    entropy: jax.Array  # nats
    accuracy: jax.Array  # share of steps whose most likely action is the recorded one


def cloning_loss(
    params: Params, policy: Policy, examples: Examples, value_coef: float
) -> tuple[jax.Array, CloningTerms]:
    """Computes the negative log-likelihood of recorded actions and the error of values; means over steps."""
    row = jax.tree.map(lambda leaf: leaf[None], examples)
    reset = jnp.ones(row.target.shape, bool)
    output = policy.unroll(params, policy.initial_carry(reset.shape[1]), row.obs, reset, row.action_mask)
    if output.value_histogram is None:
        error = 0.5 * (output.value - row.target) ** 2
    else:
        error = output.value_histogram.cross_entropy(row.target)
    log_prob = output.distribution.log_prob(row.action)
    same = output.distribution.mode() == row.action
    terms = CloningTerms(
        total=value_coef * error.mean() - log_prob.mean(),
        policy=-log_prob.mean(),
        value=error.mean(),
        entropy=output.distribution.entropy().mean(),
        accuracy=same.reshape(*row.target.shape, -1).all(-1).mean(),
    )
    return terms.total, terms


class Program:
    """A compiled program together with the data that it draws from: called as that of a `Trainer`."""

    def __init__(self, lowered: jax.stages.Lowered, data: Segments):
        """Keeps both until `compile`."""
        self._lowered, self._data = lowered, data

    def compile(self) -> Callable[[TrainState, kx.EnvParams], tuple[TrainState, Metrics]]:
        """Compiles the program, and moves the data to the device."""
        program, data = self._lowered.compile(), jax.device_put(self._data)
        return lambda state, env_params: program(state, env_params, data)


@dataclasses.dataclass(frozen=True)
class Cloner:
    """The static part of a run that clones; in the place of `agents.training.trainer.Trainer`.

    An update replays `num_segments` random segments, and learns from `steps_per_update` steps drawn from
    them: actions by maximum likelihood, values from the returns that followed. Of the hyperparameters of PPO
    it uses those of the optimizer, `gamma`, `value_coef`, `ema_decay` and `minibatch_size`.

    Attributes:
      env: environment without auto-reset.
      policy: policy that learns, without memory.
      optimizer: optimizer, from `agents.ppo.ppo.make_optimizer`.
      ppo: hyperparameters.
      num_segments: segments that an update replays.
      steps_per_update: steps that an update learns from, a multiple of the size of minibatches.
      data: recorded segments, on the host.

    Raises:
      ValueError: a policy with a memory, or steps that do not make whole minibatches.
    """

    env: kx.Environment
    policy: Policy
    optimizer: optax.GradientTransformation
    ppo: PPOConfig
    num_segments: int
    steps_per_update: int
    data: Segments = dataclasses.field(compare=False)

    def __post_init__(self) -> None:
        if self.policy.recurrent:
            raise ValueError("algorithm 'bc' needs a network without memory (network.recurrent=false)")
        if self.steps_per_update % self.ppo.minibatch_size:
            raise ValueError(
                f"the {self.steps_per_update} steps of an update must be a multiple of ppo.minibatch_size, "
                f"got {self.ppo.minibatch_size}"
            )

    def init(self, key: jax.Array, params: Params | None = None) -> TrainState:
        """Makes the state of a run before the first update; arguments as of `Trainer.init`."""
        training_key, policy_key = jax.random.split(key)
        params = self.policy.init(policy_key) if params is None else params
        params = jax.tree.map(jnp.copy, params)  # the memory of a state is reused
        average = None if self.ppo.ema_decay is None else jax.tree.map(jnp.copy, params)
        return TrainState(params, self.optimizer.init(params), (), training_key, jnp.int32(0), average)

    def state_shapes(self) -> TrainState:
        """Shapes of the arrays of a state."""
        return jax.eval_shape(self.init, jax.random.key(0))

    def place(self, state: TrainState) -> TrainState:
        """Returns a state as it is: there is one device."""
        return state

    def _examples(
        self, key: jax.Array, params: Params, env_params: kx.EnvParams, data: Segments
    ) -> tuple[Examples, Metrics]:
        """Replays random segments and draws the steps of an update from them."""
        segment_key, step_key = jax.random.split(key)
        count = self.num_segments
        index = jax.random.randint(segment_key, (count,), 0, data.length.shape[0])
        levels, frames, first_step, actions, length = data.take(index)
        actions = actions.astype(self.env.action_space.dtype)
        played = play_segments(self.env, env_params, levels, frames, first_step, actions, length)
        never = jnp.zeros(count, bool)
        carry = self.policy.initial_carry(count)
        last = self.policy.step(params, carry, played.last_obs, never, played.action_mask).value
        steps = played.steps
        target = returns_to_go(steps.reward, steps.terminated, steps.valid, last, self.ppo.gamma)
        chosen = draw_steps(step_key, steps.valid, self.steps_per_update)
        flat = lambda tree: jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[chosen], tree)
        examples = Examples(
            obs=flat(steps.obs),
            action_mask=played.action_mask[chosen % count],
            action=flat(jnp.moveaxis(actions, 0, 1)),
            target=flat(target),
        )
        return examples, {"replay/valid": steps.valid.mean()}

    def _update(
        self, state: TrainState, env_params: kx.EnvParams, data: Segments
    ) -> tuple[TrainState, Metrics]:
        key, own_key = jax.random.split(state.key)
        with jax.named_scope("replay"):
            examples, metrics = self._examples(own_key, state.params, env_params, data)
        parts = jax.tree.map(
            lambda leaf: leaf.reshape(-1, self.ppo.minibatch_size, *leaf.shape[1:]), examples
        )

        def learn(carried: tuple[Any, ...], part: Examples) -> tuple[tuple[Any, ...], Any]:
            params, opt_state, average = carried
            gradient, terms = jax.grad(cloning_loss, has_aux=True)(
                params, self.policy, part, self.ppo.value_coef
            )
            change, opt_state = self.optimizer.update(gradient, opt_state, params)
            params = optax.apply_updates(params, change)
            if self.ppo.ema_decay is not None:
                average = moving_average(average, params, self.ppo.ema_decay)
            return (params, opt_state, average), (terms, optax.tree.norm(gradient))

        with jax.named_scope("learn"):
            carried = (state.params, state.opt_state, state.average)
            (params, opt_state, average), (terms, norm) = jax.lax.scan(learn, carried, parts)
            obs = jax.tree.map(lambda leaf: leaf[None], examples.obs)
            params = self.policy.update_statistics(params, obs)
            if average is not None:
                average = self.policy.update_statistics(average, obs)
        metrics |= {f"loss/{name}": value.mean() for name, value in terms._asdict().items()}
        metrics |= {"loss/grad_norm": norm.mean(), "policy_steps": jnp.float32(0)}
        return TrainState(params, opt_state, (), key, state.num_updates + 1, average), metrics

    @functools.partial(jax.jit, static_argnums=(0, 3), donate_argnums=1)
    def _train_steps(
        self, state: TrainState, env_params: kx.EnvParams, count: int, data: Segments
    ) -> tuple[TrainState, Metrics]:
        step = lambda state, _: self._update(state, env_params, data)
        return jax.lax.scan(step, state, length=count)

    def train_steps(
        self, state: TrainState, env_params: kx.EnvParams, count: int
    ) -> tuple[TrainState, Metrics]:
        """Runs several updates in one call, as `Trainer.train_steps` does."""
        return self._train_steps(state, env_params, count, self.data)

    def lower(self, state: TrainState, env_params: kx.EnvParams, count: int) -> Program:
        """Traces `train_steps` for its arguments (or their shapes), to be compiled before it is called."""
        return Program(Cloner._train_steps.lower(self, state, env_params, count, self.data), self.data)
