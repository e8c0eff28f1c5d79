"""Random levels play like those of Kinetix's own generator. Fully optimized: the steps take longest."""

from __future__ import annotations

import jax
import pytest

from kinetix_py.generator.sample import sample_levels
from kinetix_py.sizes import SIZES
from tests.kinetix_py.reference_levels import (
    assert_close,
    means_of,
    needs_reference,
    played_on_floors_of,
    reference,
)
from tools.level_statistics import structure


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_play_agrees_with_the_reference(size):
    """4,096 levels, which makes it long."""
    count, expected = 4096, reference(size)
    levels = sample_levels(jax.random.key(2), count, size)
    assert_close(means_of(structure(levels)), expected)
    assert_close(played_on_floors_of(expected, levels), expected, count)
