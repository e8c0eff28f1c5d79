"""AGAIN: the curriculum of an earlier learner that resembles this one, replayed."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from agents.teachers.alp_gmm import ALPGMM, MixtureState
from agents.teachers.memory import keep_latest
from agents.teachers.mixture import Mixture
from agents.teachers.protocol import choose, require

UNIFORM, OWN, REPLAYED = range(3)  # where a task comes from


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Record:
    """Curriculum and tests of a learner; of several learners, with an axis `[L]` before all others."""

    mixtures: Mixture  # axis [T] first, of tasks and their learning progress, in the order of their fits
    returns: jax.Array  # float [T], latest mean return of tasks from each; -infinity of none
    count: jax.Array  # int32 [], number of fits, of which the first T are remembered
    pretest: jax.Array  # float [M], mean returns of the first test
    posttest: jax.Array  # float [M], mean returns of the latest test
    tested: jax.Array  # bool [], whether there was a test

    @classmethod
    def empty(cls, num_mixtures: int, num_components: int, num_dims: int, num_tests: int) -> Record:
        """Returns the record of a learner that has learnt nothing; tasks and progress have `num_dims`."""
        mixture = Mixture.empty(num_components, num_dims)
        return cls(
            jax.tree.map(lambda leaf: jnp.zeros((num_mixtures, *leaf.shape)) + leaf[None], mixture),
            jnp.full(num_mixtures, -jnp.inf, jnp.float32),
            jnp.int32(0),
            jnp.zeros(num_tests),
            jnp.zeros(num_tests),
            jnp.bool_(False),
        )


def progress_niches(records: Record, min_progress: float) -> Record:
    """Leaves out what little was learnt in: components, and mixtures of which none is left.

    Args:
      records: of several learners.
      min_progress: mean absolute learning progress that a component needs.
    """
    mixtures, times = records.mixtures, jnp.arange(records.returns.shape[1])
    useful = (mixtures.means[..., -1] >= min_progress) & (times[None] < records.count[:, None])[..., None]
    weights = jnp.where(useful, mixtures.weights, 0.0)
    left = (weights > 0).any(-1)
    order = jnp.argsort(~left, axis=1, stable=True)
    sort = jax.vmap(lambda leaf, order: leaf[order])
    mixtures = dataclasses.replace(mixtures, weights=weights)
    return dataclasses.replace(
        records,
        mixtures=jax.tree.map(lambda leaf: sort(leaf, order), mixtures),
        returns=sort(records.returns, order),
        count=left.sum(1, dtype=jnp.int32),
    )


def choose_learner(pretest: jax.Array, records: Record, num_neighbors: int) -> jax.Array:
    """Chooses the best by its latest test of the learners that are nearest by their first.

    Args:
      pretest: `[M]`, first test of a new learner.
      records: of earlier learners.
      num_neighbors: number of the nearest that are compared; static.

    Returns:
      index of an earlier learner: int32 `[]`.
    """
    distance = ((records.pretest - pretest[None]) ** 2).sum(1)
    nearest = jnp.argsort(distance)[: min(num_neighbors, distance.shape[0])]
    return nearest[jnp.argmax(records.posttest[nearest].mean(1))]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AgainState:
    """State of AGAIN; returns are of the latest tasks from the own mixture, and from the replayed one."""

    own: MixtureState  # of ALP-GMM
    record: Record  # of this learner
    earlier: Record | None  # of earlier ones
    learner: jax.Array  # int32 [], index of the earlier one that is replayed; -1 before the first test
    stage: jax.Array  # int32 [], index of the mixture that is replayed
    returns: jax.Array  # float [2, window], oldest first
    known: jax.Array  # bool [2, window]
    num_updates: jax.Array  # int32 []
    draw_key: jax.Array  # uint32 [2], data of the random key of the last tasks


@dataclasses.dataclass(frozen=True)
class AGAIN:
    """Portelas et al., "Meta automatic curriculum learning" (2020), AGAIN-IN: inferred progress niches.

    ALP-GMM teaches until a first test. Of the earlier learners whose first test was most like this one's, the
    best by its latest test is chosen. The mixtures that taught it are replayed one after another, without
    components in which it learnt little: the next one begins as soon as returns are as high as they were
      then.
    Meanwhile components of the own ALP-GMM and of the replayed mixture are sampled alike, by their progress;
    after the last one ALP-GMM goes on alone. Without earlier learners it is ALP-GMM with tests.

    A test is an update whose tasks are `num_tests` fixed ones, spread evenly over the cube. Numbers are those
    of the authors' code, where not said otherwise.

    Attributes:
      own: ALP-GMM, whose tasks are of as many dimensions.
      earlier: records of earlier learners; None for the first ones.
      num_tests: tasks of a test, at most as many as those of an update; the suite's number.
      test_every: updates from one test to the next; the suite's number. The first test should come when there
        is something to tell learners apart by: after a tenth of the training, in the paper's toy space.
      num_neighbors: earlier learners that are compared by their latest test.
      min_progress: mean absolute learning progress that a component needs to be replayed; of returns that are
        within 0 .. 1.
      window: latest tasks from a mixture whose mean return is compared.
      replay_random_share: share of uniform tasks while mixtures are replayed.
      max_fits: bound on the mixtures that are remembered, from the first on; the suite's number.

    Raises:
      ValueError: a number is out of its bounds, or the earlier learners had other tests or tasks.
    """

    compares_returns: ClassVar[bool] = True
    own: ALPGMM
    earlier: Record | None = dataclasses.field(default=None, compare=False)
    num_tests: int = 32
    test_every: int = 20
    num_neighbors: int = 5
    min_progress: float = 0.2
    window: int = 50
    replay_random_share: float = 0.02
    max_fits: int = 256

    def __post_init__(self) -> None:
        for name in ("num_tests", "test_every", "num_neighbors", "window", "max_fits"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        require(self, "min_progress", self.min_progress >= 0, "at least 0")
        require(self, "replay_random_share", 0 <= self.replay_random_share <= 1, "in 0 .. 1")
        if self.earlier is not None:
            tests, dims = self.earlier.pretest.shape[1], self.earlier.mixtures.means.shape[-1] - 1
            if (tests, dims) != (self.num_tests, self.num_dims):
                raise ValueError(
                    f"AGAIN.earlier must have {self.num_tests} tests in {self.num_dims} dimensions, got "
                    f"{tests} in {dims}"
                )

    @property
    def num_dims(self) -> int:
        """Dimensions of a task."""
        return self.own.num_dims

    @property
    def min_tasks(self) -> int:
        """Least number of tasks of an update."""
        return self.num_tests

    @property
    def tests(self) -> jax.Array:
        """Tasks of a test `[num_tests, num_dims]`.

        An additive recurrence, whose steps are powers of the inverse of the root of `x^(D + 1) = x + 1`, the
        golden ratio for D = 1: Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018).
        """
        root = 2.0
        for _ in range(50):
            root = (1 + root) ** (1 / (self.num_dims + 1))
        steps = jnp.array([root ** -(dim + 1) for dim in range(self.num_dims)], jnp.float32)
        return (0.5 + jnp.arange(1, self.num_tests + 1)[:, None] * steps[None]) % 1.0

    def init(self, key: jax.Array) -> AgainState:
        """Returns the state of a new learner, and all that is known of earlier ones."""
        components, fitted = self.own.max_components, self.own.num_fitted
        return AgainState(
            own=self.own.init(key),
            record=Record.empty(self.max_fits, components, fitted, self.num_tests),
            earlier=None if self.earlier is None else progress_niches(self.earlier, self.min_progress),
            learner=jnp.int32(-1),
            stage=jnp.int32(0),
            returns=jnp.zeros((2, self.window)),
            known=jnp.zeros((2, self.window), bool),
            num_updates=jnp.int32(0),
            draw_key=jax.random.key_data(key),
        )

    def is_test(self, state: AgainState) -> jax.Array:
        """Tells whether this update is a test: bool `[]`."""
        return state.num_updates % self.test_every == self.test_every - 1

    def replayed(self, state: AgainState) -> Mixture:
        """The mixture that is replayed; an empty one if none is."""
        if state.earlier is None:
            return Mixture.empty(1, self.own.num_fitted)
        earlier, learner = state.earlier, jnp.maximum(state.learner, 0)
        mixture: Mixture = jax.tree.map(lambda leaf: leaf[learner, state.stage], earlier.mixtures)
        replays = (state.learner >= 0) & (state.stage < earlier.count[learner])
        return dataclasses.replace(mixture, weights=jnp.where(replays, mixture.weights, 0.0))

    def draw(self, key: jax.Array, state: AgainState, n: int) -> tuple[jax.Array, jax.Array]:
        """Draws tasks `[n, num_dims]`, and where each of them comes from: int32 `[n]`."""
        which_key, draw_key, uniform_key, mode_key = jax.random.split(key, 4)
        own, replayed = state.own.mixture, self.replayed(state)
        pool: Mixture = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), own, replayed)
        ready = pool.exists.any()
        component = choose(which_key, self.own.utility(pool), pool.exists | ~ready, n)
        drawn = jnp.clip(pool.draw(draw_key, component, self.num_dims), 0, 1)
        uniform = jax.random.uniform(uniform_key, drawn.shape)
        share = jnp.where(replayed.exists.any(), self.replay_random_share, self.own.random_share)
        explores = (jax.random.uniform(mode_key, (n,)) < share) | ~ready
        source = jnp.where(component < own.weights.shape[0], OWN, REPLAYED)
        return jnp.where(explores[:, None], uniform, drawn), jnp.where(explores, UNIFORM, source)

    def sample(self, key: jax.Array, state: AgainState, n: int) -> tuple[AgainState, jax.Array]:
        """Draws tasks `[n, num_dims]`, or takes those of the test, again and again where `n` is larger."""
        tasks, _ = self.draw(key, state, n)
        tests = self.tests[jnp.arange(n) % self.num_tests]
        state = dataclasses.replace(state, draw_key=jax.random.key_data(key))
        return state, jnp.where(self.is_test(state), tests, tasks)

    def update(
        self, key: jax.Array, state: AgainState, tasks: jax.Array, returns: jax.Array, solved: jax.Array
    ) -> AgainState:
        """Adds episodes to ALP-GMM and to the record, chooses an earlier learner, and replays it."""
        n, is_test = tasks.shape[0], self.is_test(state)
        _, source = self.draw(jax.random.wrap_key_data(state.draw_key), state, n)
        chosen = jnp.stack([source == OWN, source == REPLAYED]) & ~is_test
        latest, known = jax.vmap(keep_latest, (0, 0, None, 0))(state.returns, state.known, returns, chosen)
        mean = jnp.where(known, latest, 0).sum(1) / jnp.maximum(known.sum(1), 1)

        learner, stage, reached = state.learner, state.stage, jnp.bool_(False)
        record = self._tested(state.record, is_test, returns)
        if state.earlier is not None:
            reached = known[1].all() & (mean[1] >= state.earlier.returns[jnp.maximum(learner, 0), stage])
            stage = stage + reached
            best = choose_learner(record.pretest, state.earlier, self.num_neighbors)
            learner = jnp.where(is_test & (learner < 0), best, learner)
        own = self.own.update(key, state.own, tasks, returns, solved)
        fitted = own.recent.passed(n)
        return dataclasses.replace(
            state,
            own=own,
            record=self._fitted(record, jnp.where(known[0].any(), mean[0], -jnp.inf), fitted, own.mixture),
            learner=learner,
            stage=stage,
            returns=latest,
            known=known & ~jnp.stack([fitted, reached])[:, None],
            num_updates=state.num_updates + 1,
        )

    def _tested(self, record: Record, is_test: jax.Array, returns: jax.Array) -> Record:
        """Writes down the mean return of each task of a test, if this is one."""
        row = jnp.arange(returns.shape[0]) % self.num_tests
        total = lambda values: jnp.zeros(self.num_tests).at[row].add(values)
        test = total(returns) / jnp.maximum(total(jnp.ones(returns.shape)), 1)
        return dataclasses.replace(
            record,
            pretest=jnp.where(is_test & ~record.tested, test, record.pretest),
            posttest=jnp.where(is_test, test, record.posttest),
            tested=record.tested | is_test,
        )

    def _fitted(self, record: Record, mean: jax.Array, fitted: jax.Array, mixture: Mixture) -> Record:
        """Writes down the mean return of tasks from the latest mixture, and a new mixture if there is one."""
        # What has no place, or is none, is written to an index past the end: nowhere.
        last = jnp.where(record.count > 0, record.count - 1, self.max_fits)
        new = jnp.where(fitted, record.count, self.max_fits)
        add = lambda into, leaf: into.at[new].set(leaf, mode="drop")
        return dataclasses.replace(
            record,
            mixtures=jax.tree.map(add, record.mixtures, mixture),
            returns=record.returns.at[last].set(mean, mode="drop"),
            count=record.count + fitted,
        )
