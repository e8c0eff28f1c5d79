"""Common wrappers. Gymnasium's are in `kinetix_py.wrappers.gymnasium`, PettingZoo's in `.pettingzoo`."""

from kinetix_py.wrappers.base import Wrapper, WrapperState
from kinetix_py.wrappers.transforms import (
    ActionDelay,
    ActionHistory,
    ActionNoise,
    EpisodeStatistics,
    ObservationHistory,
    StickyActions,
)

__all__ = [
    "ActionDelay",
    "ActionHistory",
    "ActionNoise",
    "EpisodeStatistics",
    "ObservationHistory",
    "StickyActions",
    "Wrapper",
    "WrapperState",
]
