"""Search for solutions: random plans, then the cross-entropy method and mutations of the best ones.

A plan is a sequence of multi-discrete actions that no observation changes. Plans are drawn on the host and
played in batches of one size, so that all levels of a size share one compiled program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

import kinetix_py as kx
from kinetix_py.actions import bindings_in_use
from kinetix_py.env.episodes import EpisodeResults
from kinetix_py.levels.open_loop import NUM_PERTURBED, padded_actions, perturbed, play_sequences

STEPS = 256
# Episodes played at once: what a processor's cache holds of each size.
BATCHES = {"s": 128, "m": 64, "l": 64}
SHOOTING_ROUNDS = 4
SHORT = 128  # steps that are played in every other round: most solutions are no longer
ELITES = 32
ENOUGH = 0.95  # share of perturbed starts from which a solution should solve its level
FAILURE_COST = 0.5  # of an episode that failed, in its score [m]


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """Result of a search for a solution."""

    plan: np.ndarray | None  # int8 [steps, bindings], None if nothing solved the level
    robustness: float  # share of perturbed starts from which it still solves the level
    search_episodes: int  # episodes until the first solution; all of them if there was none
    closest: float  # least green-blue distance of any episode [m]
    noop_solves: bool  # the no-op solves the level; nothing else was searched


def environment(size: str | kx.LevelSize) -> kx.Environment:
    """Makes the environment that plans are played in."""
    return kx.make(size, observation_type="blind")


def batch_of(env: kx.Environment) -> int:
    """Returns the number of episodes of this size that are played at once."""
    return next((BATCHES[name] for name, size in kx.SIZES.items() if size == env.size), BATCHES["l"])


def play(env: kx.Environment, levels: kx.Level, plans: np.ndarray, limit: int = STEPS) -> EpisodeResults:
    """Plays `[B]` plans, each on its own level (or all on one), in batches of one size."""
    parts: list[EpisodeResults] = []
    count, batch = len(plans), batch_of(env)
    one = not levels.batch_shape
    for first in range(0, count, batch):
        index = np.minimum(np.arange(first, first + batch), count - 1)
        take = (lambda v: np.broadcast_to(v, (batch, *np.shape(v)))) if one else lambda v, i=index: v[i]
        part = play_sequences(env, jax.tree.map(take, levels), plans[index], limit)
        parts.append(jax.tree.map(lambda v, left=count - first: np.asarray(v)[:left], part))
    return jax.tree.map(lambda *values: np.concatenate(values), *parts)


def choices(env: kx.Environment, level: kx.Level) -> np.ndarray:
    """Returns the number of effective choices of each binding: int `[bindings]`, 1 where no motor listens."""
    return np.where(np.concatenate(bindings_in_use(level)), env.action_adapter.choices, 1)


def random_plans(rng: np.random.Generator, sizes: np.ndarray, count: int) -> np.ndarray:
    """Draws uniform random actions, a new one at every step: int8 `[count, STEPS, bindings]`."""
    return rng.integers(0, sizes, (count, STEPS, len(sizes))).astype(np.int8)


def shooting_plans(rng: np.random.Generator, sizes: np.ndarray, count: int) -> np.ndarray:
    """Draws plans that hold actions for a while, each with its own duration and preferences."""
    plans = np.zeros((count, STEPS, len(sizes)), np.int8)
    hold = np.rint(2 ** rng.uniform(0, 6.5, count)).astype(int)
    for row in range(count):
        segments = -(-STEPS // hold[row])
        for column, size in enumerate(sizes):
            preference = rng.dirichlet(np.full(size, 0.6))
            values = rng.choice(size, segments, p=preference)
            plans[row, :, column] = np.repeat(values, hold[row])[:STEPS]
        shift = rng.integers(0, hold[row])
        plans[row] = np.roll(plans[row], shift, axis=0)
    return plans


def entropy_plans(rng: np.random.Generator, elites: np.ndarray, sizes: np.ndarray, count: int) -> np.ndarray:
    """Draws plans from the elites' frequencies, piece by piece: the cross-entropy method."""
    hold = int(rng.choice([4, 8, 16]))
    pieces = STEPS // hold
    plans = np.zeros((count, STEPS, elites.shape[2]), np.int8)
    for column, size in enumerate(sizes):
        values = elites[:, :, column].reshape(len(elites), pieces, hold)
        share = np.stack([(values == v).mean((0, 2)) for v in range(size)], -1)
        bound = np.cumsum(0.95 * share + 0.05 / size, axis=-1)
        drawn = (rng.random((count, pieces, 1)) > bound[None]).sum(-1)
        plans[:, :, column] = np.repeat(np.minimum(drawn, size - 1), hold, axis=1)
    return plans


def mutated_plans(
    rng: np.random.Generator, elites: np.ndarray, ends: np.ndarray, sizes: np.ndarray, count: int
) -> np.ndarray:
    """Changes elites: a few pieces are drawn anew, shifted, or taken from another elite.

    Args:
      ends: steps after which each elite's episode was over, so that pieces fall where they matter.
    """
    parents = rng.integers(0, len(elites), count)
    plans, used = elites[parents].copy(), np.flatnonzero(sizes > 1)
    for row in range(count):
        for _ in range(rng.integers(1, 5)):
            first = rng.integers(0, max(ends[parents[row]], 1))
            width = int(2 ** rng.uniform(0, 6.5))
            piece = slice(first, first + width)
            kind = rng.random()
            if kind < 0.7:
                column = rng.choice(used)
                plans[row, piece, column] = rng.integers(0, sizes[column])
            elif kind < 0.85:
                plans[row, piece] = elites[rng.integers(0, len(elites)), piece]
            else:
                plans[row, first:] = np.roll(plans[row, first:], rng.integers(-6, 7), axis=0)
    return plans


