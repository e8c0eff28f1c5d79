"""Wrappers that people write again and again. Gymnasium's are in `kinetix_py.wrappers.gymnasium`."""

from kinetix_py.wrappers.agent_side import (
    ActionDelay,
    ActionHistory,
    ActionNoise,
    EpisodeStatistics,
    ObservationHistory,
    StickyActions,
)
from kinetix_py.wrappers.base import Wrapper, WrapperState

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
