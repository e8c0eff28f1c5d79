"""Self-paced deep RL: a Gaussian of tasks that moves to a target as fast as performance allows."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from agents.teachers.cholesky import EXACT, invert_lower, solve_positive
from agents.teachers.memory import Memory
from agents.teachers.protocol import check_start, require, starting_point

NUM_HALVINGS = 10  # of a step that is too long; the authors' line search
DAMPING = 1e-2  # of the Fisher information; the authors' damping of conjugate gradients


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SelfPacedState:
    """State of the self-paced teacher."""

    theta: jax.Array  # float [D + D (D + 1) / 2], parameters of the Gaussian, see `unpack`
    recent: Memory  # rows (task, return) since the last step


def unpack(theta: jax.Array, num_dims: int) -> tuple[jax.Array, jax.Array]:
    """Mean `[D]`, and the covariance's Cholesky factor `[D, D]`, of a Gaussian's parameters.

    They are the mean, and the rows of the lower triangle, whose diagonal is held as its logarithm.
    """
    rows, columns = jnp.tril_indices(num_dims)
    lower = jnp.zeros((num_dims, num_dims)).at[rows, columns].set(theta[num_dims:])
    diagonal = jnp.diag(jnp.exp(jnp.diagonal(lower)))
    return theta[:num_dims], jnp.tril(lower, -1) + diagonal


def pack(mean: jax.Array, factor: jax.Array) -> jax.Array:
    """Parameters of a Gaussian, of its mean and its covariance's Cholesky factor; reverses `unpack`."""
    diagonal = jnp.diag(jnp.log(jnp.diagonal(factor)))
    return jnp.concatenate([mean, (jnp.tril(factor, -1) + diagonal)[jnp.tril_indices(len(mean))]])


def divergence(p: jax.Array, q: jax.Array, num_dims: int) -> jax.Array:
    """Kullback-Leibler divergence KL(p || q) of two Gaussians, by their parameters: `[]`."""
    (mean_p, factor_p), (mean_q, factor_q) = unpack(p, num_dims), unpack(q, num_dims)
    inverse = invert_lower(factor_q)
    trace = (jnp.dot(inverse, factor_p, precision=EXACT) ** 2).sum()
    distance = (jnp.dot(inverse, mean_q - mean_p, precision=EXACT) ** 2).sum()
    log_roots = jnp.log(jnp.diagonal(factor_q)).sum() - jnp.log(jnp.diagonal(factor_p)).sum()
    return 0.5 * (trace + distance - num_dims) + log_roots


def log_density(theta: jax.Array, tasks: jax.Array) -> jax.Array:
    """Logarithm of a Gaussian's density at tasks `[n, D]`, up to a constant: `[n]`."""
    mean, factor = unpack(theta, tasks.shape[1])
    scaled = jnp.dot(invert_lower(factor), (tasks - mean[None]).T, precision=EXACT)
    return -0.5 * (scaled**2).sum(0) - jnp.log(jnp.diagonal(factor)).sum()


