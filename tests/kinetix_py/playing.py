"""A player that tests play with."""

from __future__ import annotations

import numpy as np


class Firing:
    """Fires the first thruster in every other of its steps; keeps what it was told."""

    name, frame_skip, value = "a test's player", 2, 0.25

    def __init__(self, size, relevance=None):
        self.told, self.relevance, self._size = [], relevance, size

    def begin(self):
        return 0

    def act(self, memory, state, first):
        self.told.append((memory, int(state.step_count), first))
        values = np.zeros(self._size.num_bindings, np.float32)
        values[self._size.num_motor_bindings] = memory % 2 == 0
        return memory + 1, values
