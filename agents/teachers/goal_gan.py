"""Goal GAN: a network that generates tasks of intermediate difficulty."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from agents.teachers.memory import Memory
from agents.teachers.protocol import require

Params = Any


class Generator(nn.Module):
    """Two hidden layers from noise to tasks in -1 .. 1."""

    num_dims: int
    width: int

    @nn.compact
    def __call__(self, noise: jax.Array) -> jax.Array:
        """Maps noise `[n, D]` to tasks `[n, D]`."""
        x = noise
        for _ in range(2):
            x = nn.relu(nn.Dense(self.width)(x))
        return jnp.tanh(nn.Dense(self.num_dims)(x))


class Discriminator(nn.Module):
    """Two hidden layers from tasks in -1 .. 1 to a number: 1 of intermediate difficulty, -1 of any other."""

    width: int

    @nn.compact
    def __call__(self, tasks: jax.Array) -> jax.Array:
        """Maps tasks `[n, D]` to `[n]`."""
        x = tasks
        for _ in range(2):
            x = nn.leaky_relu(nn.Dense(self.width)(x), 0.2)
        return nn.Dense(1)(x)[:, 0]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GoalGanState:
    """State of the Goal GAN."""

    params: Params  # of the generator and the discriminator
    opt_state: Any  # of both
    useful: jax.Array  # bool [], whether the latest tasks had some of intermediate difficulty to learn from
    recent: Memory  # rows (task, label) since the last training
    mastered: Memory  # tasks that were solved more often than intermediate ones, far from each other


@dataclasses.dataclass(frozen=True)
class GoalGAN:
    """Florensa, Held, Geng and Abbeel, "Automatic goal generation for reinforcement learning agents" (2018),
    section 4 and algorithm 1.

    Tasks are labeled by whether they are of intermediate difficulty, and a least-squares GAN is trained to
    generate such ones. A share of tasks is drawn again from those that are mastered, so that they are not
    forgotten. Until there is a task of intermediate difficulty, and again when none of the latest `fit_every`
    is one, tasks are uniform: a generator that nothing can be learnt from would never find its way back. The
    numbers are those of the code that TeachMyAgent (Romac et al., 2021) and Klink et al. (2020) use.

    A task needs several attempts: of one alone, the solve rate is never intermediate.

    Attributes:
      num_dims: dimensions of a task.
      low_rate, high_rate: solve rates of intermediate difficulty, inclusive; TeachMyAgent's 0.25 and 0.75
        (0.1 and 0.9 in the paper).
      old_share: share of mastered tasks, in 0 .. 1; 0.2 in TeachMyAgent, a third in the paper.
      noise: standard deviation of the noise on all tasks.
      min_distance: least distance of mastered tasks that are kept, in units of the cube's diagonal.
      fit_every: tasks from one training to the next; 100 in TeachMyAgent.
      num_steps: gradient steps of a training, each with `batch_size` tasks.
      learning_rate: of RMSProp.
      generator_width, discriminator_width: widths of their two layers.
      num_mastered: bound on the mastered tasks that are kept.

    Raises:
      ValueError: a number is out of its bounds, naming it.
    """

    min_attempts: ClassVar[int] = 2  # at a task

    num_dims: int
    low_rate: float = 0.25
    high_rate: float = 0.75
    old_share: float = 0.2
    noise: float = 0.01
    min_distance: float = 0.01
    fit_every: int = 100
    num_steps: int = 250
    batch_size: int = 64
    learning_rate: float = 1e-3
    generator_width: int = 256
    discriminator_width: int = 128
    num_mastered: int = 1000

    def __post_init__(self) -> None:
        for name in ("num_dims", "fit_every", "num_steps", "batch_size", "num_mastered"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("generator_width", "discriminator_width"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        require(self, "low_rate", 0 <= self.low_rate <= self.high_rate, "in 0 .. high_rate")
        require(self, "high_rate", self.high_rate <= 1, "at most 1")
        require(self, "old_share", 0 <= self.old_share <= 1, "in 0 .. 1")
        for name in ("noise", "min_distance"):
            require(self, name, getattr(self, name) >= 0, "at least 0")
        require(self, "learning_rate", self.learning_rate > 0, "above 0")

    @property
    def generator(self) -> Any:
        """Network of tasks, a `Generator`."""
        return Generator(self.num_dims, self.generator_width)

    @property
    def discriminator(self) -> Any:
        """Network of labels, a `Discriminator`."""
        return Discriminator(self.discriminator_width)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """RMSProp with TensorFlow's defaults, as in the authors' code."""
        return optax.rmsprop(self.learning_rate, decay=0.9, eps=1e-10)

    def init(self, key: jax.Array) -> GoalGanState:
        """Returns new networks, and no task."""
        generator_key, discriminator_key = jax.random.split(key)
        points = jnp.zeros((1, self.num_dims))
        params = (
            self.generator.init(generator_key, points),
            self.discriminator.init(discriminator_key, points),
        )
        return GoalGanState(
            params,
            tuple(self.optimizer.init(each) for each in params),
            jnp.bool_(False),
            Memory.empty(self.fit_every, self.num_dims + 1),
            Memory.empty(self.num_mastered, self.num_dims),
        )

    def generate(self, key: jax.Array, params: Params, n: int) -> jax.Array:
        """Generates tasks `[n, num_dims]` in -1 .. 1."""
        tasks: jax.Array = self.generator.apply(params, jax.random.normal(key, (n, self.num_dims)))
        return tasks

    def sample(self, key: jax.Array, state: GoalGanState, n: int) -> tuple[GoalGanState, jax.Array]:
        """Generates tasks `[n, num_dims]`, and draws some of the mastered ones again."""
        new_key, uniform_key, old_key, mode_key, noise_key = jax.random.split(key, 5)
        generated = (self.generate(new_key, state.params[0], n) + 1) / 2
        new = jnp.where(state.useful, generated, jax.random.uniform(uniform_key, generated.shape))
        count = jnp.clip(state.mastered.count, 1, self.num_mastered)
        old = state.mastered.rows[jax.random.randint(old_key, (n,), 0, count)]
        again = (jax.random.uniform(mode_key, (n,)) < self.old_share) & (state.mastered.count > 0)
        noise = self.noise * jax.random.normal(noise_key, new.shape)
        return state, jnp.clip(jnp.where(again[:, None], old, new) + noise, 0, 1)

    def update(
        self, key: jax.Array, state: GoalGanState, tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> GoalGanState:
        """Labels tasks, keeps those that are mastered, and trains whenever `fit_every` are complete."""
        label = ((solved >= self.low_rate) & (solved <= self.high_rate)).astype(jnp.float32)
        recent = state.recent.append(jnp.concatenate([tasks, label[:, None]], axis=1))
        mastered = self._keep_mastered(state.mastered, tasks, solved > self.high_rate)
        state = dataclasses.replace(state, recent=recent, mastered=mastered)
        useful = (recent.rows[:, -1] > 0).any()
        due = recent.passed(tasks.shape[0])
        state = dataclasses.replace(state, useful=jnp.where(due, useful, state.useful))
        return jax.lax.cond(due & useful, lambda: self.train(key, state), lambda: state)

    def _keep_mastered(self, mastered: Memory, tasks: jax.Array, chosen: jax.Array) -> Memory:
        """Adds those of the chosen tasks that are far from all others, one after another."""
        least = (self.min_distance**2) * self.num_dims

        def add(mastered, given):
            task, wanted = given
            distance = ((mastered.rows - task[None]) ** 2).sum(1)
            far = (jnp.where(mastered.filled, distance, jnp.inf) > least).all()
            longer = mastered.append(task[None])
            return jax.tree.map(lambda a, b: jnp.where(wanted & far, a, b), longer, mastered), None

        return jax.lax.scan(add, mastered, (tasks, chosen))[0]

    def train(self, key: jax.Array, state: GoalGanState) -> GoalGanState:
        """Trains both networks on the recent tasks.

        Mao et al., "Least squares generative adversarial networks" (2017), with the labels of Florensa et
        al.: tasks that are not of intermediate difficulty are to be told from those that are, as
        generated ones are.
        """
        tasks, label = 2 * state.recent.rows[:, :-1] - 1, 2 * state.recent.rows[:, -1] - 1

        def step(carried, key):
            (generator, discriminator), (generator_opt, discriminator_opt) = carried
            row_key, new_key = jax.random.split(key)
            row = jax.random.randint(row_key, (self.batch_size,), 0, self.fit_every)
            generated = self.generate(new_key, generator, self.batch_size)
            judged = jnp.concatenate([tasks[row], generated])
            target = jnp.concatenate([label[row], jnp.full(self.batch_size, -1.0)])

            def discriminator_loss(params):
                return ((self.discriminator.apply(params, judged) - target) ** 2).mean()

            discriminator, discriminator_opt = self._descend(
                discriminator_loss, discriminator, discriminator_opt
            )

            def generator_loss(params):
                new = self.generate(new_key, params, self.batch_size)
                return ((self.discriminator.apply(discriminator, new) - 1) ** 2).mean()

            generator, generator_opt = self._descend(generator_loss, generator, generator_opt)
            return ((generator, discriminator), (generator_opt, discriminator_opt)), None

        keys = jax.random.split(key, self.num_steps)
        (params, opt_state), _ = jax.lax.scan(step, (state.params, state.opt_state), keys)
        return dataclasses.replace(state, params=params, opt_state=opt_state)

    def _descend(self, loss, params: Params, opt_state: Any) -> tuple[Params, Any]:
        updates, opt_state = self.optimizer.update(jax.grad(loss)(params), opt_state, params)
        return optax.apply_updates(params, updates), opt_state
