"""The solver: all constraints, swept a fixed number of times. Arrays are batch-last."""

from __future__ import annotations

import dataclasses

import jax

from jax2d.pairs import Kind
from jax2d.params import SimParams, SimSpec
from jax2d.solver.contacts import (
    Bodies,
    ContactBlock,
    Impulses,
    add_impulses,
    apply_impulses,
    solve_block,
)
from jax2d.solver.joints import JointImpulses, JointRows, solve_joints, warm_start_joints
from jax2d.solver.order import drop_last_pair, num_groups


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Phase:
    """One contact point of every pair of a kind: solved from the same velocities, summed."""

    kind: Kind = dataclasses.field(metadata={"static": True})
    contacts: list[ContactBlock]  # by block
    groups: list[jax.Array] | None  # by block, int [*shape, B]: solve the groups one after another


def _solve_phase(
    phase: Phase, impulses: list[Impulses], bodies: Bodies
) -> tuple[list[Impulses], Bodies]:
    blocks = phase.kind.blocks
    for group in range(1 if phase.groups is None else num_groups(phase.kind)):
        added = []
        for i, block in enumerate(blocks):
            mask = None if phase.groups is None else phase.groups[i] == group
            added.append(solve_block(block, phase.contacts[i], impulses[i], bodies, mask))
        bodies = apply_impulses(blocks, phase.contacts, added, bodies)
        impulses = [add_impulses(old, new) for old, new in zip(impulses, added, strict=True)]
    return impulses, bodies


def solve(
    phases: list[Phase],
    rows: JointRows,
    contact_impulses: list[list[Impulses]],
    joint_impulses: JointImpulses,
    bodies: Bodies,
    params: SimParams,
    spec: SimSpec,
) -> tuple[list[list[Impulses]], JointImpulses, Bodies]:
    """Warm starts, then sweeps joints and the contact phases `spec.solver_iterations` times.

    Args:
      contact_impulses: by phase and block, what to start from.
      joint_impulses: what to start from.
    """

    def sweep(_, carry):
        contact_impulses, joint_impulses, bodies = carry
        joint_impulses, bodies = solve_joints(rows, joint_impulses, bodies, params)
        after = []
        for phase, impulses in zip(phases, contact_impulses, strict=True):
            impulses, bodies = _solve_phase(phase, impulses, bodies)
            after.append(impulses)
        if spec.contact_order == "kinetix":
            after = [drop_last_pair(p.kind, i) for p, i in zip(phases, after, strict=True)]
        return after, joint_impulses, bodies

    if spec.warm_start:
        for phase, impulses in zip(phases, contact_impulses, strict=True):
            bodies = apply_impulses(phase.kind.blocks, phase.contacts, impulses, bodies)
        bodies = warm_start_joints(rows, joint_impulses, bodies)
    carry = (contact_impulses, joint_impulses, bodies)
    return jax.lax.fori_loop(0, spec.solver_iterations, sweep, carry)
