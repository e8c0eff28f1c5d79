"""Choice and numbers of a curriculum, checked before anything is built."""

from __future__ import annotations

import dataclasses
from typing import Any

from agents.checks import at_least

CURRICULA = (
    "sfl",
    "plr",
    "accel",
    "map_elites",
    "ncc",
    "paired",
    "teacher",
    "domain_randomization",
    "levels",
)
ADVERSARIES = ("parameters", "edits")  # of PAIRED
DISTRIBUTIONS = ("random", "locomotion")  # of fresh levels
REPLAYING = ("sfl", "plr", "accel", "ncc")  # kinds with a buffer of levels


@dataclasses.dataclass(frozen=True)
class CurriculumConfig:
    """Curriculum, by kind; each kind uses the numbers that it knows.

    Attributes:
      kind: one of `CURRICULA`; `"levels"` plays the files under `levels`.
      levels: level files, folders of them, or names of the library or of its sets, such as `library/s`.
      buffer_size, buffer_share: fields of `agents.curricula.PLR`; levels of all devices together.
      score, prioritization, temperature, staleness, min_fill, learn_fresh, history_decay: the same; null
        leaves the default of the kind.
      num_candidates, attempts, refresh_every, episodes_at_once: fields of `agents.curricula.SFL`; of all
        devices together where they count levels or episodes.
      num_steps: the same; the time limit if null.
      edited_share, num_edits: fields of `agents.curricula.ACCEL` and `MapElites`; PAIRED's adversary makes
        `num_edits` in each level.
      bins: number of bins of each descriptor of `agents.curricula.MapElites`; null leaves its own.
      adversary: what PAIRED's adversary chooses: `"parameters"` of the generator, or `"edits"` of which it
        builds each level.
      adversary_learning_rate, adversary_entropy_coef: numbers of that adversary, and of that of
        `agents.curricula.NCC`; null leaves the default of the kind.
      distributions: distributions of fresh levels, each `"random"` or `"locomotion"`.
      weights: one for each of them, above 0 and relative to each other; all alike if empty.
      start: fresh levels of ACCEL and MAP-Elites: `"random"`, or `"minimal"`, the simplest ones, which edits
        make grow.
      teacher: name in `agents.teachers.TEACHERS`, for kind `"teacher"`.
      teacher_options: fields of the teacher with other values than its defaults.
      box: lower and upper bound of numbers of the generator. A teacher, or the adversary of `"paired"`,
        chooses them; null: `agents.curricula.teacher.TASKS`. For other kinds each fresh level has its own,
        drawn uniformly (`kinetix_py.BoxLevels`); null: those of the distribution.
      num_tasks: tasks of an update, of all devices together, for kinds `"teacher"` and `"paired"`.
      earlier_runs: runs whose curricula the teacher `"again"` knows: folders, or files `curriculum.npz`.
    """

    kind: str = "sfl"
    levels: list[str] = dataclasses.field(default_factory=list)
    num_candidates: int = 512
    attempts: int = 8
    buffer_size: int = 128
    refresh_every: int = 10
    buffer_share: float = 0.5
    episodes_at_once: int | None = None
    num_steps: int | None = None  # environment steps
    score: str | None = None
    prioritization: str | None = None
    temperature: float | None = None
    staleness: float | None = None
    min_fill: float | None = None
    learn_fresh: bool | None = None
    history_decay: float | None = None
    edited_share: float = 0.4
    num_edits: int = 5
    bins: dict[str, Any] | None = None
    start: str = "random"
    adversary: str = "parameters"
    adversary_learning_rate: float | None = None
    adversary_entropy_coef: float | None = None
    distributions: list[str] = dataclasses.field(default_factory=lambda: ["random"])
    weights: list[float] = dataclasses.field(default_factory=list)
    teacher: str | None = None
    teacher_options: dict[str, Any] | None = None
    box: dict[str, Any] | None = None
    num_tasks: int = 64
    earlier_runs: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.start not in ("random", "minimal"):
            raise ValueError(f"CurriculumConfig.start must be 'random' or 'minimal', got {self.start!r}")
        names, weights = list(self.distributions), list(self.weights)
        if not names or len(set(names)) < len(names) or not set(names) <= set(DISTRIBUTIONS):
            raise ValueError(f"CurriculumConfig.distributions must be some of {DISTRIBUTIONS}, got {names}")
        if weights and (len(weights) != len(names) or not all(weight > 0 for weight in weights)):
            raise ValueError(f"CurriculumConfig.weights must be {len(names)} numbers above 0, got {weights}")
        if self.start == "minimal" and names != ["random"]:
            raise ValueError(f"CurriculumConfig.start='minimal' is for random levels alone, got {names}")
        if self.box is not None and (self.kind == "levels" or self.start == "minimal"):
            raise ValueError(
                f"CurriculumConfig.box must be null for kind 'levels' and for start 'minimal', got {self.box}"
            )
        if self.kind not in CURRICULA:
            raise ValueError(f"CurriculumConfig.kind must be one of {CURRICULA}, got {self.kind!r}")
        if self.adversary not in ADVERSARIES:
            raise ValueError(
                f"CurriculumConfig.adversary must be one of {ADVERSARIES}, got {self.adversary!r}"
            )
        if self.kind == "sfl":
            at_least(self, 2, "attempts")
        if (self.teacher is not None) != (self.kind == "teacher"):
            raise ValueError(
                f"CurriculumConfig.teacher must name a teacher for kind 'teacher' and for no other kind, "
                f"got {self.teacher!r} with kind {self.kind!r}"
            )
        at_least(self, 1, "num_tasks")
        if self.earlier_runs and self.teacher != "again":
            raise ValueError(
                f"CurriculumConfig.earlier_runs are for teacher 'again', got {list(self.earlier_runs)} with "
                f"{self.teacher!r}"
            )
        if bool(self.levels) != (self.kind == "levels"):
            raise ValueError(
                f"CurriculumConfig.levels must name files for kind 'levels' and for no other kind, "
                f"got {list(self.levels)} with kind {self.kind!r}"
            )
