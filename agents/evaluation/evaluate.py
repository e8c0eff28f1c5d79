"""Evaluation of policies on sets of levels: whole episodes, one compiled program for each policy."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import kinetix_py as kx
from agents.evaluation.baselines import baseline_policies
from agents.evaluation.episodes import play_levels
from agents.evaluation.evaluation import Conditions, Evaluation, RunInfo
from agents.levels import LevelSet, make_level_set
from agents.policy import Params, Policy
from kinetix_py.chunks import suited_chunks

MAX_THREADS = 8  # calls at once on a CPU, which bounds memory
Progress = Callable[[int], Any]


class NamedPolicy(NamedTuple):
    """A policy to evaluate, with its parameters; `mode` takes its most likely action instead of sampling."""

    name: str
    policy: Policy
    params: Params
    mode: bool = False


def suited_batch_size(num_episodes: int) -> int:
    """Returns the number of episodes of one call: few sizes, so that sets of many lengths share a program.

    Args:
      num_episodes: number of episodes that are to be played.

    Returns:
      the next power of two, but at most what suits this machine (`kinetix_py.chunks`).
    """
    return min(1 << (num_episodes - 1).bit_length(), suited_chunks().evaluated)


def on_default_device(params: Params) -> Params:
    """Copies parameters to the default device, bound to none.

    Those of a run on several devices, those of a checkpoint and new ones are then played by one program.
    """
    is_key = lambda leaf: jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key)
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else jnp.asarray(np.asarray(leaf)), params)


def _in_order(play: Callable[[int], Any], starts: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Calls a function for each start, and yields both in order.

    One call keeps about one core of a CPU busy: there, several threads call at once, after the first call,
    which compiles.
    """
    yield starts[0], play(starts[0])
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(min(cores, MAX_THREADS) if jax.default_backend() == "cpu" else 1) as pool:
        yield from zip(starts[1:], pool.map(play, starts[1:]), strict=True)


