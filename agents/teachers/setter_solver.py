"""Setter-Solver: a network that sets tasks of a wanted feasibility, as another one judges it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from agents.teachers.memory import Memory
from agents.teachers.protocol import require

Params = Any
LEAST_SCALE = 1e-2  # of a coupling layer, so that its inverse is bounded; the authors' number
MARGIN = 1e-4  # of tasks from the cube's surface, where a sigmoid has no inverse; TeachMyAgent's number
FEASIBILITY_MARGIN = 1e-2  # of wanted feasibilities from 0 and 1, whose logits would outweigh all others


class Judge(nn.Module):
    """Three hidden layers from tasks to the logit of their feasibility: the chance that they are solved."""

    width: int

    @nn.compact
    def __call__(self, tasks: jax.Array) -> jax.Array:
        """Maps tasks `[n, D]` in 0 .. 1 to `[n]`."""
        x = tasks
        for _ in range(3):
            x = nn.relu(nn.Dense(self.width)(x))
        return nn.Dense(1)(x)[:, 0]


class Coupling(nn.Module):
    """Scale and shift of the numbers that an affine coupling layer changes, of those that it does not.

    Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP" (2017), with highway layers (Zilly et
    al., "Recurrent highway networks", 2017). It changes nothing at first.
    """

    num_dims: int
    width: int
    num_layers: int

    @nn.compact
    def __call__(self, kept: jax.Array, feasibility: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps `[n, D]`, with zeros for the numbers that change, and `[n]` to scale and shift `[n, D]`."""
        x = jnp.tanh(nn.Dense(self.width)(jnp.concatenate([kept, feasibility[:, None]], axis=1)))
        for _ in range(self.num_layers):
            new, gate = jnp.split(nn.Dense(2 * self.width)(x), 2, axis=1)
            x = x + (jnp.tanh(new) - x) * jax.nn.sigmoid(gate)
        last = lambda name: nn.Dense(self.num_dims, kernel_init=nn.initializers.zeros, name=name)(x)
        one = math.log(math.expm1(1 - LEAST_SCALE))  # where the scale is 1
        return LEAST_SCALE + jax.nn.softplus(last("scale") + one), last("shift")


class Setter(nn.Module):
    """Real NVP from normal numbers to tasks in 0 .. 1, given their feasibility; it knows its density."""

    num_dims: int
    width: int
    num_blocks: int
    num_layers: int

    def setup(self) -> None:
        """Makes three coupling layers for each block: the second half of the numbers, the first, the even."""
        count = 3 * self.num_blocks
        self.couplings = [Coupling(self.num_dims, self.width, self.num_layers) for _ in range(count)]

    def changed(self, layer: int) -> jax.Array:
        """Numbers that a layer changes: bool `[D]`."""
        dim = jnp.arange(self.num_dims)
        half = self.num_dims // 2
        return (dim >= half, dim < half, dim % 2 == 0)[layer % 3]

    def parameters(self, layer: int, z: jax.Array, feasibility: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scale and shift `[n, D]` of a layer; 1 and 0 for the numbers that it keeps."""
        changed = self.changed(layer)[None]
        scale, shift = self.couplings[layer](jnp.where(changed, 0.0, z), feasibility)
        return jnp.where(changed, scale, 1.0), jnp.where(changed, shift, 0.0)

    def __call__(self, z: jax.Array, feasibility: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Makes tasks.

        Args:
          z: normal numbers `[n, D]`.
          feasibility: wanted feasibility of each task, `[n]` in 0 .. 1.

        Returns:
          tasks `[n, D]`, and the logarithm of their density: `[n]`.
        """
        log_density = _log_normal(z)
        for layer in range(len(self.couplings)):
            scale, shift = self.parameters(layer, z, feasibility)
            z, log_density = z * scale + shift, log_density - jnp.log(scale).sum(1)
        return jax.nn.sigmoid(z), log_density - _log_slope(z)

    def log_density(self, tasks: jax.Array, feasibility: jax.Array) -> jax.Array:
        """Logarithm of the density of tasks `[n, D]`, within 0 .. 1, for feasibilities `[n]`: `[n]`."""
        z = jnp.log(tasks) - jnp.log1p(-tasks)
        log_density = -_log_slope(z)
        for layer in reversed(range(len(self.couplings))):
            scale, shift = self.parameters(layer, z, feasibility)
            z, log_density = (z - shift) / scale, log_density - jnp.log(scale).sum(1)
        return log_density + _log_normal(z)


def _log_normal(z: jax.Array) -> jax.Array:
    """Logarithm of the standard normal density of `[n, D]`: `[n]`."""
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)


