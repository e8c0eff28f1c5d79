"""An open-ended space of 2D physics tasks for reinforcement learning, in JAX: make green touch blue."""

from kinetix_py.levels.level import (
    Level,
    empty_level,
    from_scene,
    pad_level,
    stack_levels,
    validate_level,
)
from kinetix_py.spec import SIZES, EnvSpec

__all__ = [
    "SIZES",
    "EnvSpec",
    "Level",
    "empty_level",
    "from_scene",
    "pad_level",
    "stack_levels",
    "validate_level",
]
