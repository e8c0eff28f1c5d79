"""Which levels to train on, behind one protocol."""

from agents.curricula.protocol import Curriculum, LevelBatch
from agents.curricula.sfl import SFL
from agents.curricula.simple import DomainRandomization, FixedLevels

__all__ = ["SFL", "Curriculum", "DomainRandomization", "FixedLevels", "LevelBatch"]
