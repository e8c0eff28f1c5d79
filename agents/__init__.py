"""Agents that learn to play: networks, proximal policy optimization, curricula, training, evaluation."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.config import ConfigError, TrainConfig
    from agents.curricula import (
        ACCEL,
        PLR,
        SFL,
        Curriculum,
        DomainRandomization,
        FixedLevels,
        LevelBatch,
        Outcome,
        TeacherCurriculum,
    )
    from agents.evaluation.evaluate import evaluate
    from agents.evaluation.evaluation import Evaluation
    from agents.io.run_folder import new_run
    from agents.loading import LoadedPolicy, export_policy, load_policy, shipped_agents
    from agents.networks.config import NetworkConfig
    from agents.networks.factory import make_network
    from agents.policy import Policy, PolicyOutput, UniformPolicy
    from agents.ppo.config import PPOConfig
    from agents.ppo.ppo import make_optimizer
    from agents.training.loop import train
    from agents.training.trainer import Trainer

# Modules are imported when a name is first used, so that `import agents` itself needs no library.
_MODULES = {
    "ACCEL": "agents.curricula",
    "ConfigError": "agents.config",
    "Curriculum": "agents.curricula",
    "DomainRandomization": "agents.curricula",
    "Evaluation": "agents.evaluation.evaluation",
    "FixedLevels": "agents.curricula",
    "LevelBatch": "agents.curricula",
    "LoadedPolicy": "agents.loading",
    "NetworkConfig": "agents.networks.config",
    "Outcome": "agents.curricula",
    "PLR": "agents.curricula",
    "PPOConfig": "agents.ppo.config",
    "Policy": "agents.policy",
    "PolicyOutput": "agents.policy",
    "SFL": "agents.curricula",
    "TeacherCurriculum": "agents.curricula",
    "TrainConfig": "agents.config",
    "Trainer": "agents.training.trainer",
    "UniformPolicy": "agents.policy",
    "evaluate": "agents.evaluation.evaluate",
    "export_policy": "agents.loading",
    "load_policy": "agents.loading",
    "make_network": "agents.networks.factory",
    "make_optimizer": "agents.ppo.ppo",
    "new_run": "agents.io.run_folder",
    "shipped_agents": "agents.loading",
    "train": "agents.training.loop",
}
__all__ = [
    "ACCEL",
    "PLR",
    "SFL",
    "ConfigError",
    "Curriculum",
    "DomainRandomization",
    "Evaluation",
    "FixedLevels",
    "LevelBatch",
    "LoadedPolicy",
    "NetworkConfig",
    "Outcome",
    "PPOConfig",
    "Policy",
    "PolicyOutput",
    "TeacherCurriculum",
    "TrainConfig",
    "Trainer",
    "UniformPolicy",
    "evaluate",
    "export_policy",
    "load_policy",
    "make_network",
    "make_optimizer",
    "new_run",
    "shipped_agents",
    "train",
]


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