def _log_slope(z: jax.Array) -> jax.Array:
    """Logarithm of the determinant of the sigmoid's derivative at `[n, D]`: `[n]`."""
    return (jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z)).sum(1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SetterSolverState:
    """State of the setter and the judge."""

    params: tuple[Params, Params]  # of the setter and the judge
    opt_state: tuple[Any, Any]
    draw_key: jax.Array  # uint32 [2], data of the random key of the last feasibilities
    recent: Memory  # rows (task, wanted feasibility, solve rate)


@dataclasses.dataclass(frozen=True)
class SetterSolver:
    """Racaniere, Lampinen et al., "Automated curricula through setter-solver interactions" (2020), section 3.

    The judge learns how often tasks are solved. The setter makes tasks of a wanted feasibility, uniform in
    0 .. 1, and learns to make solved tasks likely (validity), to make those that the judge finds as feasible
    as wanted (feasibility), and to make many different ones (coverage). The numbers are those of
    TeachMyAgent's code (Romac et al., 2021), where not said otherwise.

    Attributes:
      num_dims: dimensions of a task.
      fit_every: tasks from one training to the next.
      num_steps: gradient steps of a training, each with all of these tasks. 1 in TeachMyAgent, whose
        trainings are a few hundred; more here, because updates of many environments are fewer.
      learning_rate: of Adam, for both networks.
      max_noise: bound on the uniform noise on solved tasks, in 0 .. 1.
      setter_width, judge_width: widths of their layers.
      num_blocks, num_layers: blocks of the setter, and highway layers in each of its coupling layers.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    num_dims: int
    fit_every: int = 100
    num_steps: int = 10
    learning_rate: float = 3e-4
    max_noise: float = 0.05
    setter_width: int = 128
    judge_width: int = 64
    num_blocks: int = 3
    num_layers: int = 3

    def __post_init__(self) -> None:
        names = ("fit_every", "num_steps", "setter_width", "judge_width", "num_blocks", "num_layers")
        for name in ("num_dims", *names):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        require(self, "learning_rate", self.learning_rate > 0, "above 0")
        require(self, "max_noise", 0 <= self.max_noise <= 1, "in 0 .. 1")

    @property
    def setter(self) -> Any:
        """Network of tasks, a `Setter`."""
        return Setter(self.num_dims, self.setter_width, self.num_blocks, self.num_layers)

    @property
    def judge(self) -> Any:
        """Network of feasibilities, a `Judge`."""
        return Judge(self.judge_width)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Adam."""
        return optax.adam(self.learning_rate)

    def init(self, key: jax.Array) -> SetterSolverState:
        """Returns new networks, and no task."""
        setter_key, judge_key, draw_key = jax.random.split(key, 3)
        point = jnp.full((1, self.num_dims), 0.5)
        params = (self.setter.init(setter_key, point, point[:, 0]), self.judge.init(judge_key, point))
        opt_state = (self.optimizer.init(params[0]), self.optimizer.init(params[1]))
        return SetterSolverState(
            params, opt_state, jax.random.key_data(draw_key), Memory.empty(self.fit_every, self.num_dims + 2)
        )

    def feasibility(self, key: jax.Array, n: int) -> jax.Array:
        """Draws wanted feasibilities `[n]`."""
        return jax.random.uniform(key, (n,), minval=FEASIBILITY_MARGIN, maxval=1 - FEASIBILITY_MARGIN)

    def sample(self, key: jax.Array, state: SetterSolverState, n: int) -> tuple[SetterSolverState, jax.Array]:
        """Sets tasks `[n, num_dims]`, each of a feasibility of its own."""
        normal_key, draw_key = jax.random.split(key)
        z = jax.random.normal(normal_key, (n, self.num_dims))
        tasks, _ = self.setter.apply(state.params[0], z, self.feasibility(draw_key, n))
        return dataclasses.replace(state, draw_key=jax.random.key_data(draw_key)), tasks

    def update(
        self,
        key: jax.Array,
        state: SetterSolverState,
        tasks: jax.Array,
        returns: jax.Array,
        solved: jax.Array,
    ) -> SetterSolverState:
        """Adds tasks, and trains whenever `fit_every` are complete."""
        wanted = self.feasibility(jax.random.wrap_key_data(state.draw_key), tasks.shape[0])
        rows = jnp.concatenate([tasks, wanted[:, None], solved[:, None]], axis=1)
        state = dataclasses.replace(state, recent=state.recent.append(rows))
        due = state.recent.passed(tasks.shape[0])
        return jax.lax.cond(due, lambda: self.train(key, state), lambda: state)

    def train(self, key: jax.Array, state: SetterSolverState) -> SetterSolverState:
        """Trains both networks on the recent tasks."""
        tasks, wanted, solved = state.recent.rows[:, :-2], state.recent.rows[:, -2], state.recent.rows[:, -1]

        def judge_loss(params):
            return optax.sigmoid_binary_cross_entropy(self.judge.apply(params, tasks), solved).mean()

        def setter_loss(params, judge, key):
            noise_key, normal_key, draw_key = jax.random.split(key, 3)
            noise = self.max_noise * jax.random.uniform(noise_key, tasks.shape)
            noisy = jnp.clip(tasks + noise, MARGIN, 1 - MARGIN)
            log_density = self.setter.apply(params, noisy, wanted, method=Setter.log_density)
            validity = -(solved * log_density).sum() / jnp.maximum(solved.sum(), 1)
            feasibility = self.feasibility(draw_key, tasks.shape[0])
            z = jax.random.normal(normal_key, tasks.shape)
            made, coverage = self.setter.apply(params, z, feasibility)
            logit = jnp.log(feasibility) - jnp.log1p(-feasibility)
            return validity + ((self.judge.apply(judge, made) - logit) ** 2).mean() + coverage.mean()

        def step(carried, key):
            (setter, judge), (setter_opt, judge_opt) = carried
            updates, judge_opt = self.optimizer.update(jax.grad(judge_loss)(judge), judge_opt)
            judge = optax.apply_updates(judge, updates)
            updates, setter_opt = self.optimizer.update(jax.grad(setter_loss)(setter, judge, key), setter_opt)
            return ((optax.apply_updates(setter, updates), judge), (setter_opt, judge_opt)), None

        keys = jax.random.split(key, self.num_steps)
        (params, opt_state), _ = jax.lax.scan(step, (state.params, state.opt_state), keys)
        return dataclasses.replace(state, params=params, opt_state=opt_state)
