"""The engine against episodes recorded with Kinetix's own (`shared/reference`, where it is at hand)."""

from __future__ import annotations

import numpy as np
import pytest

from tests.jax2d.kinetix_files import ROLLOUTS, TIME_LIMIT, play, read_rollout

pytestmark = [
    pytest.mark.skipif(not ROLLOUTS.is_dir(), reason="the recorded episodes are not beside the project"),
    pytest.mark.slow,
]


def compare(names):
    """Share of episodes that end alike, and deviations by environment step, before an episode ends."""
    rollouts = [read_rollout(ROLLOUTS / name) for name in names]
    positions, outcomes = play(rollouts)
    agree, deviations = [], {int(step): [] for step in rollouts[0].expected["steps"]}
    for rollout, position, outcome in zip(rollouts, positions, outcomes, strict=True):
        ended = outcome != 0
        end = np.where(ended.any(axis=1), ended.argmax(axis=1), TIME_LIMIT)
        last = np.minimum(end, TIME_LIMIT - 1)
        result = np.take_along_axis(outcome, last[:, None], axis=1)[:, 0]
        agree.append(result == rollout.expected["outcome"])
        active = rollout.expected["active"]
        for i, step in enumerate(rollout.expected["steps"]):
            running = step <= np.minimum(end, rollout.expected["episode_end"])
            apart = position[:, step - 1] - rollout.expected["position"][:, i]
            apart = np.linalg.norm(apart[running][:, active], axis=-1)
            deviations[int(step)].append(apart.max(axis=1))
    return np.concatenate(agree), {step: np.concatenate(d) for step, d in deviations.items()}


def names(prefix):
    return sorted(path.name for path in ROLLOUTS.glob(f"{prefix}*.npz"))


@pytest.fixture(scope="module")
def original():
    small = compare(names("s_"))
    medium = compare([name for name in names("m_") if "variants" not in name])
    both = {step: np.concatenate([small[1][step], medium[1][step]]) for step in small[1]}
    return np.concatenate([small[0], medium[0]]), both


@pytest.fixture(scope="module")
def variants():
    return compare(names("m_variants_"))


def test_outcomes_of_the_34_levels_agree(original):
    assert len(original[0]) == 34 * 33
    assert original[0].mean() >= 0.985


@pytest.mark.parametrize(("step", "median", "ninety"), [(1, 1e-6, 1e-6), (16, 3e-4, 2e-3), (32, 5e-4, 4e-3)])
def test_bodies_of_the_34_levels_stay_together(original, step, median, ninety):
    apart = original[1][step]
    assert len(apart) > 500
    assert np.median(apart) <= median
    assert np.quantile(apart, 0.9) <= ninety


def test_variants_agree(variants):
    """Restitution, limits, triangles and collision mode 0; bounces are chaotic, so fewer end alike."""
    assert len(variants[0]) == 23 * 33
    assert variants[0].mean() >= 0.97
    assert np.median(variants[1][16]) <= 3e-4
    assert np.quantile(variants[1][16], 0.9) <= 2e-3
    assert np.quantile(variants[1][32], 0.9) <= 4e-3