def evaluate(
    key: jax.Array,
    policy: Policy,
    params: Params,
    env: kx.Environment,
    levels: LevelSet | kx.Level,
    env_params: kx.EnvParams | None = None,
    *,
    attempts: int = 20,
    policy_name: str = "agent",
    run: RunInfo | None = None,
    mode: bool = False,
    deterministic: bool = False,
    baseline: bool = False,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Attempts every level of a set.

    Args:
      key: random key of the actions; policies that are given the same one see the same random numbers.
      policy, params: policy that acts; actions are sampled, as in training.
      env: environment without auto-reset.
      levels: set of levels, or a batch of them, of the environment's size.
      env_params: numbers of the game; an episode that reaches the time limit counts as unsolved.
      attempts: episodes of each level.
      policy_name, run: names for the record.
      mode: take the most likely action instead; as nothing is random then, a level is attempted once.
      deterministic: the policy draws nothing at random: a level is attempted once.
      baseline: for the record, the policy learned nothing.
      batch_size: episodes of one call, to which the last one is filled up; `suited_batch_size` if None.
      progress: function that is called with the number of episodes after each call.

    Raises:
      ValueError: no level, or `attempts` or `batch_size` below 1.
    """
    game = env.default_params if env_params is None else env_params
    chosen = make_level_set("levels", levels) if isinstance(levels, kx.Level) else levels
    attempts = 1 if mode or deterministic else attempts
    total, host_levels = len(chosen) * attempts, jax.device_get(chosen.levels)
    if min(len(chosen), attempts, 1 if batch_size is None else batch_size) < 1:
        raise ValueError(
            f"levels, attempts and batch_size must be at least 1, "
            f"got {len(chosen)}, {attempts} and {batch_size}"
        )
    size, params = suited_batch_size(total) if batch_size is None else batch_size, on_default_device(params)

    def play(first: int) -> tuple[np.ndarray, np.ndarray]:
        # Every call has the same shape, for one program; the last one begins anew where the set ends.
        rows = np.arange(first, first + size) % total // attempts
        results = play_levels(
            jax.random.fold_in(key, first),
            policy,
            policy.params_of_call(params, first),
            env,
            jax.tree.map(lambda value: value[rows], host_levels),
            game,
            max_steps=int(game.max_timesteps),
            mode=mode,
        )
        return jax.device_get((results.solved, results.length))

    parts = []
    for first, part in _in_order(play, range(0, total, size)):
        parts.append(part)
        if progress is not None:
            progress(min(size, total - first))
    solved, length = (
        np.concatenate(column)[:total].reshape(-1, attempts) for column in zip(*parts, strict=True)
    )
    return Evaluation(
        policy=policy_name,
        levels=chosen.info,
        solved=solved,
        length=length,
        conditions=Conditions.of(env, game),
        run=RunInfo() if run is None else run,
        deterministic=mode or deterministic,
        baseline=baseline,
    )


# Evaluations of baselines in this process, which are the same for every run that is evaluated on these
# levels.
_BASELINES: dict[tuple[Any, ...], list[Evaluation]] = {}


def evaluate_baselines(
    key: jax.Array,
    levels: LevelSet,
    env: kx.Environment,
    env_params: kx.EnvParams,
    *,
    attempts: int,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> list[Evaluation]:
    """Evaluates doing nothing, random actions, and random actions that are held; each once in a process.

    Args:
      key: random key of the actions.
      levels: set of levels.
      env, env_params: environment without auto-reset, of which observations are not used; numbers of the
        game.
      attempts: episodes of each level; doing nothing takes one.
      batch_size, progress: as for `evaluate`.
    """
    blind = dataclasses.replace(env, observation_type="blind")
    unmarked = (False,) * len(levels)
    info = dataclasses.replace(levels.info, trained_on=unmarked, siblings=unmarked)
    seed = tuple(jax.random.key_data(key).tolist())
    found = (info, Conditions.of(blind, env_params), blind.size, seed, attempts, batch_size)
    policies = baseline_policies(key, blind)
    if found in _BASELINES:
        if progress is not None:
            progress(baseline_episodes(len(levels), attempts))
        return _BASELINES[found]
    _BASELINES[found] = [
        evaluate(
            key,
            policy,
            params,
            blind,
            LevelSet(info, levels.levels),
            env_params,
            attempts=attempts,
            policy_name=name,
            deterministic=deterministic,
            baseline=True,
            batch_size=batch_size,
            progress=progress,
        )
        for name, policy, params, deterministic in policies
    ]
    return _BASELINES[found]


def baseline_episodes(num_levels: int, attempts: int) -> int:
    """Counts the episodes of all baselines together."""
    return num_levels * (2 * attempts + 1)


def evaluate_policies(
    key: jax.Array,
    policies: Sequence[NamedPolicy],
    level_sets: Sequence[LevelSet],
    env: kx.Environment,
    env_params: kx.EnvParams,
    *,
    attempts: int,
    run: RunInfo | None = None,
    progress: bool = True,
) -> list[Evaluation]:
    """Evaluates every policy, and the baselines, on every set of levels, all with the same random numbers.

    Args:
      key: random key of the actions.
      policies: policies with their parameters.
      level_sets: sets of levels, of the environment's size.
      env, env_params: environment without auto-reset, and numbers of the game.
      attempts: episodes of each level.
      run: run that the policies come from.
      progress: show a progress bar.

    Returns:
      the evaluations set by set, of the policies in their order and then of the baselines.
    """
    each = sum(1 if policy.mode else attempts for policy in policies)
    episodes = sum(len(levels) * each + baseline_episodes(len(levels), attempts) for levels in level_sets)
    # One size for all sets, and so one compiled program for each policy.
    batch_size = max(suited_batch_size(len(levels) * attempts) for levels in level_sets)
    evaluations = []
    with tqdm(total=episodes, desc="evaluating", unit="episode", disable=not progress) as bar:
        for levels in level_sets:
            for name, policy, params, mode in policies:
                bar.set_postfix_str(f"{name}, {levels.name}")
                evaluations.append(
                    evaluate(
                        key,
                        policy,
                        params,
                        env,
                        levels,
                        env_params,
                        attempts=attempts,
                        policy_name=name,
                        run=run,
                        mode=mode,
                        batch_size=batch_size,
                        progress=bar.update,
                    )
                )
            bar.set_postfix_str(f"baselines, {levels.name}")
            evaluations += evaluate_baselines(
                key,
                levels,
                env,
                env_params,
                attempts=attempts,
                batch_size=batch_size,
                progress=bar.update,
            )
    return evaluations
