"""An open-ended space of 2D physics tasks for reinforcement learning, in JAX: make green touch blue."""

from kinetix_py import engine_check, spaces, wrappers  # checks the engine before anything needs it
from kinetix_py.actions import ActionAdapter
from kinetix_py.env.environment import Environment, make
from kinetix_py.env.episodes import EpisodeResults, action_sequence, play_episodes
from kinetix_py.env.game import goal_distance
from kinetix_py.env.types import EnvParams, EnvState
from kinetix_py.generator.box import BoxLevels, GeneratorBox
from kinetix_py.generator.mutations import mutate_level
from kinetix_py.generator.params import GeneratorParams, LocomotionParams
from kinetix_py.generator.sample import noop_solves, sample_filtered_levels, sample_level, sample_levels
from kinetix_py.levels.builder import LevelBuilder
from kinetix_py.levels.distributions import LevelDistribution, LevelList, LevelMixture, RandomLevels
from kinetix_py.levels.files import (
    level_from_json,
    level_to_json,
    load_level,
    load_level_file,
    save_level,
)
from kinetix_py.levels.json_node import LevelError
from kinetix_py.levels.level import (
    Level,
    LevelLabels,
    empty_level,
    from_scene,
    pad_level,
    stack_levels,
    validate_level,
    with_rules,
)
from kinetix_py.levels.level_file import LevelFile
from kinetix_py.levels.library.sets import library, list_level_sets, list_levels
from kinetix_py.levels.mirror import mirror_level
from kinetix_py.levels.rules import Rules
from kinetix_py.observations.mirror import mirror_observation
from kinetix_py.rendering.pixels import render_pixels
from kinetix_py.rendering.svg import Drawing, render_svg
from kinetix_py.rendering.video import save_video
from kinetix_py.roles import BLUE, GREEN, NONE, RED, ROLES
from kinetix_py.sizes import SIZES, LevelSize

__version__ = engine_check.VERSION

__all__ = [
    "BLUE",
    "GREEN",
    "NONE",
    "RED",
    "ROLES",
    "SIZES",
    "ActionAdapter",
    "BoxLevels",
    "Drawing",
    "EnvParams",
    "EnvState",
    "Environment",
    "EpisodeResults",
    "GeneratorBox",
    "GeneratorParams",
    "Level",
    "LevelBuilder",
    "LevelDistribution",
    "LevelError",
    "LevelFile",
    "LevelLabels",
    "LevelList",
    "LevelMixture",
    "LevelSize",
    "LocomotionParams",
    "RandomLevels",
    "Rules",
    "action_sequence",
    "empty_level",
    "from_scene",
    "goal_distance",
    "level_from_json",
    "level_to_json",
    "library",
    "list_level_sets",
    "list_levels",
    "load_level",
    "load_level_file",
    "make",
    "mirror_level",
    "mirror_observation",
    "mutate_level",
    "noop_solves",
    "pad_level",
    "play_episodes",
    "render_pixels",
    "render_svg",
    "sample_filtered_levels",
    "sample_level",
    "sample_levels",
    "save_level",
    "save_video",
    "spaces",
    "stack_levels",
    "validate_level",
    "with_rules",
    "wrappers",
]
