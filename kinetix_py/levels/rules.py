"""Rules of a level beyond the plain game: goals in a sequence, touches that must last, switches, two agents.

A level without such rules has none of these arrays (`Level.rules` is None), and compiled programs of it have
none of their operations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import jax2d
from jax2d.fields import ArrayFields, array, dimensions, field_specs
from kinetix_py.sizes import LevelSize

MAX_GOAL = 99  # number of a goal
MAX_HOLD = 10_000  # physics steps that a touch must last
NUM_SWITCHES = 4
NUM_AGENTS = 2


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rules(ArrayFields):
    """Rules of a level.

    Green must touch the blue shapes of the lowest number, any one of them, then one of the next number, and
    so on; touching the last solves the level. Other blue shapes do nothing while it is not their turn.

    A sensor turns its switch on, for the rest of the episode, when green touches it. What waits for a switch
    does nothing before: motors and thrusters are off, and bodies stay where they are as if they were static.

    Every binding belongs to one of two agents; in a level for one, all to agent 0. Both earn the same reward,
    or, if they are opposed, agent 1 what agent 0 loses.
    """

    goal: jax.Array = array(
        "N", dtype=np.int32, low=1, high=MAX_GOAL, doc="number of a blue shape in the sequence of goals"
    )
    hold: jax.Array = array(
        "N", dtype=np.int32, low=1, high=MAX_HOLD, doc="physics steps in a row for which green must touch it"
    )
    sensor: jax.Array = array(
        "N", dtype=np.int32, low=0, high=NUM_SWITCHES, doc="switch that a touch of green turns on; 0: none"
    )
    body_waits_for: jax.Array = array(
        "N", dtype=np.int32, low=0, high=NUM_SWITCHES, doc="switch that lets the body go; 0: none"
    )
    joint_waits_for: jax.Array = array(
        "J", dtype=np.int32, low=0, high=NUM_SWITCHES, doc="switch that frees the motor; 0: none"
    )
    thruster_waits_for: jax.Array = array(
        "T", dtype=np.int32, low=0, high=NUM_SWITCHES, doc="switch that frees the thruster; 0: none"
    )
    motor_agent: jax.Array = array("MB", dtype=np.int32, low=0, high=1, doc="agent of each motor binding")
    thruster_agent: jax.Array = array(
        "TB", dtype=np.int32, low=0, high=1, doc="agent of each thruster binding"
    )
    opposed: jax.Array = array(dtype=bool, low=0, high=1, doc="agent 1 earns what agent 0 loses")


BODY_RULES, JOINT_RULES, THRUSTER_RULES = (tuple(field_specs(Rules, axis=axis)) for axis in "NJT")
# What an array of the plain game is filled with.
PLAIN = {name: int(spec.low) for name, spec in field_specs(Rules).items()}


def rule_bounds(name: str) -> tuple[int, int]:
    """Returns the least and the greatest value of an array of `Rules`."""
    spec = field_specs(Rules)[name]
    return int(spec.low), int(spec.high)


def rule_dimensions(size: LevelSize) -> Mapping[str, int]:
    """Returns the sizes of the symbols in the shapes of `Rules`.

    They are those of `jax2d.fields.dimensions`, `MB` motor bindings and `TB` thruster bindings.
    """
    bindings = {"MB": size.num_motor_bindings, "TB": size.num_thruster_bindings}
    return {**dimensions(size.sim_spec()), **bindings}


def plain_rules(size: LevelSize, batch_shape: tuple[int, ...] = ()) -> Rules:
    """Returns the rules of the plain game: one goal, touched when a touch begins; arrays on the host."""
    sizes = rule_dimensions(size)
    arrays: dict[str, Any] = {  # on the host
        name: np.full((*batch_shape, *spec.shape(sizes)), PLAIN[name], spec.dtype)
        for name, spec in field_specs(Rules).items()
    }
    return Rules(**arrays)


def is_plain(columns: Mapping[str, Any]) -> bool:
    """Tells whether arrays by name, on the host, are those of the plain game; nothing is too."""
    return all(bool((np.asarray(column) == PLAIN[name]).all()) for name, column in columns.items())


def validate_rules(rules: Rules, size: LevelSize) -> None:
    """Checks every value of the rules of one level on the host.

    Raises:
      jax2d.SceneError: naming the first slot that is wrong, the value and the bounds.
    """
    kinds = {"N": "body", "J": "joint", "T": "thruster", "MB": "motor binding", "TB": "thruster binding"}
    for name, spec in field_specs(Rules).items():
        if spec.dtype == bool:
            continue
        values = np.asarray(getattr(rules, name))
        for index in np.argwhere((values < spec.low) | (values > spec.high))[:1]:
            where = f"{kinds[str(spec.axis)]} {index[0]}: {name}"
            bounds = f"{spec.low} .. {spec.high}"
            raise jax2d.SceneError(f"{where} must be in {bounds}, got {int(values[tuple(index)])}")
