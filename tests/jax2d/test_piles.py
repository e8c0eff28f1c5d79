"""Piles of bodies with many contacts come to rest."""

from __future__ import annotations

import pytest

from tools.piles import piles, settle


@pytest.mark.slow
def test_piles_of_twelve_bodies_come_to_rest():
    """Plain parallel sweeps leave some of these piles with hundreds of joules."""
    rest = settle(piles(seed=3, count=64), seconds=12, order="parallel")
    assert rest["kinetic_energy"].max() < 0.05
    assert rest["overlap"].max() < 0.08