def robustness(
    env: kx.Environment, level: kx.Level, plans: np.ndarray, seed: int = 0, limit: int = STEPS
) -> np.ndarray:
    """Returns the share of perturbed starts from which each plan `[n, STEPS, bindings]` solves a level.

    Args:
      limit: environment steps in which it must.
    """
    starts = perturbed(level, NUM_PERTURBED, seed)
    levels = jax.tree.map(lambda value: np.tile(value, (len(plans), *[1] * (value.ndim - 1))), starts)
    played = play(env, levels, np.repeat(plans, NUM_PERTURBED, axis=0), limit)
    return np.asarray(played.solved).reshape(-1, NUM_PERTURBED).mean(1)


def score_of(played: EpisodeResults) -> np.ndarray:
    """Scores episodes: solved ones by their length, others by the distance of green and blue."""
    near = -(0.7 * played.closest + 0.3 * played.final) - FAILURE_COST * (played.outcome == -1)
    return np.where(played.outcome == 1, 1000.0 - played.length, near)


def search(
    env: kx.Environment,
    level: kx.Level,
    rounds: int = 60,
    seed: int = 0,
    limit: int = STEPS,
    report: Callable[[str], None] = lambda text: None,
) -> SearchResult:
    """Searches for a plan that solves a level, and prefers a robust one.

    Args:
      rounds: maximum number of batches of episodes.
      limit: environment steps of a plan.
      report: function that receives a line of progress after every round.
    """
    rng, batch, sizes = np.random.default_rng(seed), batch_of(env), choices(env, level)
    pool, scores, ends = None, np.zeros(0), np.zeros(0, int)
    best, best_share, episodes_played, closest, after = None, -1.0, 0, np.inf, 0
    for number in range(rounds):
        if number < SHOOTING_ROUNDS or pool is None:
            plans = shooting_plans(rng, sizes, batch)
        else:
            half = batch // 4
            plans = np.concatenate(
                [
                    entropy_plans(rng, pool, sizes, half),
                    shooting_plans(rng, sizes, half),
                    mutated_plans(rng, pool, ends, sizes, batch - 2 * half),
                ]
            )
        if number == 0:
            plans[0] = 0  # check the no-op first
        # Time limits alternate: an episode that comes to nothing costs half as much.
        played = play(env, level, plans, min(limit, SHORT) if number % 2 == 0 else limit)
        if number == 0 and played.outcome[0] == 1:
            return SearchResult(plans[0], 0.0, 1, 0.0, True)
        closest = min(closest, float(played.closest.min()))
        solved = np.flatnonzero(played.outcome == 1)
        if best is None:
            episodes_played += batch if not len(solved) else int(solved[0]) + 1
        if len(solved):
            picked = rng.permutation(solved)[: batch // NUM_PERTURBED]
            ended = plans[picked].copy()
            for plan, length in zip(ended, played.length[picked], strict=True):
                plan[length:] = 0
            # Time out shortly after the last action: failures would take most of the time.
            patience = min(int(played.length[picked].max()) + 8, STEPS)
            shares = robustness(env, level, ended, limit=patience)
            top = int(np.argmax(shares))
            if shares[top] > best_share:
                best, best_share = ended[top][: played.length[picked[top]]], float(shares[top])
        report(f"round {number + 1}: {len(solved)} solved, closest {closest:.2f} m, robust {best_share:.2f}")
        after += best is not None
        if best_share >= ENOUGH or after > 8:
            break
        pool, scores, ends = _elites(pool, scores, ends, plans, score_of(played), played.length)
    return SearchResult(best, max(best_share, 0.0), episodes_played, closest, False)


def _elites(pool, scores, ends, plans, new, lengths):
    """Keeps the best plans so far, with their scores and lengths."""
    if pool is not None:
        plans, new = np.concatenate([pool, plans]), np.concatenate([scores, new])
        lengths = np.concatenate([ends, lengths])
    order = np.argsort(-new, kind="stable")[:ELITES]
    return plans[order], new[order], lengths[order]


@dataclasses.dataclass(frozen=True)
class RandomPlay:
    """Results of the no-op and of random actions."""

    noop_solves: bool
    random_solve_rate: float
    random_episodes: int


def play_randomly(env: kx.Environment, level: kx.Level, episodes: int = 1024, seed: int = 1) -> RandomPlay:
    """Plays one episode of the no-op, and uniform random actions in all others."""
    plans = random_plans(np.random.default_rng(seed), choices(env, level), episodes)
    plans[0] = 0
    solved = play(env, level, plans).outcome == 1
    return RandomPlay(bool(solved[0]), float(solved[1:].mean()), episodes - 1)


def solves(env: kx.Environment, level: kx.Level, solution: list[list[int]]) -> bool:
    """Checks that a solution solves a level."""
    return bool(play(env, level, padded_actions(solution, STEPS)[None]).outcome[0] == 1)
