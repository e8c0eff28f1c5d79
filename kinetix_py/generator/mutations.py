"""Levels after a few random edits, for ACCEL and editors."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jax2d import edit
from kinetix_py.generator.edits import EDITS
from kinetix_py.generator.params import GeneratorParams
from kinetix_py.levels.level import Level
from kinetix_py.levels.rules import BODY_RULES, JOINT_RULES, PLAIN, THRUSTER_RULES

# Levels of the random distribution share one gravity, so that edits of them keep it.
DEFAULT_EDITS = tuple(kind for kind in EDITS if kind != "change_gravity")


def mutate_level(
    key: jax.Array,
    level: Level,
    params: GeneratorParams | None = None,
    num_edits: int = 3,
    edits: tuple[str, ...] = DEFAULT_EDITS,
) -> Level:
    """A level after a few random edits, each kind equally likely.

    Args:
      level: one level; `vmap` over a batch.
      params: sizes and powers of what is added; the generator's defaults if None.
      num_edits: how many, at least 0; static.
      edits: names in `kinetix_py.generator.edits.EDITS` to draw from; static.

    Raises:
      ValueError: an unknown name, or none.
    """
    unknown = [name for name in edits if name not in EDITS]
    if unknown or not edits:
        raise ValueError(f"edits must be some of {tuple(EDITS)}, got {edits}")
    params = GeneratorParams() if params is None else params
    kinds = [lambda key, level, name=name: EDITS[name](key, level, params) for name in edits]

    def apply(level, key):
        kind_key, edit_key = jax.random.split(key)
        kind = jax.random.randint(kind_key, (), 0, len(kinds))
        return without_stale_rules(jax.lax.switch(kind, kinds, edit_key, level)), None

    level = dataclasses.replace(level, sim=edit.clear_impulses(level.sim))
    return jax.lax.scan(apply, level, jax.random.split(key, num_edits))[0]


def without_stale_rules(level: Level) -> Level:
    """The level without rules of slots that are not in use, so that what is added later has none."""
    rules, sim = level.rules, level.sim
    if rules is None:
        return level
    parts = (
        (BODY_RULES, sim.active),
        (JOINT_RULES, sim.joints.active),
        (THRUSTER_RULES, sim.thrusters.active),
    )
    plain = {
        name: jnp.where(active, getattr(rules, name), PLAIN[name])
        for names, active in parts
        for name in names
    }
    return dataclasses.replace(level, rules=dataclasses.replace(rules, **plain))
