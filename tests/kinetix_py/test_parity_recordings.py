"""The environment against episodes of the library's levels recorded in Kinetix's own environment.

`tools/record_kinetix_episodes.sh` wrote the records, four episodes of random actions of every level, and
describes their arrays. They also say how well two runs can agree at all: Kinetix played each episode a second
time, from positions moved by up to 1e-6 m, the rounding of a float32 position. Where bodies start exactly in
touch or land on a corner, such a run is soon millimeters apart. Most bounds are therefore relative: the same
episodes in this package's environment agree with Kinetix's about as well as Kinetix's second run does, since
some five episodes in a hundred hang on rounding, which differs from one processor to the next.
"""

from __future__ import annotations

import numpy as np
import pytest

import kinetix_py as kx
from tests.kinetix_py.kinetix_episodes import DENSE_REWARD_SCALE, Played


# The program of each size takes most of the time; one shows the parity to whoever runs the quick tests.
@pytest.fixture(scope="module", params=["s", *[pytest.param(size, marks=pytest.mark.slow) for size in "ml"]])
def played(request):
    return Played(request.param)


def test_levels_are_those_that_were_recorded(played):
    """Otherwise: record again."""
    recorded = played.kinetix["position"][:, 0]
    np.testing.assert_array_equal(np.where(played.active[..., None], played.start, 0), recorded)
    assert set(played.names) == set(kx.list_levels(f"library/{played.size}"))


def test_episodes_end_alike(played):
    """With the same outcome (measured: 99.1, 100 and 100 %); and at the same step (95.4, 99.4 and 94.6 %)."""
    for ours, moved in zip(played.alike(), played.moved_alike(), strict=True):
        assert len(ours) >= 100
        assert ours.mean() >= moved.mean() - 0.02
    assert played.alike()[0].mean() >= 0.97


def test_bodies_stay_together(played):
    """Half of the episodes to the rounding of float32, for a second at least."""
    for key_frame, step in enumerate(played.steps[1:], 1):
        ours, moved = played.apart(key_frame)
        assert len(ours) > 40
        for quantile in (0.5, 0.9):
            assert np.quantile(ours, quantile) <= 2 * np.quantile(moved, quantile), (step, quantile)
        if step <= 32:
            assert np.median(ours) <= 3e-6


def test_rewards_agree(played):
    """The dense reward of every step of the first 32, and the reward that ends an episode."""
    expected = played.kinetix["reward"].T
    count = len(expected)
    running = np.arange(count)[:, None] < np.minimum(played.last, played.kinetix["length"] - 1)
    off = np.abs(played.ours["reward"][:count] - expected)[running]
    assert np.median(off) <= 1e-7
    assert np.quantile(off, 0.9) <= 1e-4
    _, alike = played.alike()
    final = np.abs(played.at_end("reward") - played.kinetix["final_reward"])[alike]
    # Kinetix takes the distance at the physics step that ends the episode, this package after the environment
    # step: one more physics step, in which a body moves by a tenth of a meter at most.
    assert np.median(final) <= 1e-5
    assert final.max() <= 2 * DENSE_REWARD_SCALE * 0.1


def test_distances_agree(played):
    """Median difference of the green-blue distance at the key frames [m]."""
    for key_frame, step in enumerate(played.steps[1:], 1):
        off = np.abs(played.ours["distance"][step - 1] - played.kinetix["distance"][:, key_frame])
        assert np.median(off[step < np.minimum(played.kinetix["length"], played.last + 1)]) <= 2e-5, step
