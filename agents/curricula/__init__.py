"""Curricula: which levels to train on, behind one protocol."""

from agents.curricula.baselines import DomainRandomization, FixedLevels
from agents.curricula.protocol import Curriculum, LevelBatch
from agents.curricula.sfl import SFL

__all__ = ["SFL", "Curriculum", "DomainRandomization", "FixedLevels", "LevelBatch"]
