"""Roles of shapes: what the game reads of them, in level arrays by number and in level files by name."""

from __future__ import annotations

NUM_ROLES = 4
ROLES = ("none", "green", "blue", "red")
NONE, GREEN, BLUE, RED = range(NUM_ROLES)
