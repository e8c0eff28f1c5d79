"""Search for open-loop solutions: random action sequences, then the cross-entropy method and mutations.

A sequence of multi-discrete actions is played whatever is observed. Sequences are drawn on the host and
played in batches of one size, so that all levels of a size share one compiled program. The cross-entropy
method is that of Rubinstein, "The cross-entropy method for combinatorial and continuous optimization" (1999).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

import kinetix_py as kx
from kinetix_py.actions import single_player_bindings
from kinetix_py.chunks import suited_chunks
from kinetix_py.env.episodes import EpisodeResults
from kinetix_py.levels.open_loop import NUM_PERTURBED, padded_actions, perturbed, play_sequences

STEPS = 256  # environment steps of a sequence
RANDOM_ROUNDS = 4  # rounds before the cross-entropy method begins
SHORT_STEPS = 128  # steps played in every other round: most solutions are no longer
NUM_ELITES = 32
ROBUST_ENOUGH = 0.95  # share of perturbed starts from which a solution ends the search
ROUNDS_AFTER = 8  # rounds in which a solution that is not robust enough may still be improved
MARGIN_STEPS = 8  # steps after its end in which a sequence may still solve a perturbed start
FAILURE_COST = 0.5  # cost of touching red in the score [m]
# Weights of the least and of the last distance in the score: coming close counts most, staying close some.
CLOSEST_WEIGHT, FINAL_WEIGHT = 0.7, 0.3


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes:
      actions: int8 `[steps, bindings]`, the solution; None if no sequence solved the level.
      robustness: share of perturbed starts from which it still solves the level.
      search_episodes: episodes until the first solution; all of them if there was none; 1 if the level has
        nothing to control.
      closest: least green-blue distance of all episodes [m].
      noop_solves: whether the no-op sequence solves the level; then nothing else was searched.
    """

    actions: np.ndarray | None
    robustness: float
    search_episodes: int
    closest: float
    noop_solves: bool = False


@dataclasses.dataclass(frozen=True)
class BaselineResult:
    """Results of the no-op and of uniform random actions on one level.

    Attributes:
      noop_solves: whether the no-op sequence solves the level.
      random_solve_rate: share of random episodes that solve it.
      random_episodes: number of random episodes.
    """

    noop_solves: bool
    random_solve_rate: float
    random_episodes: int


class Elites(NamedTuple):
    """The best sequences so far."""

    actions: np.ndarray  # int8 [n, STEPS, bindings]
    scores: np.ndarray  # float [n], falling
    lengths: np.ndarray  # int [n], environment steps until the end of each episode


def search_environment(size: str | kx.LevelSize) -> kx.Environment:
    """Makes the environment that sequences are played in."""
    return kx.make(size, observation_type="blind")


def batch_size(env: kx.Environment) -> int:
    """Returns how many episodes of this size are played at once."""
    counts = suited_chunks().searched
    by_size = zip(kx.SIZES.values(), counts, strict=True)
    return next((count for size, count in by_size if size == env.size), counts[-1])


def play(env: kx.Environment, levels: kx.Level, actions: np.ndarray, limit: int = STEPS) -> EpisodeResults:
    """Plays sequences, each on its own level or all on one, in batches of one size.

    Args:
      env: environment of `search_environment`.
      levels: one level, or a batch `[B]`.
      actions: int8 `[B, STEPS, bindings]`.
      limit: environment steps to play, at most.

    Returns:
      results on the host, `[B]`.
    """
    parts: list[EpisodeResults] = []
    count, batch = len(actions), batch_size(env)
    one = not levels.batch_shape
    for first in range(0, count, batch):
        index = np.minimum(np.arange(first, first + batch), count - 1)
        take = (lambda v: np.broadcast_to(v, (batch, *np.shape(v)))) if one else lambda v, i=index: v[i]
        part = play_sequences(env, jax.tree.map(take, levels), actions[index], limit)
        parts.append(jax.tree.map(lambda v, left=count - first: np.asarray(v)[:left], part))
    return jax.tree.map(lambda *values: np.concatenate(values), *parts)


def num_choices(env: kx.Environment, level: kx.Level) -> np.ndarray:
    """Counts the values of each binding that make a difference: int `[bindings]`, 1 if nothing is bound."""
    return np.where(np.concatenate(single_player_bindings(level)), env.action_adapter.choices, 1)


def random_sequences(rng: np.random.Generator, choices: np.ndarray, count: int) -> np.ndarray:
    """Draws uniform random actions, anew at every step: int8 `[count, STEPS, bindings]`."""
    return rng.integers(0, choices, (count, STEPS, len(choices))).astype(np.int8)


