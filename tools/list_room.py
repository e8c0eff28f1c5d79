"""Counts the blocks of 256 scenes for which a list of the step is too short (jax2d/README.md, lists).

python -m tools.list_room [SIZES]      e.g. python -m tools.list_room ml

Prints, for random levels and crowded boxes in both orders, how many of the candidates' and contacts' lists
were too short while all scenes were stepped under random actions, and the most candidates of each kind in a
block with the room for them.
"""

from __future__ import annotations

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from agents.benchmark.engine import level_scenes
from agents.benchmark.scenes import SIZES, random_actions, random_scenes
from jax2d import sparse
from jax2d.collision.candidates import find_candidates, pair_tables
from jax2d.collision.listed import find_listed_manifolds
from jax2d.solver.contact_list import select_contacts

BLOCK, BLOCKS, STEPS, SEED = 256, 8, 128, 5
PARAMS = jax2d.SimParams()


def _fill(states: jax2d.SimState, actions: jax.Array, spec: jax2d.SimSpec) -> tuple[jax.Array, ...]:
    """Tells whether candidates and contacts of a block fit their lists, and counts the former by kind."""
    states, actions = jax.tree.map(lambda value: jnp.moveaxis(value, 0, -1), (states, actions))
    scenes = sparse._prepare(states, actions, PARAMS, spec)
    sizes, tables, always = sparse.list_sizes(spec, BLOCK), pair_tables(spec), jnp.asarray(True)
    everywhere = jnp.ones(BLOCK, bool)
    candidates = find_candidates(always, scenes.state, scenes.boxes, tables, sizes.candidates, everywhere)
    found = find_listed_manifolds(
        always, scenes.bodies, scenes.polygons, tables, sizes.chunks, sizes.candidates, candidates, spec
    )
    places = spec.num_bodies * BLOCK
    _, fits = select_contacts(always, found, candidates, tables, sizes.candidates, sizes.phases, places)
    return candidates.fits, fits, candidates.total.sum(1)


def count_short_lists(states: jax2d.SimState, spec: jax2d.SimSpec) -> str:
    """Steps all scenes, and describes how their blocks fill the lists."""
    actions = random_actions(SEED, STEPS, BLOCK * BLOCKS, spec)
    blocks = lambda value: value.reshape(BLOCKS, BLOCK, *value.shape[1:])

    def visit(states, actions):
        advance = jax.vmap(lambda state, action: jax2d.step(state, action, PARAMS, spec)[0])
        return advance(states, actions), _fill(states, actions, spec)

    run = jax.jit(lambda xs: jax.lax.map(lambda block: jax.lax.scan(visit, *block)[1], xs))
    by_block = jax.tree.map(blocks, states), jnp.swapaxes(blocks(np.swapaxes(actions, 0, 1)), 1, 2)
    candidates, contacts, totals = map(np.asarray, run(by_block))
    short = (~candidates).sum(), (~contacts).sum()
    return (
        f"{candidates.size} steps of blocks: too short for candidates in {short[0]}, for contacts in "
        f"{short[1]}; most candidates {totals.max((0, 1)).tolist()} "
        f"of {list(sparse.list_sizes(spec, BLOCK).candidates)}"
    )


def main(sizes: str = "ml") -> None:
    """Prints a line for each kind of scene."""
    for size in sizes:
        for order in ("parallel", "kinetix"):
            spec = dataclasses.replace(SIZES[size], contact_order=order)
            for name, states in (
                ("levels", level_scenes(SEED, BLOCK * BLOCKS, size)),
                ("boxes", random_scenes(SEED, BLOCK * BLOCKS, spec)),
            ):
                print(f"{size}, {order}, {name}: {count_short_lists(states, spec)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
