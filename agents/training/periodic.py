"""Evaluation of the agent while it learns, on levels of its own; keeps the best checkpoint."""

from __future__ import annotations

import functools

import numpy as np

from agents.build import make_policy
from agents.config import TrainConfig
from agents.evaluation.evaluate import evaluate, on_default_device
from agents.evaluation.intervals import seed_interval
from agents.evaluation.keys import EvaluationKeys
from agents.io.best import BestCheckpoint
from agents.io.run_folder import RunFolder
from agents.levels import LevelSet, random_level_set
from agents.training.hosts import in_main
from agents.training.seeds import by_seed
from agents.training.trainer import TrainState


class PeriodicEvaluation:
    """Evaluates a run after every `evaluation.every` calls and after the last one.

    The levels are unseen, and others than those of the evaluation at the end, which therefore judges the best
    checkpoint without favor. Levels and actions depend on the seed of the evaluation alone, so that a
    resumed run measures what it would have measured.
    """

    def __init__(self, config: TrainConfig, folder: RunFolder):
        """Opens the folder of the best checkpoint; the levels are drawn when they are needed.

        Args:
          config: config of the run, with `evaluation.every` of at least 1.
          folder: folder of the run.
        """
        self._config, self._keys = config, EvaluationKeys.from_seed(config.evaluation.seed)
        self._policy, self._env = make_policy(config), config.env.make()
        self._best = BestCheckpoint(folder.best)

    @functools.cached_property
    def _levels(self) -> LevelSet:
        numbers = self._config.evaluation
        return random_level_set(
            self._keys.periodic_levels, numbers.every_levels, self._config.env.size, numbers.seed
        )

    def is_due(self, call: int) -> bool:
        """Returns whether there is an evaluation after a call, the first of which is 1."""
        return call % self._config.evaluation.every == 0 or call == self._config.training.num_calls

    def evaluate(self, state: TrainState) -> dict[str, float]:
        """Evaluates the agent, and keeps it if it is better than all before: of several seeds, on average.

        Args:
          state: state of the run, whose numbers are finite.

        Returns:
          metrics by name: solve rate with its interval over levels (of several seeds, over seeds), the rate
          on the worst tenth of the levels, and the mean length of an episode.
        """
        rates: dict[str, float] = in_main(lambda: self._measure(state))
        self._best.offer(state, rates["eval/solve_rate"])
        return rates

    def _measure(self, state: TrainState) -> dict[str, float]:
        """Plays the levels, on one device of this process."""
        params = by_seed(self._config, on_default_device(state.evaluated_params))
        results = [
            evaluate(
                self._keys.periodic_actions,
                self._policy,
                of_seed,
                self._env,
                self._levels,
                self._config.env.params,
                attempts=self._config.evaluation.every_attempts,
            )
            for of_seed in params.values()
        ]
        rates = np.array([result.solve_rate for result in results])
        low, high = results[0].interval if len(results) == 1 else seed_interval(rates)
        return {
            "eval/solve_rate": float(rates.mean()),
            "eval/solve_rate_low": max(float(low), 0.0),
            "eval/solve_rate_high": min(float(high), 1.0),
            "eval/worst_tenth": float(np.mean([result.worst_rate for result in results])),
            "eval/episode_length": float(np.mean([result.length.mean() for result in results])),
        }

    def close(self) -> None:
        """Closes the folder of the best checkpoint."""
        self._best.close()