def held_sequences(rng: np.random.Generator, choices: np.ndarray, count: int) -> np.ndarray:
    """Draws sequences that hold each action for a while: int8 `[count, STEPS, bindings]`.

    Every sequence has its own holding time, 1 .. 90 steps, and its own probabilities of the values.
    """
    sequences = np.zeros((count, STEPS, len(choices)), np.int8)
    hold = np.rint(2 ** rng.uniform(0, 6.5, count)).astype(int)
    for row in range(count):
        segments = -(-STEPS // hold[row])
        for column, size in enumerate(choices):
            probabilities = rng.dirichlet(np.full(size, 0.6))
            values = rng.choice(size, segments, p=probabilities)
            sequences[row, :, column] = np.repeat(values, hold[row])[:STEPS]
        sequences[row] = np.roll(sequences[row], rng.integers(0, hold[row]), axis=0)
    return sequences


def cross_entropy_sequences(
    rng: np.random.Generator, elites: np.ndarray, choices: np.ndarray, count: int
) -> np.ndarray:
    """Draws sequences from the frequencies of the elites' values, segment by segment.

    Args:
      rng: random generator.
      elites: int8 `[n, STEPS, bindings]`.
      choices: int `[bindings]`, values of each binding.
      count: number of sequences.

    Returns:
      int8 `[count, STEPS, bindings]`.
    """
    hold = int(rng.choice([4, 8, 16]))
    segments = STEPS // hold
    sequences = np.zeros((count, STEPS, elites.shape[2]), np.int8)
    for column, size in enumerate(choices):
        values = elites[:, :, column].reshape(len(elites), segments, hold)
        frequency = np.stack([(values == v).mean((0, 2)) for v in range(size)], -1)
        bound = np.cumsum(0.95 * frequency + 0.05 / size, axis=-1)
        drawn = (rng.random((count, segments, 1)) > bound[None]).sum(-1)
        sequences[:, :, column] = np.repeat(np.minimum(drawn, size - 1), hold, axis=1)
    return sequences


def mutated_sequences(
    rng: np.random.Generator, elites: Elites, choices: np.ndarray, count: int
) -> np.ndarray:
    """Draws elites with a few segments redrawn, shifted, or taken from another elite.

    Segments begin before the end of the elite's episode, where they matter.

    Returns:
      int8 `[count, STEPS, bindings]`.
    """
    parents = rng.integers(0, len(elites.actions), count)
    sequences, used = elites.actions[parents].copy(), np.flatnonzero(choices > 1)
    for row in range(count):
        for _ in range(rng.integers(1, 5)):
            first = rng.integers(0, max(elites.lengths[parents[row]], 1))
            width = int(2 ** rng.uniform(0, 6.5))
            segment = slice(first, first + width)
            kind = rng.random()
            if kind < 0.7:
                column = rng.choice(used)
                sequences[row, segment, column] = rng.integers(0, choices[column])
            elif kind < 0.85:
                sequences[row, segment] = elites.actions[rng.integers(0, len(elites.actions)), segment]
            else:
                sequences[row, first:] = np.roll(sequences[row, first:], rng.integers(-6, 7), axis=0)
    return sequences


def robustness(
    env: kx.Environment, level: kx.Level, actions: np.ndarray, seed: int = 0, limit: int = STEPS
) -> np.ndarray:
    """Measures from which share of perturbed starts sequences solve a level.

    Args:
      env: environment of `search_environment`.
      level: one level.
      actions: int8 `[n, STEPS, bindings]`.
      seed: seed of the perturbations.
      limit: environment steps in which a sequence must solve it.

    Returns:
      float `[n]`, 0 .. 1.
    """
    starts = perturbed(level, NUM_PERTURBED, seed)
    levels = jax.tree.map(lambda value: np.tile(value, (len(actions), *[1] * (value.ndim - 1))), starts)
    results = play(env, levels, np.repeat(actions, NUM_PERTURBED, axis=0), limit)
    return np.asarray(results.solved).reshape(-1, NUM_PERTURBED).mean(1)


def episode_scores(results: EpisodeResults) -> np.ndarray:
    """Scores episodes: solved ones by their length, others by the distance of green and blue."""
    distance = CLOSEST_WEIGHT * results.closest + FINAL_WEIGHT * results.final
    return np.where(results.solved, 1000.0 - results.length, -distance - FAILURE_COST * results.failed)


def _proposals(
    rng: np.random.Generator, elites: Elites | None, choices: np.ndarray, count: int, first: bool
) -> np.ndarray:
    """Draws the sequences of one round: int8 `[count, STEPS, bindings]`."""
    if elites is None:
        sequences = held_sequences(rng, choices, count)
    else:
        part = count // 4
        sequences = np.concatenate(
            [
                cross_entropy_sequences(rng, elites.actions, choices, part),
                held_sequences(rng, choices, part),
                mutated_sequences(rng, elites, choices, count - 2 * part),
            ]
        )
    if first:
        sequences[0] = 0  # the no-op sequence
    return sequences


def _most_robust(
    rng: np.random.Generator,
    env: kx.Environment,
    level: kx.Level,
    actions: np.ndarray,
    results: EpisodeResults,
) -> tuple[np.ndarray, float]:
    """Chooses among sequences that solved the level the one that is most robust, as far as it is needed.

    Returns:
      int8 `[steps, bindings]`, and its share of perturbed starts.
    """
    solved = np.flatnonzero(results.solved)
    picked = rng.permutation(solved)[: batch_size(env) // NUM_PERTURBED]
    lengths = np.asarray(results.length)[picked]
    candidates = actions[picked].copy()
    for candidate, length in zip(candidates, lengths, strict=True):
        candidate[length:] = 0
    # Time out shortly after the last action: failures would take most of the time.
    limit = min(int(lengths.max()) + MARGIN_STEPS, STEPS)
    shares = robustness(env, level, candidates, limit=limit)
    top = int(np.argmax(shares))
    return candidates[top][: lengths[top]], float(shares[top])


def _best(elites: Elites | None, actions: np.ndarray, results: EpisodeResults) -> Elites:
    """Adds the sequences of a round to the elites, and keeps the best."""
    new = Elites(actions, episode_scores(results), np.asarray(results.length))
    both = new if elites is None else Elites(*map(np.concatenate, zip(elites, new, strict=True)))
    order = np.argsort(-both.scores, kind="stable")[:NUM_ELITES]
    return Elites(both.actions[order], both.scores[order], both.lengths[order])


def search(
    env: kx.Environment,
    level: kx.Level,
    rounds: int = 60,
    seed: int = 0,
    limit: int = STEPS,
    report: Callable[[str], None] = lambda text: None,
) -> SearchResult:
    """Searches for a sequence that solves a level, and prefers one that also solves perturbed starts.

    Args:
      env: environment of `search_environment`, of the level's size.
      level: one level.
      rounds: batches of episodes, at most.
      seed: seed of the search.
      limit: environment steps of a sequence, at most.
      report: called with one line of progress after every round.
    """
    rng, batch, choices = np.random.default_rng(seed), batch_size(env), num_choices(env, level)
    elites: Elites | None = None
    solution: np.ndarray | None = None
    share, episodes, closest, after = -1.0, 0, np.inf, 0
    for number in range(rounds):
        drawn_from = elites if number >= RANDOM_ROUNDS else None
        actions = _proposals(rng, drawn_from, choices, batch, first=number == 0)
        # Time limits alternate: an episode that comes to nothing costs half as much.
        results = play(env, level, actions, min(limit, SHORT_STEPS) if number % 2 == 0 else limit)
        if number == 0 and results.solved[0]:
            return SearchResult(actions[0], 0.0, 1, 0.0, noop_solves=True)
        if (choices == 1).all():  # nothing can be controlled: all sequences play alike
            return SearchResult(None, 0.0, 1, float(results.closest[0]))
        closest = min(closest, float(results.closest.min()))
        solved = np.flatnonzero(results.solved)
        if solution is None:
            episodes += int(solved[0]) + 1 if len(solved) else batch
        if len(solved):
            candidate, its_share = _most_robust(rng, env, level, actions, results)
            if its_share > share:
                solution, share = candidate, its_share
        report(
            f"round {number + 1}: {len(solved)} of {batch} solved, closest {closest:.2f} m"
            + (f", robustness {share:.2f}" if solution is not None else "")
        )
        after += solution is not None
        if share >= ROBUST_ENOUGH or after > ROUNDS_AFTER:
            break
        elites = _best(elites, actions, results)
    return SearchResult(solution, max(share, 0.0), episodes, closest)


def baseline(env: kx.Environment, level: kx.Level, episodes: int = 1024, seed: int = 1) -> BaselineResult:
    """Plays the no-op sequence once, and uniform random actions in all other episodes.

    Args:
      env: environment of `search_environment`, of the level's size.
      level: one level.
      episodes: number of episodes, that of the no-op included.
      seed: seed of the actions.
    """
    actions = random_sequences(np.random.default_rng(seed), num_choices(env, level), episodes)
    actions[0] = 0
    solved = np.asarray(play(env, level, actions).solved)
    return BaselineResult(bool(solved[0]), float(solved[1:].mean()), episodes - 1)


def solves(env: kx.Environment, level: kx.Level, actions: Sequence[Sequence[int]] | np.ndarray) -> bool:
    """Tells whether a sequence of multi-discrete actions `[steps, bindings]` solves a level."""
    return bool(play(env, level, padded_actions(actions, STEPS)[None]).solved[0])
