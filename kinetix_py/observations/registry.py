"""The observations by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.observations.entity import entity_observation
from kinetix_py.observations.flat import blind_observation, flat_observation, flat_padded_observation
from kinetix_py.observations.pixels import pixel_observation

ObservationFn = Callable[[EnvState, EnvParams], Any]

OBSERVATIONS: dict[str, ObservationFn] = {
    "entity": entity_observation,
    "flat": flat_observation,
    "flat_padded": flat_padded_observation,
    "pixels": pixel_observation,
    "blind": blind_observation,
}
