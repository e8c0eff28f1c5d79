"""Numbers of what is processed at once: they follow the device of a program, or what a caller says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from jax2d.batching import lowering_for
from kinetix_py.chunks import CHUNKS, filter_round, suited_chunks, use_chunks


@pytest.mark.parametrize(
    ("platform", "kind"), [("cpu", "cpu"), ("cuda", "gpu"), ("rocm", "gpu"), ("tpu", "tpu"), ("other", "gpu")]
)
def test_numbers_are_those_of_the_device_that_is_compiled_for(platform, kind):
    with lowering_for(platform):
        assert suited_chunks() is CHUNKS[kind]


def test_a_caller_may_choose_for_a_while():
    before = suited_chunks()
    with use_chunks(dataclasses.replace(before, drawn=5)), lowering_for("cuda"):
        assert suited_chunks().drawn == 5 and suited_chunks().evaluated == before.evaluated
    assert suited_chunks() == before
    with pytest.raises(ValueError, match=r"Chunks.searched must be at least 1, got \(1, 0, 1\)"):
        dataclasses.replace(before, searched=(1, 0, 1))


def test_one_round_of_the_filter_suffices_unless_the_device_is_too_small():
    """Of 94 levels 75.2 +- 3.9 pass the filter where one in five is solved by doing nothing."""
    assert filter_round(64) == 94  # (64 + 3 sqrt(0.2 * 64)) / 0.8 = 93.4
    passed = np.random.default_rng(0).binomial(94, 0.8, 10_000)
    assert (passed >= 64).mean() > 0.995
    with lowering_for("cuda"):
        assert filter_round(4096) == 5228
    with lowering_for("cpu"):
        assert filter_round(4096) == CHUNKS["cpu"].filtered
