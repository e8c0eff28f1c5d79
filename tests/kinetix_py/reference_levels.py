"""Figures of Kinetix's own random levels, and how ours are compared with them."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from kinetix_py.roles import BLUE, NONE, RED
from tools import level_statistics as statistics

REFERENCE = pathlib.Path(__file__).resolve().parents[3] / "shared" / "reference"
needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="no reference figures")


def reference(size):
    """Means over levels of Kinetix's own generator."""
    figures = json.loads((REFERENCE / f"random_{size}.json").read_text())
    return {"static_fraction": figures.pop("immovable_fraction"), **figures}


def means_of(samples):
    return {name: float(values.mean()) for name, values in samples.items()}


def played_on_floors_of(expected, levels):
    """Means of play if floors are to be as often red, blue and plain as expected.

    Both numbers of floors are draws of the same chances, and they move the outcomes: a red floor is mostly
    lost. Post-stratification takes that noise out of the comparison.
    """
    floor = np.asarray(levels.labels.role)[:, 0]
    shares = {RED: expected["red_floor"], BLUE: expected["blue_floor"]}
    shares[NONE] = 1 - sum(shares.values())
    weights = sum((floor == which) * share / (floor == which).mean() for which, share in shares.items())
    samples, kept = statistics.play(levels)
    of = lambda name: weights[kept] if name.endswith("_of_kept") else weights
    return {name: float(np.average(values, weights=of(name))) for name, values in samples.items()}


def assert_close(got, expected, count=None):
    """Within 10 % or 0.03; shares of `count` levels, also within 2.5 standard errors of the two samples."""

    def noise(share):
        return 2.5 * (share * (1 - share) * (1 / expected["levels"] + 1 / count)) ** 0.5 if count else 0

    wrong = {
        name: (value, expected[name])
        for name, value in got.items()
        if abs(value - expected[name]) > max(0.1 * expected[name], 0.03, noise(expected[name]))
    }
    assert not wrong
