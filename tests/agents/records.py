"""Records of evaluations, made up."""

from __future__ import annotations

import numpy as np

import kinetix_py as kx
from agents.evaluation.evaluation import Conditions, Evaluation, RunInfo
from agents.levels import LevelSetInfo


def record(
    rate,
    level_set="library/s",
    policy="agent",
    run="run",
    rng_seed=0,
    *,
    training_seed=None,
    config_id="",
    contact_order="parallel",
    baseline=False,
    seed=None,
    siblings=(False,) * 12,
    attempts=40,
):
    """A record with a solve rate, or one rate for each of 12 levels, two of which were trained on."""
    rng = np.random.default_rng(rng_seed)
    names = tuple(f"level_{i}" for i in range(12))
    rates = np.broadcast_to(rate, 12)[:, None]
    return Evaluation(
        policy=policy,
        levels=LevelSetInfo(
            name=level_set,
            level_names=names,
            checksums=tuple(float(i) for i in range(12)),
            trained_on=(True,) * 2 + (False,) * 10,
            siblings=siblings,
            seed=seed,
        ),
        solved=rng.random((12, attempts)) < rates,
        length=rng.integers(1, 256, (12, attempts)),
        conditions=Conditions.of(kx.make("s", contact_order=contact_order), kx.EnvParams()),
        run=RunInfo(run, 40, training_seed, config_id),
        baseline=baseline,
    )