@dataclasses.dataclass(frozen=True)
class SelfPaced:
    """Klink, D'Eramo, Peters and Pajarinen, "Self-paced deep reinforcement learning" (2020).

    After every `fit_every` episodes the Gaussian is moved to raise their importance-weighted return less
    alpha times its divergence from the target, which is the middle of the cube with a standard deviation of a
    quarter of its width; by one natural gradient step of a divergence of at most `max_divergence`. Alpha is
    `pace` times the mean return (0 if negative) over the divergence from the target.

    Returns take the place of the critic's values, which estimate them. They should be above 0 where things go
    well, since a mean return below 0 stops the move to the target.

    Attributes:
      num_dims: dimensions of a task.
      start: mean of the first tasks, `num_dims` numbers in 0 .. 1; a random one if None, as in TeachMyAgent
        (Romac et al., 2021) without expert knowledge.
      start_deviation: standard deviation of the first tasks; TeachMyAgent's 0.1.
      target_deviation: that of the target, likewise 0.25.
      pace: zeta of the paper; 1.6 for the point mass in its code (0.05 in TeachMyAgent).
      max_divergence: epsilon of the paper; 0.05 in its code (0.8 in TeachMyAgent).
      offset: number of first steps with alpha 0; 0 in TeachMyAgent.
      fit_every: episodes of a step; the authors keep at most 1000.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    compares_returns: ClassVar[bool] = True
    num_dims: int
    start: tuple[float, ...] | None = None
    start_deviation: float = 0.1
    target_deviation: float = 0.25
    pace: float = 1.6
    max_divergence: float = 0.05
    offset: int = 0
    fit_every: int = 250

    def __post_init__(self) -> None:
        require(self, "num_dims", self.num_dims >= 1, "at least 1")
        check_start(self)
        for name in ("start_deviation", "target_deviation", "max_divergence"):
            require(self, name, getattr(self, name) > 0, "above 0")
        for name in ("pace", "offset"):
            require(self, name, getattr(self, name) >= 0, "at least 0")
        require(self, "fit_every", self.fit_every >= 2, "at least 2")

    @property
    def target(self) -> jax.Array:
        """Parameters of the target."""
        return pack(jnp.full(self.num_dims, 0.5), self.target_deviation * jnp.eye(self.num_dims))

    def init(self, key: jax.Array) -> SelfPacedState:
        """Returns the Gaussian of the first tasks."""
        mean = starting_point(key, self.start, self.num_dims)
        theta = pack(mean, self.start_deviation * jnp.eye(self.num_dims))
        return SelfPacedState(theta, Memory.empty(self.fit_every, self.num_dims + 1))

    def sample(self, key: jax.Array, state: SelfPacedState, n: int) -> tuple[SelfPacedState, jax.Array]:
        """Draws tasks `[n, num_dims]`; those outside of the cube are moved to its surface."""
        mean, factor = unpack(state.theta, self.num_dims)
        offset = jnp.einsum("ij,nj->ni", factor, jax.random.normal(key, (n, self.num_dims)), precision=EXACT)
        return state, jnp.clip(mean[None] + offset, 0, 1)

    def update(
        self, key: jax.Array, state: SelfPacedState, tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> SelfPacedState:
        """Adds episodes, and moves the Gaussian whenever `fit_every` are complete."""
        recent = state.recent.append(jnp.concatenate([tasks, returns[:, None]], axis=1))
        due = recent.passed(tasks.shape[0])
        number = recent.count // self.fit_every
        move = lambda: self.move(state.theta, recent.rows[:, :-1], recent.rows[:, -1], number)
        return SelfPacedState(jax.lax.cond(due, move, lambda: state.theta), recent)

    def move(
        self, theta: jax.Array, tasks: jax.Array, returns: jax.Array, number: jax.Array | int
    ) -> jax.Array:
        """Makes one step, or none if it would not raise the objective.

        Args:
          theta: parameters of the Gaussian.
          tasks, returns: episodes, `[n, D]` and `[n]`.
          number: int32 `[]`, number of the step, from 1.
        """
        from_target = divergence(theta, self.target, self.num_dims)
        alpha = self.pace * jnp.maximum(returns.mean(), 0) / jnp.maximum(from_target, 1e-10)
        alpha = jnp.where(jnp.int32(number) > self.offset, jnp.minimum(alpha, 1e5), 0.0)
        before = log_density(theta, tasks)

        def objective(moved):
            gain = (jnp.exp(log_density(moved, tasks) - before) * returns).mean()
            return gain - alpha * divergence(moved, self.target, self.num_dims)

        moved_by = lambda moved: divergence(theta, moved, self.num_dims)
        gradient = jax.grad(objective)(theta)
        information = jax.hessian(moved_by)(theta) + DAMPING * jnp.eye(len(theta))
        direction = solve_positive(information, gradient)
        square = jnp.dot(direction, jnp.dot(information, direction, precision=EXACT), precision=EXACT)
        longest = jnp.sqrt(2 * self.max_divergence / jnp.maximum(square, 1e-20))
        steps = longest * 0.5 ** jnp.arange(NUM_HALVINGS)
        tried = theta[None] + steps[:, None] * direction[None]
        allowed = jax.vmap(moved_by)(tried) <= self.max_divergence
        better = allowed & (jax.vmap(objective)(tried) > objective(theta))
        return jnp.where(better.any(), tried[jnp.argmax(better)], theta)
