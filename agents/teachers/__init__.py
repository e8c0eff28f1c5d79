"""Teachers: which tasks to train on, as points of a space of generator parameters."""

from agents.teachers.adr import ADR
from agents.teachers.again import AGAIN
from agents.teachers.alp_gmm import ALPGMM
from agents.teachers.covar_gmm import CovarGMM
from agents.teachers.goal_gan import GoalGAN
from agents.teachers.protocol import Teacher
from agents.teachers.riac import RIAC
from agents.teachers.self_paced import SelfPaced
from agents.teachers.setter_solver import SetterSolver
from agents.teachers.uniform import RandomTeacher

TEACHERS: dict[str, type] = {
    "adr": ADR,
    "again": AGAIN,
    "alp_gmm": ALPGMM,
    "covar_gmm": CovarGMM,
    "goal_gan": GoalGAN,
    "random": RandomTeacher,
    "riac": RIAC,
    "self_paced": SelfPaced,
    "setter_solver": SetterSolver,
}

__all__ = [
    "ADR",
    "AGAIN",
    "ALPGMM",
    "RIAC",
    "TEACHERS",
    "CovarGMM",
    "GoalGAN",
    "RandomTeacher",
    "SelfPaced",
    "SetterSolver",
    "Teacher",
]
