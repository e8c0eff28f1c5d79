"""Curricula: which levels to train on, behind one protocol."""

from agents.curricula.accel import ACCEL, minimal_levels
from agents.curricula.adversary import EditingAdversary, ParameterAdversary
from agents.curricula.baselines import DomainRandomization, FixedLevels
from agents.curricula.level_editing import LevelEditing
from agents.curricula.map_elites import MapElites
from agents.curricula.ncc import NCC
from agents.curricula.outcome import Outcome
from agents.curricula.paired import PAIRED
from agents.curricula.protocol import Curriculum, LevelBatch
from agents.curricula.replay import PLR
from agents.curricula.sfl import SFL
from agents.curricula.teacher import TeacherCurriculum

__all__ = [
    "ACCEL",
    "NCC",
    "PAIRED",
    "PLR",
    "SFL",
    "Curriculum",
    "DomainRandomization",
    "EditingAdversary",
    "FixedLevels",
    "LevelBatch",
    "LevelEditing",
    "MapElites",
    "Outcome",
    "ParameterAdversary",
    "TeacherCurriculum",
    "minimal_levels",
]
