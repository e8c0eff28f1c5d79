"""Fields describe themselves; the documentation's tables are theirs."""

from __future__ import annotations

import pathlib

import jax
import numpy as np
import pytest

import jax2d
from agents.benchmark.scenes import SIZES, random_scenes
from jax2d.fields import host_zeros, markdown_table

PHYSICS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "physics.md"


def test_every_field_is_described_and_random_scenes_have_these_arrays():
    spec = SIZES["m"]
    shapes, state = jax2d.SimState.shapes(spec), random_scenes(0, 2, spec)
    described = jax.tree.map(lambda leaf: ((2, *leaf.shape), leaf.dtype), shapes)
    found = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state)
    assert described == found


def test_fields_by_their_leading_axis():
    bodies = jax2d.field_specs(jax2d.SimState, axis="N")
    assert list(bodies)[:2] == ["position", "rotation"] and "vertices" not in bodies
    assert bodies["position"].unit == "m" and bodies["position"].shape({"N": 7}) == (7, 2)
    assert set(jax2d.field_specs(jax2d.Joints(*[None] * 13))) == set(jax2d.Joints.__dataclass_fields__)


def test_zeros_on_the_host_are_writable_and_may_be_in_double_precision():
    state = host_zeros(jax2d.SimState.shapes(SIZES["s"]), np.float64)
    state.position[0] = 1.5
    assert state.position.dtype == np.float64 and state.joints.body_a.dtype == np.int32


@pytest.mark.parametrize("cls", [jax2d.SimState, jax2d.Joints, jax2d.Thrusters, jax2d.Contacts])
def test_the_documentation_has_the_tables_of_fields(cls):
    """To renew a table, put `jax2d.fields.markdown_table(cls)` behind its marker."""
    assert f"<!-- fields: {cls.__name__} -->\n\n{markdown_table(cls)}" in PHYSICS.read_text()
